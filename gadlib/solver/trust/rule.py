"""Trust-region climbing on the image surface: the step rule that ends at true, bound saddles.

Every step minimises, within a trust radius, the quadratic model of the image surface, on which the
gradient and the curvature of the climbed mode change sign. The model's Hessian is exact at times
and updated between. What a search does with its steps is a sequence of tries (`tries`): a rule that
is asked for a step away from a certified saddle takes that as a wish for another.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P; Banerjee,
Adams, Simons, Shepard, J. Phys. Chem. 89, 52 (1985), doi:10.1021/j100247a015.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.frames import bent
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.hessians.tension import tension_hessian
from gadlib.hessians.trust_region import matvec
from gadlib.molecules.bonds import n_connected
from gadlib.molecules.contacts import gap, is_adrift, push_apart
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.image_step import STRIDE, adapt_radius, image_move, lowest_mode, move_above
from gadlib.solver.points import begin, compute, take_spectrum
from gadlib.solver.products import takes_products
from gadlib.solver.state import State, along_modes
from gadlib.solver.trust.claims import certify
from gadlib.solver.trust.constants import (
    AIMED,
    ARRIVED_FORCE,
    CIRCLE_EVERY,
    CIRCLE_NEAR,
    CIRCLE_STEP,
    MAX_POOR,
    REST_FORCE,
    START_FLOOR,
)
from gadlib.solver.trust.curvature import sharpen, spares_hessians, update_hessian
from gadlib.solver.trust.half_made import bond_limits, half_made_bonds
from gadlib.solver.trust.memory import Origin, TrustMemory, Try, is_aiming, most_aimed
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.settling import beside_aim, keeps_aim, move_beside_aim
from gadlib.solver.trust.tries import next_try
from gadlib.solver.trust.wall import wall
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import pick, put

REACHES = CRITERIA

LEAVES_SADDLES = True
"""It begins another try."""


def init(calculator: Calculator, batch: Batch, hyperparameters: TrustHyperparameters) -> State:
    """The state at the starting points, atoms that sit upon each other pushed apart."""
    batch = push_apart(batch, START_FLOOR)
    is_sparing = spares_hessians(calculator, hyperparameters)
    state = begin(batch, calculator, model_hessian(batch) if is_sparing else None)
    zero = torch.zeros_like(state.steps)
    memory = TrustMemory(
        spares_hessians=torch.full_like(state.is_exact, is_sparing),
        current=Try.begin(batch, Phase.SETTLING, hyperparameters),
        n_tries=zero,
        n_rebuilt=zero,
        lowest=state.energy,
        origin=Origin.at(state),
        half_made=half_made_bonds(batch, state.forces) & is_sparing,
    )
    return replace(state, memory=memory)


def step(calculator: Calculator, state: State, hyperparameters: TrustHyperparameters) -> State:
    """The state after one step of every system, where its try is over the first of the next one."""
    state = next_try(state, hyperparameters)
    state = sharpen(calculator, state, hyperparameters)
    there, predicted = move(state)
    moved = learn(calculator, state, there, hyperparameters)
    moved = certify(
        calculator, moved, by_products=takes_products(calculator, hyperparameters.proof)
    )
    return remember(state, moved, predicted, hyperparameters)


def move(state: State) -> tuple[Batch, Float[Tensor, " B"]]:
    """Where the trust-region step leads, and the change of the energy, wall included, it predicts.

    A molecule that was just rebuilt stays where it is, to be computed there.
    """
    memory: TrustMemory = state.memory
    barrier = memory.current.wall
    gradient = barrier.gradient - state.forces.flatten(1)
    held = keeps_aim(state)
    pulled = pick(held, beside_aim(state, gradient), gradient) if held.any() else gradient
    step = _image_move(state, pulled, climbed_mode(state))
    if held.any():
        step = pick(held, move_beside_aim(state, step), step)
    step = torch.where(memory.is_rebuilt[:, None], 0.0, step)
    there, share = _move_bent(state.batch, step)
    step = step * share[:, None]
    curved = matvec(_relaxed(state), step)
    if barrier.is_active.any():
        curved = curved + matvec(barrier.hessian, step)
    return there, (step * (gradient + curved / 2)).sum(-1)


def _move_bent(batch: Batch, step: Float[Tensor, "B D"]) -> tuple[Batch, Float[Tensor, " B"]]:
    """Where steps lead along bent coordinates, and what share of them was made.

    They are shorter where atoms would come too near.
    """
    whole = bent(batch, step)
    there = move_above(batch, whole.unflatten(1, (-1, 3)))
    made = longest((there.positions - batch.positions).flatten(1))
    return there, made / longest(whole).clamp(min=1e-12)


def _relaxed(state: State) -> Float[Tensor, "B D D"]:
    """The Hessians that tell the energy along bent coordinates: without the tension of bonds.

    Modelled ones are without it already.
    """
    rows = (~state.memory.spares_hessians).nonzero().flatten()
    if not len(rows):
        return state.hessian
    tension = tension_hessian(state.batch.take(rows), state.forces[rows])
    return state.hessian.index_add(0, rows, tension, alpha=-1)


def climbed_mode(state: State) -> Float[Tensor, "B D"]:
    """1 at the mode that each system climbs; none while it settles.

    It is the lowest one; with an aim the one with most of that, at every step anew, until the climb
    has arrived near a point of order one.
    """
    climbed = lowest_mode(state) * state.memory.is_climbing[:, None]
    is_aimed = is_aiming(state)
    if is_aimed.any():
        place = most_aimed(state.wanted, state.batch, state.spectrum)
        aimed = torch.zeros_like(climbed).scatter(1, place[:, None], 1.0)
        climbed = torch.where(is_aimed[:, None], aimed, climbed)
    return climbed


def _image_move(
    state: State, gradient: Float[Tensor, "B D"], climbed: Float[Tensor, "B D"]
) -> Float[Tensor, "B D"]:
    """The trust-region step in A; a climb from rest goes towards its aim, if it has one."""
    memory: TrustMemory = state.memory
    components = along_modes(state, gradient)
    is_kicked = state.wanted.is_set
    if is_kicked.any():
        is_kicked = is_kicked & (memory.current.steps == 0) & (state.max_force < REST_FORCE)
    if is_kicked.any():
        aim = state.wanted.along(state.batch).sum(-1)
        signs = matvec(state.spectrum.modes.mT, aim).sign()
        components = torch.where((climbed > 0) & is_kicked[:, None], 1e-6 * signs, components)
    return image_move(state, components, climbed, memory.radius * state.shortened)


def learn(calculator: Calculator, state: State, there: Batch, h: TrustHyperparameters) -> State:
    """The state computed where the step leads, with the wall and the Hessian there.

    The Hessian is exact where one is due: every few steps, or when the model predicts poorly, of
    climbs that do not spare them; else updated. Where the wall acts its part is in the spectrum, so
    that this is not the potential's.
    """
    memory: TrustMemory = state.memory
    current = memory.current
    is_due = (current.age + 1 >= h.hessian_every) | (current.poor >= MAX_POOR)
    is_due = is_due & memory.is_climbing & ~memory.spares_hessians
    moved = compute(calculator, replace(state, batch=there, steps=state.steps + 1), is_due)
    hessian = pick(is_due, moved.hessian, update_hessian(state, moved))
    limits = bond_limits(state)
    n_pieces = n_connected(there, there.scaled_distances < limits)
    barrier = wall(there, n_pieces, state.max_fragments, limits)
    curved = hessian + barrier.hessian if barrier.is_active.any() else hessian
    current = replace(
        current,
        wall=barrier,
        n_pieces=n_pieces,
        age=torch.where(is_due, 0, current.age + 1),
    )
    moved = replace(
        moved,
        hessian=hessian,
        spectrum=spectrum(curved, there),
        is_exact=is_due & ~barrier.is_active,
        memory=replace(memory, current=current),
    )
    return put(moved, moved.is_exact.nonzero().flatten(), take_spectrum)


def remember(
    state: State, moved: State, predicted: Float[Tensor, " B"], h: TrustHyperparameters
) -> State:
    """The moved state, its trust radius and what is counted brought up to date."""
    memory: TrustMemory = moved.memory
    current = memory.current
    length = longest((moved.batch.positions - state.batch.positions).flatten(1))
    current = _adapt(state, current, actual_change(state, moved) / predicted, length, h)
    is_near_order = (moved.order == 1) & (moved.max_force < ARRIVED_FORCE)
    is_mark = ((current.steps + 1) % CIRCLE_EVERY == 0) | memory.is_rebuilt
    current = replace(
        current,
        phase=torch.where(memory.is_rebuilt, int(Phase.SETTLING), current.phase),
        steps=current.steps + 1,
        is_arrived=current.is_arrived | (is_near_order & memory.is_climbing),
        is_circling=is_back(current.anchor, moved.batch, length),
        anchor=pick(is_mark, moved.batch.positions, current.anchor),
        torn_steps=torch.where(is_torn(moved), current.torn_steps + 1, 0),
    )
    lowest = torch.minimum(memory.lowest, moved.energy)
    return replace(moved, memory=replace(memory, current=current, lowest=lowest))


def actual_change(state: State, moved: State) -> Float[Tensor, " B"]:
    """By how much a step has changed the energy, the wall's included, in eV."""
    before, after = (s.memory.current.wall.energy for s in (state, moved))
    return moved.energy + after - state.energy - before


