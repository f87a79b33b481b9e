"""The contract that every calculator keeps, as a test to run on one of your own.

It asks for what the rest of the package relies on: shapes, padding, batches, invariances,
derivatives, and that a system that fails harms nobody else. It says nothing about whether the
chemistry is right. Floor 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from jaxtyping import Float
from torch import Tensor

from gadlib.batch import Batch
from gadlib.evaluation import Calculator, Evaluation

DISPLACEMENT = 1e-3
"""The step of the central differences, in A."""

HISTORY = 1e-6
"""How much a result may depend on what was computed before, in eV and eV/A."""

_MOLECULES = ("H2O", "HCN", "C2H6")
_DISTORTION = 0.03
_N_EXTRA = 2
_UNITS = {"energy": "eV", "forces": "eV/A", "hessian": "eV/A^2"}


class ContractError(AssertionError):
    """A calculator broke the contract; the sentence says where and by how much."""


def check(
    calculator: Calculator,
    batch: Batch | None = None,
    *,
    differentiable: bool = True,
    tolerance: float = 1e-4,
    hessian_tolerance: float = 2e-3,
    history_tolerance: float | None = None,
) -> None:
    """Nothing, when the calculator keeps the contract on the batch.

    Checked are: shapes and dtypes; zeros where padded; a symmetric Hessian where asked for, else
    None; the same numbers twice, for a system alone, and with more padding; where the systems are
    free, that translation, rotation and permutation of the atoms move the results along; that
    energy and forces do not depend on what was computed before, in whichever order, with and
    without other molecules between, alone and in batches; forces and Hessian against central
    differences; and that a system at positions that are not finite is named in `failures`, is NaN,
    and leaves the others as they were.

    A calculator of your own is a callable, such as one of equal springs between all atoms:

        >>> import torch
        >>> from gadlib.evaluation import Evaluation
        >>> from gadlib.calculators import check
        >>> def springs(batch, *, hessian=True):
        ...     is_atom = batch.mask.double()
        ...     net = torch.diag_embed(batch.n_atoms[:, None] * is_atom)
        ...     net = net - is_atom[:, :, None] * is_atom[:, None, :]
        ...     forces = -net @ batch.positions
        ...     energy = -(forces * batch.positions).sum((1, 2)) / 2
        ...     second = torch.stack([torch.kron(one, torch.eye(3)) for one in net])
        ...     bad = (~energy.isfinite()).nonzero().flatten().tolist()
        ...     failures = dict.fromkeys(bad, "the positions are not finite")
        ...     return Evaluation(energy, forces, second if hessian else None, failures)
        >>> check(springs)

    Args:
        calculator: the potential.
        batch: where to ask; by default slightly distorted water, hydrogen cyanide and ethane.
        differentiable: whether forces and Hessian are derivatives of the energy; not so for
            potentials that predict them by separate heads.
        tolerance: the largest deviation of energy and forces, relative to 1 plus the largest
            magnitude in the same system's tensor.
        hessian_tolerance: the same for Hessians, which often are differences of forces.
        history_tolerance: the largest deviation, in eV and eV/A, from one call to another; by
            default 1e-6, or what the calculator says by `rounding`: in single precision sums depend
            on the company.

    Raises:
        ContractError: when the contract is broken; a sentence says how.
    """
    batch = molecules() if batch is None else batch
    given = batch.positions.clone()
    ask = _Ask(calculator, {"energy": tolerance, "forces": tolerance, "hessian": hessian_tolerance})
    told = ask(batch)
    if not torch.equal(batch.positions, given):
        raise ContractError("the calculator moved the positions of the batch it was given")
    ask.same("without a Hessian", ask(batch, hessian=False), told, batch)
    ask.same("in a second call", ask(batch), told, batch)
    for claim, other, expected in _equivalents(batch, told):
        ask.same(claim, ask(other), expected, other)
    rounding = getattr(calculator, "rounding", HISTORY)
    _require_no_memory(calculator, batch, history_tolerance or rounding)
    if differentiable:
        _require_derivatives(ask, batch, told)
    _require_failure_is_contained(ask, batch, told)


def molecules() -> Batch:
    """Water, hydrogen cyanide and ethane, turned, and distorted by some hundredths of an A."""
    generator = np.random.default_rng(0)
    atoms = [molecule(name) for name in _MOLECULES]
    noise = [generator.normal(scale=_DISTORTION, size=a.positions.shape) for a in atoms]
    noise[1] = noise[1] * [0, 0, 1]  # hydrogen cyanide lies along z and stays linear
    turn = _rotation().numpy()  # no bond along an axis, where some methods are singular
    places = [(a.positions + shift) @ turn for a, shift in zip(atoms, noise, strict=True)]
    return Batch.pack(places, [a.numbers for a in atoms])


class _Equivalent(NamedTuple):
    claim: str
    batch: Batch
    expected: Evaluation


def _equivalents(batch: Batch, told: Evaluation) -> Iterator[_Equivalent]:
    """Batches whose results follow from what was told about the given one."""
    for i in range(len(batch)):
        n, row = int(batch.n_atoms[i]), torch.tensor([i])
        alone = Batch(batch.positions[row, :n], batch.atomic_numbers[row, :n], batch.is_free)
        yield _Equivalent(f"for system {i} alone", alone, _cut(told, row, n))
    yield _Equivalent("with more padding", _padded(batch), _padded_evaluation(told))
    backwards = torch.arange(len(batch)).flip(0)
    expected = _cut(told, backwards, batch.positions.shape[1])
    yield _Equivalent("in another order of the systems", batch.take(backwards), expected)
    if not batch.is_free:
        return
    shift = batch.positions.new_tensor([1.3, -0.7, 2.1])
    yield _Equivalent("after a translation", batch.moved_to(batch.positions + shift), told)
    turn = _rotation().to(batch.positions)
    turned = batch.moved_to(batch.positions @ turn.mT)
    yield _Equivalent("after a rotation", turned, _turned(told, turn))
    yield _Equivalent("after a permutation of the atoms", *_permuted(batch, told))


def _cut(told: Evaluation, rows: Tensor, n: int) -> Evaluation:
    hessian = None if told.hessian is None else told.hessian[rows, : 3 * n, : 3 * n]
    return Evaluation(told.energy[rows], told.forces[rows, :n], hessian)


def _padded(batch: Batch) -> Batch:
    pad = torch.nn.functional.pad
    positions = pad(batch.positions, (0, 0, 0, _N_EXTRA))
    return Batch(positions, pad(batch.atomic_numbers, (0, _N_EXTRA)), batch.is_free)


def _padded_evaluation(told: Evaluation) -> Evaluation:
    pad, extra = torch.nn.functional.pad, 3 * _N_EXTRA
    hessian = None if told.hessian is None else pad(told.hessian, (0, extra, 0, extra))
    return Evaluation(told.energy, pad(told.forces, (0, 0, 0, _N_EXTRA)), hessian)


def _rotation() -> Float[Tensor, "3 3"]:
    """A turn about no axis in particular."""
    axis, angle = torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64), 1.1
    generator = torch.linalg.cross(torch.eye(3, dtype=torch.float64), (axis / axis.norm())[None])
    return torch.linalg.matrix_exp(angle * generator)


def _turned(told: Evaluation, turn: Float[Tensor, "3 3"]) -> Evaluation:
    n = told.forces.shape[1]
    big = torch.kron(torch.eye(n).to(turn), turn.contiguous())
    hessian = None if told.hessian is None else big @ told.hessian @ big.mT
    return Evaluation(told.energy, told.forces @ turn.mT, hessian)


def _permuted(batch: Batch, told: Evaluation) -> tuple[Batch, Evaluation]:
    """Every system with its atoms backwards, the padding where it was."""
    place = torch.arange(batch.positions.shape[1]).to(batch.n_atoms)
    order = torch.where(batch.mask, batch.n_atoms[:, None] - 1 - place, place)
    rows = torch.arange(len(batch)).to(order)[:, None]
    numbers = batch.atomic_numbers[rows, order]
    moved = replace(batch, positions=batch.positions[rows, order], atomic_numbers=numbers)
    coordinates = (3 * order[..., None] + torch.arange(3).to(order)).flatten(1)
    hessian = told.hessian
    if hessian is not None:
        hessian = hessian[rows[..., None], coordinates[:, :, None], coordinates[:, None, :]]
    return moved, Evaluation(told.energy, told.forces[rows, order], hessian)


@dataclass(frozen=True)
class _Ask:
    """A calculator whose answers are looked at, and the deviations that it is granted."""

    calculator: Calculator
    tolerances: dict[str, float]

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = self.calculator(batch, hessian=hessian)
        if (told.hessian is not None) != hessian:
            what = "no Hessian" if hessian else "a Hessian"
            raise ContractError(f"{what} was given with hessian={hessian}")
        for place, sentence in told.failures.items():
            raise ContractError(f"{_label(batch, place)} failed: {sentence}; expected none to fail")
        _require_form(told, batch)
        if told.hessian is not None:
            claim = "the hessian is not symmetric"
            self.close(claim, "hessian", told.hessian, told.hessian.mT, batch)
        return told

    def same(self, claim: str, found: Evaluation, expected: Evaluation, batch: Batch) -> None:
        """Nothing, when both evaluations agree in what both have."""
        for name in _UNITS:
            one, two = getattr(found, name), getattr(expected, name)
            if one is not None and two is not None:
                self.close(f"{name} changed {claim}", name, one, two, batch)

    def close(self, claim: str, name: str, found: Tensor, expected: Tensor, batch: Batch) -> None:
        """Nothing, when both tensors agree; else which system and atom deviates most."""
        found, expected = found.reshape(len(batch), -1), expected.reshape(len(batch), -1)
        allowed = self.tolerances[name] * (1 + expected.abs().amax(-1))
        excess = ((found - expected).abs() / allowed[:, None]).nan_to_num(torch.inf)
        worst = int(excess.amax(-1).argmax())
        place = int(excess[worst].argmax())
        if float(excess[worst, place]) <= 1:
            return
        deviation = float((found - expected)[worst, place].abs())
        raise ContractError(
            f"{claim}: {_label(batch, worst)}{_where(name, place, batch)} is off by"
            f" {deviation:.2g} {_UNITS[name]}, expected at most {float(allowed[worst]):.2g}"
        )


class _Point(NamedTuple):
    """A system at a place, as a batch of its own, and what it is called."""

    label: str
    system: int
    batch: Batch


def _require_no_memory(calculator: Calculator, batch: Batch, tolerance: float) -> None:
    """Nothing, when no point's energy and forces depend on the calls before.

    An SCF that begins with the density of another geometry may end elsewhere, or just earlier.
    """
    points = _points(batch)
    known: dict[str, tuple[float, Tensor]] = {}
    for claim, calls in _sequences(points):
        for some in calls:
            numbers = [point.batch.atomic_numbers[0] for point in some]
            together = Batch.pack(
                [point.batch.positions[0] for point in some], numbers, is_free=batch.is_free
            )
            told = calculator(together, hessian=False)
            for row, point in enumerate(some):
                found = float(told.energy[row]), told.forces[row, : len(numbers[row])].clone()
                _require_same(
                    point.label, claim, found, known.setdefault(point.label, found), tolerance
                )


def _require_same(
    label: str,
    claim: str,
    found: tuple[float, Tensor],
    expected: tuple[float, Tensor],
    tolerance: float,
) -> None:
    off = {
        "energy": torch.tensor([found[0] - expected[0]]),
        "forces": found[1] - expected[1],
    }
    if all(bool(torch.isnan(torch.as_tensor(energy))) for energy, _ in (found, expected)):
        return  # it failed both times
    for name, deviation in off.items():
        largest = float(deviation.abs().max().nan_to_num(torch.inf))
        if largest > tolerance:
            raise ContractError(
                f"results depend on what was computed before: {name} of {label}, {claim}, off by"
                f" {largest:.2g} {_UNITS[name]}, expected at most {tolerance:.2g}"
            )


def _points(batch: Batch) -> list[_Point]:
    """Each system where it is, shaken, and stretched."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for i in range(len(batch)):
        n, row = int(batch.n_atoms[i]), torch.tensor([i])
        here = batch.positions[row, :n]
        shaken = torch.randn(here.shape, generator=generator, dtype=torch.float64).to(here)
        places = {"": here, ", shaken": here + 0.1 * shaken, ", stretched": 1.25 * here}
        for name, positions in places.items():
            one = Batch(positions, batch.atomic_numbers[row, :n], batch.is_free)
            found.append(_Point(_label(batch, i) + name, i, one))
    return found


