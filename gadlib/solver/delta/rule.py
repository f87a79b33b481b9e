"""The step rule: one call of the costly potential at the surrogate's saddle, then it is learned.

Each step climbs on the sum of a cheap potential and of a process of the difference, within a radius
that learns from how well forces were predicted, asks the costly potential there, and learns. The
first climb may lead farther, as long as it keeps to its mode. The cheap potential is the
calculator's `cheap`.

The order of steps follows Koistinen, Asgeirsson, Vehtari, Jonsson, J. Chem. Theory Comput. 16, 499
(2020), doi:10.1021/acs.jctc.9b01038; that what is learned is a difference is Ramakrishnan, Dral,
Rupp, von Lilienfeld, J. Chem. Theory Comput. 11, 2087 (2015), doi:10.1021/acs.jctc.5b00099.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.hessians.normal_modes import FORCE_TOL, spectrum
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import DeltaHyperparameters
from gadlib.solver.delta.climb import Climb, begin_climb, climb, keeps_mode
from gadlib.solver.delta.memory import MAX_REFUSED, MAX_RETURNS, DeltaMemory, is_lost
from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.process import learn
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.image_step import move_above
from gadlib.solver.points import begin, compute
from gadlib.solver.products import is_refuted, prove_orders, takes_products
from gadlib.solver.state import State
from gadlib.solver.trust.memory import most_aimed
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import pick, put, take

REACHES = CRITERIA

LEAVES_SADDLES = False
"""It has one climb."""

RIGHT, RIGHT_FORCE = 0.35, 0.05
"""Error of the forces over their change, or in eV/A; below either they were predicted well."""

WRONG, WRONG_FORCE = 0.7, 0.15
"""Beyond both of which they were not."""

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
    below, _ = evaluate(cheap_of(calculator), batch, hessian=True)
    assert below.hessian is not None
    observations = tuple(Observations.none(int(n)) for n in batch.n_atoms)
    memory = DeltaMemory(
        observations=_seen(observations, state, below, batch.positions),
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
    )
    state = replace(state, memory=memory, message=_with_failures(state, below))
    rows = (~state.is_failed).nonzero().flatten()
    return put(state, rows, lambda part: _with_surrogate(calculator, part))


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
    there = led.state
    moved = replace(state, batch=there.batch)
    moved = compute(calculator, moved, torch.zeros_like(state.is_exact))
    below, _ = evaluate(cheap_of(calculator), there.batch, hessian=False)
    memory: DeltaMemory = state.memory
    is_wrong = _is_wrong(state, moved, led)
    is_poor = is_wrong & (moved.max_force > state.max_force)
    is_refused = is_poor & (memory.n_refused < MAX_REFUSED)
    n_returns = memory.n_returns + is_lost(state)
    is_nowhere = longest((there.batch.positions - state.batch.positions).flatten(1)) < _MOVED
    is_stuck = is_nowhere & (n_returns < MAX_RETURNS)
    next_at = pick(is_refused, state.batch.positions, moved.batch.positions)
    memory = replace(
        memory,
        observations=_seen(memory.observations, moved, below, next_at),
        reach=_adapt(state, moved, led, is_wrong, h),
        mode=led.mode,
        below=there.hessian - surrogate.correction(there.batch),
        origin=led.origin,
        is_first=torch.zeros_like(memory.is_first),
        first_mode=pick(memory.is_first, _first_mode(state), memory.first_mode),
        n_returns=n_returns,
        n_refused=torch.zeros_like(memory.n_refused),
        is_stuck=is_stuck,
    )
    is_end = is_nowhere & ~is_stuck
    reasons = [
        own or (f"The climb on the surrogate leads nowhere. {why}".strip() if end else "")
        for own, why, end in zip(moved.message, there.message, is_end.tolist(), strict=True)
    ]
    moved = replace(moved, memory=memory, message=tuple(reasons))
    rows = is_refused.nonzero().flatten()
    before = take(state, rows)
    moved = put(moved, rows, lambda part: _refuse(before, part))
    moved = _with_surrogate(calculator, moved)
    moved = replace(moved, is_exact=torch.zeros_like(state.is_exact))
    return certify(calculator, moved, by_products=takes_products(calculator, h.proof))


def _refuse(before: State, moved: State) -> State:
    """Back at the points before, with what was seen where the surrogate was wrong."""
    kept, memory = before.memory, moved.memory
    mode = pick(kept.is_first, memory.first_mode, kept.mode)
    memory = replace(
        memory, mode=mode, below=kept.below, origin=kept.origin, n_refused=kept.n_refused + 1
    )
    return replace(before, memory=memory, cost=moved.cost, message=moved.message)


def certify(calculator: Calculator, state: State, *, by_products: bool = False) -> State:
    """The state with its order proved where it is at rest, by products or by exact Hessians."""
    is_claimed = (state.max_force < FORCE_TOL) & state.is_computed
    return prove_orders(calculator, state, is_claimed, by_products=by_products)


def cheap_of(calculator: Calculator) -> Calculator:
    """The cheap potential beside a calculator.

    Raises:
        ValueError: when there is none.
    """
    cheap = getattr(calculator, "cheap", None)
    if cheap is None:
        raise ValueError(
            "solver delta: the calculator has no cheap one beside it; expected one with the"
            " attribute `cheap`, as gadlib.calculators.pair makes it"
        )
    return cheap


def surrogate_of(calculator: Calculator, state: State) -> Surrogate:
    """What was learned on top of the cheap potential."""
    return Surrogate(cheap_of(calculator), state.memory.processes)


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
    """The climb of this step; the first may lead farther, where it keeps to its mode."""
    memory: DeltaMemory = state.memory
    mode = pick(memory.is_first, _first_mode(state), memory.mode)
    reach = torch.where(memory.is_first, h.lead, memory.reach) * state.shortened
    start = begin_climb(surrogate, state, mode, memory.observations, reach, memory.origin)
    lost = is_lost(state).nonzero().flatten()
    back = take(memory, lost)
    start = put(start, lost, lambda part: _return(surrogate.take(lost), part, back))
    found = climb(surrogate, start)
    rows = (memory.is_first & ~keeps_mode(start, found)).nonzero().flatten()
    if not len(rows):
        return found
    again = replace(take(start, rows), reach=(memory.reach * state.shortened)[rows])
    again = climb(surrogate.take(rows), again)
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


def _seen(
    observations: tuple[Observations, ...],
    state: State,
    below: Evaluation,
    next_at: Float[Tensor, "B N 3"],
) -> tuple[Observations, ...]:
    """The observations with those at the points of the state, where both potentials answered.

    Of too many those near where the search goes on are kept.
    """
    found = []
    for row, known in enumerate(observations):
        n = known.positions.shape[1]
        energy = (state.energy[row] - below.energy[row]).cpu()
        if energy.isfinite():
            gradient = (below.forces - state.forces)[row, :n].cpu()
            positions = state.batch.positions[row, :n].cpu()
            centre = next_at[row, :n].cpu()
            known = known.plus(positions[None], energy[None], gradient[None], centre)
        found.append(known)
    return tuple(found)


def _with_failures(state: State, below: Evaluation) -> tuple[str, ...]:
    """Why a start can't be computed: by the potential, else by the cheap one."""
    return tuple(
        own or (f"The cheap potential fails: {below.failures[i]}" if i in below.failures else "")
        for i, own in enumerate(state.message)
    )


