"""Normal modes: rigid motions, mass weighting, projection and the spectrum that is left.

The one place where anything is projected. A mass-weighted coordinate is sqrt(m) times the Cartesian
one; rigid motions (three translations, three rotations about the centre of mass, two for a linear
molecule) are removed exactly, by shifting their eigenvalues above all others, so that no threshold
on eigenvalues is ever needed. Floor 2.

Reference: Miller, Handy, Adams, J. Chem. Phys. 72, 99 (1980), doi:10.1063/1.438959.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch

LINEAR_TOL = 1e-3
"""Below this fraction of the largest singular value a rigid motion does not exist.

It is the rotation about the axis of a linear molecule. One bent by 0.005 A still counts as linear:
its bends are vibrations, not a rotation.
"""


@dataclass(frozen=True)
class Spectrum:
    """The vibrational eigenpairs of a batch, ascending.

    Attributes:
        eigenvalues: of the projected mass-weighted Hessian in eV/(A^2 amu); +inf where there is no
            vibration (rigid motions, padding).
        modes: unit vectors in mass-weighted coordinates, one per column; columns of infinite
            eigenvalues carry no meaning.
        rigid: orthonormal basis of the rigid motions in mass-weighted coordinates; zero columns
            where there are fewer than six.
    """

    eigenvalues: Float[Tensor, "B D"]
    modes: Float[Tensor, "B D D"]
    rigid: Float[Tensor, "B D 6"]

    @property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return (self.eigenvalues < 0).sum(-1)

    def take(self, index: Tensor) -> Spectrum:
        """The systems at the given places."""
        return Spectrum(self.eigenvalues[index], self.modes[index], self.rigid[index])


def mass_weight(hessian: Float[Tensor, "B D D"], batch: Batch) -> Float[Tensor, "B D D"]:
    """M^-1/2 H M^-1/2 in eV/(A^2 amu), symmetrised; zero where padded."""
    inverse = batch.inverse_sqrt_masses
    weighted = inverse[:, :, None] * hessian * inverse[:, None, :]
    return (weighted + weighted.mT) / 2


def rigid_motions(batch: Batch) -> Float[Tensor, "B D 6"]:
    """An orthonormal mass-weighted basis of the rigid motions; zero columns where fewer."""
    size, width = batch.positions.shape[:2]
    if not batch.is_free:
        return batch.positions.new_zeros(size, 3 * width, 6)
    masses = batch.masses[..., None]
    centre = (masses * batch.positions).sum(1, keepdim=True) / masses.sum(1, keepdim=True)
    axes = torch.eye(3, dtype=batch.positions.dtype, device=batch.positions.device)
    arms = (batch.positions - centre)[:, :, None, :]
    root = masses.sqrt()
    turned = root[..., None] * torch.linalg.cross(axes[None, None], arms)  # (B, N, axis, xyz)
    turned = turned.transpose(2, 3).reshape(size, 3 * width, 3)
    inertia, principal = torch.linalg.eigh(turned.mT @ turned)
    shifted = (root[..., None] * axes).reshape(size, 3 * width, 3)
    motions = torch.cat([shifted, turned @ principal], -1)
    strength = torch.cat([masses.sum(1).expand(size, 3), inertia.clamp(min=0)], -1).sqrt()
    exists = strength > LINEAR_TOL * strength.amax(-1, keepdim=True)
    scale = torch.where(exists, 1 / strength.clamp(min=1e-12), 0.0)
    return motions * scale[:, None, :]


def remove_rigid(
    vectors: Float[Tensor, "B D"], rigid: Float[Tensor, "B D 6"]
) -> Float[Tensor, "B D"]:
    """Mass-weighted vectors without their rigid part."""
    return vectors - (rigid @ (rigid.mT @ vectors[..., None]))[..., 0]


def spectrum(hessian: Float[Tensor, "B D D"], batch: Batch) -> Spectrum:
    """The vibrational spectrum of Cartesian Hessians in eV/A^2.

    The rigid motions and the padding are shifted above the largest vibrational eigenvalue rather
    than cut out, which is the same eigenproblem as Q^T H Q in their complement, and keeps one shape
    for the whole batch.
    """
    rigid = rigid_motions(batch)
    weighted = mass_weight(hessian, batch)
    bound = 2 * weighted.abs().sum(1).amax(-1)[:, None, None] + 1
    along = weighted @ rigid
    along = along - rigid @ (rigid.mT @ along) / 2 - bound / 2 * rigid
    crossed = along @ rigid.mT
    shifted = weighted - crossed - crossed.mT
    shifted.diagonal(dim1=1, dim2=2).add_(torch.where(batch.sqrt_masses > 0, 0.0, bound[:, 0]))
    eigenvalues, modes = _eigh(shifted, 3 * batch.n_atoms)
    n_rigid = rigid.any(1).sum(-1)
    n_vibrations = 3 * batch.n_atoms - n_rigid
    place = torch.arange(eigenvalues.shape[-1], device=eigenvalues.device)
    return Spectrum(
        torch.where(place < n_vibrations[:, None], eigenvalues, torch.inf), modes, rigid
    )


def most_within(
    modes: Float[Tensor, "B D M"], is_mode: Bool[Tensor, "B M"], wanted: Float[Tensor, "B D K"]
) -> Int[Tensor, " B"]:
    """The place of the mode with the largest part within the directions; 0 where there are none."""
    parts = torch.where(is_mode, within(modes, wanted), -1.0)
    return torch.where(wanted.flatten(1).any(-1), parts.argmax(-1), 0)


def within(modes: Float[Tensor, "B D M"], wanted: Float[Tensor, "B D K"]) -> Float[Tensor, "B M"]:
    """How much of each unit mode lies within orthonormal directions, from 0 to 1."""
    return (wanted.mT @ modes).square().sum(1)


def _eigh(matrices: Float[Tensor, "B D D"], sizes: Int[Tensor, " B"]) -> tuple[Tensor, Tensor]:
    """Eigenpairs; on the CPU of each matrix cut to its own size, since padding is paid in cubes."""
    if matrices.device.type != "cpu":
        return torch.linalg.eigh(matrices)
    values = matrices.new_full(matrices.shape[:2], torch.inf)
    vectors = torch.zeros_like(matrices)
    places: dict[int, list[int]] = {}
    for i, n in enumerate(sizes.tolist()):
        places.setdefault(n, []).append(i)
    for n, rows in places.items():
        where = torch.tensor(rows)
        values[where, :n], vectors[where, :n, :n] = torch.linalg.eigh(matrices[where, :n, :n])
    return values, vectors