def _sequences(points: list[_Point]) -> Iterator[tuple[str, list[list[_Point]]]]:
    """Sequences of calls, each of which computes every point in another company."""
    generator = np.random.default_rng(0)

    def shuffled() -> list[_Point]:
        return [points[k] for k in generator.permutation(len(points))]

    yield "in order", [[point] for point in points]
    yield "in another order", [[point] for point in shuffled()]
    alone = sorted(shuffled(), key=lambda point: point.system)  # sorted() keeps the order within
    yield "without other molecules between", [[point] for point in alone]
    yield "with other molecules between", [[point] for point in shuffled()]
    for size in (4, 3):
        order = shuffled()
        calls = [order[k : k + size] for k in range(0, len(order), size)]
        yield f"in a batch of {size}", calls


def _require_derivatives(ask: _Ask, batch: Batch, told: Evaluation) -> None:
    """Nothing, when forces and Hessian are central differences of energy and forces."""
    slopes, curvatures = [], []
    for coordinate in range(3 * batch.positions.shape[1]):
        shift = torch.zeros_like(batch.positions)
        shift.flatten(1)[:, coordinate] = DISPLACEMENT
        ahead = ask(batch.moved_to(batch.positions + shift), hessian=False)
        behind = ask(batch.moved_to(batch.positions - shift), hessian=False)
        slopes.append((behind.energy - ahead.energy) / (2 * DISPLACEMENT))
        curvatures.append((behind.forces - ahead.forces).flatten(1) / (2 * DISPLACEMENT))
    claim = "the forces are not minus the derivative of the energy"
    ask.close(claim, "forces", told.forces, torch.stack(slopes, 1), batch)
    claim = "the hessian is not minus the derivative of the forces"
    assert told.hessian is not None
    ask.close(claim, "hessian", told.hessian, torch.stack(curvatures, 2), batch)


