"""A soft wall that keeps the pieces of a molecule together, and a floor under atoms' distances.

The wall is exactly zero wherever the bond graph (`chemistry`) has no more pieces than allowed, so
it moves no stationary point of a bound molecule; beyond, it pulls on the shortest links that would
join the pieces, as a spanning tree. The idea of joining fragments by an artificial force: Maeda,
Morokuma, J. Chem. Theory Comput. 7, 2335 (2011), doi:10.1021/ct200290m. Floor 2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch
from gadlib.chemistry import n_fragments

FLOOR = 0.6
"""Two atoms are never brought closer than this many times the sum of their covalent radii (N2:
0.77, H2: 1.2)."""

_STIFFNESS = 45.0  # eV, per squared scaled distance: 3 eV/A on C-C at a scaled distance of 1.4
_HARMONIC = 0.3  # scaled distance beyond the edge after which the pull is constant
_PUSHES = 200


class Wall(NamedTuple):
    """The wall's energy (eV), gradient (eV/A), Hessian (eV/A^2), and where it is not zero."""

    energy: Float[Tensor, " B"]
    gradient: Float[Tensor, "B D"]
    hessian: Float[Tensor, "B D D"]
    is_active: Bool[Tensor, " B"]


def wall(
    batch: Batch,
    max_fragments: Int[Tensor, " B"],
    edge: Float[Tensor, " B"],
    is_firm: Bool[Tensor, " B"],
) -> Wall:
    """The wall around molecules that may have so many pieces; links beyond the edge are pulled.

    The edge is a scaled distance.
    A firm wall joins the heavy atoms to one another and each hydrogen to a heavy atom, so that no
    hydrogen molecule can leave; else it joins pieces by whatever atoms are nearest, and is zero
    where there are no more of them than allowed.
    """
    size, width = batch.positions.shape[:2]
    new = batch.positions.new_zeros
    energy, gradient, hessian = new(size), new(size, 3 * width), new(size, 3 * width, 3 * width)
    rows = (is_firm | (n_fragments(batch) > max_fragments)).nonzero().flatten()
    if len(rows) and batch.is_free and width > 1:
        part = batch.take(rows)
        links = _links(part, max_fragments[rows], edge[rows], is_firm[rows])
        energy[rows], gradient[rows], hessian[rows] = _pull(part, links, edge[rows])
    return Wall(energy, gradient, hessian, energy > 0)


def scaled_distances(batch: Batch) -> Float[Tensor, "B N N"]:
    """Distances over sums of covalent radii; inf on the diagonal and where padded."""
    return batch.distances / batch.radii_sum


class _Links(NamedTuple):
    """Pairs of atoms, and 1 for those that the wall pulls on, else 0."""

    first: Int[Tensor, "B L"]
    second: Int[Tensor, "B L"]
    strength: Float[Tensor, "B L"]


def _links(batch: Batch, max_fragments: Tensor, edge: Tensor, is_firm: Tensor) -> _Links:
    """The minimal spanning tree of all atoms, or of the heavy ones with the hydrogens hung on.

    Prim, Bell Syst. Tech. J. 36, 1389 (1957), doi:10.1002/j.1538-7305.1957.tb01515.x.
    """
    scaled = scaled_distances(batch)
    size, width = scaled.shape[:2]
    rows = torch.arange(size, device=scaled.device)
    is_heavy = batch.atomic_numbers > 1
    is_inner = torch.where((is_firm & is_heavy.any(-1))[:, None], is_heavy, batch.mask)
    root = is_inner.to(torch.int8).argmax(-1)
    near, parent = scaled[rows, root].clone(), root[:, None].expand(size, width).clone()
    is_outside = is_inner.clone()
    is_outside[rows, root] = False
    first, second, lengths = [], [], []
    for _ in range(width - 1):
        reach = torch.where(is_outside, near, torch.inf)
        j = reach.argmin(-1)
        first.append(parent[rows, j])
        second.append(j)
        lengths.append(reach[rows, j])
        is_outside[rows, j] = False
        is_closer = scaled[rows, j] < near
        near = torch.where(is_closer, scaled[rows, j], near)
        parent = torch.where(is_closer, j[:, None], parent)
    hung, nearest = torch.where(is_inner[:, None, :], scaled, torch.inf).min(-1)
    hung = torch.where(is_inner | ~batch.mask, torch.inf, hung)
    length = torch.cat([torch.stack(lengths, 1), hung], 1)
    length = torch.where(length.isfinite(), length, 0.0)
    atoms = torch.arange(width, device=scaled.device).expand(size, width)
    rank = (-length).argsort(dim=-1, stable=True).argsort(dim=-1)  # the longest links may stay open
    is_pulled = (length > edge[:, None]) & (rank >= max_fragments[:, None] - 1)
    return _Links(
        torch.cat([torch.stack(first, 1), atoms], 1),
        torch.cat([torch.stack(second, 1), nearest], 1),
        is_pulled.to(scaled.dtype),
    )


