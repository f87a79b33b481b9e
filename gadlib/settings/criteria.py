"""What counts as success: a table of criteria, never tuned; all that a point answers are reported.

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

SAME_SADDLE = 0.1
"""A (RMSD, superposed) within which two saddles are one: found again, or recovered from a start.
Where references are recovered, like atoms are exchangeable and mirror images the same."""

NEAR_RMSD = 0.6
"""A, superposed, from the start: what counts as near. Measured from `ts_noise0.1A` on 30 reactions
of the embedded set, DFTB0: bound saddles of the first climb lie 0.10 to 0.51 A from the start,
those of later tries 0.68 to 0.87 A."""

NEAR_STRETCH = 0.4
"""Of the radii of two atoms together, by which their distance changes where a bond counts as made
or broken. The bonds of a reaction are half open at its saddle, near the length at which bonds end
(1.3 of the radii), and a good guess may have them on either side."""

NEAR_RISE = 3.0
"""eV above the start: a saddle that is higher belongs to another reaction. Half of the embedded
set's barriers, from the lower end, are below 2.5 eV; starts lie on their slopes."""


@dataclass(frozen=True)
class Criterion:
    """A criterion, which is asked of points with an exact Hessian.

    Attributes:
        name: as settings, files and tables have it.
        sentence: what it asks for.
        is_met: whether each system meets it, from the facts of a `gadlib.solver.criteria.Verdict`.
        within: the criterion that has to be met besides; empty where there is none.
        is_asked: whether no point answers it, so that whoever searches asks somebody: it is judged
            of points that meet the one within, where it ends a search or `check_ends` is set.
    """

    name: str
    sentence: str
    is_met: Callable[[Any], Any]
    within: str = ""
    is_asked: bool = False


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
        Criterion(
            "intended",
            "bound, and downhill both ways lead to the reactant and the product that are known"
            " (judged where it is the criterion, or with `check_ends`)",
            lambda point: point.is_accepted,
            within="bound",
            is_asked=True,
        ),
    )
}
"""The criteria by their names, the weakest first."""

AT_POINTS = tuple(row.name for row in CRITERIA.values() if not row.is_asked)
"""Those that a point answers by itself."""

NAMES = ", ".join(CRITERIA)
"""Their names, for a sentence."""
