"""What a search has seen of the difference between its potential and the cheap one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

MAX_VALUES = 1800
"""Energies and force components that are kept of one system, about 30 geometries of 20 atoms.

To solve for so many takes 0.1 s on one core, and grows as their cube."""


SAME = 1e-5
"""A by which no atom has moved where two geometries are one; closer ones make equations singular
that the noise of 1e-8 keeps solvable."""


@dataclass(frozen=True)
class Observations:
    """Geometries of one system, and what the potential says there beyond the cheap one.

    Attributes:
        positions: in A.
        energies: differences in eV.
        gradients: differences in eV/A.
        which: of the calculator's cheap potentials they are differences to, from 0.
    """

    positions: Float[Tensor, "M n 3"]
    energies: Float[Tensor, " M"]
    gradients: Float[Tensor, "M n 3"]
    which: int = 0

    def __len__(self) -> int:
        """How many geometries there are."""
        return len(self.energies)

    @property
    def n_most(self) -> int:
        """How many geometries are kept."""
        return max(2, MAX_VALUES // (1 + 3 * self.positions.shape[1]))

    @classmethod
    def none(cls, n_atoms: int) -> Observations:
        """Of a system of which nothing has been seen."""
        nothing = torch.zeros(0, n_atoms, 3, dtype=torch.float64)
        return cls(nothing, nothing[:, 0, 0], nothing)

    def plus(
        self,
        positions: Float[Tensor, "K n 3"],
        energies: Float[Tensor, " K"],
        gradients: Float[Tensor, "K n 3"],
        centre: Float[Tensor, "n 3"] | None = None,
    ) -> Observations:
        """These and others; of too many those are left out that lie farthest from a centre.

        What lies where something is known already tells nothing, and is left out.

        Args:
            positions: of the others, in A.
            energies: in eV.
            gradients: in eV/A.
            centre: in A; None for the last of them.
        """
        if len(self) and float(self.distances(positions[-1]).min()) < SAME:
            return self
        found = Observations(
            torch.cat([self.positions, positions]),
            torch.cat([self.energies, energies]),
            torch.cat([self.gradients, gradients]),
            self.which,
        )
        most = self.n_most
        if len(found) <= most:
            return found
        distances = found.distances(positions[-1] if centre is None else centre)
        return found.nearest(distances, most)

    def apart(self, positions: Float[Tensor, "n 3"], least: float) -> Observations:
        """Those that lie so far from one another (A), of closer ones the nearest to a place."""
        kept: list[int] = []
        for i in self.distances(positions).argsort(stable=True).tolist():
            ways = farthest_moves(self.positions[kept], self.positions[i])
            if bool((ways > least).all()):
                kept.append(i)
        return self._only(torch.tensor(sorted(kept), dtype=torch.int64))

    def nearest(self, distances: Float[Tensor, " M"], most: int) -> Observations:
        """Those of the smallest distances, in their order."""
        return self._only(distances.argsort(stable=True)[:most].sort().values)

    def _only(self, kept: Int[Tensor, " K"]) -> Observations:
        return replace(
            self,
            positions=self.positions[kept],
            energies=self.energies[kept],
            gradients=self.gradients[kept],
        )

    def distances(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, " M"]:
        """How far the atom that moved farthest is from where it was in each of them, in A."""
        return farthest_moves(self.positions, positions)


def farthest_moves(
    places: Float[Tensor, "M n 3"], positions: Float[Tensor, "n 3"]
) -> Float[Tensor, " M"]:
    """How far the atom that moved farthest is from where it was in each of the places, in A."""
    return torch.linalg.vector_norm(places - positions, dim=-1).amax(-1)