def _with_surrogate(calculator: Calculator, state: State) -> State:
    """The state with what is learned, and the Hessian and the spectrum of the surrogate there."""
    memory: DeltaMemory = state.memory
    known = zip(memory.observations, memory.processes, strict=True)
    processes = tuple(learn(one, before) for one, before in known)
    state = replace(state, memory=replace(memory, processes=processes))
    hessian = state.memory.below + surrogate_of(calculator, state).correction(state.batch)
    return replace(state, hessian=hessian, spectrum=spectrum(hessian, state.batch))


def _adapt(
    state: State, moved: State, led: Climb, is_wrong: Bool[Tensor, " B"], h: DeltaHyperparameters
) -> Float[Tensor, " B"]:
    """The radius after a call that a climb led to."""
    error, change = _error(state, moved, led)
    is_right = (error < RIGHT * change) | (error < RIGHT_FORCE)
    reach = state.memory.reach
    reach = torch.where(is_right & led.is_stopped, reach * h.reach_grow, reach)
    reach = torch.where(is_wrong, reach * h.reach_shrink, reach)
    return reach.clamp(h.reach_min, h.reach_max)


def _is_wrong(state: State, moved: State, led: Climb) -> Bool[Tensor, " B"]:
    """Whether forces were predicted badly where a climb led."""
    error, change = _error(state, moved, led)
    return (error > WRONG * change) & (error > WRONG_FORCE)


def _error(
    state: State, moved: State, led: Climb
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """The error of the predicted forces, and how much the true ones changed, in eV/A."""
    error = longest((moved.forces - led.state.forces).flatten(1))
    return error, longest((moved.forces - state.forces).flatten(1))
