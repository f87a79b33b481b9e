"""The step rule: one call of the costly potential at the surrogate's saddle, then it is learned.

Each step climbs on the sum of a cheap potential and of a process of the difference, asks the costly
potential where the climb ends, and learns. A climb may lead far as long as it keeps to its mode,
else no farther than a radius that learns from how well forces were predicted. The cheap potential
is the calculator's `cheap`.

The order of steps follows Koistinen, Asgeirsson, Vehtari, Jonsson, J. Chem. Theory Comput. 16, 499
(2020), doi:10.1021/acs.jctc.9b01038; that what is learned is a difference is Ramakrishnan, Dral,
Rupp, von Lilienfeld, J. Chem. Theory Comput. 11, 2087 (2015), doi:10.1021/acs.jctc.5b00099.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import DeltaHyperparameters
from gadlib.solver.delta.below import evaluate_below
from gadlib.solver.delta.climb import Climb, begin_climb, climb, keeps_mode
from gadlib.solver.delta.learning import (
    begun_anew,
    below_of,
    failed_below,
    seen_there,
    surrogate_of,
    turned_below,
    with_products,
    with_surrogate,
)
from gadlib.solver.delta.memory import MAX_REFUSED, MAX_RETURNS, DeltaMemory, is_lost
from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.radius import adapt_reach, is_wrong
from gadlib.solver.delta.solutions import on_lowest
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.image_step import move_above
from gadlib.solver.points import begin, compute
from gadlib.solver.products import CHANCE_LEARNED, is_refuted, prove_orders, takes_products
from gadlib.solver.state import State
from gadlib.solver.trust.memory import most_aimed
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import pick, put, take

REACHES = CRITERIA

LEAVES_SADDLES = False
"""It has one climb."""

LOOK = 0.1
"""A by which the atom moves farthest that a point is left by along a mode whose curvature the
surrogate had wrong. Differences over 0.1 A tell curvatures beyond the forces' tolerance."""

_MOVED = 1e-4  # A, below which a climb has led nowhere

_MORE = "It is a saddle, but does not meet the criterion; delta makes one climb."


def init(calculator: Calculator, batch: Batch, hyperparameters: DeltaHyperparameters) -> State:
    """The state at the starting points, with the Hessians of the surrogate there.

    Raises:
        ValueError: when the calculator has no cheap one beside it, or a system is in a cell, has
            frozen atoms or sits on an external surface.
    """
    if bool(batch.is_held.any()) or not batch.is_free:
        raise ValueError("solver delta: cells, frozen atoms or a surface; expected free molecules")
    width = batch.positions.shape[1]
    state = begin(batch, calculator, batch.positions.new_zeros(len(batch), 3 * width, 3 * width))
    observations = tuple(Observations.none(int(n)) for n in batch.n_atoms)
    below = evaluate_below(below_of(calculator, observations), batch, hessian=True)
    assert below.hessian is not None
    memory = DeltaMemory(
        observations=seen_there(observations, state, below, batch.positions),
        processes=(None,) * len(batch),
        reach=torch.full_like(state.energy, hyperparameters.reach_start),
        mode=torch.zeros_like(state.forces.flatten(1)),
        below=below.hessian,
        origin=batch.positions,
        is_first=torch.ones_like(state.is_exact),
        start=batch.positions,
        first_mode=torch.zeros_like(state.forces.flatten(1)),
        n_returns=torch.zeros_like(state.steps),
        n_refused=torch.zeros_like(state.steps),
        is_stuck=torch.zeros_like(state.is_exact),
        n_lowered=torch.zeros_like(state.steps),
        told=("",) * len(batch),
    )
    state, is_turned = turned_below(calculator, replace(state, memory=memory), below.failures)
    reasons = {i: why for i, why in below.failures.items() if not is_turned[i]}
    message = tuple(
        own or (f"The cheap potential fails: {reasons[i]}" if i in reasons else "")
        for i, own in enumerate(state.message)
    )
    state = replace(state, message=message)
    rows = (~state.is_failed).nonzero().flatten()
    return put(state, rows, lambda part: with_surrogate(calculator, part))


