"""Batches of molecules.

A batch holds B systems of at most N atoms, padded; a padded atom has atomic number 0, mass 0 and
sits at the origin. D = 3N Cartesian coordinates in the order x1 y1 z1 x2 ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from ase.data import atomic_masses, chemical_symbols, covalent_radii
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.boundary import Boundary

_MASSES = torch.tensor(atomic_masses, dtype=torch.float64)
_MASSES[0] = 0.0  # ASE gives the dummy element X a mass of 1; here it is padding
_RADII = torch.tensor(covalent_radii, dtype=torch.float64)
_OF_MOLECULES = ("mask", "moves", "n_atoms", "n_moving", "masses", "sqrt_masses")
_OF_MOLECULES += ("inverse_sqrt_masses", "is_pair", "radii_sum")  # wherever they are


def atom_label(atomic_numbers: Sequence[int] | np.ndarray, i: int) -> str:
    """The name of an atom by its element and place, as in C0, the first.

    Atoms count from 0 in all that is typed and read, as in ASE, in Python, and in the lists of
    result files, so that a number can be taken from a message into a flag or a script.
    """
    return f"{chemical_symbols[int(atomic_numbers[i])]}{i}"


@runtime_checkable
class Molecule(Protocol):
    """What starting points and records have in common: atoms (A), charge (e) and multiplicity."""

    @property
    def atomic_numbers(self) -> Any:
        """Its elements."""

    @property
    def positions(self) -> Any:
        """Its atoms' places in A."""

    @property
    def charge(self) -> int:
        """In e."""
        ...

    @property
    def multiplicity(self) -> int:
        """One more than its unpaired electrons, 2S + 1."""
        ...


