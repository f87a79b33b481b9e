"""The tries of a trust search: what it remembers, when a try is over, where the next one begins.

A distorted start settles first; where it does not come to rest soon, or is in too many pieces, it
is put together again (`mend`) and settles from there. Then the first try climbs. Where that tears
the molecule apart, ends at a saddle that does not suffice or takes too long, a search with an aim
climbs once more from there, in longer steps. Every further try disturbs the start, puts it together
and climbs from what comes of it. Floor 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch, longest
from gadlib.hessians.normal_modes import Spectrum, spectrum, within
from gadlib.hessians.springs import model_hessian
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.repair import mended
from gadlib.rows import put
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.criteria import FORCE_TOL
from gadlib.solver.state import APART, State
from gadlib.solver.trust.wall import gap, untangle

START_FLOOR = 0.65
STRIDE = 3.0
"""How many times farther than in the first try, which is to stay near, a step may go in others."""

SETTLED_FORCE = 20.0
"""eV/A on any atom: below, a start is no longer what noise made of it, but a molecule."""

REST_FORCE = 0.03
"""eV/A on any atom: below, the forces do not tell which way a mode goes up."""

_PATIENCE = 3  # times as long a molecule that was put together may take to settle
_LOOSE = 1 / 3  # of the atoms
_AIMED = 4
_SOFT = 3.0  # eV/(A^2 amu), 900 cm-1
_BLOCK, _BLOCKS_APART = 1000, 10**6  # atoms whose noise is drawn together; their seeds
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
        age: steps since the last exact Hessian.
        poor: badly predicted steps in a row.
        claims: exact Hessians spent in this try on stationary points that it climbed to.
        is_settling: whether the system goes down until it is whole and its forces are those of a
            molecule, instead of climbing.
        attempt: tries begun before this one.
        n_mended: how often the molecule was put together.
        n_pieces: connected pieces of the bond graph here.
        try_steps, torn_steps: steps of this try, and those in a row in more pieces than allowed, or
            with pieces that have gone from one another.
        anchor: where the try was at its beginning, and then every eighth step, in A.
        is_arrived: whether this climb has come near a point of order one.
        is_circling: whether a step of full length led back there.
        lowest: the lowest energy met so far in eV.
        start, start_energy, start_gradient: the point that the first climb begins at.
        start_gap: the longest link there (`confine.gap`), where more pieces than one are allowed.
    """

    is_thrifty: Bool[Tensor, " B"]
    wall_energy: Float[Tensor, " B"]
    wall_gradient: Float[Tensor, "B D"]
    wall_hessian: Float[Tensor, "B D D"]
    radius: Float[Tensor, " B"]
    age: Int[Tensor, " B"]
    poor: Int[Tensor, " B"]
    claims: Int[Tensor, " B"]
    is_settling: Bool[Tensor, " B"]
    attempt: Int[Tensor, " B"]
    n_mended: Int[Tensor, " B"]
    n_pieces: Int[Tensor, " B"]
    try_steps: Int[Tensor, " B"]
    torn_steps: Int[Tensor, " B"]
    anchor: Float[Tensor, "B N 3"]
    is_arrived: Bool[Tensor, " B"]
    is_circling: Bool[Tensor, " B"]
    lowest: Float[Tensor, " B"]
    start: Float[Tensor, "B N 3"]
    start_energy: Float[Tensor, " B"]
    start_gradient: Float[Tensor, "B D"]
    start_gap: Float[Tensor, " B"]

    @cached_property
    def is_unknown(self) -> Bool[Tensor, " B"]:
        """Which molecules were just put together, so that nothing is computed yet."""
        return self.is_settling & (self.n_mended > 0) & (self.try_steps == 0)


def turn(state: State, h: TrustHyperparameters) -> State:
    """The searches whose tries are over, put where the next try begins."""
    is_calm, is_wreck = _standing(state, h)
    state = _settled(state, is_calm)
    memory: TrustMemory = state.memory
    force = longest(memory.wall_gradient - state.forces.flatten(1))
    is_known = (state.is_exact & (state.order == 1)) | (memory.claims >= _MAX_CLAIMS)
    is_found = (force < FORCE_TOL) & (is_known | (memory.wall_energy > 0))
    is_astray = memory.is_circling | (_is_high(state) & (memory.try_steps > _FALL_STEPS))
    is_long = memory.try_steps >= h.try_steps
    is_over = is_found | is_astray | (memory.torn_steps >= h.torn_steps) | is_long
    is_lost = ~memory.is_settling & is_over
    if not (is_lost | is_wreck).any():
        return state
    is_again = is_lost & (memory.attempt == 0) & state.wanted.is_set
    for rows, change in ((is_again, _go_again), ((is_lost & ~is_again) | is_wreck, _go_back)):
        state = put(state, rows.nonzero().flatten(), lambda part, change=change: change(part, h))
    return state


def _standing(
    state: State, h: TrustHyperparameters
) -> tuple[Bool[Tensor, " B"], Bool[Tensor, " B"]]:
    """Which of the settling searches have come to rest, and which will not."""
    memory: TrustMemory = state.memory
    if not memory.is_settling.any():
        return memory.is_settling, memory.is_settling
    n_loose = memory.n_pieces - state.max_fragments
    is_calm = (state.max_force < SETTLED_FORCE) & (n_loose <= 0) & ~memory.is_unknown
    is_calm = is_calm | (not state.batch.is_free)  # particles on a surface know no such forces
    is_first = memory.n_mended == 0
    is_late = memory.try_steps >= torch.where(is_first, 1, _PATIENCE) * h.settle_steps
    is_wreck = is_late | (is_first & (n_loose > _LOOSE * state.batch.n_atoms))
    is_time = state.steps % APART == 0
    return memory.is_settling & is_calm & is_time, memory.is_settling & ~is_calm & is_wreck


