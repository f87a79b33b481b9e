"""Trust-region climbing on the image surface: the step rule that ends at true, bound saddle points.

Every step minimises the quadratic model of the image surface, on which the climbed mode's gradient and curvature change sign, within
a trust radius; the model's Hessian is exact at times and updated between. What a search does with its steps is a sequence of
tries: first straight from the start; when that tears the molecule apart or ends at a saddle that is not wanted, a relaxation
within a soft wall (`confine`) to a minimum of the whole molecule, and climbs from there along one mode after the other. A rule that
is asked for a step away from a certified saddle takes that as a wish for another. Floor 3.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P; Banerjee, Adams, Simons, Shepard, J. Phys.
Chem. 89, 52 (1985), doi:10.1021/j100247a015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch, Calculator
from gadlib.confine import FLOOR, shorten, untangle, wall
from gadlib.criteria import FORCE_TOL
from gadlib.hyperparameters import TrustHyperparameters
from gadlib.modes import spectrum, sqrt_masses
from gadlib.quadratic import bofill, image_step
from gadlib.state import State, begin, concatenate, evaluate, take

_START_FLOOR = 0.65
_RELAXED_TOL = 0.03
_MAX_POOR = 3


@dataclass(frozen=True)
class TrustMemory:
    """What a search carries from step to step.

    Attributes:
        wall_energy, wall_gradient, wall_hessian: the wall here.
        radius: the trust radius in A.
        mode: the climbed mode; zero where the lowest is to be taken.
        age: steps since the last exact Hessian.
        poor: badly predicted steps in a row.
        is_relaxing: whether the system goes down to a minimum instead of climbing.
        attempt: tries begun before this one.
        branch: climbs from the present minimum before this one; it tells the mode and its sign.
        try_steps, torn_steps: steps of this try, and those in a row in more pieces than allowed.
        home, home_energy, home_gradient, home_hessian: where tries begin: the start, later the last minimum of the whole molecule.
        is_minimum: whether home is such a minimum.
    """

    wall_energy: Float[Tensor, " B"]
    wall_gradient: Float[Tensor, "B D"]
    wall_hessian: Float[Tensor, "B D D"]
    radius: Float[Tensor, " B"]
    mode: Float[Tensor, "B D"]
    age: Int[Tensor, " B"]
    poor: Int[Tensor, " B"]
    is_relaxing: Bool[Tensor, " B"]
    attempt: Int[Tensor, " B"]
    branch: Int[Tensor, " B"]
    try_steps: Int[Tensor, " B"]
    torn_steps: Int[Tensor, " B"]
    home: Float[Tensor, "B N 3"]
    home_energy: Float[Tensor, " B"]
    home_gradient: Float[Tensor, "B D"]
    home_hessian: Float[Tensor, "B D D"]
    is_minimum: Bool[Tensor, " B"]


def init(calculator: Calculator, batch: Batch, hyperparameters: TrustHyperparameters) -> State:
    """The state at the starting points, atoms that sit upon each other pushed apart."""
    batch = untangle(batch, _START_FLOOR)
    state = begin(batch, calculator)
    zero, no = torch.zeros_like(state.steps), torch.zeros_like(state.is_exact)
    gradient = -state.forces.flatten(1)
    memory = TrustMemory(
        wall_energy=torch.zeros_like(state.energy),
        wall_gradient=torch.zeros_like(gradient),
        wall_hessian=torch.zeros_like(state.hessian),
        radius=torch.full_like(state.energy, hyperparameters.radius_start),
        mode=torch.zeros_like(gradient),
        age=zero,
        poor=zero,
        is_relaxing=no,
        attempt=zero,
        branch=zero,
        try_steps=zero,
        torn_steps=zero,
        home=batch.positions,
        home_energy=state.energy,
        home_gradient=gradient,
        home_hessian=state.hessian,
        is_minimum=no,
    )
    return replace(state, memory=memory)


def step(calculator: Calculator, state: State, hyperparameters: TrustHyperparameters) -> State:
    """The state after one step of every system, from home where its try is over, else from where it is."""
    state = _turn(state, hyperparameters)
    memory: TrustMemory = state.memory
    surface_gradient = memory.wall_gradient - state.forces.flatten(1)
    curvature = state.hessian + memory.wall_hessian
    climbed, mode = _climbed(state)
    move = _trust_move(state, surface_gradient, climbed)
    move = shorten(state.batch, move.unflatten(1, (-1, 3)), FLOOR)
    flat = move.flatten(1)
    predicted = (surface_gradient * flat).sum(-1) + (flat * (curvature @ flat[..., None])[..., 0]).sum(-1) / 2
    state = replace(state, memory=replace(memory, mode=mode))
    return _arrive(calculator, state, move, predicted, hyperparameters)


def _turn(state: State, h: TrustHyperparameters) -> State:
    """The searches with finished tries put back home, where the next try begins."""
    memory: TrustMemory = state.memory
    is_walled = memory.wall_energy > 0
    force = _max_force(memory.wall_gradient - state.forces.flatten(1))
    is_flat = (force < FORCE_TOL) & (state.is_exact | is_walled)
    is_long = memory.try_steps >= h.try_steps
    is_down = memory.is_relaxing & (
        ((force < _RELAXED_TOL) & (state.order == 0) & (state.is_exact | is_walled)) | is_long
    )
    is_lost = ~memory.is_relaxing & (
        (is_flat & ((state.order == 1) | is_walled)) | (memory.torn_steps >= h.torn_steps) | is_long
    )
    memory = replace(
        memory,
        home=_pick(is_down, state.batch.positions, memory.home),
        home_energy=_pick(is_down, state.energy, memory.home_energy),
        home_gradient=_pick(is_down, -state.forces.flatten(1), memory.home_gradient),
        home_hessian=_pick(is_down, state.hessian, memory.home_hessian),
        is_minimum=memory.is_minimum | is_down,
        branch=torch.where(is_down, 0, memory.branch + (is_lost & memory.is_minimum)),
    )
    is_back = is_down | is_lost
    state = replace(state, memory=memory)
    if not is_back.any():
        return state
    return _put(state, is_back.nonzero().flatten(), lambda part: _go_home(part, h))


def _go_home(state: State, h: TrustHyperparameters) -> State:
    """The searches at home, about to relax where home is no minimum yet, else about to climb along the next mode."""
    memory: TrustMemory = state.memory
    batch = state.batch.moved_to(memory.home)
    barrier = wall(batch, state.max_fragments)
    here = spectrum(memory.home_hessian + barrier.hessian, batch)
    n_modes = here.eigenvalues.isfinite().sum(-1)
    number = torch.minimum(memory.branch // 2, n_modes - 1)
    rows = torch.arange(len(number), device=number.device)
    sign = 1.0 - 2.0 * (memory.branch % 2)
    mode = torch.where(memory.is_minimum[:, None], sign[:, None] * here.modes[rows, :, number], 0.0)
    zero = torch.zeros_like(memory.age)
    memory = replace(
        memory,
        wall_energy=barrier.energy,
        wall_gradient=barrier.gradient,
        wall_hessian=barrier.hessian,
        radius=torch.full_like(memory.radius, h.radius_start),
        mode=mode,
        age=zero,
        poor=zero,
        is_relaxing=~memory.is_minimum,
        attempt=memory.attempt + 1,
        try_steps=zero,
        torn_steps=zero,
    )
    return replace(
        state,
        batch=batch,
        energy=memory.home_energy,
        forces=-memory.home_gradient.unflatten(1, (-1, 3)),
        hessian=memory.home_hessian,
        spectrum=here,
        memory=memory,
    )


def _climbed(state: State) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
    """1 at the mode that each system climbs, and that mode; zero once it is the lowest, which is climbed from then on."""
    memory: TrustMemory = state.memory
    overlaps = (state.spectrum.modes.mT @ memory.mode[..., None])[..., 0]
    likeness = torch.where(state.spectrum.eigenvalues.isfinite(), overlaps.abs(), -1.0)
    is_following = memory.mode.any(-1)
    best = torch.where(is_following, likeness.argmax(-1), 0)
    rows = torch.arange(len(best), device=best.device)
    sign = torch.where(overlaps[rows, best] < 0, -1.0, 1.0)
    mode = sign[:, None] * state.spectrum.modes[rows, :, best]
    keeps = is_following & ((best > 0) | (memory.try_steps == 0))
    climbed = torch.nn.functional.one_hot(best, overlaps.shape[-1]).to(overlaps.dtype)
    return climbed * ~memory.is_relaxing[:, None], mode * keeps[:, None]


def _trust_move(state: State, gradient: Float[Tensor, "B D"], climbed: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """The trust-region step in A: no atom moves farther than the radius."""
    memory: TrustMemory = state.memory
    root = sqrt_masses(state.batch)
    inverse = torch.where(root > 0, 1 / root.clamp(min=1e-12), 0.0)
    modes, eigenvalues = state.spectrum.modes, state.spectrum.eigenvalues
    components = (modes.mT @ (inverse * gradient)[..., None])[..., 0]
    signs = (modes.mT @ memory.mode[..., None])[..., 0].sign()
    is_kick = (climbed > 0) & memory.mode.any(-1)[:, None] & (memory.try_steps == 0)[:, None]
    components = torch.where(is_kick, 1e-6 * signs, components)
    radius = memory.radius * root.amax(-1)
    for _ in range(3):  # the radius in mass-weighted coordinates at which the farthest atom moves by the one in A
        step = image_step(components, eigenvalues, climbed, radius)
        move = inverse * (modes @ step[..., None])[..., 0]
        farthest = _max_force(move)
        radius = radius * torch.where(farthest > 1e-12, memory.radius / farthest.clamp(min=1e-12), 1.0).clamp(0.1, 10.0)
    return move * (memory.radius / farthest.clamp(min=1e-12)).clamp(max=1.0)[:, None]


def _arrive(
    calculator: Calculator, state: State, move: Float[Tensor, "B N 3"], predicted: Float[Tensor, " B"], h: TrustHyperparameters
) -> State:
    """The state after the move: evaluated, its Hessian updated or computed, its trust radius and counters adapted."""
    memory: TrustMemory = state.memory
    batch = state.batch.moved_to(state.batch.positions + move)
    is_due = ((memory.age + 1 >= h.hessian_every) | (memory.poor >= _MAX_POOR)) & ~memory.is_relaxing
    moved = _evaluated(calculator, replace(state, batch=batch, steps=state.steps + 1), is_due)
    change = state.forces.flatten(1) - moved.forces.flatten(1)
    updated = bofill(state.hessian, move.flatten(1), change)
    barrier = wall(batch, state.max_fragments)
    hessian = torch.where(is_due[:, None, None], moved.hessian, updated)
    moved = replace(moved, hessian=hessian, spectrum=spectrum(hessian + barrier.hessian, batch))
    force = _max_force(barrier.gradient - moved.forces.flatten(1))
    tolerance = torch.where(memory.is_relaxing, _RELAXED_TOL, FORCE_TOL)
    is_claim = (force < tolerance) & ~is_due & ~barrier.is_active
    if is_claim.any():
        moved = _put(moved, is_claim.nonzero().flatten(), lambda part: _certified(calculator, part))
    is_exact = is_due | is_claim
    actual = moved.energy + barrier.energy - state.energy - memory.wall_energy
    radius, is_poor = _adapted(memory.radius, actual / predicted, _max_force(move.flatten(1)), h)
    memory = replace(
        memory,
        wall_energy=barrier.energy,
        wall_gradient=barrier.gradient,
        wall_hessian=barrier.hessian,
        radius=radius,
        age=torch.where(is_exact, 0, memory.age + 1),
        poor=torch.where(is_poor & ~is_exact, memory.poor + 1, 0),
        try_steps=memory.try_steps + 1,
        torn_steps=torch.where(barrier.is_active, memory.torn_steps + 1, 0),
    )
    return replace(moved, memory=memory, is_exact=is_exact & ~barrier.is_active)


def _evaluated(calculator: Calculator, state: State, is_exact: Bool[Tensor, " B"]) -> State:
    """The state with energy and forces at its positions, and with the Hessian of those that are to be exact."""
    for chosen, wanted in ((is_exact, True), (~is_exact, False)):
        rows = chosen.nonzero().flatten()
        if len(rows):
            state = _put(state, rows, lambda part, wanted=wanted: _computed(calculator, part, hessian=wanted))
    return state


def _computed(calculator: Calculator, state: State, *, hessian: bool) -> State:
    evaluation, seconds = evaluate(calculator, state.batch, hessian=hessian)
    return replace(
        state,
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=state.hessian if evaluation.hessian is None else evaluation.hessian,
        n_gradient=state.n_gradient + 1,
        n_hessian=state.n_hessian + int(hessian),
        calculator_s=state.calculator_s + seconds / len(state.batch),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(state.batch))),
    )


def _certified(calculator: Calculator, state: State) -> State:
    """The state with its exact Hessian and the spectrum of that."""
    exact = _computed(calculator, state, hessian=True)
    exact = replace(exact, n_gradient=state.n_gradient)
    return replace(exact, spectrum=spectrum(exact.hessian, exact.batch))


def _adapted(
    radius: Float[Tensor, " B"], ratio: Float[Tensor, " B"], length: Float[Tensor, " B"], h: TrustHyperparameters
) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
    """The radius after a step of that length, and whether the step was poorly predicted."""
    is_good = (ratio > 0.7) & (ratio < 1.4) & (length > 0.7 * radius)
    is_poor = ~((ratio > 0.2) & (ratio < 2.0))
    radius = torch.where(is_good, radius * h.radius_grow, radius)
    radius = torch.where(is_poor, torch.minimum(radius, length) * h.radius_shrink, radius)
    return radius.clamp(h.radius_min, h.radius_max), is_poor


def _max_force(vector: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """The longest of the atoms' parts of a vector."""
    return vector.unflatten(1, (-1, 3)).norm(dim=-1).amax(-1)


def _pick(condition: Bool[Tensor, " B"], yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def _put(state: State, rows: Int[Tensor, " R"], change: Callable[[State], State]) -> State:
    """The state with some of its systems changed."""
    changed = concatenate([state, change(take(state, rows))])
    place = torch.arange(len(state.batch), device=rows.device)
    place[rows] = len(state.batch) + torch.arange(len(rows), device=rows.device)
    return take(changed, place)
