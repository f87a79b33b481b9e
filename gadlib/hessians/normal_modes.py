"""Normal modes: mass weighting, projection and the spectrum that is left.

The one place where anything is projected. A mass-weighted coordinate is sqrt(m) times the Cartesian
one; rigid motions (`rigid_motions`), and whatever frozen atoms would do, are removed exactly, cut
out or, on a GPU, shifted above all others, so that no threshold on eigenvalues is ever needed.

Reference: Miller, Handy, Adams, J. Chem. Phys. 72, 99 (1980), doi:10.1063/1.438959.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.rigid_motions import (
    Motions,
    motions_of,
    motions_with,
    raw_motions,
    rigid_motions,
)
from gadlib.systems.batch import Batch, longest
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

FORCE_TOL = 0.01
"""eV/A on any atom; where all forces are below, a point counts as stationary."""

TURNING_CM1 = 50.0
"""A rotation that curves down by more than this wavenumber (cm-1) at a point at rest is none.

Where no force is left a rotation has no curvature; forces of 0.01 eV/A leave one of some 15i cm-1.
Beyond that it is the second bend of a chain that is nearly straight, by force over distance from
the axis. It is the least wavenumber of a bound saddle's mode, too (`criteria`).
"""

_STRAIGHT = 0.03  # of the largest singular value of a motion; water bent by 0.1 A has so much


@dataclass(frozen=True)
class Spectrum:
    """The vibrational eigenpairs of a batch, ascending.

    Attributes:
        eigenvalues: of the projected mass-weighted Hessian in eV/(A^2 amu); +inf where there is no
            vibration (rigid motions, padding).
        modes: unit vectors in mass-weighted coordinates, one per column; columns of infinite
            eigenvalues carry no meaning.
        motions: the rigid motions, and what they leave.
    """

    eigenvalues: Float[Tensor, "B D"]
    modes: Float[Tensor, "B D D"]
    motions: Motions

    @cached_property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return (self.eigenvalues < 0).sum(-1)

    @cached_property
    def lowest_cm1(self) -> Float[Tensor, " B"]:
        """The wavenumber of the lowest mode in cm-1; an imaginary one is negative."""
        lowest = self.eigenvalues[:, 0]
        return (CM1_PER_SQRT_EIGENVALUE * lowest.abs().sqrt()).copysign(lowest)

    def mode_at(self, place: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Of each system the mode at that place, from the softest on."""
        width = self.modes.shape[1]
        return self.modes.gather(2, place[:, None, None].expand(-1, width, 1))[..., 0]


def mass_weight(hessian: Float[Tensor, "B D D"], batch: Batch) -> Float[Tensor, "B D D"]:
    """M^-1/2 H M^-1/2 in eV/(A^2 amu), symmetrised; zero where padded or frozen."""
    inverse = batch.inverse_sqrt_masses
    weighted = (inverse[:, :, None] * hessian).mul_(inverse[:, None, :])
    return (weighted + weighted.mT).mul_(0.5)


def spectrum(
    hessian: Float[Tensor, "B D D"], batch: Batch, motions: Motions | None = None
) -> Spectrum:
    """The vibrational spectrum of Cartesian Hessians in eV/A^2.

    It is that of Q^T M^-1/2 H M^-1/2 Q, with Q an orthonormal basis of what rigid motions leave.

    Args:
        hessian: the Hessians.
        batch: the molecules.
        motions: their rigid motions where these are known already.
    """
    motions = motions_of(batch) if motions is None else motions
    solve = _shifted if motions.left is None else _cut_out
    return Spectrum(*solve(hessian, motions, batch), motions)


