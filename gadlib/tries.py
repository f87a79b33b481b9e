"""The tries of a trust search: what it remembers, when a try is over, where the next one begins.

A distorted start settles first; then the first try climbs straight from there. Where that tears the
molecule apart, ends at a saddle that does not suffice or takes too long, a search with an aim
climbs once more from there, in longer steps. Then it goes back to the start and relaxes within a
firm wall (`confine`) to a minimum of the whole molecule; from there it climbs along one mode after
the other. Floor 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.chemistry import n_fragments
from gadlib.confine import untangle
from gadlib.criteria import FORCE_TOL
from gadlib.hyperparameters import TrustHyperparameters
from gadlib.mend import mended
from gadlib.modes import spectrum, within
from gadlib.springs import model_hessian
from gadlib.state import State, put
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

START_FLOOR = 0.65
STRIDE = 3.0
"""How many times farther than in the first try, which is to stay near, a step may go in others."""

SETTLED_FORCE = 20.0
"""eV/A on any atom: below, a start is no longer what noise made of it, but a molecule."""

RELAXED_TOL = 0.03
_SETTLE_STEPS = 30
_FIRST = 10
_LOOSE = 1 / 3
_APART_STEPS = 10
_KICK = 0.5
_SOFT_CM1 = 100.0
_SOFT = 3.0  # eV/(A^2 amu), 900 cm-1
_MAX_KICKED = 1000
_MAX_CLAIMS = 4
_MAX_CLIMB = 12.0  # eV; the strongest bond, of CO, takes 11
_FALL_STEPS = 20  # a distorted start is high and comes down


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
        claims: exact Hessians spent in this try on stationary points that it climbed to.
        is_relaxing: whether the system goes down, to settle or to a minimum, instead of climbing.
        is_settling: whether it does so only until a distorted start is whole and its forces are
            those of a molecule.
        attempt: tries begun before this one.
        branch: climbs from the present minimum before this one; it tells the mode and its sign.
        n_pieces: connected pieces of the bond graph here.
        try_steps, torn_steps: steps of this try, and those in a row in more pieces than allowed.
        relaxations: relaxations begun.
        anchor: where the try was at its beginning, and then every eighth step, in A.
        is_arrived: whether this climb has come near a point of order one.
        is_circling: whether a step of full length led back there.
        lowest: the lowest energy met so far in eV.
        start: the point that the first climb begins at, in A.
        home, home_energy, home_gradient, home_hessian: the last minimum of the whole molecule; the
            start while there is none.
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
    claims: Int[Tensor, " B"]
    is_relaxing: Bool[Tensor, " B"]
    is_settling: Bool[Tensor, " B"]
    attempt: Int[Tensor, " B"]
    branch: Int[Tensor, " B"]
    n_pieces: Int[Tensor, " B"]
    try_steps: Int[Tensor, " B"]
    torn_steps: Int[Tensor, " B"]
    relaxations: Int[Tensor, " B"]
    anchor: Float[Tensor, "B N 3"]
    is_arrived: Bool[Tensor, " B"]
    is_circling: Bool[Tensor, " B"]
    lowest: Float[Tensor, " B"]
    start: Float[Tensor, "B N 3"]
    home: Float[Tensor, "B N 3"]
    home_energy: Float[Tensor, " B"]
    home_gradient: Float[Tensor, "B D"]
    home_hessian: Float[Tensor, "B D D"]
    is_minimum: Bool[Tensor, " B"]
    is_mended: Bool[Tensor, " B"]


def turn(state: State, h: TrustHyperparameters) -> State:
    """The searches whose tries are over, put where the next try begins."""
    state = _settled(state, h)
    memory: TrustMemory = state.memory
    is_walled = memory.wall_energy > 0
    is_relaxing = memory.is_relaxing & ~memory.is_settling
    force = longest(memory.wall_gradient - state.forces.flatten(1))
    is_long = memory.try_steps >= h.try_steps
    is_rest = (force < RELAXED_TOL) & (memory.try_steps > 0)
    is_down = is_relaxing & is_rest & ~is_walled & (state.order == 0)
    is_apart = memory.torn_steps >= _APART_STEPS
    is_stuck = is_relaxing & ((is_rest & is_walled) | is_apart | is_long)
    is_known = (state.is_exact & (state.order == 1)) | (memory.claims >= _MAX_CLAIMS)
    is_found = (force < FORCE_TOL) & (is_known | is_walled)
    is_astray = memory.is_circling | (_is_high(state) & (memory.try_steps > _FALL_STEPS))
    is_over = is_found | is_astray | (memory.torn_steps >= h.torn_steps) | is_long
    is_lost = ~memory.is_relaxing & is_over
    if not (is_down | is_stuck | is_lost).any():
        return state
    branch = torch.where(is_down, 0, memory.branch + is_lost)
    is_minimum = is_down | (memory.is_minimum & (branch < h.branches))
    goes_home = is_down | (is_lost & is_minimum)
    is_again = is_lost & ~is_minimum & (memory.attempt == 0) & state.wanted.is_set
    goes_back = is_stuck | (is_lost & ~is_minimum & ~is_again)
    memory = replace(_made_home(state, is_down), is_minimum=is_minimum, branch=branch)
    state = replace(state, memory=memory)
    for rows, change in ((is_again, _go_again), (goes_home, _go_home), (goes_back, _go_back)):
        state = put(state, rows.nonzero().flatten(), lambda part, change=change: change(part, h))
    return state


def _settled(state: State, h: TrustHyperparameters) -> State:
    """The searches that have settled, about to climb from where they are.

    Those that do not come to rest have their try over, and relax from the start in earnest.
    """
    memory: TrustMemory = state.memory
    if not memory.is_settling.any():
        return state
    is_calm = (state.max_force < SETTLED_FORCE) & (memory.n_pieces <= state.max_fragments)
    is_calm = is_calm | (not state.batch.is_free)  # particles on a surface know no such forces
    is_done = memory.is_settling & is_calm
    n_loose = memory.n_pieces - state.max_fragments
    is_wreck = (memory.try_steps >= _FIRST) | (n_loose > _LOOSE * state.batch.n_atoms)
    is_wreck = memory.is_settling & ~is_calm & ~memory.is_mended & is_wreck & state.batch.is_free
    is_late = memory.is_settling & ~is_calm & (memory.try_steps >= _SETTLE_STEPS)
    if not (is_done | is_late | is_wreck).any():
        return state
    state = put(state, is_wreck.nonzero().flatten(), lambda part: _mended(part, h))
    memory = state.memory
    memory = replace(
        _made_home(state, is_done),
        start=pick(is_done, state.batch.positions, memory.start),
        anchor=pick(is_done, state.batch.positions, memory.anchor),
        is_relaxing=memory.is_relaxing & ~is_done,
        is_settling=memory.is_settling & ~is_done & ~is_late,
        try_steps=torch.where(is_done, 0, torch.where(is_late, h.try_steps, memory.try_steps)),
    )
    return replace(state, memory=memory)


def _mended(state: State, h: TrustHyperparameters) -> State:
    """The searches whose starts are no molecules, about to settle once more from these mended."""
    attempt = state.memory.attempt
    state = _put_together(state, state.memory.start, h)
    memory = replace(
        state.memory,
        attempt=attempt,
        start=state.batch.positions,
        is_mended=torch.ones_like(state.memory.is_mended),
    )
    return replace(state, memory=memory)


def at_home(state: State) -> State:
    """The state in which starts that are minima are known as such, before the first climb."""
    memory: TrustMemory = state.memory
    is_home = (memory.attempt == 0) & (memory.try_steps == 0) & ~memory.is_relaxing
    is_home = is_home & (state.order == 0) & (state.max_force < RELAXED_TOL)
    if not is_home.any():
        return state
    memory = replace(_made_home(state, is_home), is_minimum=memory.is_minimum | is_home)
    return replace(state, memory=memory)


def is_at_start(memory: TrustMemory) -> Bool[Tensor, " B"]:
    """Which climbs began at the start, before any relaxation in earnest."""
    is_again = (memory.attempt == 1) & (memory.relaxations == 0) & ~memory.is_minimum
    return (memory.attempt == 0) | is_again


def aim_at(state: State) -> tuple[Bool[Tensor, " B"], Int[Tensor, " B"]]:
    """Which systems climb towards an aim, and the place of the mode with most of it.

    Of two modes with as much of it the softer one is taken: the aim tells the reaction, the soft
    mode the way in.
    """
    memory: TrustMemory = state.memory
    is_aiming = state.wanted.is_set & is_at_start(memory) & ~memory.is_arrived
    is_aiming = is_aiming & ~memory.is_relaxing
    if not is_aiming.any():
        return is_aiming, torch.zeros_like(memory.age)
    eigenvalues = state.spectrum.eigenvalues
    parts = within(state.spectrum.modes, state.wanted.directions(state.batch))
    worth = parts / (1 + eigenvalues.clamp(min=0) / _SOFT)
    return is_aiming, torch.where(eigenvalues.isfinite(), worth, -1.0).argmax(-1)


def _made_home(state: State, chosen: Bool[Tensor, " B"]) -> TrustMemory:
    """The memory in which the chosen systems have their home where they are."""
    memory: TrustMemory = state.memory
    if not chosen.any():
        return memory
    return replace(
        memory,
        home=pick(chosen, state.batch.positions, memory.home),
        home_energy=pick(chosen, state.energy, memory.home_energy),
        home_gradient=pick(chosen, -state.forces.flatten(1), memory.home_gradient),
        home_hessian=pick(chosen, state.hessian, memory.home_hessian),
    )


def _is_high(state: State) -> Bool[Tensor, " B"]:
    """Whether a molecule is higher above the lowest point met than any reaction takes it."""
    above = state.energy - state.memory.lowest
    return above > (_MAX_CLIMB if state.batch.is_free else torch.inf)


def _go_home(state: State, h: TrustHyperparameters) -> State:
    """The searches at their minima, about to climb along the next mode."""
    memory: TrustMemory = state.memory
    state = _placed_home(state, memory.home_hessian)
    memory = replace(
        _new_try(memory, h),
        n_pieces=torch.ones_like(memory.n_pieces),
        anchor=memory.home,
        mode=_mode_to_climb(state),
        is_relaxing=torch.zeros_like(memory.is_relaxing),
    )
    return replace(state, memory=memory)


def _placed_home(state: State, hessian: Float[Tensor, "B D D"]) -> State:
    """The searches at home, as they were there but for the Hessian."""
    memory: TrustMemory = state.memory
    batch = state.batch.moved_to(memory.home)
    return replace(
        state,
        batch=batch,
        energy=memory.home_energy,
        forces=-memory.home_gradient.unflatten(1, (-1, 3)),
        hessian=hessian,
        spectrum=spectrum(hessian, batch),
    )


def _mode_to_climb(state: State) -> Float[Tensor, "B D"]:
    """The mode that the branch tells, and its sign, at a minimum; those most along an aim first."""
    memory: TrustMemory = state.memory
    here = state.spectrum
    rows = torch.arange(len(memory.age), device=memory.age.device)
    is_mode = here.eigenvalues.isfinite()
    n_modes = is_mode.sum(-1)
    is_soft = here.eigenvalues < (_SOFT_CM1 / CM1_PER_SQRT_EIGENVALUE) ** 2
    number = (is_soft.sum(-1) + memory.branch // 2) % n_modes  # soft ones lead to flat saddles
    parts = within(here.modes, state.wanted.directions(state.batch))
    by_part = torch.where(is_mode, parts, -1.0).argsort(dim=-1, descending=True, stable=True)
    ranked = by_part[rows, (memory.branch // 2) % n_modes]
    mode = here.modes[rows, :, torch.where(state.wanted.is_set, ranked, number)]
    # Which way an eigenvector points is chance; towards these numbers it is not.
    some = torch.arange(1, mode.shape[1] + 1, device=mode.device).to(mode.dtype).cos()
    sign = torch.where((mode * some).sum(-1) < 0, -1.0, 1.0) * (1 - 2 * (memory.branch % 2))
    return sign[:, None] * mode


def at_probed_home(state: State, chosen: Bool[Tensor, " B"]) -> State:
    """The state in which the chosen systems, at new minima, know these as they are probed now."""
    memory: TrustMemory = state.memory
    memory = replace(
        memory,
        home_hessian=pick(chosen, state.hessian, memory.home_hessian),
        mode=pick(chosen, _mode_to_climb(state), memory.mode),
    )
    return replace(state, memory=memory)


def _go_again(state: State, h: TrustHyperparameters) -> State:
    """The searches with an aim where they first began to climb, to do so with longer steps."""
    memory: TrustMemory = state.memory
    state = _placed_home(state, model_hessian(state.batch.moved_to(memory.home)))
    memory = replace(
        _new_try(memory, h),
        n_pieces=n_fragments(state.batch),
        anchor=memory.home,
        mode=torch.zeros_like(memory.mode),
        is_arrived=torch.zeros_like(memory.is_arrived),
    )
    return replace(state, is_exact=torch.zeros_like(state.is_exact), memory=memory)


def _go_back(state: State, h: TrustHyperparameters) -> State:
    """The searches at their starting points, put together, about to relax within the wall.

    From the second time on the starting point is somewhat disturbed before.
    """
    memory: TrustMemory = state.memory
    kicks = [_kick(state.batch.positions[i], int(n)) for i, n in enumerate(memory.relaxations)]
    state = _put_together(state, memory.start + torch.stack(kicks), h)
    memory = replace(
        state.memory,
        mode=torch.zeros_like(memory.mode),
        is_relaxing=torch.ones_like(memory.is_relaxing),
        radius=torch.full_like(memory.radius, STRIDE * h.radius_start),
        relaxations=memory.relaxations + 1,
    )
    return replace(state, memory=memory)


def _put_together(state: State, positions: Float[Tensor, "B N 3"], h: TrustHyperparameters) -> State:
    """The searches about to go down from the molecules put together, at another try."""
    batch = untangle(mended(state.batch.moved_to(positions)), START_FLOOR)
    model = model_hessian(batch)
    memory = replace(_new_try(state.memory, h), n_pieces=n_fragments(batch), anchor=batch.positions)
    return replace(
        state, batch=batch, hessian=model, spectrum=spectrum(model, batch), memory=memory
    )


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
        claims=zero,
        is_circling=torch.zeros_like(memory.is_relaxing),
        attempt=memory.attempt + 1,
        try_steps=zero,
        torn_steps=zero,
    )


def _kick(positions: Float[Tensor, "N 3"], number: int) -> Float[Tensor, "N 3"]:
    """The disturbance of the numbered relaxation, the same for every system; none for the first."""
    return (_KICK * min(number, 1) * _noise(number)[: len(positions)]).to(positions)


@cache
def _noise(number: int) -> Float[Tensor, "M 3"]:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(_MAX_KICKED, 3, generator=generator, dtype=torch.float64)


def longest(vector: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """The longest of the atoms' parts of a vector."""
    return torch.linalg.vector_norm(vector.unflatten(1, (-1, 3)), dim=-1).amax(-1)


def pick(condition: Bool[Tensor, " B"], yes: Tensor, no: Tensor) -> Tensor:
    """For each system the one or the other."""
    if not condition.any():
        return no
    return torch.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
