"""When a try of a trust search is over, and where the next one begins.

Why a try may be over is a table, `REASONS`. A search with an aim whose first climb leads nowhere
climbs once more from where that began, in longer steps. Every further try disturbs the start
(`disturbances`), and climbs from what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.hessians.normal_modes import FORCE_TOL, spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.molecules.contacts import push_apart
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.state import APART, PastTry, State
from gadlib.solver.trust.constants import (
    ARRIVED_FORCE,
    FALL_STEPS,
    HOPELESS_STEPS,
    LARGE,
    MAX_CERTIFICATES,
    MAX_CLIMB,
    SOFTEST,
    START_FLOOR,
)
from gadlib.solver.trust.disturbances import disturbed
from gadlib.solver.trust.memory import Origin, TrustMemory, Try
from gadlib.solver.trust.phases import Ending, Phase
from gadlib.solver.trust.settling import does_not_settle, is_scattered, is_settled
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import pick, put, take


def next_try(state: State, h: TrustHyperparameters) -> State:
    """The searches that have settled about to climb, those whose try is over at their next one."""
    state = begin_climb(state, is_settled(state) & (state.steps % APART == 0))
    ending = find_endings(state, h)
    is_over = ending != Ending.GOES_ON
    if not is_over.any():
        return state
    memory: TrustMemory = state.memory
    is_again = is_over & memory.is_climbing & (memory.n_tries == 0) & state.wanted.is_set
    state = replace(state, tries=_end_tries(state, ending))
    for chosen, change in ((is_again, _climb_again), (is_over & ~is_again, _rebuild)):
        rows = chosen.nonzero().flatten()
        state = put(state, rows, lambda part, change=change: change(part, h))
    return state


# Why a try is over.


class Reason(NamedTuple):
    """A way in which a try ends: in which phase, and of which systems it holds."""

    phase: Phase
    ending: Ending
    holds: Callable[[State, TrustHyperparameters], Bool[Tensor, " B"]]


def find_endings(state: State, h: TrustHyperparameters) -> Int[Tensor, " B"]:
    """The `Ending` of each system's try; of several that hold the first in the table."""
    phase = state.memory.current.phase
    found = torch.full_like(phase, Ending.GOES_ON)
    for reason in REASONS:
        is_new = (phase == reason.phase) & (found == Ending.GOES_ON) & reason.holds(state, h)
        found = torch.where(is_new, int(reason.ending), found)
    return found


def _is_at_rest(state: State) -> Bool[Tensor, " B"]:
    """Whether no force is left on the surface that is climbed, the wall's included."""
    gradient = state.memory.current.wall.gradient
    return longest(gradient - state.forces.flatten(1)) < FORCE_TOL


