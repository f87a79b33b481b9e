"""What counts as success: a table of criteria, always all reported, never tuned.

A row is all that there is to a criterion. Settings, flags, the page, records, scores and the tables
of reports read its name and sentence here; `gadlib.solver.criteria` measures what its predicate
asks for. Thresholds of criteria stand here alone, but the force below which a point counts as
stationary, which the solver steers by too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INDEX1_TOL = -1e-5
"""In (eV/(A^2 amu))^2, as published."""

IMAGINARY_MIN_CM1 = 50.0
"""A softer one may be the rotation of one fragment beside another, no reaction."""


@dataclass(frozen=True)
class Criterion:
    """A criterion, which is asked of points with an exact Hessian.

    Attributes:
        name: as settings, files and tables have it.
        sentence: what it asks for.
        is_met: whether each system meets it, from the facts of a `gadlib.solver.criteria.Verdict`.
        within: the criterion that has to be met besides; empty where there is none.
    """

    name: str
    sentence: str
    is_met: Callable[[Any], Any]
    within: str = ""


CRITERIA = {
    row.name: row
    for row in (
        Criterion(
            "index1",
            "the two lowest vibrational eigenvalues have a product below -1e-5: one is negative,"
            " as published; the point need not be stationary",
            lambda point: point.lowest * point.second < INDEX1_TOL,
        ),
        Criterion(
            "strict",
            "exactly one negative vibrational eigenvalue, and every atomic force below 0.01 eV/A",
            lambda point: (point.order == 1) & point.is_stationary,
        ),
        Criterion(
            "bound",
            "strict, an imaginary frequency of at least 50 cm-1, and no more fragments than the"
            " reference has",
            lambda point: (
                (point.n_fragments <= point.max_fragments)
                & (point.imaginary_cm1 >= IMAGINARY_MIN_CM1)
            ),
            within="strict",
        ),
    )
}
"""The criteria by their names, the weakest first."""

NAMES = ", ".join(CRITERIA)
"""Their names, for a sentence."""