def step(calculator: Calculator, state: State, hyperparameters: DeltaHyperparameters) -> State:
    """The state one call of the potential on, certified where it is at rest.

    At a saddle that does not meet the criterion the search stops.
    """
    is_end = state.is_exact & (state.order == 1)
    doubt = tuple(_MORE if end else "" for end in is_end.tolist())
    state = replace(state, steps=state.steps + 1, doubt=doubt)
    rows = (~is_end).nonzero().flatten()
    return put(state, rows, lambda part: _advance(calculator, part, hyperparameters))


def _advance(calculator: Calculator, state: State, h: DeltaHyperparameters) -> State:
    surrogate = surrogate_of(calculator, state)
    led = _lead(surrogate, state, h)
    way = longest((led.state.batch.positions - state.batch.positions).flatten(1))
    is_nowhere = way < _MOVED
    moved = _ask(calculator, state, led, is_nowhere)
    below = evaluate_below(surrogate.cheap, moved.batch, hessian=False)
    is_poor = is_wrong(state, moved, led) & ~is_nowhere
    is_worse = is_poor & (moved.max_force > state.max_force)
    is_refused = is_worse & (state.memory.n_refused < MAX_REFUSED)
    memory = replace(
        _after(surrogate, state, led),
        observations=seen_there(
            state.memory.observations,
            moved,
            below,
            pick(is_refused, state.batch.positions, moved.batch.positions),
        ),
        reach=adapt_reach(state, moved, led, is_poor, h),
    )
    memory = replace(memory, is_stuck=is_nowhere & (memory.n_returns < MAX_RETURNS))
    moved = replace(moved, memory=memory)
    moved, is_turned = turned_below(calculator, moved, failed_below(below, led, is_nowhere))
    moved, is_misled = begun_anew(calculator, moved, is_poor & ~is_turned)
    is_turned = is_turned | is_misled
    is_first = state.memory.is_first & is_turned & is_nowhere
    moved = replace(moved, memory=replace(moved.memory, is_first=is_first))
    is_end = is_nowhere & ~memory.is_stuck & ~is_turned
    moved = replace(moved, message=_with_end(moved, led, is_end))
    rows = (is_refused & ~is_turned).nonzero().flatten()
    before = take(state, rows)
    moved = put(moved, rows, lambda part: _refuse(before, part))
    moved = with_surrogate(calculator, moved)
    moved = replace(moved, is_exact=torch.zeros_like(state.is_exact))
    moved = on_lowest(calculator, moved, is_at_rest(moved))
    proved = certify(calculator, moved, by_products=takes_products(calculator, h.proof))
    return with_products(calculator, proved)


def _ask(calculator: Calculator, state: State, led: Climb, is_nowhere: Bool[Tensor, " B"]) -> State:
    """The state where the climbs led, the costly potential asked there unless it was before."""
    no = torch.zeros_like(state.is_exact)
    moved = replace(state, batch=led.state.batch)
    rows = (~is_nowhere).nonzero().flatten()
    return put(moved, rows, lambda part: compute(calculator, part, no[rows]))


def _after(surrogate: Surrogate, state: State, led: Climb) -> DeltaMemory:
    """What is kept of a climb, whatever the potential says where it led."""
    memory: DeltaMemory = state.memory
    return replace(
        memory,
        mode=led.mode,
        below=led.state.hessian - surrogate.correction(led.state.batch),
        origin=led.origin,
        is_first=torch.zeros_like(memory.is_first),
        first_mode=pick(memory.is_first, _first_mode(state), memory.first_mode),
        n_returns=memory.n_returns + is_lost(state),
        n_refused=torch.zeros_like(memory.n_refused),
    )


