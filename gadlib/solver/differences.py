"""What a Hessian makes of directions, by differences of gradients, made in one place."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.systems.batch import Batch


class Differences(NamedTuple):
    """Differences of gradients along M directions, and the points beside that they were taken at.

    Attributes:
        changes: H d in eV/A^2; without meaning where the calculator failed.
        positions: of the points beside, in A.
        evaluation: there; `failures` counts from 0 to M - 1.
        seconds: in the calculator.
    """

    changes: Float[Tensor, "M D"]
    positions: Float[Tensor, "M N 3"]
    evaluation: Evaluation
    seconds: float


def downhill(
    forces: Float[Tensor, "M D"], directions: Float[Tensor, "M D"], length: float
) -> Float[Tensor, "M 1"]:
    """Signed steps (A) along directions, downhill: a mode has no sign of its own, this has."""
    is_up = (forces * directions).sum(1, keepdim=True) < 0
    return length * (1 - 2 * is_up.to(forces.dtype))


def differ(
    calculator: Calculator,
    batch: Batch,
    forces: Float[Tensor, "B D"],
    rows: Int[Tensor, " M"],
    displacements: Float[Tensor, "M D"],
    steps: Float[Tensor, "M 1"],
) -> Differences:
    """(g(x + d) - g(x)) / s to one side, all in one call of the calculator.

    The mean of both sides is the central difference. d is s times a direction, or bends away from
    that by the square of s, which central differences do not see.

    Args:
        calculator: the potential.
        batch: the molecules.
        forces: known there, in eV/A.
        rows: of which molecule each displacement is.
        displacements: d, Cartesian, in A.
        steps: s, in A, with a sign.
    """
    beside = batch.take(rows)
    beside = beside.moved_to(beside.positions + displacements.unflatten(1, (-1, 3)))
    evaluation, seconds = evaluate(calculator, beside, hessian=False)
    changes = (forces[rows] - evaluation.forces.flatten(1)) / steps
    return Differences(changes, beside.positions, evaluation, seconds)
