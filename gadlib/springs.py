"""A guess of the Hessian: springs on the bonds, angles and torsions of whatever geometry. Floor 2.

Every constant fades smoothly with the distances of the atoms that it joins, so that no bond needs
to be known. It is positive definite and costs no calculator call.

Reference: Lindh, Bernhardsson, Karlstrom, Malmqvist, Chem. Phys. Lett. 241, 423 (1995),
doi:10.1016/0009-2614(95)00646-L (the form, and the constants of angles and torsions). The fading
is by scaled distances here, alike for all elements.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gadlib.batch import Batch
from gadlib.units import EV_PER_HARTREE

_BOND = 30.0  # eV/A^2
_ANGLE = 0.15 * EV_PER_HARTREE  # eV/rad^2
_TORSION = 0.005 * EV_PER_HARTREE
_EVERYWHERE = 0.05  # eV/A^2 for every coordinate
_FADING = 3.0
_WEAK_BOND, _WEAK = 1e-3, 0.02  # what fades below this share of the full constant is left out
_STRAIGHT = -0.94  # cosine of an angle of 160 degrees; beyond, both bends count
_BENT = 0.1  # squared sine of the angles within a torsion; below, it is none


def model_hessian(batch: Batch) -> Float[Tensor, "B D D"]:
    """The guess in eV/A^2, zero where padded.

    Springs k exp(-3 (s^2 - 1)), s the distance over the sum of covalent radii; for angles and
    torsions the product over their bonds.
    """
    size, width = batch.positions.shape[:2]
    share = torch.exp(-_FADING * (batch.scaled_distances.clamp(min=0.8) ** 2 - 1))
    share = torch.where(batch.is_pair, share, 0.0)
    blocks = batch.positions.new_zeros(size, width, width, 3, 3)
    _add_bonds(blocks, batch.positions, share)
    if width > 2:
        _add_angles(blocks, batch.positions, share)
    if width > 3:
        _add_torsions(blocks, batch.positions, share)
    hessian = blocks.transpose(2, 3).reshape(size, 3 * width, 3 * width)
    everywhere = _EVERYWHERE * batch.mask.repeat_interleave(3, -1).to(hessian.dtype)
    return hessian + torch.diag_embed(everywhere)


def _add(
    blocks: Float[Tensor, "B N N 3 3"],
    system: Int[Tensor, " L"],
    atoms: tuple[Int[Tensor, " L"], ...],
    gradients: tuple[Float[Tensor, "L 3"], ...],
    constant: Float[Tensor, " L"],
) -> None:
    """Adds k (dq/dx)(dq/dx)^T of each internal coordinate q to the blocks of its atoms."""
    for a, of_a in zip(atoms, gradients, strict=True):
        for b, of_b in zip(atoms, gradients, strict=True):
            block = constant[:, None, None] * of_a[:, :, None] * of_b[:, None, :]
            blocks.index_put_((system, a, b), block, accumulate=True)


def _add_bonds(blocks: Tensor, positions: Tensor, share: Float[Tensor, "B N N"]) -> None:
    s, i, j = (share.triu(1) > _WEAK_BOND).nonzero().unbind(-1)
    unit = torch.nn.functional.normalize(positions[s, i] - positions[s, j], dim=-1)
    _add(blocks, s, (i, j), (unit, -unit), _BOND * share[s, i, j])


def _add_angles(blocks: Tensor, positions: Tensor, share: Float[Tensor, "B N N"]) -> None:
    """Angles i-j-k; a straight one bends in two planes."""
    s, i, j, k = _angles(share)
    is_once = i < k
    s, i, j, k = s[is_once], i[is_once], j[is_once], k[is_once]
    constant = _ANGLE * share[s, i, j] * share[s, j, k]
    a, c = positions[s, i] - positions[s, j], positions[s, k] - positions[s, j]
    to_a, to_c = (v.norm(dim=-1, keepdim=True).clamp(min=1e-3) for v in (a, c))
    a, c = a / to_a, c / to_c
    normal = torch.linalg.cross(a, c)
    sine = normal.norm(dim=-1, keepdim=True)
    axes = torch.eye(3, dtype=a.dtype, device=a.device)
    other = torch.nn.functional.normalize(torch.linalg.cross(a, axes[a.abs().argmin(-1)]), dim=-1)
    normal = torch.where(sine > 1e-3, normal / sine.clamp(min=1e-9), other)
    of_i, of_k = torch.linalg.cross(a, normal) / to_a, -torch.linalg.cross(c, normal) / to_c
    _add(blocks, s, (i, j, k), (of_i, -(of_i + of_k), of_k), constant)
    is_straight = (a * c).sum(-1) < _STRAIGHT
    s, i, j, k = s[is_straight], i[is_straight], j[is_straight], k[is_straight]
    of_i, of_k = (normal / to_a)[is_straight], (normal / to_c)[is_straight]
    _add(blocks, s, (i, j, k), (of_i, -(of_i + of_k), of_k), constant[is_straight])


def _add_torsions(blocks: Tensor, positions: Tensor, share: Float[Tensor, "B N N"]) -> None:
    """Torsions i-j-k-l about j-k.

    Blondel, Karplus, J. Comput. Chem. 17, 1132 (1996), for the gradient.
    """
    s, i, j, k = _angles(share)
    is_once = j < k
    s, i, j, k = s[is_once], i[is_once], j[is_once], k[is_once]
    row, last = (share[s, k] > _WEAK).nonzero().unbind(-1)
    s, i, j, k = s[row], i[row], j[row], k[row]
    constant = share[s, i, j] * share[s, j, k] * share[s, k, last]
    f, g = positions[s, i] - positions[s, j], positions[s, j] - positions[s, k]
    h = positions[s, last] - positions[s, k]
    a, b = torch.linalg.cross(f, g), torch.linalg.cross(h, g)
    a2, b2, g2 = (v.square().sum(-1, keepdim=True) for v in (a, b, g))
    is_bent = (a2 > _BENT * g2 * f.square().sum(-1, keepdim=True))[:, 0]
    is_bent &= (b2 > _BENT * g2 * h.square().sum(-1, keepdim=True))[:, 0]
    is_real = is_bent & (last != j) & (last != i) & (constant > _WEAK)
    a2, b2 = (v.clamp(min=1e-9) for v in (a2, b2))
    length = g2.sqrt().clamp(min=1e-6)
    of_i, of_l = -length / a2 * a, length / b2 * b
    from_i = (f * g).sum(-1, keepdim=True) / (a2 * length) * a
    from_l = (h * g).sum(-1, keepdim=True) / (b2 * length) * b
    gradients = (of_i, from_i - of_i - from_l, from_l - of_l - from_i, of_l)
    _add(
        blocks,
        s[is_real],
        (i[is_real], j[is_real], k[is_real], last[is_real]),
        tuple(gradient[is_real] for gradient in gradients),
        _TORSION * constant[is_real],
    )


def _angles(share: Float[Tensor, "B N N"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """System and atoms i, j, k of all pairs of bonds i-j and j-k that are not too weak."""
    is_near = share > _WEAK
    s, i, j, k = (is_near[:, :, :, None] & is_near[:, None, :, :]).nonzero().unbind(-1)
    is_kept = (i != k) & (share[s, i, j] * share[s, j, k] > _WEAK)
    return s[is_kept], i[is_kept], j[is_kept], k[is_kept]