def _require_failure_is_contained(ask: _Ask, batch: Batch, told: Evaluation) -> None:
    """Nothing, when a system of NaN between the others is named, is NaN and disturbs nobody."""
    middle = len(batch) // 2
    rows = [*range(middle + 1), *range(middle, len(batch))]
    mixed, broken = batch.take(torch.tensor(rows)), middle + 1
    positions = mixed.positions.clone()
    positions[broken, 0] = torch.nan
    mixed = replace(mixed, positions=positions)
    try:
        evaluation = ask.calculator(mixed)
    except Exception as error:  # whatever a calculator raises, here it breaks the contract
        raise ContractError(
            f"a system at positions that are not finite makes the calculator raise"
            f" {type(error).__name__}: {error}; expected it to be named in failures"
        ) from error
    if set(evaluation.failures) != {broken}:
        named = ", ".join(map(str, evaluation.failures)) or "none"
        raise ContractError(f"failures names {named}: expected system {broken}, at NaN positions")
    is_atom = mixed.mask[broken]
    if evaluation.energy[broken].isfinite() or evaluation.forces[broken, is_atom].isfinite().any():
        raise ContractError(f"system {broken} failed, but its energy or forces are not NaN")
    others = torch.tensor([row for row in range(len(mixed)) if row != broken])
    found = _cut(evaluation, others, mixed.positions.shape[1])
    ask.same("beside a system that failed", found, told, batch)


