"""Displacements along bent coordinates, and what is known at one geometry carried to another.

A straight displacement stretches the bonds of all atoms that turn about something, and a Hessian
that is kept from point to point is wrong by that. In internal coordinates neither happens: Pulay,
Fogarasi, J. Chem. Phys. 96, 2856 (1992), doi:10.1063/1.462844. Here the internal coordinates are
the distances of bonded atoms and of those with a common neighbour, with weights that fade; what
these leave open is Cartesian. So no list of bonds, no torsion and no straight angle is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.springs import bond_share
from gadlib.hessians.trust_region import matvec
from gadlib.systems.batch import Batch

_OVER_AN_ANGLE = 0.3  # the weight of two atoms with a common neighbour; of a bond it is 1
_CARTESIAN = 0.02  # of Cartesian coordinates, so small that they tell only what distances do not
_ROUNDS = 4  # of Newton's method, by which methyl groups turn by 0.3 A with bonds right to 1e-3 A


def internal_weights(batch: Batch) -> Float[Tensor, "B N N"]:
    """How much the distances between atoms count: of bonds 1, fading as these do.

    Nothing where particles are on an external surface, and do not feel each other.
    """
    if not batch.is_free:
        return torch.zeros_like(batch.distances)
    share = bond_share(batch)
    common = (share @ share).clamp(max=1.0) * batch.is_pair
    return torch.maximum(share, _OVER_AN_ANGLE * common)


def bent(batch: Batch, step: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """The displacement (A) by which distances change as at the beginning of a straight one (A).

    The least squares of that and of the step itself, by Newton's method.
    """
    weights = internal_weights(batch)
    wanted = batch.distances + _stretched(batch, step)
    found = step
    for _ in range(_ROUNDS):
        there = batch.moved_to(batch.positions + found.unflatten(1, (-1, 3)))
        gradient = _pulled(there, weights, there.distances - wanted)
        gradient = gradient + _CARTESIAN * (found - step)
        found = found - torch.linalg.solve(_metric(there, there, weights), gradient)
    return torch.where(batch.moves.repeat_interleave(3, -1), found, 0.0)


@dataclass(frozen=True)
class Carried:
    """How what is known at one geometry is carried to another one, in internal coordinates.

    Attributes:
        step: the displacement from the first to the second, in the coordinates there (A).
        back: what maps displacements at the second to those at the first.
    """

    step: Float[Tensor, "B D"]
    back: Float[Tensor, "B D D"]

    @classmethod
    def between(cls, here: Batch, there: Batch) -> Carried:
        """From one geometry to another one of the same molecules."""
        weights = internal_weights(here)
        along = _pulled(there, weights, there.distances - here.distances)
        along = along + _CARTESIAN * (there.positions - here.positions).flatten(1)
        step = torch.linalg.solve(_metric(there, there, weights), along)
        metric, across = _metric(here, here, weights), _metric(here, there, weights)
        return cls(step, torch.linalg.solve(metric, across))

    def covector(self, gradient: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """A gradient at the first geometry, carried to the second."""
        return matvec(self.back.mT, gradient)

    def form(self, hessian: Float[Tensor, "B D D"]) -> Float[Tensor, "B D D"]:
        """A Hessian at the first geometry, carried to the second."""
        return self.back.mT @ hessian @ self.back


def _stretched(batch: Batch, step: Float[Tensor, "B D"]) -> Float[Tensor, "B N N"]:
    """By how much a small displacement changes distances."""
    moved = step.unflatten(1, (-1, 3)).mT
    return ((moved[:, :, :, None] - moved[:, :, None, :]) * batch.units).sum(1)


def _pulled(
    batch: Batch, weights: Float[Tensor, "B N N"], excess: Float[Tensor, "B N N"]
) -> Float[Tensor, "B D"]:
    """The gradient of half the weighted squares of what distances have too much."""
    pull = torch.where(batch.is_pair, weights * excess, 0.0)
    return (pull[:, None] * batch.units).sum(-1).mT.flatten(1)


def _metric(left: Batch, right: Batch, weights: Float[Tensor, "B N N"]) -> Float[Tensor, "B D D"]:
    """The weighted product of the distances' gradients at two geometries, and the Cartesian one."""
    blocks = (weights[:, None] * left.units)[:, :, None] * right.units[:, None]
    metric = (-blocks).permute(0, 3, 1, 4, 2).contiguous()
    metric.diagonal(dim1=1, dim2=3).copy_(blocks.sum(-1))
    size = 3 * weights.shape[1]
    identity = torch.eye(size, dtype=weights.dtype, device=weights.device)
    return metric.view(len(weights), size, size) + _CARTESIAN * identity
