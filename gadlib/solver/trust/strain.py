"""The tension of bonds, by which the Hessian of a search differs from that of the potential."""

from __future__ import annotations

import os

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.tension import tension_hessian
from gadlib.solver.state import State

TENSION = 1


def tension(state: State) -> Float[Tensor, "B D D"]:
    """The tension of bonds at each point, zero where Hessians are not spared."""
    if not TENSION:
        return torch.zeros_like(state.hessian)
    found = tension_hessian(state.batch, state.forces)
    return torch.where(state.memory.spares_hessians[:, None, None], found, 0.0)