def exact_spectrum(
    hessian: Float[Tensor, "B D D"],
    batch: Batch,
    forces: Float[Tensor, "B N 3"],
    motions: Motions | None = None,
) -> Spectrum:
    """The spectrum of exact Hessians, by which points are judged: bends told apart from rotations.

    A chain bent by some thousandths of an angstrom has two bends, and one of them has the direction
    of a rotation about the chain. Where a molecule is at rest or nearly straight, a rotation that
    curves down beyond `TURNING_CM1` is taken for that bend: it stays among the vibrations, so that
    the order is what it is when the chain is straight.

    Args:
        hessian: exact, in eV/A^2.
        batch: the molecules.
        forces: there, in eV/A; below `FORCE_TOL` a molecule is at rest.
        motions: their rigid motions where these are known already.
    """
    motions = motions_of(batch) if motions is None else motions
    is_asked = (longest(forces.flatten(1)) < FORCE_TOL) | is_nearly_straight(batch)
    if batch.boundary is not None:  # what holds a system tells its rotations apart
        is_asked = is_asked & ~batch.boundary.is_held
    rows = is_asked.nonzero().flatten()
    if not batch.is_free or not len(rows):
        return spectrum(hessian, batch, motions)
    part = batch.take(rows)
    rigid = rigid_motions(part)
    turns = rigid[:, :, 3:]
    curved = turns.mT @ mass_weight(hessian[rows], part) @ turns
    values, turned = torch.linalg.eigh((curved + curved.mT) / 2)
    is_bend = values < -((TURNING_CM1 / CM1_PER_SQRT_EIGENVALUE) ** 2)
    if not is_bend.any():
        return spectrum(hessian, batch, motions)
    kept = torch.where(is_bend[:, None, :], 0.0, turns @ turned)
    rigid = motions.rigid.index_copy(0, rows, torch.cat([rigid[:, :, :3], kept], -1))
    return spectrum(hessian, batch, motions_with(rigid, batch))


def is_nearly_straight(batch: Batch) -> Bool[Tensor, " B"]:
    """Whether the least rotation moves little of the molecule, as that about a bent chain."""
    turns = raw_motions(batch)[:, :, 3:]
    moments = torch.linalg.eigvalsh(turns.mT @ turns)
    return moments[:, 0] < _STRAIGHT**2 * batch.masses.sum(-1).maximum(moments[:, 2])


def _cut_out(
    hessian: Float[Tensor, "B D D"], motions: Motions, batch: Batch
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D D"]]:
    """Eigenpairs of what is left without rigid motions and padding, infinity and zero behind them.

    Molecules with as many atoms and vibrations go together. The cost grows as the cube of what is
    left.
    """
    assert motions.left is not None
    values = torch.full_like(hessian[:, 0], torch.inf)
    modes = torch.zeros_like(hessian)
    alike: dict[tuple[int, int], list[int]] = {}
    for i, kind in enumerate(zip(batch.n_atoms.tolist(), motions.n_left.tolist(), strict=True)):
        alike.setdefault(kind, []).append(i)
    for (n_atoms, n_left), places in alike.items():
        rows = slice(None) if len(alike) == 1 else torch.tensor(places)
        n = 3 * n_atoms
        left = motions.left[rows, :n, :n_left]
        weighted = batch.inverse_sqrt_masses[rows, :n, None] * left
        within = torch.bmm(weighted.mT, torch.bmm(hessian[rows, :n, :n], weighted))
        within = (within + within.mT).mul_(0.5)
        values[rows, :n_left], vectors = torch.linalg.eigh(within)
        modes[rows, :n, :n_left] = torch.bmm(left, vectors)
    return values, modes


def _shifted(
    hessian: Float[Tensor, "B D D"], motions: Motions, batch: Batch
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D D"]]:
    """The same eigenpairs from one shape for the whole batch, as a GPU likes it.

    Rigid motions and padding are shifted above the largest vibrational eigenvalue.
    """
    weighted, rigid = mass_weight(hessian, batch), motions.rigid
    bound = 2 * torch.linalg.vector_norm(weighted, dim=(1, 2), keepdim=True) + 1
    along = torch.bmm(weighted, rigid)
    within_rigid = torch.bmm(rigid.mT, along)
    along = torch.baddbmm(along - bound / 2 * rigid, rigid, within_rigid, alpha=-0.5)
    crossed = torch.bmm(along, rigid.mT)
    padding = torch.where(batch.sqrt_masses > 0, 0.0, bound[:, 0])
    shifted = weighted - crossed - crossed.mT + torch.diag_embed(padding)
    values, modes = torch.linalg.eigh(shifted)
    place = torch.arange(values.shape[-1], device=values.device)
    return torch.where(place < motions.n_left[:, None], values, torch.inf), modes


def most_within(
    modes: Float[Tensor, "B D M"], is_mode: Bool[Tensor, "B M"], wanted: Float[Tensor, "B D K"]
) -> Int[Tensor, " B"]:
    """The place of the mode with the largest part within the directions; 0 where there are none."""
    parts = torch.where(is_mode, within(modes, wanted), -1.0)
    return torch.where(wanted.flatten(1).any(-1), parts.argmax(-1), 0)


def within(modes: Float[Tensor, "B D M"], wanted: Float[Tensor, "B D K"]) -> Float[Tensor, "B M"]:
    """How much of each unit mode lies within orthonormal directions, from 0 to 1."""
    return (wanted.mT @ modes).square().sum(1)
