"""What a point is measured by where success is judged: order, forces, frequency, fragments.

Which of it makes a success is a row of `gadlib.settings.criteria.CRITERIA`. What a nearly straight
chain bends by is no rotation here (`normal_modes.exact_spectrum`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.molecules.bonds import n_fragments
from gadlib.settings.criteria import CRITERIA
from gadlib.solver.state import State


@dataclass(frozen=True)
class Verdict:
    """How a batch of points stands against the criteria; what nobody asks is not computed.

    Attributes:
        state: the points; only what is exact there can meet a criterion.
        max_fragments: fragments of the reference transition state (or of the reactant or molecule
            started from).
        is_accepted: whether whoever is asked (`asking`) has accepted each point as it is.
    """

    state: State
    max_fragments: Int[Tensor, " B"]
    is_accepted: Bool[Tensor, " B"]
    _met: dict[str, Bool[Tensor, " B"]] = field(default_factory=dict, compare=False, repr=False)

    def meets(self, criterion: str) -> Bool[Tensor, " B"]:
        """Whether each system meets the named criterion."""
        if criterion not in self._met:
            row = CRITERIA[criterion]
            found = self.meets(row.within) if row.within else self._is_known
            self._met[criterion] = found & row.is_met(self) if found.any() else found
        return self._met[criterion]

    @property
    def lowest(self) -> Float[Tensor, " B"]:
        """The lowest vibrational eigenvalue in eV/(A^2 amu)."""
        return self.state.spectrum.eigenvalues[:, 0]

    @property
    def second(self) -> Float[Tensor, " B"]:
        """The second lowest one."""
        return self.state.spectrum.eigenvalues[:, 1]

    @property
    def order(self) -> Int[Tensor, " B"]:
        """The number of negative vibrational eigenvalues."""
        return self.state.order

    @property
    def is_stationary(self) -> Bool[Tensor, " B"]:
        """Whether every atomic force is below the tolerance."""
        return self.state.max_force < FORCE_TOL

    @cached_property
    def imaginary_cm1(self) -> Float[Tensor, " B"]:
        """Wavenumber of the lowest mode where its eigenvalue is negative, else 0."""
        return (-self.state.spectrum.lowest_cm1).clamp(min=0)

    @cached_property
    def n_fragments(self) -> Int[Tensor, " B"]:
        """Connected pieces of the bond graphs."""
        return n_fragments(self.state.batch)

    @cached_property
    def _is_known(self) -> Bool[Tensor, " B"]:
        known = self.state.is_exact & self.state.is_computed
        if not any(self.state.doubt):
            return known
        return known & ~self.state.is_doubted


def judge(
    state: State,
    max_fragments: Int[Tensor, " B"],
    is_accepted: Bool[Tensor, " B"] | None = None,
) -> Verdict:
    """The verdict on every system where it is; one that failed or is not exact meets nothing.

    Args:
        state: the points.
        max_fragments: fragments of the references.
        is_accepted: by whoever was asked; by default nobody was, and nothing is.
    """
    if is_accepted is None:
        is_accepted = torch.zeros_like(state.is_exact)
    return Verdict(state, max_fragments, is_accepted)
