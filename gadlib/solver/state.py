"""The state of a search, what it has cost, and the ways in which one ends.

A state is a frozen value, batch axis first: systems can be taken out and joined again (`rows`). It
knows neither how to step (`gad`, `trust`) nor when to stop (`search`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Evaluation
from gadlib.hessians.normal_modes import Spectrum
from gadlib.hessians.trust_region import matvec
from gadlib.solver.aim import Aim
from gadlib.systems.batch import Batch, longest
from gadlib.units import frequency_cm1

APART = 2
"""Steps between what systems of a batch do together: to enter it, and to begin a climb. To begin is
costly, and cheaper together; what a rule does at every second step it then does to all at once."""


class Status(StrEnum):
    """Where one system's search stands; `sentence` says it in words."""

    RUNNING = "running"
    SADDLE = "saddle"
    ORDER_ONE = "order_one"
    OUT_OF_STEPS = "out_of_steps"
    CALCULATOR_FAILED = "calculator_failed"
    PROCESS_ENDED = "process_ended"
    TIMED_OUT = "timed_out"
    SOLVER_FAILED = "solver_failed"
    STOPPED = "stopped"
    RESTING = "resting"
    BAD_START = "bad_start"

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]

    @property
    def is_met(self) -> bool:
        """Whether the search ended because its criterion is met."""
        return self in (Status.SADDLE, Status.ORDER_ONE)


_SENTENCES = {
    Status.RUNNING: "The search is still running.",
    Status.SADDLE: "The criterion is met.",
    Status.ORDER_ONE: "The criterion is met at a point of order one that is not stationary.",
    Status.OUT_OF_STEPS: "The steps ran out before the criterion was met.",
    Status.CALCULATOR_FAILED: "The calculator could not compute a point of the search.",
    Status.PROCESS_ENDED: "The process that computed this molecule ended.",
    Status.TIMED_OUT: "The process that computed this molecule hung, and was ended.",
    Status.SOLVER_FAILED: "The search itself failed, which should be reported.",
    Status.STOPPED: "The search stopped by itself where the criterion is not met.",
    Status.RESTING: "The search rests, and can go on.",
    Status.BAD_START: "The starting geometry cannot be computed.",
}


@dataclass(frozen=True)
class PastTry:
    """A try that is over, of a search that makes several, as `trust` does.

    Attributes:
        phase: where it ended, a `trust.phases.Phase` in lower case; `delta` where that gave up.
        ending: why, an `Ending` from there in lower case; of the last try how the search ended, a
            `Status`.
        steps, gradients: what it cost.
        told: what changed below it on the way, in sentences; mostly empty.
    """

    phase: str
    ending: str
    steps: int
    gradients: int
    told: str = ""


@dataclass(frozen=True)
class Beside:
    """Points beside one of a system's, and what the potential says there.

    Attributes:
        positions: in A.
        energies: in eV.
        forces: in eV/A.
    """

    positions: Float[Tensor, "K n 3"]
    energies: Float[Tensor, " K"]
    forces: Float[Tensor, "K n 3"]


@dataclass(frozen=True)
class ProductProof:
    """What products say of a point's order, where that was proved without a whole Hessian.

    Attributes:
        order: a `hessians.inquiry.Order`, never `open`.
        n_products: of the Hessian and a vector.
        n_gradient: gradients that they took.
        lowest: the lowest vibrational eigenvalue in eV/(A^2 amu), as the corrected model has it;
            its wavenumber is off by 0.2 % in half of the proofs, by 2 % in one of ten. It is surely
            below zero where the order is one.
        second_least: a lower bound of the second one; no negative one is missed but by a chance of
            `hessians.inquiry.CHANCE` (`delta`: `solver.products.CHANCE_LEARNED`).
        beside: the points whose gradients these are.
    """

    order: str
    n_products: int
    n_gradient: int
    lowest: float
    second_least: float
    beside: Beside

    @property
    def sentence(self) -> str:
        """The proof in words, as a record has it."""
        lowest, second = (frequency_cm1(x) for x in (self.lowest, self.second_least))
        return (
            f"{self.n_products} products, {self.n_gradient} gradients; lowest {lowest:.0f} cm-1,"
            f" second at least {second:.0f} cm-1"
        )


