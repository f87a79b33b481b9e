"""Systems that can't be computed, or not by one calculator: found before it, blanked after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

CLOSEST_PAIR_MIN = 0.05
"""Two atoms closer than this (A) give nonsense or no convergence; such a system is not computed."""


def impossible(batch: Batch) -> dict[int, str]:
    """A sentence for each system that must not be given to a potential, by its place."""
    reasons = {}
    is_finite = batch.positions.isfinite().flatten(1).all(-1).tolist()
    for i, closest in enumerate(batch.closest_pair.tolist()):
        if not is_finite[i]:
            reasons[i] = "positions are not finite"
        elif closest < CLOSEST_PAIR_MIN:
            reasons[i] = (
                f"two atoms are {closest:.3f} A apart, expected at least {CLOSEST_PAIR_MIN} A"
            )
    return reasons


def refused(calculator: Any, batch: Batch) -> dict[int, str]:
    """A sentence for each system that a calculator says it is not made for, by its place.

    It says so by `unsupported` of elements, and by `refuses` of charge and multiplicity.
    """
    electrons = zip(batch.charges.tolist(), batch.multiplicities.tolist(), strict=True)
    reasons = {i: why for i, of in enumerate(electrons) if (why := calculator.refuses(*of))}
    unknown = calculator.unsupported(set(batch.atomic_numbers[batch.mask].tolist()))
    for i, numbers in enumerate(batch.atomic_numbers.tolist() if unknown else []):
        if found := unknown.keys() & set(numbers):
            reasons[i] = f"element {min(found)}: {unknown[min(found)]}"
    return reasons


def blanked(evaluation: Evaluation, batch: Batch) -> Evaluation:
    """The evaluation with NaN wherever a failed system has an atom."""
    if not evaluation.failures:
        return evaluation
    is_failed = torch.zeros(len(batch), dtype=torch.bool, device=batch.positions.device)
    is_failed[list(evaluation.failures)] = True
    blank = is_failed[:, None] & batch.mask.repeat_interleave(3, -1)
    second = evaluation.hessian
    if second is not None:
        second = second.masked_fill(blank[:, :, None] & blank[:, None, :], torch.nan)
    forces = evaluation.forces.flatten(1).masked_fill(blank, torch.nan)
    return replace(
        evaluation,
        energy=evaluation.energy.masked_fill(is_failed, torch.nan),
        forces=forces.unflatten(1, (-1, 3)),
        hessian=second,
    )
