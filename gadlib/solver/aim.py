"""What a search is to climb, in a form that can be asked anew at every geometry.

An aim spans directions in mass-weighted coordinates: displacements that stay as they are, and
gradients of sums of distances, which turn with the molecule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.hessians.rigid_motions import remove_rigid, rigid_motions
from gadlib.systems.batch import Batch

_INDEPENDENT_TOL = 1e-6


@dataclass(frozen=True)
class Aim:
    """What each of B systems is to climb, in up to K directions; nothing where all is zero.

    Attributes:
        moves: mass-weighted displacements that are directions whatever the geometry.
        stretches: weights w of distances, symmetric; the direction is the mass-weighted gradient
            of sum w_ij d_ij over all pairs.
    """

    moves: Float[Tensor, "B D K"]
    stretches: Float[Tensor, "B K N N"]

    @classmethod
    def none(cls, batch: Batch) -> Aim:
        """No aim for any system."""
        size, width = batch.positions.shape[:2]
        new = batch.positions.new_zeros
        return cls(new(size, 3 * width, 0), new(size, 0, width, width))

    @cached_property
    def is_set(self) -> Bool[Tensor, " B"]:
        """Which systems have an aim."""
        return self.moves.flatten(1).any(-1) | self.stretches.flatten(1).any(-1)

    def to(self, device: torch.device | str) -> Aim:
        """The same aims on another device."""
        return Aim(self.moves.to(device), self.stretches.to(device))

    def along(self, batch: Batch) -> Float[Tensor, "B D K"]:
        """The directions at this geometry, mass-weighted, without rigid motions, not normalised.

        M^-1/2 B^T w with Wilson's B matrix of the distances: Wilson, Decius, Cross, Molecular
        Vibrations, McGraw-Hill (1955), chapter 4.
        """
        if not self.moves.shape[-1]:
            return self.moves
        pulled = (self.stretches[:, :, None] * batch.units[:, None]).sum(-1).mT.flatten(2).mT
        found = self.moves + batch.inverse_sqrt_masses[..., None] * pulled
        rigid = rigid_motions(batch)
        return torch.stack([remove_rigid(column, rigid) for column in found.unbind(-1)], -1)

    def directions(self, batch: Batch) -> Float[Tensor, "B D K"]:
        """An orthonormal basis of the directions at this geometry; zero where there are fewer."""
        found = self.along(batch)
        if not found.shape[-1]:
            return found
        squares, turn = torch.linalg.eigh(found.mT @ found)
        is_there = squares > _INDEPENDENT_TOL**2 * squares.amax(-1, keepdim=True).clamp(min=1.0)
        scale = torch.where(is_there, squares.clamp(min=1e-30).rsqrt(), 0.0)
        return found @ turn * scale[:, None, :]
