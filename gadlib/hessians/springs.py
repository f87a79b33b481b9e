"""A guess of the Hessian: springs on the bonds, angles and torsions of whatever geometry.

Every constant fades smoothly with the distances of the atoms that it joins, so that no bond needs
to be known. It is positive definite and costs no calculator call.

Reference: Lindh, Bernhardsson, Karlstrom, Malmqvist, Chem. Phys. Lett. 241, 423 (1995),
doi:10.1016/0009-2614(95)00646-L (the form, and the constants of angles and torsions). The fading
is by scaled distances here, alike for all elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.systems.batch import Batch
from gadlib.units import EV_PER_HARTREE

BOND = 30.0  # eV/A^2; a C-C single bond of 4.5 mdyn/A has 28
_METALLIC = 2.0  # of two metals; the seven fcc ones of EMT have 0.9 (Al) to 3.1 (Ni)
_ANGLE = 0.15 * EV_PER_HARTREE  # eV/rad^2; this and the next from Lindh et al.
_TORSION = 0.005 * EV_PER_HARTREE
_EVERYWHERE = 0.05  # eV/A^2 for every coordinate, so that the guess is positive definite
FADING = 3.0  # leaves an eighth of a bond at a scaled distance of 1.3, where bonds end
_WEAK = 0.02  # an angle or torsion that fades below this share of its constant is left out
_METALS = torch.zeros(119, dtype=torch.bool)
for _first, _last in ((3, 4), (11, 13), (19, 31), (37, 50), (55, 84), (87, 116)):
    _METALS[_first : _last + 1] = True
_STRAIGHT = -0.94  # cosine of an angle of 160 degrees; beyond, both bends count
_BENT = 0.1  # squared sine of the angles within a torsion; below, it is none


class _Springs(NamedTuple):
    """Internal coordinates of one kind, by ascending systems: their atoms, gradients, constants."""

    system: Int[Tensor, " L"]
    atoms: tuple[Int[Tensor, " L"], ...]
    gradients: tuple[Float[Tensor, "L 3"], ...]
    constant: Float[Tensor, " L"]


def model_hessian(batch: Batch) -> Float[Tensor, "B D D"]:
    """The guess in eV/A^2, zero where padded.

    Springs k exp(-3 (s^2 - 1)), s the distance over the sum of covalent radii; for angles and
    torsions the product over their bonds.
    """
    everywhere = _EVERYWHERE * batch.moves.repeat_interleave(3, -1).to(batch.positions.dtype)
    hessian = bond_hessian(batch) + torch.diag_embed(everywhere)
    if batch.positions.shape[1] < 3:
        return hessian
    share = torch.where(_is_metallic(batch), 0.0, bond_share(batch))
    angles = _joined(share)
    kinds = [*_bends(batch.apart, share, angles), _torsions(batch.apart, share, angles)]
    rows = _rows(kinds, batch) * batch.moves.repeat_interleave(3, -1)[:, None]
    return torch.baddbmm(hessian, rows.mT, rows)


@lru_cache(maxsize=4)  # where a step ends the next one begins
def bond_hessian(batch: Batch) -> Float[Tensor, "B D D"]:
    """The part of the guess that the bonds make, in eV/A^2; not to be changed in place."""
    hessian = pair_hessian(batch, stretching(batch))
    if batch.boundary is None:
        return hessian
    moves = batch.moves.repeat_interleave(3, -1)
    return torch.where(moves[:, :, None] & moves[:, None, :], hessian, 0.0)


def stretching(batch: Batch) -> Float[Tensor, "B N N"]:
    """The constants of the springs between pairs of atoms in eV/A^2."""
    return torch.where(_is_metallic(batch), _METALLIC, BOND) * bond_share(batch)


def pair_hessian(
    batch: Batch, along: Float[Tensor, "B N N"], across: Float[Tensor, "B N N"] | None = None
) -> Float[Tensor, "B D D"]:
    """The Hessian of a sum over pairs, of their second derivatives by the distance.

    Args:
        batch: the molecules.
        along: the second derivatives, zero where there is no pair.
        across: the first derivatives over the distances; none where the pairs are at rest.
    """
    unit = batch.units
    stiff = along if across is None else along - across
    blocks = (stiff[:, None] * unit)[:, :, None] * unit[:, None]  # (B, 3, 3, N, N)
    if across is not None:
        blocks = blocks + across[:, None, None] * torch.eye(3).to(unit)[:, :, None, None]
    hessian = (-blocks).permute(0, 3, 1, 4, 2).contiguous()
    hessian.diagonal(dim1=1, dim2=3).copy_(blocks.sum(-1))
    return hessian.view(len(batch), 3 * unit.shape[2], 3 * unit.shape[2])


def _is_metallic(batch: Batch) -> Bool[Tensor, "B N N"]:
    """Whether a pair of atoms is of two metals."""
    is_metal = _METALS.to(batch.positions.device)[batch.atomic_numbers]
    return is_metal[:, :, None] & is_metal[:, None, :]


def bond_share(batch: Batch) -> Float[Tensor, "B N N"]:
    """What is left of a full bond between two atoms."""
    return torch.exp(-FADING * (batch.scaled_distances.clamp(min=0.8) ** 2 - 1))


def _rows(kinds: Sequence[_Springs], batch: Batch) -> Float[Tensor, "B L D"]:
    """The gradients times the square roots of the constants, a row for each spring of a system."""
    size, width = batch.positions.shape[:2]
    counts = [torch.bincount(kind.system, minlength=size) for kind in kinds]
    filled = torch.zeros_like(counts[0])
    rows = batch.positions.new_zeros(size, int(sum(counts, filled).max()), width, 3)
    for (system, atoms, gradients, constant), count in zip(kinds, counts, strict=True):
        place = torch.arange(len(system), device=count.device)
        place = place + (filled + count - count.cumsum(0))[system]
        gradient = constant.sqrt()[:, None, None] * torch.stack(gradients, 1)
        rows[system[:, None], place[:, None], torch.stack(atoms, 1)] = gradient
        filled = filled + count
    return rows.flatten(2)


def _bends(apart: Tensor, share: Float[Tensor, "B N N"], angles: _Joined) -> list[_Springs]:
    """Angles i-j-k; a straight one bends in two planes."""
    s, i, j, k = (part[angles.i < angles.k] for part in angles)
    constant = _ANGLE * share[s, i, j] * share[s, j, k]
    a, c = apart[s, :, i, j], apart[s, :, k, j]
    to_a, to_c = (v.norm(dim=-1, keepdim=True).clamp(min=1e-3) for v in (a, c))
    a, c = a / to_a, c / to_c
    normal = torch.linalg.cross(a, c)
    sine = normal.norm(dim=-1, keepdim=True)
    axes = torch.eye(3, dtype=a.dtype, device=a.device)
    other = torch.nn.functional.normalize(torch.linalg.cross(a, axes[a.abs().argmin(-1)]), dim=-1)
    normal = torch.where(sine > 1e-3, normal / sine.clamp(min=1e-9), other)
    of_i, of_k = torch.linalg.cross(a, normal) / to_a, -torch.linalg.cross(c, normal) / to_c
    bends = [_Springs(s, (i, j, k), (of_i, -(of_i + of_k), of_k), constant)]
    is_straight = (a * c).sum(-1) < _STRAIGHT
    if is_straight.any():
        s, i, j, k = (part[is_straight] for part in (s, i, j, k))
        of_i, of_k = (normal / to_a)[is_straight], (normal / to_c)[is_straight]
        across = (of_i, -(of_i + of_k), of_k)
        bends.append(_Springs(s, (i, j, k), across, constant[is_straight]))
    return bends


def _torsions(apart: Tensor, share: Float[Tensor, "B N N"], angles: _Joined) -> _Springs:
    """Torsions i-j-k-l about j-k.

    Blondel, Karplus, J. Comput. Chem. 17, 1132 (1996), for the gradient.
    """
    s, i, j, k = (part[angles.j < angles.k] for part in angles)
    row, last = (share[s, k] > _WEAK).nonzero().unbind(-1)
    s, i, j, k = s[row], i[row], j[row], k[row]
    constant = share[s, i, j] * share[s, j, k] * share[s, k, last]
    is_real = (last != j) & (last != i) & (constant > _WEAK)
    s, i, j, k, last, constant = (part[is_real] for part in (s, i, j, k, last, constant))
    f, g, h = apart[s, :, i, j], apart[s, :, j, k], apart[s, :, last, k]
    a, b = torch.linalg.cross(f, g), torch.linalg.cross(h, g)
    a2, b2, g2 = (v.square().sum(-1, keepdim=True) for v in (a, b, g))
    is_bent = (a2 > _BENT * g2 * f.square().sum(-1, keepdim=True))[:, 0]
    is_bent &= (b2 > _BENT * g2 * h.square().sum(-1, keepdim=True))[:, 0]
    a2, b2 = (v.clamp(min=1e-9) for v in (a2, b2))
    length = g2.sqrt().clamp(min=1e-6)
    of_i, of_l = -length / a2 * a, length / b2 * b
    from_i = (f * g).sum(-1, keepdim=True) / (a2 * length) * a
    from_l = (h * g).sum(-1, keepdim=True) / (b2 * length) * b
    gradients = (of_i, from_i - of_i - from_l, from_l - of_l - from_i, of_l)
    return _Springs(s, (i, j, k, last), gradients, _TORSION * constant * is_bent)


class _Joined(NamedTuple):
    """System and atoms of pairs of bonds i-j and j-k."""

    s: Int[Tensor, " L"]
    i: Int[Tensor, " L"]
    j: Int[Tensor, " L"]
    k: Int[Tensor, " L"]


def _joined(share: Float[Tensor, "B N N"]) -> _Joined:
    """All pairs of bonds that are not too weak, either way round."""
    is_near = share > _WEAK
    s, i, j, k = (is_near[:, :, :, None] & is_near[:, None, :, :]).nonzero().unbind(-1)
    is_kept = (i != k) & (share[s, i, j] * share[s, j, k] > _WEAK)
    return _Joined(s[is_kept], i[is_kept], j[is_kept], k[is_kept])
