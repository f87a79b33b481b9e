"""What a search has seen of its potential, and what the cheap one says at the same places."""

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


Told = tuple[Float[Tensor, ""], Float[Tensor, "n 3"]]
"""What a potential says of one geometry: the energy in eV, the gradient in eV/A."""


@dataclass(frozen=True)
class Observations:
    """Geometries of one system, and what the costly and a cheap potential say there.

    Attributes:
        positions: in A.
        energies: of the costly one, in eV.
        gradients: of the costly one, in eV/A.
        cheap_energies: in eV.
        cheap_gradients: in eV/A.
        which: of the calculator's cheap potentials it is, from 0.
    """

    positions: Float[Tensor, "M n 3"]
    energies: Float[Tensor, " M"]
    gradients: Float[Tensor, "M n 3"]
    cheap_energies: Float[Tensor, " M"]
    cheap_gradients: Float[Tensor, "M n 3"]
    which: int = 0

    def __len__(self) -> int:
        """How many geometries there are."""
        return len(self.energies)

    @property
    def n_values(self) -> int:
        """Energies and force components, but those that rigid motions tell."""
        return max(1, len(self) * (3 * self.positions.shape[1] - 5))

    @property
    def n_most(self) -> int:
        """How many geometries are kept."""
        return max(2, MAX_VALUES // (1 + 3 * self.positions.shape[1]))

    @classmethod
    def none(cls, n_atoms: int, which: int = 0) -> Observations:
        """Of a system of which nothing has been seen."""
        nothing = torch.zeros(0, n_atoms, 3, dtype=torch.float64)
        no_energy = nothing[:, 0, 0]
        return cls(nothing, no_energy, nothing, no_energy, nothing, which)

    def plus(
        self,
        positions: Float[Tensor, "n 3"],
        costly: Told,
        cheap: Told,
        centre: Float[Tensor, "n 3"] | None = None,
    ) -> Observations:
        """These and one more; of too many those are left out that lie farthest from a centre.

        What lies where something is known already tells nothing, and is left out.

        Args:
            positions: where, in A.
            costly: what the costly potential says there.
            cheap: what the cheap one does.
            centre: in A; None for the new one.
        """
        positions = positions.cpu()
        if len(self) and float(self.distances(positions).min()) < SAME:
            return self
        found = Observations(
            torch.cat([self.positions, positions[None]]),
            torch.cat([self.energies, costly[0].cpu()[None]]),
            torch.cat([self.gradients, costly[1].cpu()[None]]),
            torch.cat([self.cheap_energies, cheap[0].cpu()[None]]),
            torch.cat([self.cheap_gradients, cheap[1].cpu()[None]]),
            self.which,
        )
        most = self.n_most
        if len(found) <= most:
            return found
        distances = found.distances(positions if centre is None else centre.cpu())
        return found.nearest(distances, most)

    def of(self, place: int) -> tuple[Float[Tensor, "n 3"], Told, Told]:
        """The geometry at a place, and what the costly and the cheap potential say there."""
        costly = self.energies[place], self.gradients[place]
        cheap = self.cheap_energies[place], self.cheap_gradients[place]
        return self.positions[place], costly, cheap

    def against(
        self, which: int, energies: Float[Tensor, " M"], gradients: Float[Tensor, "M n 3"]
    ) -> Observations:
        """Those beside which another cheap potential, at this place, says something; with that."""
        found = replace(self, which=which, cheap_energies=energies, cheap_gradients=gradients)
        return found._only(energies.isfinite().nonzero().flatten())

    def within(self, radius: float, place: Float[Tensor, "n 3"]) -> Observations:
        """Those in which no atom is farther (A) from where it is at a place."""
        return self._only((self.distances(place) <= radius).nonzero().flatten())

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
            cheap_energies=self.cheap_energies[kept],
            cheap_gradients=self.cheap_gradients[kept],
        )

    def distances(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, " M"]:
        """How far the atom that moved farthest is from where it was in each of them, in A."""
        return farthest_moves(self.positions, positions)


def farthest_moves(
    places: Float[Tensor, "M n 3"], positions: Float[Tensor, "n 3"]
) -> Float[Tensor, " M"]:
    """How far the atom that moved farthest is from where it was in each of the places, in A."""
    return torch.linalg.vector_norm(places - positions, dim=-1).amax(-1)
