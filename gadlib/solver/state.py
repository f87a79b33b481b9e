"""The state of a search, and the ways in which one ends.

A state is a frozen value, batch axis first: systems can be taken out and put together (`systems`).
It knows neither how to step (`gad`, `trust`) nor when to stop (`solver`). Floor 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch, longest
from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.hessians.normal_modes import Spectrum, judged
from gadlib.hessians.trust_region import matvec
from gadlib.molecules.bonds import n_fragments
from gadlib.solver.aim import Aim

APART = 2
"""Steps between what systems of a batch do together: to enter it, and to begin a climb. To begin is
dear, and cheaper together; what a rule does at every second step it then does to all at once."""


class Status(StrEnum):
    """Where one system's search stands; `sentence` says it in words."""

    RUNNING = "running"
    SADDLE = "saddle"
    OUT_OF_STEPS = "out_of_steps"
    CALCULATOR_FAILED = "calculator_failed"
    PROCESS_ENDED = "process_ended"
    TIMED_OUT = "timed_out"
    SOLVER_FAILED = "solver_failed"
    STOPPED = "stopped"
    BAD_START = "bad_start"

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.RUNNING: "The search is still running.",
    Status.SADDLE: "The criterion is met.",
    Status.OUT_OF_STEPS: "The steps ran out before the criterion was met.",
    Status.CALCULATOR_FAILED: "The calculator could not compute a point of the search.",
    Status.PROCESS_ENDED: "The process that computed this molecule ended.",
    Status.TIMED_OUT: "The process that computed this molecule hung, and was ended.",
    Status.SOLVER_FAILED: "The search itself failed, which should be reported.",
    Status.STOPPED: "The search stopped by itself where the criterion is not met.",
    Status.BAD_START: "The starting geometry cannot be computed.",
}


@dataclass(frozen=True)
class State:
    """B searches at their current points, where energy and forces are known exactly.

    Attributes:
        batch: the molecules where they are now.
        index: which of the searched systems each row is.
        energy: in eV.
        forces: in eV/A, as the calculator gave them.
        hessian: in eV/A^2, the calculator's own where `is_exact`, else the step rule's model of it.
        spectrum: of that Hessian, and, where not exact, of what the step rule adds to the surface.
        is_exact: whether the spectrum is the calculator's here; no saddle is claimed without.
        max_fragments: pieces that the molecule may have at a bound saddle.
        wanted: the aim; the mode most along it is climbed, the lowest where there is none.
        memory: what the step rule carries along, a frozen dataclass of tensors.
        steps: moves made, escapes included.
        escapes: escapes made.
        rejected: steps in a row that were taken back, since the calculator failed where they led.
        n_gradient: gradients (with their energies) computed; those inside a Hessian are not
            counted.
        n_hessian: Hessians computed.
        calculator_s: wall time spent in the calculator.
        overhead_s: an even share of the wall time that the batch took besides.
        message: why a system failed, empty while it has not.
        doubt: why a point where a search has ended proves nothing, empty where it does.
    """

    batch: Batch
    index: Int[Tensor, " B"]
    energy: Float[Tensor, " B"]
    forces: Float[Tensor, "B N 3"]
    hessian: Float[Tensor, "B D D"]
    spectrum: Spectrum
    is_exact: Bool[Tensor, " B"]
    max_fragments: Int[Tensor, " B"]
    wanted: Aim
    memory: Any
    steps: Int[Tensor, " B"]
    escapes: Int[Tensor, " B"]
    rejected: Int[Tensor, " B"]
    n_gradient: Int[Tensor, " B"]
    n_hessian: Int[Tensor, " B"]
    calculator_s: Float[Tensor, " B"]
    overhead_s: Float[Tensor, " B"]
    message: tuple[str, ...]
    doubt: tuple[str, ...]

    @cached_property
    def max_force(self) -> Float[Tensor, " B"]:
        """The largest force on any atom, in eV/A."""
        return longest(self.forces.flatten(1))

    @cached_property
    def is_sound(self) -> Bool[Tensor, " B"]:
        """Which systems could be computed where they are."""
        return self.energy.isfinite()

    @property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return self.spectrum.order

    @property
    def shortened(self) -> Float[Tensor, " B"]:
        """What a step is multiplied by: a half for every one in a row that was taken back."""
        return 0.5 ** self.rejected.to(self.energy.dtype)

    @property
    def elapsed_s(self) -> Float[Tensor, " B"]:
        """Wall time, in the calculator and besides."""
        return self.calculator_s + self.overhead_s


def along_modes(state: State, gradient: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """A gradient in eV/A along the modes, in eV/(A amu^1/2)."""
    weighted = state.batch.inverse_sqrt_masses * gradient
    return matvec(state.spectrum.modes.mT, weighted)


def displacement(state: State, step: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """A step along the modes in amu^1/2 A as a Cartesian one in A."""
    return state.batch.inverse_sqrt_masses * matvec(state.spectrum.modes, step)


def begin(
    batch: Batch, calculator: Calculator, model: Float[Tensor, "B D D"] | None = None
) -> State:
    """The state at the starting points, without memory, with exact Hessians or the given model."""
    zero = torch.zeros(len(batch), dtype=torch.int64, device=batch.positions.device)
    evaluation, seconds = evaluate(calculator, batch, hessian=model is None)
    hessian = _hessian_of(evaluation) if model is None else model
    return State(
        batch=batch,
        index=torch.arange(len(batch), device=batch.positions.device),
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=hessian,
        spectrum=_spectrum_at(hessian, batch, evaluation.forces),
        is_exact=torch.full_like(zero, model is None, dtype=torch.bool),
        max_fragments=n_fragments(batch),
        wanted=Aim.none(batch),
        memory=None,
        steps=zero,
        escapes=zero,
        rejected=zero,
        n_gradient=zero + evaluation.asked,
        n_hessian=zero + evaluation.asked * int(model is None),
        calculator_s=zero.double() + seconds / max(1, len(batch)),
        overhead_s=zero.double(),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(batch))),
        doubt=("",) * len(batch),
    )


def arrive(
    state: State, positions: Float[Tensor, "B N 3"], calculator: Calculator, **changes: Any
) -> State:
    """The state at the given positions, exactly evaluated, one step on, with other `changes`."""
    batch = state.batch.moved_to(positions)
    evaluation, seconds = evaluate(calculator, batch, hessian=True)
    moved = replace(
        state,
        batch=batch,
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=_hessian_of(evaluation),
        spectrum=_spectrum_at(_hessian_of(evaluation), batch, evaluation.forces),
        steps=state.steps + 1,
        n_gradient=state.n_gradient + evaluation.asked,
        n_hessian=state.n_hessian + evaluation.asked,
        calculator_s=state.calculator_s + seconds / max(1, len(batch)),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(batch))),
    )
    return replace(
        moved, **{k: getattr(moved, k) + v if k in _ADDED else v for k, v in changes.items()}
    )


_ADDED = ("n_gradient", "calculator_s")


def _hessian_of(evaluation: Evaluation) -> Tensor:
    if evaluation.hessian is None:
        raise ValueError("the calculator gave no Hessian although one was asked for")
    return evaluation.hessian


def _spectrum_at(hessian: Tensor, batch: Batch, forces: Tensor) -> Spectrum:
    if not batch.positions.isfinite().all():  # a failed start, of which no spectrum can be taken
        batch = batch.moved_to(torch.where(batch.positions.isfinite(), batch.positions, 0.0))
    return judged(hessian.nan_to_num(0.0), batch, forces)
