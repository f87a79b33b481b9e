"""Trust-region climbing on the image surface: the step rule that ends at true, bound saddles.

Every step minimises, within a trust radius, the quadratic model of the image surface, on which the
gradient and the curvature of the climbed mode change sign. The model's Hessian is exact at times
and updated between. What a search does with its steps is a sequence of tries (`tries`): a rule that
is asked for a step away from a certified saddle takes that as a wish for another. Floor 3.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P; Banerjee,
Adams, Simons, Shepard, J. Phys. Chem. 89, 52 (1985), doi:10.1021/j100247a015.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.batch import Batch, longest
from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.hessians.trust_region import image_step, matvec
from gadlib.molecules.bonds import n_fragments
from gadlib.rows import put
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.criteria import FORCE_TOL
from gadlib.solver.state import State, along_modes, begin, displacement
from gadlib.solver.trust.curvature import (
    certified,
    evaluated,
    is_hessian_dear,
    rejudged,
    spared,
    updated,
)
from gadlib.solver.trust.tries import (
    REST_FORCE,
    START_FLOOR,
    STRIDE,
    TrustMemory,
    is_aiming,
    most_aimed,
    pick,
    turn,
)
from gadlib.solver.trust.wall import FLOOR, gap, is_adrift, moved_above, untangle, wall

_MAX_POOR = 3
_MARK_STEPS = 8
_BACK = 0.05
_CIRCLE = 0.02
_ARRIVED_FORCE = 0.3  # eV/A


def init(calculator: Calculator, batch: Batch, hyperparameters: TrustHyperparameters) -> State:
    """The state at the starting points, atoms that sit upon each other pushed apart."""
    batch = untangle(batch, START_FLOOR)
    is_thrifty = hyperparameters.dear == "calls" or (
        hyperparameters.dear == "auto" and is_hessian_dear(calculator)
    )
    state = begin(batch, calculator, model_hessian(batch) if is_thrifty else None)
    zero, no = torch.zeros_like(state.steps), torch.zeros_like(state.is_exact)
    gradient = -state.forces.flatten(1)
    memory = TrustMemory(
        is_thrifty=no | is_thrifty,
        wall_energy=torch.zeros_like(state.energy),
        wall_gradient=torch.zeros_like(gradient),
        wall_hessian=torch.zeros_like(state.hessian),
        radius=torch.full_like(state.energy, hyperparameters.radius_start),
        age=zero,
        poor=zero,
        claims=zero,
        is_settling=~no,
        attempt=zero,
        n_mended=zero,
        n_pieces=n_fragments(batch),
        try_steps=zero,
        torn_steps=zero,
        anchor=batch.positions,
        is_arrived=no,
        is_circling=no,
        lowest=state.energy,
        start=batch.positions,
        start_energy=state.energy,
        start_gradient=gradient,
        start_gap=gap(batch, state.max_fragments > 1),
    )
    return replace(state, memory=memory)


def step(calculator: Calculator, state: State, hyperparameters: TrustHyperparameters) -> State:
    """The state after one step of every system, where its try is over the first of the next one."""
    state = turn(state, hyperparameters)
    state = spared(calculator, state, hyperparameters)
    memory: TrustMemory = state.memory
    surface_gradient = memory.wall_gradient - state.forces.flatten(1)
    move = _trust_move(state, surface_gradient, _climbed(state))
    move = torch.where(memory.is_unknown[:, None], 0.0, move)
    batch = moved_above(state.batch, move.unflatten(1, (-1, 3)), FLOOR)
    move = (batch.positions - state.batch.positions).flatten(1)
    curved = matvec(state.hessian, move)
    if memory.wall_energy.any():
        curved = curved + matvec(memory.wall_hessian, move)
    predicted = (move * (surface_gradient + curved / 2)).sum(-1)
    return _arrive(calculator, state, batch, move, predicted, hyperparameters)


def _climbed(state: State) -> Float[Tensor, "B D"]:
    """1 at the mode that each system climbs; none while it settles.

    It is the lowest one; with an aim the one with most of that, at every step anew, until the climb
    has arrived near a point of order one.
    """
    eigenvalues = state.spectrum.eigenvalues
    climbed = torch.zeros_like(eigenvalues)
    climbed[:, 0] = ~state.memory.is_settling
    is_aimed = is_aiming(state)
    if is_aimed.any():
        place = most_aimed(state.wanted, state.batch, state.spectrum)
        aimed = torch.zeros_like(climbed).scatter(1, place[:, None], 1.0)
        climbed = torch.where(is_aimed[:, None], aimed, climbed)
    return climbed


def _trust_move(
    state: State, gradient: Float[Tensor, "B D"], climbed: Float[Tensor, "B D"]
) -> Float[Tensor, "B D"]:
    """The trust-region step in A; a climb from rest goes towards its aim, if it has one."""
    memory: TrustMemory = state.memory
    components = along_modes(state, gradient)
    is_kicked = state.wanted.is_set
    if is_kicked.any():
        is_kicked = is_kicked & (memory.try_steps == 0) & (state.max_force < REST_FORCE)
    if is_kicked.any():
        aim = state.wanted.along(state.batch).sum(-1)
        signs = matvec(state.spectrum.modes.mT, aim).sign()
        components = torch.where((climbed > 0) & is_kicked[:, None], 1e-6 * signs, components)
    return image_move(state, components, climbed, memory.radius * state.shortened)


def image_move(
    state: State,
    components: Float[Tensor, "B D"],
    climbed: Float[Tensor, "B D"],
    max_move: Float[Tensor, " B"],
) -> Float[Tensor, "B D"]:
    """The image step in A, with a radius at which no atom moves farther than `max_move` (A)."""
    guess = max_move * state.batch.sqrt_masses.amax(-1)
    farthest = lambda step: longest(displacement(state, step)) / max_move  # noqa: E731
    step = image_step(components, state.spectrum.eigenvalues, climbed, guess, farthest)
    return displacement(state, step)


def _arrive(
    calculator: Calculator,
    state: State,
    batch: Batch,
    step: Float[Tensor, "B D"],
    predicted: Float[Tensor, " B"],
    h: TrustHyperparameters,
) -> State:
    """The state after the step, its Hessian, trust radius and counters brought up to date."""
    memory: TrustMemory = state.memory
    is_due = (memory.age + 1 >= h.hessian_every) | (memory.poor >= _MAX_POOR)
    is_due = is_due & ~memory.is_settling & ~memory.is_thrifty
    moved = evaluated(calculator, replace(state, batch=batch, steps=state.steps + 1), is_due)
    hessian = pick(is_due, moved.hessian, updated(state, moved))
    n_pieces = n_fragments(batch)
    barrier = wall(batch, n_pieces, state.max_fragments)
    curved = hessian + barrier.hessian if barrier.is_active.any() else hessian
    moved = replace(moved, hessian=hessian, spectrum=spectrum(curved, batch))
    known = (is_due & ~barrier.is_active).nonzero().flatten()
    moved = put(moved, known, rejudged)
    length = longest(step)
    force = longest(barrier.gradient - moved.forces.flatten(1))
    is_hopeful = ~memory.is_thrifty | (moved.order > 0)
    is_claim = ~memory.is_settling & (force < FORCE_TOL) & is_hopeful
    is_claim = is_claim & ~is_due & ~barrier.is_active
    moved = put(moved, is_claim.nonzero().flatten(), lambda part: certified(calculator, part))
    is_exact = is_due | is_claim
    actual = moved.energy + barrier.energy - state.energy - memory.wall_energy
    max_radius = torch.where(memory.attempt > 0, STRIDE, 1.0) * h.radius_max
    radius, is_poor = adapted(memory.radius, actual / predicted, length, h, max_radius)
    is_near_order = (moved.order == 1) & (moved.max_force < _ARRIVED_FORCE)
    is_arrived = memory.is_arrived | (is_near_order & ~memory.is_settling)
    is_jump = memory.is_unknown
    here = gap(batch, state.max_fragments > 1)
    is_torn = barrier.is_active | is_adrift(here, memory.start_gap)
    is_back = longest((batch.positions - memory.anchor).flatten(1)) < _BACK * length
    is_mark = (memory.try_steps + 1) % _MARK_STEPS == 0
    memory = replace(
        memory,
        wall_energy=barrier.energy,
        wall_gradient=barrier.gradient,
        wall_hessian=barrier.hessian,
        radius=pick(is_jump, memory.radius, radius),
        age=torch.where(is_exact, 0, memory.age + 1),
        poor=torch.where(is_poor & ~is_exact & ~is_jump, memory.poor + 1, 0),
        anchor=pick(is_mark | is_jump, batch.positions, memory.anchor),
        is_arrived=is_arrived,
        is_circling=is_back & (length > _CIRCLE),
        lowest=torch.minimum(memory.lowest, moved.energy),
        claims=memory.claims + is_claim,
        try_steps=memory.try_steps + 1,
        n_pieces=n_pieces,
        torn_steps=torch.where(is_torn, memory.torn_steps + 1, 0),
    )
    return replace(moved, memory=memory, is_exact=is_exact & ~barrier.is_active)


def adapted(
    radius: Float[Tensor, " B"],
    ratio: Float[Tensor, " B"],
    length: Float[Tensor, " B"],
    h: TrustHyperparameters,
    max_radius: Float[Tensor, " B"],
) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
    """The radius after a step of that length, and whether the step was poorly predicted."""
    is_good = (ratio > 0.7) & (ratio < 1.4) & (length > 0.7 * radius)
    is_poor = ~((ratio > 0.2) & (ratio < 2.0))
    radius = torch.where(is_good, radius * h.radius_grow, radius)
    radius = torch.where(is_poor, torch.minimum(radius, length) * h.radius_shrink, radius)
    return radius.clamp(min=h.radius_min).minimum(max_radius), is_poor
