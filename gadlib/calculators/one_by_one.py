"""A batch computed one molecule after the other, and Hessians where only forces are known.

What one molecule's computation raises is that molecule's failure alone, a sentence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from gadlib.calculators.failures import blanked, impossible
from gadlib.calculators.import_paths import in_a_line
from gadlib.evaluation import Evaluation
from gadlib.progress.interrupts import outlived
from gadlib.systems.batch import Batch

Computed = tuple[float, np.ndarray, np.ndarray | None]
"""Energy in eV, forces (n, 3) in eV/A and Hessian (3n, 3n) in eV/A^2 of one molecule."""


def one_by_one(
    batch: Batch, hessian: bool, name: str, compute: Callable[[int], Computed]
) -> Evaluation:
    """What `compute` says of each molecule by its place; what it raises is its failure."""
    size, width = batch.positions.shape[:2]
    energy = np.zeros(size)
    forces = np.zeros((size, width, 3))
    second = np.zeros((size, 3 * width, 3 * width)) if hessian else None
    failures = impossible(batch)
    for i in range(size):
        n = int(batch.n_atoms[i])
        if i not in failures:
            try:
                with outlived():
                    energy[i], forces[i, :n], curvature = compute(i)
                if second is not None:
                    second[i, : 3 * n, : 3 * n] = curvature
            except Exception as error:  # foreign code may raise anything; it costs one molecule
                failures[i] = f"{name}: {in_a_line(error)}"
    device = batch.positions.device
    evaluation = Evaluation(
        torch.from_numpy(energy).to(device),
        torch.from_numpy(forces).to(device),
        None if second is None else torch.from_numpy(second).to(device),
        failures,
    )
    return blanked(evaluation, batch)


def moving(batch: Batch, i: int) -> np.ndarray:
    """The atoms of a system that are not frozen, by their places."""
    return batch.moves[i].nonzero().flatten().cpu().numpy()


def central_differences(
    forces_at: Callable[[np.ndarray], np.ndarray],
    positions: np.ndarray,
    displacement: float,
    moving: np.ndarray,
) -> np.ndarray:
    """The Hessian in eV/A^2, -(F(x + h) - F(x - h)) / 2h, symmetrised; its error is O(h^2).

    Zero where an atom does not move.
    """
    rows = np.zeros((positions.size, positions.size))
    coordinates = (3 * moving[:, None] + np.arange(3)).ravel()
    for k in coordinates:
        sides = []
        for sign in (1, -1):
            moved = positions.copy()
            moved.flat[k] += sign * displacement
            sides.append(forces_at(moved).ravel())
        rows[k, coordinates] = ((sides[1] - sides[0]) / (2 * displacement))[coordinates]
    return (rows + rows.T) / 2
