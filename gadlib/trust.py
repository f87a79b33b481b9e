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
from gadlib.chemistry import BOND_SCALE
from gadlib.confine import FLOOR, model_hessian, shorten, untangle, wall
from gadlib.criteria import FORCE_TOL
from gadlib.hyperparameters import TrustHyperparameters
from gadlib.modes import spectrum, sqrt_masses
from gadlib.quadratic import bfgs, image_step, probe, ts_bfgs
from gadlib.state import State, begin, concatenate, evaluate, take
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

_START_FLOOR = 0.65
_RELAXED_TOL = 0.03
_MAX_POOR = 3
_PRESS_EDGE = 1.0
_KICK = 0.3
_PRESSES = 3
_NEAR = 0.3
_MAX_AGE = 20
_DEAR_S = 0.03
_PROBE = 0.01
_PROBES_AT_ONCE = 8
_PROBES_START = 11
_SOFT_CM1 = 100.0
_MAX_KICKED = 1000


@dataclass(frozen=True)
class TrustMemory:
    """What a search carries from step to step.

    Attributes:
        is_thrifty: whether Hessians are spared: modelled, probed along soft modes, updated.
        wall_energy, wall_gradient, wall_hessian: the wall here.
        radius: the trust radius in A.
        mode: the climbed mode; zero where the lowest is to be taken.
        age: steps since the last exact Hessian.
        poor: badly predicted steps in a row.
        is_relaxing: whether the system goes down to a minimum instead of climbing.
        attempt: tries begun before this one.
        branch: climbs from the present minimum before this one; it tells the mode and its sign.
        try_steps, torn_steps: steps of this try, and those in a row in more pieces than allowed.
        relaxations: relaxations begun.
        start: the starting point in A.
        home, home_energy, home_gradient, home_hessian: the last minimum of the whole molecule; the start while there is none.
        is_minimum: whether home is a minimum with modes yet to be climbed.
    """

    is_thrifty: Bool[Tensor, " B"]
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
    relaxations: Int[Tensor, " B"]
    start: Float[Tensor, "B N 3"]
    home: Float[Tensor, "B N 3"]
    home_energy: Float[Tensor, " B"]
    home_gradient: Float[Tensor, "B D"]
    home_hessian: Float[Tensor, "B D D"]
    is_minimum: Bool[Tensor, " B"]


