"""Calculators that go wrong with one molecule, and one that counts what it is asked."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

VICTIM = 7
"""A molecule with an atom of this number (nitrogen) is the one that goes wrong."""

_LOST: list[bool] = []


@dataclass(frozen=True)
class Springs:
    """Every coordinate on a spring to the origin: a minimum, so that no search converges.

    Attributes:
        fault: what becomes of a batch with a victim in it: nothing, or `raises`, `nan`, `exits`,
            `hangs` for an hour, in a native call that nothing in the process can end,
            `loses_gpu`, as an index out of bounds does: no later call of the process is answered.
        diary: a file that gets a line with the number of atoms for each system computed.
    """

    fault: str = ""
    diary: Path | None = None

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        is_victim = (batch.atomic_numbers == VICTIM).any(-1)
        if self.diary is not None:
            with self.diary.open("a") as file:
                file.writelines(f"{n}\n" for n in batch.n_atoms.tolist())
        if self.fault == "raises" and is_victim.any():
            raise RuntimeError("the nitrogen leaked out")
        if self.fault == "exits" and is_victim.any():
            os._exit(3)
        if self.fault == "loses_gpu" and (is_victim.any() or _LOST):
            _LOST.append(True)
            raise RuntimeError("CUDA error: device-side assert triggered\nmore of it")
        if self.fault == "hangs" and is_victim.any():
            ctypes.PyDLL(None).sleep(3600)  # with Python's lock held
        x = batch.positions.flatten(1)
        constants = torch.linspace(1.0, 2.0, x.shape[1], dtype=x.dtype).expand_as(x)
        energy = (constants * x**2).sum(-1) / 2
        if self.fault == "nan":
            energy = torch.where(is_victim, torch.nan, energy)
        forces = (-constants * x).unflatten(1, (-1, 3))
        return Evaluation(
            energy,
            torch.where(batch.mask[..., None], forces, 0.0),
            torch.diag_embed(constants * batch.mask.repeat_interleave(3, -1)) if hessian else None,
        )
