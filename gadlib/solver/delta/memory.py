"""What a search on a cheap potential carries from step to step, and when it has lost its way."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.process import Process
from gadlib.solver.state import State

MAX_RETURNS = 3
"""To the start, where a climb has lost its mode: what was learned since may keep it."""

MAX_REFUSED = 2
"""Steps in a row that are taken back, since they led to larger forces than at the point before and
than were predicted. Without an end one of eight searches stayed where it was for thirty calls."""


@dataclass(frozen=True)
class DeltaMemory:
    """What a search carries from step to step.

    Attributes:
        observations: of each system.
        processes: what was learned from them.
        reach: the radius about what was seen, in A.
        mode: the mode that is followed, mass-weighted; zero before the first climb.
        below: the cheap potential's Hessian, exact at `origin` and updated since, in eV/A^2.
        origin: in A.
        is_first: whether no climb has been made.
        start: where the search began, in A.
        first_mode: the mode that was followed there.
        n_returns: how often the search went back there.
        n_refused: how many steps in a row were taken back.
        is_stuck: whether the last climb led nowhere, as where the cheap potential fails, or astray,
            on one that misleads.
        n_lowered: how often the search went over to a lower solution of its potential.
        told: that it did, and which cheap potential took another one's place, in sentences.
    """

    observations: tuple[Observations, ...]
    processes: tuple[Process | None, ...]
    reach: Float[Tensor, " B"]
    mode: Float[Tensor, "B D"]
    below: Float[Tensor, "B D D"]
    origin: Float[Tensor, "B N 3"]
    is_first: Bool[Tensor, " B"]
    start: Float[Tensor, "B N 3"]
    first_mode: Float[Tensor, "B D"]
    n_returns: Int[Tensor, " B"]
    n_refused: Int[Tensor, " B"]
    is_stuck: Bool[Tensor, " B"]
    n_lowered: Int[Tensor, " B"]
    told: tuple[str, ...]

    @property
    def radius(self) -> Float[Tensor, " B"]:
        """How far the next step may lead, in A."""
        return self.reach


def is_lost(state: State) -> Bool[Tensor, " B"]:
    """Whether no mode curves down, or a climb led nowhere or astray: it goes back to its start."""
    memory: DeltaMemory = state.memory
    is_nowhere = (state.order == 0) | memory.is_stuck
    return is_nowhere & ~memory.is_first & (memory.n_returns < MAX_RETURNS)


def told_below(state: State, row: int) -> str:
    """What changed below a system, or of its potential's solution, in words; else empty."""
    return state.memory.told[row] if isinstance(state.memory, DeltaMemory) else ""


def seen_by(state: State) -> tuple[Observations, ...] | None:
    """What searches on a surrogate have seen; None of others."""
    return state.memory.observations if isinstance(state.memory, DeltaMemory) else None
