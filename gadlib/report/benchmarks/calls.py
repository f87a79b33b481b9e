"""Calls of a potential, published ones beside those counted here: a table, and lines to draw.

A published search that failed is not solved, and neither is one here whose last point is no strict
saddle: 0.01 eV/A on every atom and one imaginary mode. Orders of published ones are as they are
told there, which may be not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from gadlib.report.benchmarks.solvers import Profile
from gadlib.report.statistics import Rate, median
from gadlib.screening.costs import gradients_of, proof_of
from gadlib.screening.records import Record

Published = Mapping[str, Mapping[str, int | None]]
"""Of each solver the calls by the molecule's name, None where it failed."""


class Calls(NamedTuple):
    """What one solver took for the same molecules as the others.

    Attributes:
        solver: its name; `, published` behind it where others counted.
        n: molecules.
        searches: gradients of each search that succeeded, in rising order, a Hessian counted as 6N.
        proofs: those of the Hessian that proves each saddle, 6N; empty where none was computed.
    """

    solver: str
    n: int
    searches: tuple[int, ...]
    proofs: tuple[int, ...]


def collect_calls(published: Published, records: Mapping[str, Sequence[Record]]) -> list[Calls]:
    """What each solver took, published ones first.

    Args:
        published: of any molecules; those that were searched here are looked at.
        records: of each solver here, without the proofs' Hessians, as `Results` has them.
    """
    names = {record.name for found in records.values() for record in found}
    told = []
    for solver, known in published.items():
        paid = [known.get(name) for name in names]
        solved = sorted(calls for calls in paid if calls is not None)
        told.append(Calls(f"{solver}, published", len(names), tuple(solved), ()))
    for solver, found in records.items():
        strict = [record for record in found if record.strict]
        proofs = tuple(map(proof_of, strict))
        told.append(Calls(solver, len(found), tuple(sorted(map(gradients_of, strict))), proofs))
    return told


def calls_table(calls: Sequence[Calls]) -> pd.DataFrame:
    """A row for each solver: how many molecules succeeded, and what those took."""
    return pd.DataFrame(
        [
            {
                "solver": one.solver,
                "n": one.n,
                "succeeded": str(Rate.of(i < len(one.searches) for i in range(one.n))),
                "median": _rounded(median(one.searches)),
                "mean": _rounded(float(np.mean(one.searches)) if one.searches else None),
                "proof": _rounded(median(one.proofs)),
            }
            for one in calls
        ]
    )


def call_profiles(calls: Sequence[Calls]) -> list[Profile]:
    """The fraction of the molecules that each solver has solved against calls of its search."""
    profiles = []
    for one in calls:
        rate = np.arange(1, len(one.searches) + 1) / max(one.n, 1)
        profiles.append(Profile(one.solver, np.array(one.searches, dtype=float), rate))
    return profiles


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
