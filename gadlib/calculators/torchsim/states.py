"""Batches as states of TorchSim, and what is computed of those as batches again."""

from __future__ import annotations

import importlib
import inspect
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.systems.batch import Batch


def by_period(batch: Batch) -> list[Tensor]:
    """The places of those that repeat along no direction, and of those that do along all."""
    if batch.boundary is None:
        return [torch.arange(len(batch), device=batch.positions.device)]
    repeats = batch.boundary.is_periodic.all(-1)
    both = [(~repeats).nonzero().flatten(), repeats.nonzero().flatten()]
    return [rows for rows in both if len(rows)]


def state_of(batch: Batch, device: torch.device, dtype: torch.dtype) -> Any:
    """The batch as TorchSim's models take it, with leaf positions that have a gradient.

    Charge and spin multiplicity go with it, as in newer versions.
    """
    mask, like = batch.mask, {"device": device, "dtype": dtype}
    owner = torch.arange(len(batch), device=mask.device).repeat_interleave(batch.n_atoms)
    cell = batch.positions.new_zeros(len(batch), 3, 3)
    is_periodic = False
    if batch.boundary is not None:
        is_periodic = bool(batch.boundary.is_periodic.all())
        cell = batch.boundary.cell if is_periodic else cell
    return _kind()(
        positions=batch.positions[mask].detach().to(**like).requires_grad_(),
        masses=batch.masses[mask].to(**like),
        cell=cell.mT.to(**like),  # columns
        pbc=is_periodic,
        atomic_numbers=batch.atomic_numbers[mask].to(device),
        system_idx=owner.to(device),
        charge=batch.charges.to(**like),
        spin=batch.multiplicities.to(**like),
    )


@lru_cache(maxsize=1)
def _kind() -> type:
    """TorchSim's state, with charge and spin where its version has them not."""
    usual = importlib.import_module("torch_sim.state").SimState
    if "charge" in inspect.signature(usual).parameters:
        return usual

    class WithElectrons(usual):
        charge: torch.Tensor
        spin: torch.Tensor
        _system_attributes = usual._system_attributes | {"charge", "spin"}

        def __init__(self, *, charge: Tensor, spin: Tensor, **named: Any) -> None:
            super().__init__(**named)
            self.charge, self.spin = charge, spin

    return WithElectrons


def places(batch: Batch) -> Tensor:
    """The place of each atom among those of its system."""
    return torch.arange(batch.mask.shape[1], device=batch.mask.device).expand_as(batch.mask)[
        batch.mask
    ]


def padded(values: Float[Tensor, "L 3"], batch: Batch) -> Float[Tensor, "B N 3"]:
    """The values of all atoms in the form of the batch, zero where it is padded."""
    found = torch.zeros_like(batch.positions)
    found[batch.mask] = values.to(found)
    return found


def blocks(rows: Float[Tensor, "K L 3"], batch: Batch) -> Float[Tensor, "B D D"]:
    """The Hessians of rows of all systems, symmetrised; zero where an atom does not move."""
    size, width = batch.positions.shape[:2]
    wide = batch.positions.new_zeros(size, width, 3, 3 * width)
    wide[..., : len(rows)][batch.mask] = rows.permute(1, 2, 0).to(wide)
    moves = batch.moves.repeat_interleave(3, -1)
    found = wide.flatten(1, 2)
    found = torch.where(moves[:, :, None] & moves[:, None, :], found, 0.0)
    return (found + found.mT) / 2
