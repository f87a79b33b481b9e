"""What a calculator tells about a batch, the protocol that it keeps, and its one guarded call.

Whatever goes wrong with one system is that system's failure alone, a sentence; nothing here knows
what a search is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.progress import signs_of_life
from gadlib.progress.interrupts import outlived
from gadlib.systems.batch import Batch


class DeviceLostError(RuntimeError):
    """The GPU can't be used by this process any more, and what it has there is lost."""


@dataclass(frozen=True)
class Evaluation:
    """What a calculator says about a batch: detached, Cartesian, unprojected.

    Values are 0 where padded, and NaN where a system failed.

    Attributes:
        energy: in eV.
        forces: in eV/A.
        hessian: in eV/A^2, or None when it was not asked for.
        failures: one sentence for each system that could not be computed, by its place in the
            batch.
        asked: how often the calculator was asked for each system.
    """

    energy: Float[Tensor, " B"]
    forces: Float[Tensor, "B N 3"]
    hessian: Float[Tensor, "B D D"] | None = None
    failures: Mapping[int, str] = field(default_factory=dict)
    asked: int = 1


@runtime_checkable
class Calculator(Protocol):
    """A potential: from a batch to its energies, forces and, where asked for, Hessians.

    One may say by a boolean attribute `is_hessian_costly` whether a Hessian costs many gradients
    (it does where nothing is said), by `has_hessian` whether it is its own, not of differences of
    gradients (it is where nothing is said), by `name` what it is called in a sentence, and by
    `rounding` to how many eV its numbers are the same in other company. One whose answers might yet
    depend on what it computed before has a method `fresh`, which returns another that has computed
    nothing; a saddle is then confirmed by that. One that carries a solution of an SCF from point to
    point by intent also has `adopt`, by which it goes on from what such a fresh one has found; then
    the lower solution is the right one, whichever was found first.
    """

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """The evaluation of the batch; a system that fails is named in `failures`, never raised."""
        ...


def evaluate(calculator: Calculator, batch: Batch, *, hessian: bool) -> tuple[Evaluation, float]:
    """The evaluation of a batch, where what goes wrong with one system is its alone; the seconds.

    A calculator that raises, or whose answer is of another form, is asked again for each system by
    itself. Results that are not finite, or larger than any molecule's, become failures that name
    the calculator. Failed systems come back with zeros, so that the rest of the batch can go on.
    So do frozen atoms: what pulls at them moves nothing.

    Raises:
        DeviceLostError: when the GPU can't be used by this process any more.
    """
    if not len(batch):  # nobody to ask for
        return _of_nobody(batch, hessian), 0.0
    with torch.inference_mode(False):  # a calculator may use autograd, if not what the solver made
        own = replace(
            batch, positions=batch.positions.clone(), atomic_numbers=batch.atomic_numbers.clone()
        )
        started = time.perf_counter()
        try:
            with outlived():  # nor does it end the run by SystemExit
                answer = calculator(own, hessian=hessian)
            evaluation = _formed(answer, batch, hessian)
        except Exception as error:  # foreign code: whatever it raises costs one record, not the run
            if is_device_lost(error):
                raise DeviceLostError(_device_lost(calculator, error)) from error
            evaluation = _one_by_one(calculator, own, hessian, error)
        seconds = time.perf_counter() - started
        signs_of_life.called()
    return _of_moving(_without_nonsense(evaluation, batch, calculator), batch), seconds


def is_device_lost(error: BaseException) -> bool:
    """Whether CUDA will fail in this process from now on, as after an index out of bounds."""
    return "CUDA error" in str(error) and not isinstance(error, torch.OutOfMemoryError)


def _device_lost(calculator: Calculator, error: Exception) -> str:
    what = next(iter(str(error).splitlines()))
    return (
        f"{name_of(calculator)}: the GPU can't be used by this process any more ({what}). Often a"
        " molecule has an element that the model does not know; in processes of their own"
        " (workers = 1 or more) the molecule at fault is found, and the others go on"
    )


def _formed(answer: Any, batch: Batch, hessian: bool) -> Evaluation:
    """The answer of a calculator, in float64 on the batch's device, a Hessian only where asked for.

    Raises:
        TypeError: when it is no Evaluation of real numbers.
        ValueError: when a shape is another, or a system failed that there is not.
    """
    if not isinstance(answer, Evaluation):
        raise TypeError(f"it returned {type(answer).__name__}, expected an Evaluation")
    size, width = batch.positions.shape[:2]
    shapes = {"energy": (size,), "forces": (size, width, 3)}
    if hessian and answer.hessian is not None:
        shapes["hessian"] = (size, 3 * width, 3 * width)
    tensors: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        tensor = getattr(answer, name)
        if not isinstance(tensor, Tensor) or tensor.is_complex():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"its {name} is of {kind}, expected a tensor of torch.float64")
        if tuple(tensor.shape) != shape:
            raise ValueError(f"its {name} has shape {tuple(tensor.shape)}, expected {shape}")
        tensors[name] = tensor.detach().to(batch.positions)
    if not isinstance(answer.failures, Mapping):
        raise TypeError(f"its failures are {answer.failures!r}, expected a mapping")
    if strange := [i for i in answer.failures if i not in range(size)]:
        raise ValueError(f"its failures name system {strange[0]!r}, expected 0 to {size - 1}")
    failures = {i: str(why) or "it failed without a reason" for i, why in answer.failures.items()}
    return Evaluation(tensors["energy"], tensors["forces"], tensors.get("hessian"), failures)


