"""What moves a system rigidly, and a basis of what is left, in mass-weighted coordinates.

Three translations and three rotations about the centre of mass (two for a linear molecule); of a
system with frozen atoms or a cell, those that leave these as they are: translations in a cell where
nothing is frozen. `normal_modes` projects with it.

Reference: Miller, Handy, Adams, J. Chem. Phys. 72, 99 (1980), doi:10.1063/1.438959.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gadlib.hessians.trust_region import matvec
from gadlib.systems.batch import Batch

LINEAR_TOL = 1e-3
"""Below this fraction of the largest singular value a rigid motion does not exist.

It is the rotation about the axis of a linear molecule. One bent by 0.005 A still counts as linear:
its bends are vibrations, not a rotation.
"""


@dataclass(frozen=True)
class Motions:
    """What moves each molecule of a batch rigidly, and what is left, in mass-weighted coordinates.

    Attributes:
        rigid: orthonormal basis of the rigid motions; zero columns where there are fewer than six.
        left: orthonormal basis of the vibrations, the first `n_left` columns; None on a GPU.
        n_left: the number of vibrations.
    """

    rigid: Float[Tensor, "B D 6"]
    left: Float[Tensor, "B D D"] | None
    n_left: Int[Tensor, " B"]


def rigid_motions(batch: Batch) -> Float[Tensor, "B D 6"]:
    """An orthonormal mass-weighted basis of the rigid motions; zero columns where fewer."""
    if not batch.is_free:
        return batch.positions.new_zeros(*batch.sqrt_masses.shape, 6)
    found = _of_molecules(batch)
    if batch.boundary is None:
        return found
    return torch.where(batch.boundary.is_held[:, None, None], _of_held(batch), found)


def _of_molecules(batch: Batch) -> Float[Tensor, "B D 6"]:
    """The rigid motions of free molecules."""
    shifts, turns = raw_motions(batch).split(3, dim=-1)
    inertia, principal = torch.linalg.eigh(turns.mT @ turns)
    motions = torch.cat([shifts, torch.bmm(turns, principal)], -1)
    mass = batch.masses.sum(-1, keepdim=True)
    strength = torch.cat([mass.expand(-1, 3), inertia.clamp(min=0)], -1).sqrt()
    exists = strength > LINEAR_TOL * strength.amax(-1, keepdim=True)
    return motions * torch.where(exists, 1 / strength.clamp(min=1e-12), 0.0)[:, None, :]


def _of_held(batch: Batch) -> Float[Tensor, "B D 6"]:
    """The rigid motions that leave all frozen atoms in place, and the lattice as it is.

    Of the motions u + w x r those with u + w x r = 0 at frozen atoms and w x a = 0 for all periodic
    lattice vectors a: the null space of a sum of squares.
    """
    boundary = batch.boundary
    assert boundary is not None
    size, width = batch.positions.shape[:2]
    masses = torch.where(batch.mask, batch.masses, 0.0)[..., None]
    centre = (masses * batch.positions).sum(1, keepdim=True) / masses.sum(1, keepdim=True)
    axes, turns = _axes(batch.positions.device)
    turned = ((batch.positions - centre).view(-1, 3) @ turns).view(size, width, 3, 3)
    motions = torch.cat([axes.expand(size, width, 3, 3), turned], -1)
    fixed = (motions * boundary.is_frozen[:, :, None, None]).flatten(1, 2)
    lattice = (boundary.cell * boundary.is_periodic[..., None]).view(-1, 3) @ turns
    lattice = torch.nn.functional.pad(lattice.view(size, 9, 3), (3, 0))
    against = fixed.mT @ fixed + lattice.mT @ lattice
    squares, mixed = torch.linalg.eigh(against)
    is_left = squares <= LINEAR_TOL**2 * squares[:, -1:]
    left = batch.sqrt_masses[..., None] * (motions.flatten(1, 2) @ mixed)
    left = left * is_left[:, None, :]
    strengths, mixed = torch.linalg.eigh(left.mT @ left)
    strength = strengths.clamp(min=0).sqrt()
    mass = batch.sqrt_masses.square().sum(-1, keepdim=True) / 3
    exists = strength > LINEAR_TOL * torch.maximum(strength.amax(-1, keepdim=True), mass.sqrt())
    return left @ mixed * torch.where(exists, 1 / strength.clamp(min=1e-12), 0.0)[:, None, :]


def raw_motions(batch: Batch) -> Float[Tensor, "B D 6"]:
    """Mass-weighted translations along x, y, z and rotations about the centre of mass."""
    size, width = batch.positions.shape[:2]
    masses = batch.masses[..., None]
    mass = masses.sum(1, keepdim=True)
    root = batch.sqrt_masses.view(size, width, 3)
    arms = root * (batch.positions - (masses * batch.positions).sum(1, keepdim=True) / mass)
    axes, turns = _axes(arms.device)
    shifted = (root[..., None] * axes).view(size, 3 * width, 3)
    turned = (arms.view(-1, 3) @ turns).view(size, 3 * width, 3)
    return torch.cat([shifted, turned], -1)


@cache
def _axes(device: torch.device) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3 9"]]:
    """The axes e_k, and what maps a place r to e_k x r, as the columns of a matrix."""
    axes = torch.eye(3, dtype=torch.float64, device=device)
    return axes, torch.linalg.cross(axes[None, :], axes[:, None]).mT.reshape(3, 9)


def remove_rigid(
    vectors: Float[Tensor, "B D"], rigid: Float[Tensor, "B D 6"]
) -> Float[Tensor, "B D"]:
    """Mass-weighted vectors without their rigid part."""
    return vectors - matvec(rigid, matvec(rigid.mT, vectors))


def motions_of(batch: Batch) -> Motions:
    """The rigid motions of the molecules, and what they leave."""
    is_cpu = batch.positions.device.type == "cpu"
    is_simple = batch.is_free and batch.boundary is None
    if is_cpu and is_simple and batch.positions.shape[1] > 2:
        bases, sizes = torch.linalg.qr(raw_motions(batch), mode="complete")
        if _is_none_linear(sizes[:, :6]):
            left = torch.nn.functional.pad(bases[:, :, 6:], (0, 6))
            return Motions(bases[:, :, :6], left, 3 * batch.n_atoms - 6)
    return motions_with(rigid_motions(batch), batch)


def motions_with(rigid: Float[Tensor, "B D 6"], batch: Batch) -> Motions:
    """The motions of a basis of the rigid ones, some columns of which may be zero."""
    n_rigid = rigid.square().sum((1, 2)).round().long()
    left = None
    if rigid.device.type == "cpu":
        left = _complement(rigid, n_rigid) if batch.boundary is None else _of_moving(rigid, batch)
    return Motions(rigid, left, 3 * batch.n_moving - n_rigid)


def _is_none_linear(sizes: Float[Tensor, "B 6 6"]) -> bool:
    """Whether the triangular factors of the raw motions show that no molecule is nearly linear.

    The smallest singular value of the rotations is no less than the product of their diagonal over
    the square of their norm.
    """
    turns = sizes[:, 3:, 3:]
    norm = torch.linalg.vector_norm(turns, dim=(1, 2))
    least = turns.diagonal(dim1=1, dim2=2).prod(-1).abs() / norm.square()
    return bool((least > 10 * LINEAR_TOL * norm.maximum(sizes[:, 0, 0].abs())).all())


def _complement(
    rigid: Float[Tensor, "B D 6"], n_rigid: Int[Tensor, " B"]
) -> Float[Tensor, "B D D"]:
    """An orthonormal basis of what is left, then that of the padding, then zeros."""
    size, width = rigid.shape[:2]
    left = rigid.new_zeros(size, width, width)
    for number in set(n_rigid.tolist()):
        rows = n_rigid == number
        found = rigid[rows]
        if number < 6:  # those that exist first
            absent = (~found.any(1)).to(torch.int64).argsort(dim=-1, stable=True)
            found = found.gather(2, absent[:, None, :number].expand(-1, width, -1))
        left[rows, :, : width - number] = torch.linalg.qr(found, mode="complete").Q[:, :, number:]
    return left


def _of_moving(rigid: Float[Tensor, "B D 6"], batch: Batch) -> Float[Tensor, "B D D"]:
    """The complement within the coordinates of atoms that move, as if these came first."""
    n_rigid = rigid.square().sum((1, 2)).round().long()
    order = (batch.sqrt_masses == 0).to(torch.int64).argsort(dim=-1, stable=True)
    first = rigid.gather(1, order[..., None].expand_as(rigid))
    left = _complement(first, n_rigid)
    return torch.zeros_like(left).scatter(1, order[..., None].expand_as(left), left)