def init(calculator: Calculator, batch: Batch, hyperparameters: TrustHyperparameters) -> State:
    """The state at the starting points, atoms that sit upon each other pushed apart."""
    batch = untangle(batch, _START_FLOOR)
    is_thrifty = hyperparameters.dear == "calls" or (hyperparameters.dear == "auto" and _gradient_s(calculator, batch) > _DEAR_S)
    state = begin(batch, calculator, model_hessian(batch) if is_thrifty else None)
    if is_thrifty:
        state = _probed(calculator, state, _PROBES_START)
    zero, no = torch.zeros_like(state.steps), torch.zeros_like(state.is_exact)
    gradient = -state.forces.flatten(1)
    memory = TrustMemory(
        is_thrifty=no | is_thrifty,
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
        relaxations=zero,
        start=batch.positions,
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
    is_first = memory.is_minimum & (memory.branch == 0) & (memory.try_steps == 0)
    is_later = (memory.age + 1) % hyperparameters.probe_every == 0
    for rows, number in ((is_first, _PROBES_START), (is_later & ~is_first, 1)):
        rows = rows & memory.is_thrifty & ~memory.is_relaxing
        if rows.any():
            state = _put(state, rows.nonzero().flatten(), lambda part, number=number: _probed(calculator, part, number))
    surface_gradient = memory.wall_gradient - state.forces.flatten(1)
    curvature = state.hessian + memory.wall_hessian
    climbed, mode = _climbed(state)
    move = _trust_move(state, surface_gradient, climbed)
    move = shorten(state.batch, move.unflatten(1, (-1, 3)), FLOOR)
    flat = move.flatten(1)
    predicted = (surface_gradient * flat).sum(-1) + (flat * (curvature @ flat[..., None])[..., 0]).sum(-1) / 2
    is_jump = memory.is_relaxing & (memory.try_steps == 0)  # the first point of a relaxation is not known yet
    move = torch.where(is_jump[:, None, None], 0.0, move)
    state = replace(state, memory=replace(memory, mode=mode))
    return _arrive(calculator, state, move, predicted, hyperparameters)


def _turn(state: State, h: TrustHyperparameters) -> State:
    """The searches whose tries are over, put where the next try begins."""
    memory: TrustMemory = state.memory
    is_walled = memory.wall_energy > 0
    force = _longest(memory.wall_gradient - state.forces.flatten(1))
    is_long = memory.try_steps >= h.try_steps
    is_rest = (force < _RELAXED_TOL) & (memory.try_steps > h.press_steps)
    is_down = memory.is_relaxing & is_rest & ~is_walled & (state.order == 0)
    is_apart = (memory.try_steps > h.press_steps + h.torn_steps) & (memory.torn_steps >= h.torn_steps)
    is_stuck = memory.is_relaxing & ((is_rest & is_walled) | is_apart | is_long)
    is_found = (force < FORCE_TOL) & ((state.is_exact & (state.order == 1)) | is_walled)
    is_lost = ~memory.is_relaxing & (is_found | (memory.torn_steps >= h.torn_steps) | is_long)
    branch = torch.where(is_down, 0, memory.branch + is_lost)
    is_minimum = is_down | (memory.is_minimum & (branch < h.branches))
    goes_home = is_down | (is_lost & is_minimum)
    goes_back = is_stuck | (is_lost & ~is_minimum)
    memory = replace(
        memory,
        home=_pick(is_down, state.batch.positions, memory.home),
        home_energy=_pick(is_down, state.energy, memory.home_energy),
        home_gradient=_pick(is_down, -state.forces.flatten(1), memory.home_gradient),
        home_hessian=_pick(is_down, state.hessian, memory.home_hessian),
        is_minimum=is_minimum,
        branch=branch,
    )
    state = replace(state, memory=memory)
    for rows, change in ((goes_home, _go_home), (goes_back, _go_back)):
        if rows.any():
            state = _put(state, rows.nonzero().flatten(), lambda part, change=change: change(part, h))
    return state


def _go_home(state: State, h: TrustHyperparameters) -> State:
    """The searches at their minima, about to climb along the next mode."""
    memory: TrustMemory = state.memory
    batch = state.batch.moved_to(memory.home)
    here = spectrum(memory.home_hessian, batch)
    rows = torch.arange(len(batch), device=memory.home.device)
    n_modes = here.eigenvalues.isfinite().sum(-1)
    n_soft = (here.eigenvalues < (_SOFT_CM1 / CM1_PER_SQRT_EIGENVALUE) ** 2).sum(-1)  # these lead to flat saddles: last
    number = (n_soft + memory.branch // 2) % n_modes
    sign = 1.0 - 2.0 * (memory.branch % 2)
    memory = replace(
        _new_try(memory, h), mode=sign[:, None] * here.modes[rows, :, number], is_relaxing=torch.zeros_like(memory.is_relaxing)
    )
    gradient = memory.home_gradient.unflatten(1, (-1, 3))
    return replace(
        state, batch=batch, energy=memory.home_energy, forces=-gradient, hessian=memory.home_hessian, spectrum=here, memory=memory
    )


def _go_back(state: State, h: TrustHyperparameters) -> State:
    """The searches at their starting points, from the second time on somewhat disturbed, about to relax within the wall.

    Pieces that came apart in spite of it are pressed together again where they are, a few times.
    """
    memory: TrustMemory = state.memory
    kicks = [_kick(state.batch.positions[i], int(n)) for i, n in enumerate(memory.relaxations)]
    is_again = memory.is_relaxing & (memory.relaxations % _PRESSES > 0)
    base = torch.where(is_again[:, None, None], state.batch.positions, memory.start)
    batch = untangle(state.batch.moved_to(base + torch.stack(kicks)), _START_FLOOR)
    model = model_hessian(batch)
    memory = replace(
        _new_try(memory, h),
        mode=torch.zeros_like(memory.mode),
        is_relaxing=torch.ones_like(memory.is_relaxing),
        relaxations=memory.relaxations + 1,
    )
    return replace(state, batch=batch, hessian=model, spectrum=spectrum(model, batch), memory=memory)


def _new_try(memory: TrustMemory, h: TrustHyperparameters) -> TrustMemory:
    zero = torch.zeros_like(memory.age)
    return replace(
        memory,
        wall_energy=torch.zeros_like(memory.wall_energy),
        wall_gradient=torch.zeros_like(memory.wall_gradient),
        wall_hessian=torch.zeros_like(memory.wall_hessian),
        radius=torch.full_like(memory.radius, h.radius_start),
        age=zero,
        poor=zero,
        attempt=memory.attempt + 1,
        try_steps=zero,
        torn_steps=zero,
    )


def _kick(positions: Float[Tensor, "N 3"], number: int) -> Float[Tensor, "N 3"]:
    """The disturbance of the numbered relaxation, the same for every system; none for the first."""
    generator = torch.Generator().manual_seed(number)
    kick = torch.randn(_MAX_KICKED, 3, generator=generator, dtype=torch.float64)[: len(positions)]
    return (_KICK * min(number, 1) * kick).to(positions)


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
        farthest = _longest(move)
        radius = radius * torch.where(farthest > 1e-12, memory.radius / farthest.clamp(min=1e-12), 1.0).clamp(0.1, 10.0)
    return move * (memory.radius / farthest.clamp(min=1e-12)).clamp(max=1.0)[:, None]


def _arrive(
    calculator: Calculator, state: State, move: Float[Tensor, "B N 3"], predicted: Float[Tensor, " B"], h: TrustHyperparameters
) -> State:
    """The state after the move: evaluated, its Hessian updated or computed, its trust radius and counters adapted."""
    memory: TrustMemory = state.memory
    batch = state.batch.moved_to(state.batch.positions + move)
    is_due = (memory.age + 1 >= h.hessian_every) | (memory.poor >= _MAX_POOR)
    is_due = is_due & ~memory.is_relaxing & ~memory.is_thrifty
    moved = _evaluated(calculator, replace(state, batch=batch, steps=state.steps + 1), is_due)
    step, change = move.flatten(1), state.forces.flatten(1) - moved.forces.flatten(1)
    updated = _updated(state, step, change)
    hessian = _pick(is_due, moved.hessian, updated)
    edge = torch.where(memory.is_relaxing & (memory.try_steps + 1 < h.press_steps), _PRESS_EDGE, BOND_SCALE)
    pieces = torch.where(memory.is_relaxing, 1, state.max_fragments)
    barrier = wall(batch, pieces, edge.to(move.dtype), memory.is_relaxing)
    moved = replace(moved, hessian=hessian, spectrum=spectrum(hessian + barrier.hessian, batch))
    force = _longest(barrier.gradient - moved.forces.flatten(1))
    is_near = memory.is_relaxing & (force < _NEAR) & (memory.age >= _MAX_AGE) & ~memory.is_thrifty & (memory.try_steps >= h.press_steps)
    is_claim = (is_near | (~memory.is_relaxing & (force < FORCE_TOL))) & ~is_due & ~barrier.is_active
    if is_claim.any():
        moved = _put(moved, is_claim.nonzero().flatten(), lambda part: _certified(calculator, part))
    is_exact = is_due | is_claim
    actual = moved.energy + barrier.energy - state.energy - memory.wall_energy
    radius, is_poor = _adapted(memory.radius, actual / predicted, _longest(step), h)
    is_jump = step.square().sum(-1) == 0
    memory = replace(
        memory,
        wall_energy=barrier.energy,
        wall_gradient=barrier.gradient,
        wall_hessian=barrier.hessian,
        radius=_pick(is_jump, memory.radius, radius),
        age=torch.where(is_exact, 0, memory.age + 1),
        poor=torch.where(is_poor & ~is_exact & ~is_jump, memory.poor + 1, 0),
        try_steps=memory.try_steps + 1,
        torn_steps=torch.where(barrier.is_active, memory.torn_steps + 1, 0),
    )
    return replace(moved, memory=memory, is_exact=is_exact & ~barrier.is_active)


def _updated(state: State, step: Float[Tensor, "B D"], change: Float[Tensor, "B D"]) -> Float[Tensor, "B D D"]:
    """The Hessian updated from a step and the change of the gradient: by BFGS on the way down, by TS-BFGS on the way up."""
    root = sqrt_masses(state.batch)
    positive = torch.where(state.spectrum.eigenvalues.isfinite(), state.spectrum.eigenvalues.abs(), 0.0)
    modes = state.spectrum.modes
    mapped = root * (modes @ (positive[..., None] * (modes.mT @ (root * step)[..., None])))[..., 0]
    up = ts_bfgs(state.hessian, step, change, mapped)
    return _pick(state.memory.is_relaxing, bfgs(state.hessian, step, change), up)


def _probed(calculator: Calculator, state: State, number: int) -> State:
    """The state with its Hessian corrected along its softest modes by differences of gradients, one after the other.

    Each correction changes what is softest, so that the last ones close in on the lowest mode, as in Davidson's method.
    """
    root = sqrt_masses(state.batch)
    inverse = torch.where(root > 0, 1 / root.clamp(min=1e-12), 0.0)
    extra = 0.0 if state.memory is None else state.memory.wall_hessian
    known = torch.zeros_like(inverse[:, :, None])[:, :, :0]
    found = known
    block = min(_PROBES_AT_ONCE, number)
    for size in [block] + [1] * (number - block):
        vectors = inverse[:, :, None] * state.spectrum.modes[:, :, :size]
        vectors = torch.linalg.qr(vectors - known @ (known.mT @ vectors)).Q
        changes = []
        for vector in vectors.unbind(-1):
            moved = state.batch.moved_to(state.batch.positions + _PROBE * vector.unflatten(1, (-1, 3)))
            evaluation, seconds = evaluate(calculator, moved, hessian=False)
            changes.append((state.forces - evaluation.forces).flatten(1) / _PROBE)
            spent = state.calculator_s + seconds / len(state.batch)
            state = replace(state, n_gradient=state.n_gradient + 1, calculator_s=spent)
        known = torch.cat([known, vectors], -1)
        found = torch.cat([found, torch.stack(changes, -1)], -1)
        hessian = probe(state.hessian, known, found)
        here = spectrum(hessian + extra, state.batch)
        state = replace(state, hessian=hessian, spectrum=here, is_exact=torch.zeros_like(state.is_exact))
    return state


def _gradient_s(calculator: Calculator, batch: Batch) -> float:
    """The seconds that the calculator takes for one gradient of one molecule; the first call is not timed."""
    one = batch.take(torch.tensor([0], device=batch.positions.device))
    evaluate(calculator, one, hessian=False)
    return evaluate(calculator, one, hessian=False)[1]


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


def _longest(vector: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
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