def _adapt(
    state: State,
    current: Try,
    ratio: Float[Tensor, " B"],
    length: Float[Tensor, " B"],
    h: TrustHyperparameters,
) -> Try:
    """The try with its radius, and its poorly predicted steps in a row, after a step.

    A molecule that was just rebuilt has made none. An exact Hessian ends the row.
    """
    is_rebuilt = state.memory.is_rebuilt
    max_radius = torch.where(state.memory.n_tries > 0, STRIDE, 1.0) * h.radius_max
    max_radius = torch.where(state.wanted.is_set, AIMED, 1.0) * max_radius
    radius, is_poor = adapt_radius(current.radius, ratio, length, h, max_radius)
    is_model_poor = is_poor & (current.age > 0) & ~is_rebuilt
    return replace(
        current,
        radius=pick(is_rebuilt, current.radius, radius),
        poor=torch.where(is_model_poor, current.poor + 1, 0),
    )


def is_back(
    anchor: Float[Tensor, "B N 3"], there: Batch, length: Float[Tensor, " B"]
) -> Bool[Tensor, " B"]:
    """Whether a step of some length led back to the anchor."""
    distance = longest((there.positions - anchor).flatten(1))
    return (distance < CIRCLE_NEAR * length) & (length > CIRCLE_STEP)


def is_torn(state: State) -> Bool[Tensor, " B"]:
    """Whether a molecule is in more pieces than allowed, or its pieces have gone apart."""
    memory: TrustMemory = state.memory
    here = gap(state.batch, state.max_fragments > 1)
    return memory.current.wall.is_active | is_adrift(here, memory.origin.gap)