def _settled(state: State, chosen: Bool[Tensor, " B"]) -> State:
    """The state in which the chosen searches are about to climb from where they are.

    The first time, that is their start from now on.
    """
    memory: TrustMemory = state.memory
    if not chosen.any():
        return state
    is_first = chosen & (memory.attempt == 0)
    memory = replace(
        memory,
        start=pick(is_first, state.batch.positions, memory.start),
        start_energy=pick(is_first, state.energy, memory.start_energy),
        start_gradient=pick(is_first, -state.forces.flatten(1), memory.start_gradient),
        start_gap=pick(is_first, gap(state.batch, state.max_fragments > 1), memory.start_gap),
        anchor=pick(chosen, state.batch.positions, memory.anchor),
        is_settling=memory.is_settling & ~chosen,
        try_steps=torch.where(chosen, 0, memory.try_steps),
    )
    return replace(state, memory=memory)


def is_aiming(state: State) -> Bool[Tensor, " B"]:
    """Which systems climb towards an aim: in the first tries, until near a point of order one."""
    memory: TrustMemory = state.memory
    if not state.wanted.is_set.any():
        return state.wanted.is_set
    is_on_the_way = ~memory.is_arrived & ~memory.is_settling & (memory.attempt < _AIMED)
    return state.wanted.is_set & is_on_the_way


def most_aimed(wanted: Aim, batch: Batch, spectrum: Spectrum) -> Int[Tensor, " B"]:
    """The place of the mode with most of the aim.

    Of two modes with as much of it the softer one is taken: the aim tells the reaction, the soft
    mode the way in.
    """
    eigenvalues = spectrum.eigenvalues
    parts = within(spectrum.modes, wanted.directions(batch))
    worth = parts / (1 + eigenvalues.clamp(min=0) / _SOFT)
    return torch.where(eigenvalues.isfinite(), worth, -1.0).argmax(-1)


def _is_high(state: State) -> Bool[Tensor, " B"]:
    """Whether a molecule is higher above the lowest point met than any reaction takes it."""
    above = state.energy - state.memory.lowest
    return above > (_MAX_CLIMB if state.batch.is_free else torch.inf)


def _go_again(state: State, h: TrustHyperparameters) -> State:
    """The searches with an aim where they first began to climb, to do so with longer steps."""
    memory: TrustMemory = state.memory
    state = replace(
        state,
        energy=memory.start_energy,
        forces=-memory.start_gradient.unflatten(1, (-1, 3)),
    )
    return _begun(state, state.batch.moved_to(memory.start), h)


def _go_back(state: State, h: TrustHyperparameters) -> State:
    """The searches at their starting points, put together, about to settle and climb again.

    The starting point is disturbed before, but for the first time that one does not settle; in
    another way where the calculator has just failed at what came of it.
    """
    memory: TrustMemory = state.memory
    numbers = (memory.n_mended + ~memory.is_settling + state.rejected).tolist()
    kicks = [_noise(n, state.batch.positions.shape[1]) * min(n, 1) for n in numbers]
    kick = h.kick * torch.stack(kicks).to(state.batch.positions)
    batch = mended(state.batch.moved_to(memory.start + kick))
    state = _begun(state, untangle(batch, START_FLOOR), h)
    is_first = memory.is_settling & (memory.attempt == 0)
    memory = replace(
        state.memory,
        attempt=torch.where(is_first, 0, state.memory.attempt),
        is_settling=torch.ones_like(memory.is_settling),
        n_mended=memory.n_mended + 1,
    )
    return replace(state, memory=memory)


def _noise(number: int, n_atoms: int) -> Float[Tensor, "N 3"]:
    """The disturbance of that number for so many atoms; that of fewer is the beginning of it."""
    blocks = [_block(number, place) for place in range(-(-n_atoms // _BLOCK))]
    return torch.cat(blocks)[:n_atoms]


@lru_cache(maxsize=64)
def _block(number: int, place: int) -> Float[Tensor, "M 3"]:
    generator = torch.Generator().manual_seed(number + _BLOCKS_APART * place)
    return torch.randn(_BLOCK, 3, generator=generator, dtype=torch.float64)


def _begun(state: State, batch: Batch, h: TrustHyperparameters) -> State:
    """The searches at the beginning of another try, with a guess of the Hessian there."""
    memory: TrustMemory = state.memory
    zero, no = torch.zeros_like(memory.age), torch.zeros_like(memory.is_settling)
    memory = replace(
        memory,
        wall_energy=torch.zeros_like(memory.wall_energy),
        wall_gradient=torch.zeros_like(memory.wall_gradient),
        wall_hessian=torch.zeros_like(memory.wall_hessian),
        radius=torch.full_like(memory.radius, h.radius_start),
        age=zero,
        poor=zero,
        claims=zero,
        is_arrived=no,
        is_circling=no,
        attempt=memory.attempt + 1,
        n_pieces=n_fragments(batch),
        try_steps=zero,
        torn_steps=zero,
        anchor=batch.positions,
    )
    model = model_hessian(batch)
    return replace(
        state,
        batch=batch,
        hessian=model,
        spectrum=spectrum(model, batch),
        is_exact=no,
        memory=memory,
    )


def pick(condition: Bool[Tensor, " B"], yes: Tensor, no: Tensor) -> Tensor:
    """For each system the one or the other."""
    if not condition.any():
        return no
    return torch.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
