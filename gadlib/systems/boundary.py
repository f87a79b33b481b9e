"""What systems can't do freely: atoms that are frozen, and cells in which systems repeat.

Positions are never wrapped into a cell; the nearest images are taken where distances are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from ase.geometry import find_mic
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Boundary:
    """The boundary conditions of B systems, padded as their batch is.

    Attributes:
        is_frozen: True for atoms that never move.
        cell: lattice vectors in A, one a row; of directions that are not periodic without meaning.
        is_periodic: along which of its lattice vectors a system repeats; of molecules along none.
    """

    is_frozen: Bool[Tensor, "B N"]
    cell: Float[Tensor, "B 3 3"]
    is_periodic: Bool[Tensor, "B 3"]

    @property
    def is_held(self) -> Bool[Tensor, " B"]:
        """Whether a system is anything but free."""
        return self.is_frozen.any(-1) | self.is_periodic.any(-1)

    def nearest(self, apart: Float[Tensor, "B 3 N N"]) -> Float[Tensor, "B 3 N N"]:
        """The vectors between atoms in A, each to the nearest image (`ase.geometry.find_mic`).

        Where two images are as near, the vectors there and back are to the same one.
        """
        found = apart.clone()
        i, j = torch.triu_indices(*apart.shape[2:], offset=1, device=apart.device)
        for row in self.is_periodic.any(-1).nonzero().flatten().tolist():
            vectors = apart[row, :, i, j].mT.cpu().numpy()
            cell: Any = self.cell[row].cpu().numpy()
            is_periodic: Any = self.is_periodic[row].cpu().numpy()  # ASE's annotation says bool
            near = torch.from_numpy(find_mic(vectors, cell, is_periodic)[0]).to(apart).mT
            found[row, :, i, j] = near
            found[row, :, j, i] = -near
        return found

    def take(self, index: Tensor) -> Boundary:
        """That of the systems at the given places (integers or a boolean mask)."""
        return Boundary(self.is_frozen[index], self.cell[index], self.is_periodic[index])

    def to(self, device: torch.device | str) -> Boundary:
        """The same on another device."""
        return Boundary(
            self.is_frozen.to(device), self.cell.to(device), self.is_periodic.to(device)
        )


def is_same(one: Boundary | None, other: Boundary | None) -> bool:
    """Whether two systems are held in the same way."""
    if one is None or other is None:
        return one is other
    return all(torch.equal(a, b) for a, b in zip(_parts(one), _parts(other), strict=True))


def _parts(boundary: Boundary) -> tuple[Tensor, Tensor, Tensor]:
    return boundary.is_frozen, boundary.cell, boundary.is_periodic
