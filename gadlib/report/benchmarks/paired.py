"""Two solvers on the same starts: who succeeds where the other does not, and who pays less.

References: McNemar, Psychometrika 12, 153 (1947) (successes, in its exact form); Wilcoxon,
Biometrics Bull. 1, 80 (1945), doi:10.2307/3001968 (signed ranks of the costs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from gadlib.report.benchmarks.solvers import Benchmark
from gadlib.report.statistics import mcnemar, median


class Paired(NamedTuple):
    """A solver beside the first one, from one kind of start.

    Attributes:
        only_first, only_other: starts on which one of them alone succeeds.
        p_success: of McNemar's test, two-sided.
        n_both: starts on which both do.
        ratio: median over these of the other's cost over the first one's; None without any.
        p_cost: of Wilcoxon's test on these costs; 1 where none differs.
    """

    start: str
    first: str
    other: str
    only_first: int
    only_other: int
    p_success: float
    n_both: int
    ratio: float | None
    p_cost: float


def pair_solvers(benchmark: Benchmark, success: str = "strict") -> list[Paired]:
    """The first solver beside each other one, by kind of start.

    Args:
        benchmark: the comparison.
        success: a criterion, `recovered` or `intended`; what is unknown is no success.
    """
    found = []
    runs: Any = benchmark.runs
    for start, group in runs.groupby("start", sort=False) if benchmark.rows else ():
        names = list(dict.fromkeys(group["solver"]))
        by_solver = {
            name: group[group["solver"] == name].drop_duplicates("name").set_index("name")
            for name in names
        }
        for other in names[1:]:
            found.append(_paired(str(start), (names[0], other), by_solver, success))
    return found


def _paired(start: str, pair: tuple[str, str], by_solver: Mapping[str, Any], by: str) -> Paired:
    first, other = (by_solver[name] for name in pair)
    both = first.index.intersection(other.index)
    won = [table.loc[both, by].eq(True).to_numpy() for table in (first, other)]
    only = [int((won[0] & ~won[1]).sum()), int((won[1] & ~won[0]).sum())]
    is_both = won[0] & won[1]
    costs = [table.loc[both, "gradients"].to_numpy(float)[is_both] for table in (first, other)]
    is_different = bool(len(costs[0])) and bool((costs[0] != costs[1]).any())
    test: Any = wilcoxon(*costs) if is_different else None
    return Paired(
        start,
        *pair,
        *only,
        p_success=mcnemar(only[0], only[1]),
        n_both=int(is_both.sum()),
        ratio=median((costs[1] / np.maximum(costs[0], 1)).tolist()),
        p_cost=float(test.pvalue) if is_different else 1.0,
    )


def paired_table(pairs: Sequence[Paired]) -> pd.DataFrame:
    """One row per kind of start and pair of solvers."""
    return pd.DataFrame(
        [
            {
                "start": pair.start,
                "pair": f"{pair.first}, {pair.other}",
                "only the first": pair.only_first,
                "only the other": pair.only_other,
                "p": f"{pair.p_success:.2g}",
                "both": pair.n_both,
                "cost, other / first": "-" if pair.ratio is None else f"{pair.ratio:.2f}",
                "p of cost": f"{pair.p_cost:.2g}",
            }
            for pair in pairs
        ]
    )