@dataclass(frozen=True)
class Batch:
    """B systems, padded to the same number of atoms.

    Attributes:
        positions: in angstrom, float64.
        atomic_numbers: 0 marks padding.
        is_free: whether the systems float in empty space, so that rigid motions carry no energy.
            False for particles on an external surface; then nothing is projected out.
        charges: of the systems in e; by default all are neutral.
        multiplicities: 2S + 1 of each, which is one more than its unpaired electrons; by default 1.
        boundary: frozen atoms and cells; None where all systems are free molecules.
    """

    positions: Float[Tensor, "B N 3"]
    atomic_numbers: Int[Tensor, "B N"]
    is_free: bool = True
    charges: Int[Tensor, " B"] = None  # type: ignore[assignment]
    multiplicities: Int[Tensor, " B"] = None  # type: ignore[assignment]
    boundary: Boundary | None = None

    def __post_init__(self) -> None:
        for name, usual in (("charges", 0), ("multiplicities", 1)):
            if getattr(self, name) is None:
                same = self.atomic_numbers.new_full((len(self.positions),), usual)
                object.__setattr__(self, name, same)

    @classmethod
    def pack(
        cls,
        positions: Sequence[np.ndarray | Tensor],
        atomic_numbers: Sequence[np.ndarray | Tensor | Sequence[int]],
        *,
        is_free: bool = True,
        charges: Sequence[int] | None = None,
        multiplicities: Sequence[int] | None = None,
        boundary: Boundary | None = None,
    ) -> Batch:
        """The batch of the given molecules, padded to the largest.

        Raises:
            ValueError: when a molecule's positions and atomic numbers disagree in length, or there
                is no molecule, or not as many charges or multiplicities as molecules.
        """
        if not len(positions) or len(positions) != len(atomic_numbers):
            raise ValueError(
                f"a batch of {len(positions)} positions and {len(atomic_numbers)} atomic_numbers:"
                " expected as many, at least one"
            )
        coordinates = [torch.as_tensor(p, dtype=torch.float64).reshape(-1, 3) for p in positions]
        numbers = [torch.as_tensor(z, dtype=torch.int64).reshape(-1) for z in atomic_numbers]
        for i, (p, z) in enumerate(zip(coordinates, numbers, strict=True)):
            if len(p) != len(z):
                raise ValueError(
                    f"molecule {i} has {len(p)} positions and {len(z)} atomic_numbers:"
                    " expected as many"
                )
        electrons = {"charges": charges, "multiplicities": multiplicities}
        for name, given in electrons.items():
            if given is not None and len(given) != len(numbers):
                raise ValueError(
                    f"{len(given)} {name} of {len(numbers)} molecules: expected as many"
                )
        told = {k: torch.as_tensor(v) for k, v in electrons.items() if v is not None}
        pad = torch.nn.utils.rnn.pad_sequence
        packed = pad(coordinates, batch_first=True), pad(numbers, batch_first=True)
        return cls(*packed, is_free, boundary=boundary, **told)

    @classmethod
    def of(cls, molecules: Sequence[Molecule]) -> Batch:
        """The batch of the given molecules, free in space.

        Raises:
            ValueError: as `pack` does.
        """
        return cls.pack(
            [np.asarray(one.positions, dtype=float) for one in molecules],
            [one.atomic_numbers for one in molecules],
            charges=[one.charge for one in molecules],
            multiplicities=[one.multiplicity for one in molecules],
        )

    def __len__(self) -> int:
        """The number of systems B."""
        return len(self.positions)

    @cached_property
    def mask(self) -> Bool[Tensor, "B N"]:
        """True where there is an atom."""
        return self.atomic_numbers > 0

    @cached_property
    def moves(self) -> Bool[Tensor, "B N"]:
        """True where there is an atom that is not frozen."""
        return self.mask if self.boundary is None else self.mask & ~self.boundary.is_frozen

    @property
    def is_held(self) -> Bool[Tensor, " B"]:
        """Whether a system is in a cell, or has frozen atoms."""
        if self.boundary is None:
            return torch.zeros_like(self.n_atoms, dtype=torch.bool)
        return self.boundary.is_held

    @cached_property
    def n_moving(self) -> Int[Tensor, " B"]:
        """Atoms in each system that are not frozen."""
        return self.n_atoms if self.boundary is None else self.moves.sum(-1)

    @cached_property
    def n_atoms(self) -> Int[Tensor, " B"]:
        """Atoms in each system."""
        return self.mask.sum(-1)

    @cached_property
    def masses(self) -> Float[Tensor, "B N"]:
        """Standard atomic masses in amu (ASE's table), 0 where padded."""
        return _MASSES.to(self.positions.device)[self.atomic_numbers]

    @cached_property
    def sqrt_masses(self) -> Float[Tensor, "B D"]:
        """The square root of the mass that moves along each coordinate, in amu^1/2.

        0 where padded or frozen.
        """
        moving = self.masses if self.boundary is None else self.masses * self.moves
        return moving.sqrt().repeat_interleave(3, dim=-1)

    @cached_property
    def inverse_sqrt_masses(self) -> Float[Tensor, "B D"]:
        """One over `sqrt_masses`; 0 where that is."""
        root = self.sqrt_masses
        return torch.where(root > 0, 1 / root.clamp(min=1e-12), 0.0)

    @cached_property
    def is_pair(self) -> Bool[Tensor, "B N N"]:
        """True for two different atoms."""
        width = self.positions.shape[1]
        other = ~torch.eye(width, dtype=torch.bool, device=self.positions.device)
        return self.mask[:, :, None] & self.mask[:, None, :] & other

    @cached_property
    def radii_sum(self) -> Float[Tensor, "B N N"]:
        """The sum of the covalent radii of two atoms, in angstrom (ASE's table)."""
        radii = _RADII.to(self.positions.device)[self.atomic_numbers]
        return radii[:, :, None] + radii[:, None, :]

    @cached_property
    def distances(self) -> Float[Tensor, "B N N"]:
        """Distances of the atoms in angstrom; inf on the diagonal and where padded.

        In a cell those of the nearest images.
        """
        if self.boundary is not None and self.boundary.is_periodic.any():
            distance = torch.linalg.vector_norm(self.apart, dim=1)
        else:
            distance = torch.cdist(
                self.positions, self.positions, compute_mode="donot_use_mm_for_euclid_dist"
            )
        return torch.where(self.is_pair, distance, torch.inf)

    @cached_property
    def scaled_distances(self) -> Float[Tensor, "B N N"]:
        """Distances over sums of covalent radii; inf on the diagonal and where padded."""
        return self.distances / self.radii_sum

    @cached_property
    def apart(self) -> Float[Tensor, "B 3 N N"]:
        """Vectors to each atom (first) from each other one, or its nearest image, in angstrom."""
        across = self.positions.mT.contiguous()
        apart = across[:, :, :, None] - across[:, :, None, :]
        return apart if self.boundary is None else self.boundary.nearest(apart)

    @cached_property
    def units(self) -> Float[Tensor, "B 3 N N"]:
        """Unit vectors to each atom (first) from each other one; 0 where there is no pair."""
        return self.apart / self.distances.clamp(min=1e-6)[:, None]

    def take(self, index: Tensor) -> Batch:
        """The systems at the given places (integers or a boolean mask), still padded as before."""
        taken = replace(
            self,
            positions=self.positions[index],
            atomic_numbers=self.atomic_numbers[index],
            charges=self.charges[index],
            multiplicities=self.multiplicities[index],
            boundary=None if self.boundary is None else self.boundary.take(index),
        )
        taken.__dict__.update({name: value[index] for name, value in self.known.items()})
        return taken

    def to(self, device: torch.device | str) -> Batch:
        """The same molecules on another device."""
        return replace(
            self,
            positions=self.positions.to(device),
            atomic_numbers=self.atomic_numbers.to(device),
            charges=self.charges.to(device),
            multiplicities=self.multiplicities.to(device),
            boundary=None if self.boundary is None else self.boundary.to(device),
        )

    def moved_to(self, positions: Float[Tensor, "B N 3"]) -> Batch:
        """The same molecules at other positions; padding and frozen atoms stay where they are."""
        stays = 0.0 if self.boundary is None else self.positions
        moved = replace(self, positions=torch.where(self.moves[..., None], positions, stays))
        moved.__dict__.update(self.known)
        return moved

    @property
    def known(self) -> dict[str, Tensor]:
        """What has been computed of the molecules that does not depend on where they are."""
        return {name: self.__dict__[name] for name in _OF_MOLECULES if name in self.__dict__}

    def system(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Atomic numbers (n,) and positions (n, 3) of one system, without padding."""
        n = int(self.n_atoms[i])
        return self.atomic_numbers[i, :n].cpu().numpy(), self.positions[i, :n].cpu().numpy()

    @cached_property
    def closest_pair(self) -> Float[Tensor, " B"]:
        """The smallest distance between two atoms of a system, in angstrom; inf for an atom."""
        return self.distances.amin((-2, -1))


def longest(vector: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """The length of the longest of the atoms' parts of vectors."""
    return torch.linalg.vector_norm(vector.unflatten(1, (-1, 3)), dim=-1).amax(-1)
