"""What counts as success: three criteria, always all reported, never tuned.

* `index1`: lambda_1 * lambda_2 < -1e-5, one negative vibrational eigenvalue, as published; the
  point need not be stationary.
* `strict`: exactly one negative vibrational eigenvalue and every atomic force below 0.01 eV/A, from
  an exact Hessian. What a nearly straight chain bends by is no rotation there (`exact_spectrum`).
* `bound`: strict, an imaginary frequency of at least 50 cm-1, and no more fragments than the
  reference has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.molecules.bonds import n_fragments
from gadlib.solver.state import State
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

Criterion = Literal["index1", "strict", "bound"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

INDEX1_TOL = -1e-5
IMAGINARY_MIN_CM1 = 50.0


@dataclass(frozen=True)
class Verdict:
    """How a batch of points stands against the three criteria; what nobody asks is not computed.

    Attributes:
        state: the points; only what is exact there can meet a criterion.
        max_fragments: fragments of the reference transition state (or of the reactant or molecule
            started from).
    """

    state: State
    max_fragments: Int[Tensor, " B"]

    @cached_property
    def index1(self) -> Bool[Tensor, " B"]:
        """One negative vibrational eigenvalue, as published."""
        lowest, second = self.state.spectrum.eigenvalues[:, :2].unbind(-1)
        return self._is_known & (lowest * second < INDEX1_TOL)

    @cached_property
    def strict(self) -> Bool[Tensor, " B"]:
        """A stationary point with exactly one negative vibrational eigenvalue."""
        return self._is_known & (self.state.order == 1) & (self.state.max_force < FORCE_TOL)

    @cached_property
    def bound(self) -> Bool[Tensor, " B"]:
        """A strict saddle that is neither flat nor in more pieces than the reference."""
        if not self.strict.any():
            return self.strict
        is_whole = self.n_fragments <= self.max_fragments
        return self.strict & is_whole & (self.imaginary_cm1 >= IMAGINARY_MIN_CM1)

    @cached_property
    def imaginary_cm1(self) -> Float[Tensor, " B"]:
        """Wavenumber of the lowest mode where its eigenvalue is negative, else 0."""
        lowest = self.state.spectrum.eigenvalues[:, 0]
        return CM1_PER_SQRT_EIGENVALUE * (-lowest).clamp(min=0).sqrt()

    @cached_property
    def n_fragments(self) -> Int[Tensor, " B"]:
        """Connected pieces of the bond graphs."""
        return n_fragments(self.state.batch)

    @cached_property
    def _is_known(self) -> Bool[Tensor, " B"]:
        known = self.state.is_exact & self.state.is_computed
        if not any(self.state.doubt):
            return known
        return known & torch.tensor([not doubt for doubt in self.state.doubt], device=known.device)

    def meets(self, criterion: Criterion) -> Bool[Tensor, " B"]:
        """Whether each system meets the named criterion."""
        return getattr(self, criterion)


def judge(state: State, max_fragments: Int[Tensor, " B"]) -> Verdict:
    """The verdict on every system where it is; one that failed or is not exact meets nothing."""
    return Verdict(state, max_fragments)
