"""What counts as success: three criteria, always all reported, never tuned. Floor 2.

* `index1`: lambda_1 * lambda_2 < -1e-5, one negative vibrational eigenvalue, as published; the point need not be stationary.
* `strict`: exactly one negative vibrational eigenvalue and every atomic force below 0.01 eV/A, from an exact Hessian.
* `bound`: strict, an imaginary frequency of at least 50 cm-1, and no more fragments than the reference has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.chemistry import n_fragments
from gadlib.state import State
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

Criterion = Literal["index1", "strict", "bound"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

INDEX1_TOL = -1e-5
FORCE_TOL = 0.01
IMAGINARY_MIN_CM1 = 50.0


@dataclass(frozen=True)
class Verdict:
    """How a batch of points stands against the three criteria.

    Attributes:
        imaginary_cm1: wavenumber of the lowest mode where it is negative, as a positive number; 0 where there is none.
        n_fragments: connected pieces of the bond graph.
    """

    index1: Bool[Tensor, " B"]
    strict: Bool[Tensor, " B"]
    bound: Bool[Tensor, " B"]
    imaginary_cm1: Float[Tensor, " B"]
    n_fragments: Int[Tensor, " B"]

    def meets(self, criterion: Criterion) -> Bool[Tensor, " B"]:
        """Whether each system meets the named criterion."""
        return getattr(self, criterion)


def judge(state: State, max_fragments: Int[Tensor, " B"]) -> Verdict:
    """The verdict on every system at its current point; a failed system and one without an exact Hessian meet nothing.

    Args:
        state: the points.
        max_fragments: fragments of the reference transition state (or of the reactant or molecule started from).
    """
    lowest = state.spectrum.eigenvalues[:, 0]
    second = state.spectrum.eigenvalues[:, 1]
    is_known = state.is_exact & torch.tensor([not message for message in state.message], device=lowest.device)
    pieces = n_fragments(state.batch)
    imaginary = CM1_PER_SQRT_EIGENVALUE * (-lowest).clamp(min=0).sqrt()
    strict = is_known & (state.order == 1) & (state.max_force < FORCE_TOL)
    return Verdict(
        index1=is_known & (lowest * second < INDEX1_TOL),
        strict=strict,
        bound=strict & (imaginary >= IMAGINARY_MIN_CM1) & (pieces <= max_fragments),
        imaginary_cm1=imaginary,
        n_fragments=pieces,
    )
