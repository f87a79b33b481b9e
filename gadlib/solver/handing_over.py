"""Searches that one solver gives up: another begins anew at their starting points.

`delta` ends soon or hardly ever: where the cheap potential is wrong, what is learned at one place
is of no use at the next. `trust` asks the potential alone, and takes over. Of 236 searches that
`delta` ended on HF/3-21G one took 30 steps and none of the others more than 29, of 56 on PM6 five
more than 25.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from gadlib.settings.hyperparameters import (
    DeltaHyperparameters,
    Hyperparameters,
    TrustHyperparameters,
)
from gadlib.solver.delta.memory import told_below
from gadlib.solver.state import Cost, PastTry, State
from gadlib.solver.trust.phases import Ending
from gadlib.systems.rows import concatenate, take

PHASE = DeltaHyperparameters.solver
"""What tries are called in records that were not those of `trust`."""


@dataclass(frozen=True)
class GivenUp:
    """What searches had taken when they were given up.

    Attributes:
        steps: moves.
        cost: of them.
        told: what changed below each, in sentences; mostly empty.
    """

    steps: Int[Tensor, " B"]
    cost: Cost
    told: tuple[str, ...]

    @classmethod
    def of(cls, state: State, row: int) -> GivenUp:
        """What the search of one row has taken."""
        one = torch.tensor([row], device=state.index.device)
        return cls(state.steps[one], take(state.cost, one), (told_below(state, row),))


def successor(hyperparameters: Hyperparameters) -> Hyperparameters | None:
    """Of the solver that takes over what another gives up; None where none does."""
    if not isinstance(hyperparameters, DeltaHyperparameters):
        return None
    return TrustHyperparameters(proof=hyperparameters.proof)


def gives_up_after(hyperparameters: Hyperparameters) -> int | None:
    """Steps after which a search that has not ended is given up; None where none is."""
    is_delta = isinstance(hyperparameters, DeltaHyperparameters)
    return hyperparameters.give_up if is_delta else None


def rows_given_up(hyperparameters: Hyperparameters, state: State) -> set[int]:
    """The rows of searches that another solver takes over if they have not ended."""
    most = gives_up_after(hyperparameters)
    return set() if most is None else set((state.steps >= most).nonzero().flatten().tolist())


def with_given_up(begun: State, before: Sequence[GivenUp]) -> State:
    """The states of searches that begin anew, with the steps and the cost of those given up.

    What was given up is the first of their tries.
    """
    spent = concatenate(before)
    names = ("n_gradient", "n_hessian", "calculator_s", "own_s")
    cost = begun.cost.plus(**{name: getattr(spent.cost, name) for name in names})
    each = zip(spent.steps.tolist(), spent.cost.n_gradient.tolist(), spent.told, strict=True)
    tries = tuple((PastTry(PHASE, Ending.TOO_LONG.word, *search),) for search in each)
    return replace(begun, steps=begun.steps + spent.steps, cost=cost, tries=tries)


def told_on_the_way(state: State, row: int) -> str:
    """What changed below a search, or which solver gave it up, in words; else empty."""
    first = state.tries[row][:1]
    if not first or first[0].phase != PHASE:
        return told_below(state, row)
    gave_up = f"{PHASE} gave up after {first[0].steps} steps; trust searched from the start."
    return f"{first[0].told} {gave_up}".lstrip()
