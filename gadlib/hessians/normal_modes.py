"""Normal modes: rigid motions, mass weighting, projection and the spectrum that is left.

The one place where anything is projected. A mass-weighted coordinate is sqrt(m) times the Cartesian
one; rigid motions (three translations, three rotations about the centre of mass, two for a linear
molecule) are removed exactly, cut out or, on a GPU, shifted above all others, so that no threshold
on eigenvalues is ever needed. So is what frozen atoms can't do. Of the rigid motions those remain
that leave frozen atoms and the cell as they are: translations in a cell where nothing is frozen.

Reference: Miller, Handy, Adams, J. Chem. Phys. 72, 99 (1980), doi:10.1063/1.438959.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch, longest
from gadlib.hessians.trust_region import matvec
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

FORCE_TOL = 0.01
"""eV/A on any atom; where all forces are below, a point counts as stationary."""

TURNING_CM1 = 50.0
"""A rotation that curves down by more than this wavenumber (cm-1) at a point at rest is none.

Where no force is left a rotation has no curvature; forces of 0.01 eV/A leave one of some 15i cm-1.
Beyond that it is the second bend of a chain that is nearly straight, by force over distance from
the axis. It is the least wavenumber of a bound saddle's mode, too (`criteria`).
"""

LINEAR_TOL = 1e-3
"""Below this fraction of the largest singular value a rigid motion does not exist.

It is the rotation about the axis of a linear molecule. One bent by 0.005 A still counts as linear:
its bends are vibrations, not a rotation.
"""

_STRAIGHT = 0.03  # of the same; water bent by 0.1 A has so much


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


def mass_weight(hessian: Float[Tensor, "B D D"], batch: Batch) -> Float[Tensor, "B D D"]:
    """M^-1/2 H M^-1/2 in eV/(A^2 amu), symmetrised; zero where padded."""
    inverse = batch.inverse_sqrt_masses
    weighted = (inverse[:, :, None] * hessian).mul_(inverse[:, None, :])
    return (weighted + weighted.mT).mul_(0.5)


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
    shifts, turns = _raw_motions(batch).split(3, dim=-1)
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


def _raw_motions(batch: Batch) -> Float[Tensor, "B D 6"]:
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
        bases, sizes = torch.linalg.qr(_raw_motions(batch), mode="complete")
        if _is_none_linear(sizes[:, :6]):
            left = torch.nn.functional.pad(bases[:, :, 6:], (0, 6))
            return Motions(bases[:, :, :6], left, 3 * batch.n_atoms - 6)
    return _motions(rigid_motions(batch), batch)


def _motions(rigid: Float[Tensor, "B D 6"], batch: Batch) -> Motions:
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
    is_asked = (longest(forces.flatten(1)) < FORCE_TOL) | _is_nearly_straight(batch)
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
    return spectrum(hessian, batch, _motions(rigid, batch))


def _is_nearly_straight(batch: Batch) -> Bool[Tensor, " B"]:
    """Whether the least rotation moves little of the molecule, as that about a bent chain."""
    turns = _raw_motions(batch)[:, :, 3:]
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