def is_at_other_saddle(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a climb is at a saddle; one that meets the criterion is asked for no further step."""
    return _is_at_rest(state) & state.is_exact & (state.order == 1)


def is_at_no_saddle(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a climb is at a stationary point, and has spent its certificates on such points."""
    return _is_at_rest(state) & (state.memory.current.n_certificates >= MAX_CERTIFICATES)


def is_held_by_wall(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a climb has come to rest where only the wall holds its pieces."""
    return _is_at_rest(state) & state.memory.current.wall.is_active


def circles(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a step led back to a place where the try had been."""
    return state.memory.current.is_circling


def is_too_high(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a molecule is higher above the lowest point met than any reaction takes it."""
    memory: TrustMemory = state.memory
    is_high = state.energy - memory.lowest > (MAX_CLIMB if state.batch.is_free else torch.inf)
    return is_high & (memory.current.steps > FALL_STEPS)


def is_in_pieces(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a climb has been in more pieces than allowed, or its pieces adrift, for too long."""
    return state.memory.current.torn_steps >= h.torn_steps


def is_too_soft(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a large molecule is at peace, and the mode that it climbs all but flat."""
    lowest = state.spectrum.eigenvalues[:, 0]
    is_flat = (lowest > 0) & (lowest < SOFTEST) & (state.max_force < ARRIVED_FORCE)
    is_large = (state.batch.n_atoms >= LARGE) & state.batch.is_free & ~state.wanted.is_set
    return is_large & is_flat & (state.memory.current.steps >= HOPELESS_STEPS)


def is_too_long(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether the steps of a try are over."""
    return state.memory.current.steps >= h.try_steps


REASONS = (
    Reason(Phase.SETTLING, Ending.SCATTERED, is_scattered),
    Reason(Phase.SETTLING, Ending.DOES_NOT_SETTLE, does_not_settle),
    Reason(Phase.CLIMBING, Ending.SADDLE_NOT_ENOUGH, is_at_other_saddle),
    Reason(Phase.CLIMBING, Ending.NO_SADDLE, is_at_no_saddle),
    Reason(Phase.CLIMBING, Ending.HELD_BY_WALL, is_held_by_wall),
    Reason(Phase.CLIMBING, Ending.CIRCLES, circles),
    Reason(Phase.CLIMBING, Ending.TOO_HIGH, is_too_high),
    Reason(Phase.CLIMBING, Ending.IN_PIECES, is_in_pieces),
    Reason(Phase.CLIMBING, Ending.TOO_SOFT, is_too_soft),
    Reason(Phase.CLIMBING, Ending.TOO_LONG, is_too_long),
)
"""Why tries are over; of several reasons that hold the first is given."""


def _end_tries(state: State, ending: Int[Tensor, " B"]) -> tuple[tuple[PastTry, ...], ...]:
    """The tries that are over, with those that just ended."""
    return tuple(
        tell_tries(state, i, Ending(why).word) if why else state.tries[i]
        for i, why in enumerate(ending.tolist())
    )


def tell_tries(state: State, row: int, ending: str) -> tuple[PastTry, ...]:
    """The tries of one search, the one under way as if it ended so; none without tries.

    Together they have taken all steps and gradients of the search.
    """
    if not isinstance(state.memory, TrustMemory):
        return ()
    past = state.tries[row]
    steps = int(state.steps[row]) - sum(t.steps for t in past)
    gradients = int(state.cost.n_gradient[row]) - sum(t.gradients for t in past)
    phase = Phase(int(state.memory.current.phase[row]))
    return (*past, PastTry(phase.word, ending, steps, gradients))


# Where the next phase or try begins.


def begin_climb(state: State, chosen: Bool[Tensor, " B"]) -> State:
    """The state in which the chosen searches are about to climb from where they are.

    The first time, that is their origin from now on.
    """
    if not chosen.any():
        return state
    memory: TrustMemory = state.memory
    first = (chosen & (memory.n_tries == 0)).nonzero().flatten()
    origin = put(memory.origin, first, lambda _: take(Origin.at(state), first))
    current = memory.current
    current = replace(
        current,
        phase=torch.where(chosen, int(Phase.CLIMBING), current.phase),
        steps=torch.where(chosen, 0, current.steps),
        anchor=pick(chosen, state.batch.positions, current.anchor),
    )
    return replace(state, memory=replace(memory, current=current, origin=origin))


def _climb_again(state: State, h: TrustHyperparameters) -> State:
    """The searches with an aim where they first began to climb, to do so with longer steps."""
    origin: Origin = state.memory.origin
    batch = state.batch.moved_to(origin.positions)
    state = replace(state, energy=origin.energy, forces=origin.forces)
    return _begin_try(state, batch, Phase.CLIMBING, h)


def _rebuild(state: State, h: TrustHyperparameters) -> State:
    """The searches at their starting points, disturbed or rebuilt, about to settle and climb again.

    The first time that a start does not settle it is rebuilt as it is. Where the calculator has
    just failed at what came of it, it is disturbed in another way.
    """
    memory: TrustMemory = state.memory
    number = memory.n_rebuilt + memory.is_climbing + state.rejected
    batch = disturbed(state, number, h)
    is_start = memory.is_settling & (memory.n_tries == 0)
    state = _begin_try(state, push_apart(batch, START_FLOOR), Phase.REBUILT, h)
    n_tries = torch.where(is_start, 0, state.memory.n_tries)
    rebuilt = replace(state.memory, n_tries=n_tries, n_rebuilt=memory.n_rebuilt + 1)
    return replace(state, memory=rebuilt)


def _begin_try(state: State, batch: Batch, phase: Phase, h: TrustHyperparameters) -> State:
    """The searches at the beginning of another try, with a guess of the Hessian there."""
    memory: TrustMemory = state.memory
    model = model_hessian(batch)
    return replace(
        state,
        batch=batch,
        hessian=model,
        spectrum=spectrum(model, batch),
        is_exact=torch.zeros_like(state.is_exact),
        memory=replace(
            memory,
            current=Try.begin(batch, phase, h),
            n_tries=memory.n_tries + 1,
        ),
    )