def _pull(batch: Batch, links: _Links, edge: Float[Tensor, " B"]) -> tuple[Tensor, Tensor, Tensor]:
    """Energy, gradient and Hessian of k (s - s0)^2 / 2 on the links, linear farther out."""
    size, width = batch.positions.shape[:2]
    first, second, strength = links
    rows = torch.arange(size, device=first.device)[:, None]
    apart = batch.positions[rows, first] - batch.positions[rows, second]
    distance = apart.norm(dim=-1).clamp(min=1e-3)
    unit = apart / distance[..., None]
    radii = batch.radii_sum[rows, first, second].clamp(min=1e-3)
    excess = (distance / radii - edge[:, None]).clamp(min=0)
    bent = excess.clamp(max=_HARMONIC)
    energy = strength * _STIFFNESS * bent * (excess - bent / 2)
    slope = strength * _STIFFNESS * bent / radii
    curvature = torch.where(excess < _HARMONIC, strength * _STIFFNESS / radii**2, 0.0)
    gradient = torch.zeros_like(batch.positions)
    gradient.index_put_((rows, first), slope[..., None] * unit, accumulate=True)
    gradient.index_put_((rows, second), -slope[..., None] * unit, accumulate=True)
    outer = unit[..., :, None] * unit[..., None, :]
    across = torch.eye(3, dtype=unit.dtype, device=unit.device) - outer
    block = curvature[..., None, None] * outer + (slope / distance)[..., None, None] * across
    hessian = batch.positions.new_zeros(size, width, width, 3, 3)
    for a, b, sign in (
        (first, first, 1),
        (second, second, 1),
        (first, second, -1),
        (second, first, -1),
    ):
        hessian.index_put_((rows, a, b), sign * block, accumulate=True)
    return (
        energy.sum(-1),
        gradient.flatten(1),
        hessian.transpose(2, 3).reshape(size, 3 * width, 3 * width),
    )


def untangle(batch: Batch, floor: float) -> Batch:
    """The molecules with every pair of atoms pushed apart to the floor (a scaled distance).

    Pairs below it are moved along their axis, both halves alike, again and again until none is
    left.
    """
    if not batch.is_free:  # particles on an external surface do not feel each other
        return batch
    positions, radii = batch.positions, batch.radii_sum
    for _ in range(_PUSHES):
        lack = (floor - scaled_distances(batch.moved_to(positions))).clamp(min=0)
        if not (lack > 1e-6).any():
            break
        apart = positions[:, :, None] - positions[:, None, :]
        unit = apart / apart.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        positions = positions + (0.35 * (lack * radii)[..., None] * unit).sum(2)
    return batch.moved_to(positions)


def shorten(batch: Batch, move: Float[Tensor, "B N 3"], floor: float) -> Float[Tensor, "B N 3"]:
    """The moves, halved until no pair comes below the floor that was not there before.

    A pair that is below it already may go where it gets no closer.
    """
    if not batch.is_free:
        return move
    before = scaled_distances(batch)
    for _ in range(6):
        after = scaled_distances(batch.moved_to(batch.positions + move))
        is_bad = ((after < floor) & (after < before)).any(-1).any(-1)
        if not is_bad.any():
            break
        move = torch.where(is_bad[:, None, None], move / 2, move)
    return move
