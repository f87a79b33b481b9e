"""What forces along bonds add to a Hessian: a curvature across them that is gone once they relax.

The Hessian of a bond's energy E(r) is E'' along it and E'/r across it, so that a bond which is too
short curves down across itself, by as much as the force on it. Near a distorted geometry such
curvature makes modes negative that belong to no reaction. In internal coordinates it does not
appear: Pulay, Fogarasi, J. Chem. Phys. 96, 2856 (1992), doi:10.1063/1.462844.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.springs import model_hessian, pair_hessian, stretching
from gadlib.systems.batch import Batch


def tension_hessian(batch: Batch, forces: Float[Tensor, "B N 3"]) -> Float[Tensor, "B D D"]:
    """The part of the Hessian that forces along bonds make, in eV/A^2; zero where there are none.

    How the forces are shared among bonds, angles and torsions, which overlap, is told by the model
    of their springs: each pulls by what it would stretch if the molecule relaxed.
    """
    model = model_hessian(batch)
    if not batch.is_free:  # particles on an external surface have no bonds
        return torch.zeros_like(model)
    still = torch.diag_embed((model.diagonal(dim1=1, dim2=2) == 0).to(model.dtype))
    relaxed = torch.linalg.solve(model + still, forces.flatten(1)).unflatten(1, (-1, 3)).mT
    stretched = ((relaxed[:, :, :, None] - relaxed[:, :, None, :]) * batch.units).sum(1)
    slope = -stretching(batch) * stretched
    across = slope / batch.distances.clamp(min=0.1)  # no force is told of atoms upon each other
    moves = batch.moves.repeat_interleave(3, -1)
    hessian = pair_hessian(batch, torch.zeros_like(across), across)
    return torch.where(moves[:, :, None] & moves[:, None, :], hessian, 0.0)
