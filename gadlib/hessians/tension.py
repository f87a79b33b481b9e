"""What forces along bonds add to a Hessian: a curvature across them that is gone once they relax.

The Hessian of a bond's energy E(r) is E'' along it and E'/r across it, so that each bond that is
too short curves down across itself, by as much as the force on it. Near a distorted geometry such
curvature makes many modes negative that belong to no reaction. In internal coordinates it does not
appear: Pulay, Fogarasi, J. Chem. Phys. 96, 2856 (1992), doi:10.1063/1.462844.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.springs import model_hessian, pair_hessian, stretching
from gadlib.systems.batch import Batch


def tension_hessian(batch: Batch, forces: Float[Tensor, "B N 3"]) -> Float[Tensor, "B D D"]:
    """The part of the Hessian in eV/A^2 that forces along bonds make, zero where there are none."""
    model = model_hessian(batch)
    fixed = model.diagonal(dim1=1, dim2=2) == 0
    relaxed = torch.linalg.solve(model + torch.diag_embed(fixed.to(model.dtype)), forces.flatten(1))
    moved = relaxed.unflatten(1, (-1, 3))
    apart = (moved[:, :, None] - moved[:, None, :]).permute(0, 3, 1, 2)
    pull = -stretching(batch) * (apart * batch.units).sum(1)
    return pair_hessian(batch, torch.zeros_like(pull), pull / batch.distances.clamp(min=0.1))