@dataclass(frozen=True)
class Cost:
    """What B searches have cost so far, each its own.

    Attributes:
        n_gradient: gradients (with their energies) computed; those inside a Hessian are not
            counted.
        n_hessian: Hessians computed.
        calculator_s: wall time spent in the calculator.
        own_s: an even share of the wall time that the batch took besides.
    """

    n_gradient: Int[Tensor, " B"]
    n_hessian: Int[Tensor, " B"]
    calculator_s: Float[Tensor, " B"]
    own_s: Float[Tensor, " B"]

    @classmethod
    def none(cls, batch: Batch) -> Cost:
        """That of searches that have computed nothing."""
        zero = torch.zeros(len(batch), dtype=torch.int64, device=batch.positions.device)
        return cls(zero, zero, zero.double(), zero.double())

    @property
    def elapsed_s(self) -> Float[Tensor, " B"]:
        """Wall time, in the calculator and besides."""
        return self.calculator_s + self.own_s

    def plus(self, **more: Any) -> Cost:
        """The cost with so much more of the named parts."""
        return replace(self, **{name: getattr(self, name) + more[name] for name in more})

    def after(self, evaluation: Evaluation, seconds: float, *, hessian: bool) -> Cost:
        """The cost after one call of the calculator for all systems, which share its time."""
        return self.plus(
            n_gradient=evaluation.asked,
            n_hessian=evaluation.asked * int(hessian),
            calculator_s=seconds / max(1, len(self.n_gradient)),
        )


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
        is_confirmed: whether a calculator that knows nothing of the search was asked here.
        max_fragments: pieces that the molecule may have at a bound saddle.
        wanted: the aim; the mode most along it is climbed, the lowest where there is none.
        memory: what the step rule carries along, a frozen dataclass of tensors.
        steps: moves made, escapes included.
        escapes: escapes made.
        rejected: steps in a row that were taken back, since the calculator failed where they led.
        cost: calculator calls and time.
        message: why a system failed, empty while it has not.
        doubt: why a point where a search has ended proves nothing, empty where it does.
        tries: the tries that are over, in order; none of a step rule that makes no tries.
        proof: what products say of the order here, in place of an exact Hessian; None where they
            were not asked, or left it open. Where it proves a saddle, `is_exact` is set, and the
            Hessian is a model's, exact along what was asked for.
    """

    batch: Batch
    index: Int[Tensor, " B"]
    energy: Float[Tensor, " B"]
    forces: Float[Tensor, "B N 3"]
    hessian: Float[Tensor, "B D D"]
    spectrum: Spectrum
    is_exact: Bool[Tensor, " B"]
    is_confirmed: Bool[Tensor, " B"]
    max_fragments: Int[Tensor, " B"]
    wanted: Aim
    memory: Any
    steps: Int[Tensor, " B"]
    escapes: Int[Tensor, " B"]
    rejected: Int[Tensor, " B"]
    cost: Cost
    message: tuple[str, ...]
    doubt: tuple[str, ...]
    tries: tuple[tuple[PastTry, ...], ...]
    proof: tuple[ProductProof | None, ...]

    @cached_property
    def max_force(self) -> Float[Tensor, " B"]:
        """The largest force on any atom, in eV/A."""
        return longest(self.forces.flatten(1))

    @cached_property
    def is_computed(self) -> Bool[Tensor, " B"]:
        """Whether the energy is known where a system is, so that there is a point to judge."""
        return self.energy.isfinite()

    @property
    def is_doubted(self) -> Bool[Tensor, " B"]:
        """Whether there is doubt about the point where a system is, as `doubt` says."""
        return torch.tensor([bool(text) for text in self.doubt], device=self.index.device)

    @property
    def is_failed(self) -> Bool[Tensor, " B"]:
        """Whether the calculator could not compute a system where it is, as `message` says."""
        return torch.tensor([bool(text) for text in self.message], device=self.index.device)

    @property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return self.spectrum.order

    @property
    def shortened(self) -> Float[Tensor, " B"]:
        """What a step is multiplied by: a half for every one in a row that was taken back."""
        return 0.5 ** self.rejected.to(self.energy.dtype)


def along_modes(state: State, gradient: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """A gradient in eV/A along the modes, in eV/(A amu^1/2)."""
    weighted = state.batch.inverse_sqrt_masses * gradient
    return matvec(state.spectrum.modes.mT, weighted)


def lowest_displacement(state: State, row: int) -> Float[Tensor, " D"]:
    """The Cartesian displacement along the lowest mode of one system, of length 1."""
    moved = state.batch.inverse_sqrt_masses[row] * state.spectrum.modes[row, :, 0]
    return moved / moved.norm().clamp(min=1e-12)


def displacement(state: State, step: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """A step along the modes in amu^1/2 A as a Cartesian one in A."""
    return state.batch.inverse_sqrt_masses * matvec(state.spectrum.modes, step)