def _with_end(moved: State, led: Climb, is_end: Bool[Tensor, " B"]) -> tuple[str, ...]:
    """Why searches can't go on."""
    return tuple(
        own or (f"The climb on the surrogate leads nowhere. {why}".strip() if end else "")
        for own, why, end in zip(moved.message, led.state.message, is_end.tolist(), strict=True)
    )


def _refuse(before: State, moved: State) -> State:
    """Back at the points before, with what was seen where the surrogate was wrong."""
    kept, memory = before.memory, moved.memory
    mode = pick(kept.is_first, memory.first_mode, kept.mode)
    memory = replace(
        memory, mode=mode, below=kept.below, origin=kept.origin, n_refused=kept.n_refused + 1
    )
    return replace(before, memory=memory, cost=moved.cost, message=moved.message)


def certify(calculator: Calculator, state: State, *, by_products: bool = False) -> State:
    """The state with its order proved where it is at rest, by products or by exact Hessians.

    Unless there is doubt about the point.
    """
    is_claimed = is_at_rest(state) & ~state.is_doubted
    return prove_orders(
        calculator, state, is_claimed, by_products=by_products, chance=CHANCE_LEARNED
    )


def is_at_rest(state: State) -> Bool[Tensor, " B"]:
    """Whether the potential's own forces are below the tolerance."""
    return (state.max_force < FORCE_TOL) & state.is_computed


def _lead(surrogate: Surrogate, state: State, h: DeltaHyperparameters) -> Climb:
    """Where the costly potential is to be asked next.

    Where the climb ends; where a proof has just shown that the surrogate has a curvature wrong,
    a little farther along that mode.
    """
    found = _climb(surrogate, state, h)
    rows = is_refuted(state).nonzero().flatten()
    return put(found, rows, lambda part: _look(surrogate.take(rows), part, take(state, rows)))


def _look(surrogate: Surrogate, found: Climb, state: State) -> Climb:
    wrong = state.spectrum.mode_at((state.order > 1).long())
    move = state.batch.inverse_sqrt_masses * wrong
    move = LOOK * move / longest(move)[:, None]
    there = move_above(state.batch, move.unflatten(1, (-1, 3)))
    here = begin(there, surrogate, state.hessian)
    return replace(found, state=here, is_stopped=torch.zeros_like(found.is_stopped))


def _climb(surrogate: Surrogate, state: State, h: DeltaHyperparameters) -> Climb:
    """The climb of this step: far where it keeps to its mode, else as far as the reach.

    Where the potential has just failed it is asked within the reach, nearer each time.
    """
    memory: DeltaMemory = state.memory
    mode = pick(memory.is_first, _first_mode(state), memory.mode)
    reach = memory.reach * state.shortened
    far = torch.where(state.rejected > 0, reach, reach.clamp(min=h.lead))
    start = begin_climb(surrogate, state, mode, memory.observations, far, memory.origin)
    lost = is_lost(state).nonzero().flatten()
    back = take(memory, lost)
    start = put(start, lost, lambda part: _return(surrogate.take(lost), part, back))
    found = climb(surrogate, start)
    rows = (~keeps_mode(start, found) & (far > reach)).nonzero().flatten()
    if not len(rows):
        return found
    again = climb(surrogate.take(rows), replace(take(start, rows), reach=reach[rows]))
    return put(found, rows, lambda _: again)


def _return(surrogate: Surrogate, climb: Climb, memory: DeltaMemory) -> Climb:
    """The climbs from where the searches began, with what has been learned since."""
    here = begin(climb.state.batch.moved_to(memory.start), surrogate)
    at = memory.start
    return replace(climb, state=here, mode=memory.first_mode, origin=at, begun_at=at)


def _first_mode(state: State) -> Float[Tensor, "B D"]:
    """The mode that the first climb follows: the lowest, or the one that is aimed at."""
    place = torch.zeros_like(state.steps)
    if (is_aimed := state.wanted.is_set).any():
        aimed = most_aimed(state.wanted, state.batch, state.spectrum)
        place = torch.where(is_aimed, aimed, place)
    return state.spectrum.mode_at(place)
