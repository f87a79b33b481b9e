"""What the start of a large molecule says of its reaction: bonds that are neither there nor gone.

Noise makes many modes of a large molecule curve down, so that the lowest one of a start is often
none of the reaction. The few pairs of atoms at distances between those of bonds and of neighbours
are: what is given no aim is relaxed with these held, and they are the first to be probed. Two
molecules that they join are one on the way.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.molecules.bonds import BOND_SCALE
from gadlib.solver.aim import Aim
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    BOND_SPRING,
    FEW_SOFT,
    HALF_MADE,
    LARGE,
    MANY_HALF_MADE,
    MAX_HALF_MADE,
    NEIGHBOURLY,
    SPRINGS_BACK,
)
from gadlib.systems.batch import Batch


def half_made_bonds(
    batch: Batch, forces: Float[Tensor, "B N 3"], *, least_atoms: int = LARGE
) -> Bool[Tensor, "B N N"]:
    """Which pairs of atoms of free molecules are half bonded; the closest of several.

    A bond that noise has stretched pulls its atoms back as a spring does, neighbours that are too
    near push each other off; along what is half made there is little force at a saddle.

    Args:
        batch: the molecules.
        forces: on their atoms, in eV/A.
        least_atoms: of the molecules that are asked about, by default large ones.
    """
    is_large = (batch.n_atoms >= least_atoms) & batch.is_free & ~batch.is_held
    scaled = batch.scaled_distances
    if not is_large.any():
        return torch.zeros_like(scaled, dtype=torch.bool)
    beside = forces[:, None, :] - forces[:, :, None]
    pull = (beside.permute(0, 3, 1, 2) * batch.units).sum(1) / 2
    share = pull / (BOND_SPRING * (scaled - 1) * batch.radii_sum)
    is_slack = (share < SPRINGS_BACK) & ((scaled < NEIGHBOURLY) | (share > -SPRINGS_BACK))
    is_between = (scaled > HALF_MADE[0]) & (scaled < HALF_MADE[1]) & is_slack
    is_meant = is_large & (is_between.sum((1, 2)) <= 2 * MANY_HALF_MADE)
    lengths = torch.where(is_between.triu(), scaled, torch.inf).flatten(1)
    longest = lengths.sort(dim=-1).values[:, MAX_HALF_MADE - 1]
    return is_between & (scaled <= longest[:, None, None]) & is_meant[:, None, None]


def is_guided(state: State) -> Bool[Tensor, " B"]:
    """Which searches without an aim have half-made bonds to go by: in their first try."""
    memory = state.memory
    has_bonds = memory.half_made.flatten(1).any(-1)
    return has_bonds & ~state.wanted.is_set & (memory.n_rebuilt == 0)


def guidance(state: State) -> Aim:
    """The aims of searches, and the half-made bonds of those that are guided."""
    guided = is_guided(state)
    if not guided.any():
        return state.wanted
    bonds = state.memory.half_made & guided[:, None, None]
    return _stretching(state.wanted, state.batch, bonds)


def bond_limits(state: State) -> Float[Tensor, "B N N"]:
    """Scaled distances below which pairs count as bonds while a search goes on.

    Pairs whose distances an aim has, or that the start has half made, count while they are half
    made: they are what holds a saddle of two molecules, and no longer than a bond only in the end.
    Of a start that was rebuilt nothing but bonds counts.
    """
    limits = torch.full_like(state.batch.distances, BOND_SCALE)
    is_changed = guidance(state).stretches.any(1) & (state.memory.n_rebuilt == 0)[:, None, None]
    return torch.where(is_changed, HALF_MADE[1], limits)


def likely_directions(state: State) -> Float[Tensor, "B D K"]:
    """Mass-weighted directions near which the lowest mode may be, zero where there are fewer.

    Those of bonds that are half made here, in molecules of any size, and the softest modes.
    """
    bonds = half_made_bonds(state.batch, state.forces, least_atoms=0)
    bent = state.spectrum.eigenvalues[:, None, :FEW_SOFT].isfinite()
    soft = torch.where(bent, state.spectrum.modes[:, :, :FEW_SOFT], 0.0)
    stretches = _stretching(Aim.none(state.batch), state.batch, bonds).directions(state.batch)
    return torch.cat([stretches, soft], -1)


def _stretching(own: Aim, batch: Batch, bonds: Bool[Tensor, "B N N"]) -> Aim:
    """Aims, and the stretching of so many bonds besides."""
    chosen = bonds.triu()
    size, width = chosen.shape[:2]
    stretches = batch.positions.new_zeros(size, MAX_HALF_MADE, width, width)
    system, i, j = chosen.nonzero().unbind(-1)
    place = chosen.flatten(1).cumsum(-1).view_as(chosen)[system, i, j] - 1
    stretches[system, place, i, j] = stretches[system, place, j, i] = 1.0
    moves = torch.cat([own.moves, own.moves.new_zeros(size, 3 * width, MAX_HALF_MADE)], -1)
    return Aim(moves, torch.cat([own.stretches, stretches], 1))


def without_half_made(state: State) -> State:
    """The state of searches that go by no half-made bonds any more."""
    none = torch.zeros_like(state.memory.half_made)
    return replace(state, memory=replace(state.memory, half_made=none))
