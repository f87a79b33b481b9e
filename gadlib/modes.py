"""Normal modes: rigid motions, mass weighting, projection and the spectrum that is left.

The one place where anything is projected. A mass-weighted coordinate is sqrt(m) times the Cartesian
one; rigid motions (three translations, three rotations about the centre of mass, two for a linear
molecule) are removed exactly, cut out or, on a GPU, shifted above all others, so that no threshold
on eigenvalues is ever needed. Floor 2.

Reference: Miller, Handy, Adams, J. Chem. Phys. 72, 99 (1980), doi:10.1063/1.438959.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch
from gadlib.quadratic import matvec

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

    @cached_property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return (self.eigenvalues < 0).sum(-1)

    def take(self, index: Tensor) -> Spectrum:
        """The systems at the given places."""
        return Spectrum(self.eigenvalues[index], self.modes[index], self.rigid[index])


def mass_weight(hessian: Float[Tensor, "B D D"], batch: Batch) -> Float[Tensor, "B D D"]:
    """M^-1/2 H M^-1/2 in eV/(A^2 amu), symmetrised; zero where padded."""
    inverse = batch.inverse_sqrt_masses
    weighted = (inverse[:, :, None] * hessian).mul_(inverse[:, None, :])
    return (weighted + weighted.mT).mul_(0.5)


def rigid_motions(batch: Batch) -> Float[Tensor, "B D 6"]:
    """An orthonormal mass-weighted basis of the rigid motions; zero columns where fewer."""
    size, width = batch.positions.shape[:2]
    if not batch.is_free:
        return batch.positions.new_zeros(size, 3 * width, 6)
    masses = batch.masses[..., None]
    mass = masses.sum(1, keepdim=True)
    root = batch.sqrt_masses.view(size, width, 3)
    arms = root * (batch.positions - (masses * batch.positions).sum(1, keepdim=True) / mass)
    axes, turns = _axes(arms.device)
    shifted = (root[..., None] * axes).view(size, 3 * width, 3)
    turned = (arms.view(-1, 3) @ turns).view(size, 3 * width, 3)
    inertia, principal = torch.linalg.eigh(turned.mT @ turned)
    motions = torch.cat([shifted, torch.bmm(turned, principal)], -1)
    strength = torch.cat([mass[..., 0].expand(size, 3), inertia.clamp(min=0)], -1).sqrt()
    exists = strength > LINEAR_TOL * strength.amax(-1, keepdim=True)
    return motions * torch.where(exists, 1 / strength.clamp(min=1e-12), 0.0)[:, None, :]


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


def spectrum(
    hessian: Float[Tensor, "B D D"], batch: Batch, rigid: Float[Tensor, "B D 6"] | None = None
) -> Spectrum:
    """The vibrational spectrum of Cartesian Hessians in eV/A^2.

    It is that of Q^T H Q, with Q an orthonormal basis of what rigid motions leave.

    Args:
        hessian: the Hessians.
        batch: the molecules.
        rigid: their rigid motions where these are known already.
    """
    rigid = rigid_motions(batch) if rigid is None else rigid
    weighted = mass_weight(hessian, batch)
    solve = _cut_out if weighted.device.type == "cpu" else _shifted
    return Spectrum(*solve(weighted, rigid, batch), rigid)


def _cut_out(
    weighted: Float[Tensor, "B D D"], rigid: Float[Tensor, "B D 6"], batch: Batch
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D D"]]:
    """Eigenpairs of what is left without rigid motions and padding, infinity and zero behind them.

    Molecules with as many atoms and rigid motions go together. The cost grows as the cube of what
    is left.
    """
    values = torch.full_like(weighted[:, 0], torch.inf)
    modes = torch.zeros_like(weighted)
    alike: dict[tuple[int, int], list[int]] = {}
    kinds = zip(batch.n_atoms.tolist(), rigid.any(1).sum(-1).tolist(), strict=True)
    for i, kind in enumerate(kinds):
        alike.setdefault(kind, []).append(i)
    for (n_atoms, n_rigid), places in alike.items():
        rows = slice(None) if len(alike) == 1 else torch.tensor(places)
        n, n_left = 3 * n_atoms, 3 * n_atoms - n_rigid
        motions = rigid[rows, :n]
        if n_rigid < 6:  # those that do not exist stand between translations and other rotations
            motions = motions[:, :, [*range(3), *range(9 - n_rigid, 6)][:n_rigid]]
        left = torch.linalg.qr(motions, mode="complete").Q[:, :, n_rigid:]
        within = torch.bmm(left.mT, torch.bmm(weighted[rows, :n, :n], left))
        values[rows, :n_left], vectors = torch.linalg.eigh(within)
        modes[rows, :n, :n_left] = torch.bmm(left, vectors)
    return values, modes


def _shifted(
    weighted: Float[Tensor, "B D D"], rigid: Float[Tensor, "B D 6"], batch: Batch
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D D"]]:
    """The same eigenpairs from one shape for the whole batch, as a GPU likes it.

    Rigid motions and padding are shifted above the largest vibrational eigenvalue.
    """
    bound = 2 * torch.linalg.vector_norm(weighted, dim=(1, 2), keepdim=True) + 1
    along = torch.bmm(weighted, rigid)
    within_rigid = torch.bmm(rigid.mT, along)
    along = torch.baddbmm(along - bound / 2 * rigid, rigid, within_rigid, alpha=-0.5)
    crossed = torch.bmm(along, rigid.mT)
    padding = torch.where(batch.sqrt_masses > 0, 0.0, bound[:, 0])
    shifted = weighted - crossed - crossed.mT + torch.diag_embed(padding)
    values, modes = torch.linalg.eigh(shifted)
    n_vibrations = 3 * batch.n_atoms - rigid.any(1).sum(-1)
    place = torch.arange(values.shape[-1], device=values.device)
    return torch.where(place < n_vibrations[:, None], values, torch.inf), modes


def most_within(
    modes: Float[Tensor, "B D M"], is_mode: Bool[Tensor, "B M"], wanted: Float[Tensor, "B D K"]
) -> Int[Tensor, " B"]:
    """The place of the mode with the largest part within the directions; 0 where there are none."""
    parts = torch.where(is_mode, within(modes, wanted), -1.0)
    return torch.where(wanted.flatten(1).any(-1), parts.argmax(-1), 0)


def within(modes: Float[Tensor, "B D M"], wanted: Float[Tensor, "B D K"]) -> Float[Tensor, "B M"]:
    """How much of each unit mode lies within orthonormal directions, from 0 to 1."""
    return (wanted.mT @ modes).square().sum(1)
