"""A batch computed in one call; where that fails, in smaller ones, until one system is at fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from gadlib.calculators.failures import blanked
from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

Attempt = Callable[[Batch], tuple[Evaluation | None, str]]
"""The evaluation of a batch, or why there is none."""

NO_LIMIT = 1_000_000
"""More systems than any batch has."""


def in_halves(
    batch: Batch,
    hessian: bool,
    attempt: Attempt,
    *,
    failures: Mapping[int, str],
    capacity: int = NO_LIMIT,
) -> Evaluation:
    """What is known of each system that has not failed beforehand.

    Args:
        batch: the systems.
        hessian: whether their Hessians are asked for.
        attempt: computes some of them; what fails with several is tried with half as many.
        failures: of systems that are not to be computed, by their places.
        capacity: how many systems are tried together at first.
    """
    size, n_coordinates = len(batch), 3 * batch.positions.shape[1]
    energy = batch.positions.new_zeros(size)
    forces = torch.zeros_like(batch.positions)
    second = energy.new_zeros(size, n_coordinates, n_coordinates) if hessian else None
    failed = dict(failures)
    waiting = [i for i in range(size) if i not in failed]
    while waiting:
        rows = torch.tensor(waiting[:capacity], device=energy.device)
        found, reason = attempt(batch.take(rows))
        if found is None and len(rows) > 1:  # the system at fault is found by halving
            capacity = len(rows) // 2
            continue
        if found is None:
            failed[int(rows)] = reason
        else:
            failed |= {int(rows[k]): why for k, why in found.failures.items()}
            energy[rows], forces[rows] = found.energy, found.forces
            if second is not None and found.hessian is not None:
                second[rows] = found.hessian
        waiting = waiting[len(rows) :]
    return blanked(Evaluation(energy, forces, second, failed), batch)
