"""Hessians by central differences whose displaced geometries are one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Displaced:
    """Systems displaced along each coordinate that moves: all ahead, then all behind.

    Attributes:
        source: the systems, B of them.
        batch: the 2 M displaced ones.
        system: whose coordinate each of M is.
        coordinate: its place among those of that system.
        displacement: in A.
    """

    source: Batch
    batch: Batch
    system: Int[Tensor, " M"]
    coordinate: Int[Tensor, " M"]
    displacement: float

    @classmethod
    def of(cls, source: Batch, displacement: float) -> Displaced:
        """The displaced systems."""
        system, coordinate = source.moves.repeat_interleave(3, -1).nonzero().unbind(-1)
        ahead = source.take(system)
        shift = torch.zeros_like(ahead.positions)
        shift.flatten(1)[torch.arange(len(system)), coordinate] = displacement
        both = source.take(torch.cat([system, system]))
        batch = both.moved_to(both.positions + torch.cat([shift, -shift]))
        return cls(source, batch, system, coordinate, displacement)

    def with_source(self) -> Batch:
        """The systems themselves, and then the displaced ones."""
        n = len(self.source)
        rows = torch.cat([torch.arange(n).to(self.system), self.system, self.system])
        positions = torch.cat([self.source.positions, self.batch.positions])
        return self.source.take(rows).moved_to(positions)

    def hessian(self, forces: Float[Tensor, "L N 3"]) -> Float[Tensor, "B D D"]:
        """-(F(x + h) - F(x - h)) / 2h in eV/A^2, symmetrised; zero where an atom does not move.

        Args:
            forces: at the displaced systems, in eV/A.
        """
        ahead, behind = forces.flatten(1).chunk(2)
        moves = self.source.moves.repeat_interleave(3, -1)
        rows = torch.zeros(*moves.shape, moves.shape[1]).to(forces)
        rows[self.system, self.coordinate] = torch.where(
            moves[self.system], (behind - ahead) / (2 * self.displacement), 0.0
        )
        return (rows + rows.mT) / 2

    def failures(self, of_displaced: Mapping[int, str]) -> dict[int, str]:
        """For each system the first of the reasons why its displaced ones failed, by its place."""
        found: dict[int, str] = {}
        for pair, system in enumerate(self.system.tolist()):
            for place in (pair, pair + len(self.system)):
                if place in of_displaced:
                    found.setdefault(system, of_displaced[place])
        return found