def _of_moving(evaluation: Evaluation, batch: Batch) -> Evaluation:
    """The evaluation without forces on frozen atoms, nor their rows and columns of Hessians."""
    if batch.boundary is None:
        return evaluation
    moves = batch.moves.repeat_interleave(3, dim=-1)
    hessian = evaluation.hessian
    if hessian is not None:
        hessian = torch.where(moves[:, :, None] & moves[:, None, :], hessian, 0.0)
    forces = torch.where(batch.moves[..., None], evaluation.forces, 0.0)
    return replace(evaluation, forces=forces, hessian=hessian)


def _of_nobody(batch: Batch, hessian: bool) -> Evaluation:
    positions = batch.positions
    width = 3 * positions.shape[1]
    second = positions.new_zeros(0, width, width) if hessian else None
    return Evaluation(positions.new_zeros(0), torch.zeros_like(positions), second)


def _one_by_one(
    calculator: Calculator, batch: Batch, hessian: bool, error: Exception
) -> Evaluation:
    if len(batch) == 1:
        width = batch.positions.shape[1]
        second = batch.positions.new_zeros(1, 3 * width, 3 * width) if hessian else None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Evaluation(
            batch.positions.new_full((1,), torch.nan),
            torch.zeros_like(batch.positions),
            second,
            {0: f"{name_of(calculator)}: {reason}"},
        )
    parts = [
        evaluate(calculator, batch.take(torch.tensor([i])), hessian=hessian)[0]
        for i in range(len(batch))
    ]
    failures = {i: part.failures[0] for i, part in enumerate(parts) if part.failures}
    hessians = [part.hessian for part in parts if part.hessian is not None]
    return Evaluation(
        torch.cat([part.energy for part in parts]),
        torch.cat([part.forces for part in parts]),
        torch.cat(hessians) if len(hessians) == len(parts) else None,
        failures,
        1 + max(part.asked for part in parts),
    )


def name_of(calculator: Calculator) -> str:
    """What a calculator is called in a sentence."""
    for one in (calculator, type(calculator)):
        for attribute in ("name", "__name__"):
            name = getattr(one, attribute, None)
            if isinstance(name, str) and name:
                return name
    return "the calculator"


LARGEST = {"energy": 1e7, "forces": 1e8, "hessian": 1e10}
"""What no molecule exceeds, in eV for each atom, eV/A and eV/A^2.

Nuclei of charge 118 without electrons, 0.05 A apart (closer ones are not computed), repel each
other with 8e7 eV/A and 3e9 eV/A^2; an atom of that charge is bound by 1.5e6 eV. What is beyond is a
number gone wrong, and ruins an eigen-solver as an infinity does."""

_UNITS = {"energy": "eV", "forces": "eV/A", "hessian": "eV/A^2"}


def _without_nonsense(evaluation: Evaluation, batch: Batch, calculator: Calculator) -> Evaluation:
    tensors = {
        name: tensor
        for name in LARGEST
        if (tensor := getattr(evaluation, name)) is not None and tensor.numel()
    }
    if not tensors:
        return evaluation
    ends = torch.stack([end for tensor in tensors.values() for end in tensor.aminmax()])
    if not evaluation.failures and bool((ends.abs() <= min(LARGEST.values())).all()):
        return evaluation
    failures = dict(evaluation.failures)
    for name, tensor in tensors.items():
        largest = tensor.reshape(len(batch), -1).abs().amax(-1)  # NaN where there is one
        limit = LARGEST[name] * (batch.n_atoms.clamp(min=1) if name == "energy" else 1)
        for i in (~(largest <= limit)).nonzero().flatten().tolist():
            found = float(largest[i])
            reason = (
                f"the {name} reached {found:.3g} {_UNITS[name]}, more than any molecule's"
                if math.isfinite(found)
                else f"the calculator returned values that are not finite ({name})"
            )
            failures.setdefault(i, f"{name_of(calculator)}: {reason}")
    if not failures:
        return evaluation
    is_good = torch.ones(len(batch), dtype=torch.bool, device=batch.positions.device)
    is_good[list(failures)] = False
    hessian = evaluation.hessian
    return Evaluation(
        torch.where(is_good, evaluation.energy, torch.nan),
        torch.where(is_good[:, None, None], evaluation.forces, 0.0),
        None if hessian is None else torch.where(is_good[:, None, None], hessian, 0.0),
        failures,
        evaluation.asked,
    )