def _require_form(told: Evaluation, batch: Batch) -> None:
    """Nothing, when shapes, dtypes and padding are as the protocol says."""
    b, n = batch.positions.shape[:2]
    is_atom = batch.mask.repeat_interleave(3, -1)
    wanted = {
        "energy": ((b,), torch.ones_like(told.energy, dtype=torch.bool)),
        "forces": ((b, n, 3), batch.mask[..., None]),
        "hessian": ((b, 3 * n, 3 * n), is_atom[:, :, None] & is_atom[:, None, :]),
    }
    for name, (shape, is_real) in wanted.items():
        tensor = getattr(told, name)
        if tensor is None:
            continue
        device = batch.positions.device
        found = (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
        for one, expected in zip(found, (shape, torch.float64, device, False), strict=True):
            if one != expected:
                what = "requires_grad " if expected is False else ""
                raise ContractError(f"{name}: {what}{one}, expected {expected}")
        if torch.where(is_real, 0.0, tensor).any():
            raise ContractError(f"{name}: not zero where a system is padded")
        for row in (~tensor.reshape(b, -1).isfinite()).any(-1).nonzero().flatten().tolist():
            raise ContractError(f"{name}: not finite for {_label(batch, row)}, nor in failures")


def _label(batch: Batch, row: int) -> str:
    return f"system {row} ({Atoms(batch.system(row)[0]).get_chemical_formula()})"


def _where(name: str, place: int, batch: Batch) -> str:
    def coordinate(k: int) -> str:
        return f"atom {k // 3} {'xyz'[k % 3]}"

    if name == "energy":
        return ""
    if name == "forces":
        return f", {coordinate(place)}"
    row, column = divmod(place, 3 * batch.positions.shape[1])
    return f", {coordinate(row)} by {coordinate(column)}"
