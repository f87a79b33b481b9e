"""Rates with intervals, paired tests, resampling, agreement: the statistics of every report.

References: Wilson, J. Am. Stat. Assoc. 22, 209 (1927); McNemar, Psychometrika 12, 153 (1947), here
in its exact binomial form; Efron, Ann. Stat. 7, 1 (1979) (the bootstrap); Spearman, Am. J. Psychol.
15, 72 (1904).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import binomtest, rankdata

SIGNIFICANT = 0.05
"""A difference whose p value is below this is called one, as is the custom."""


class Rate(NamedTuple):
    """How many of `n` searches succeeded; as text with its interval, as in `75 % (41-93)`."""

    n_success: int
    n: int

    @classmethod
    def of(cls, is_success: Iterable[object]) -> Rate:
        """The rate of what is true among the values."""
        found = [bool(value) for value in is_success]
        return cls(sum(found), len(found))

    @property
    def fraction(self) -> float:
        """The part that succeeded; NaN where there is no search."""
        return self.n_success / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % Wilson interval of the fraction; NaN where there is no search."""
        if not self.n:
            return math.nan, math.nan
        found = binomtest(self.n_success, self.n).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        if not self.n:
            return "-"
        low, high = self.interval
        return f"{100 * self.fraction:.0f} % ({100 * low:.0f}-{100 * high:.0f})"


def error_bars(rates: Sequence[Rate]) -> Float[np.ndarray, "2 R"]:
    """How far the intervals reach below and above the fractions, as matplotlib takes errors."""
    ends = np.array([rate.interval for rate in rates]).reshape(-1, 2).T
    return np.abs(ends - [rate.fraction for rate in rates])


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p value of the exact McNemar test; 1 where no pair is discordant."""
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return float(np.median(values)) if len(values) else None


def spread(values: Float[np.ndarray, "R P"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 5 % quantile, the median and the 95 % quantile of each column."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=0)
    return low, middle, high


def resamples(
    n: int, *, n_drawn: int, n_resamples: int, seed: int
) -> Iterator[Int[np.ndarray, " k"]]:
    """The bootstrap: the places of values drawn with replacement from `n`, once per resample."""
    generator = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield generator.integers(n, size=n_drawn)


def rank_agreement(rows: Float[np.ndarray, "S P"]) -> float:
    """The mean rank correlation (Spearman) between rows; NaN for fewer than two.

    Rows with a value missing, or all values the same, have no ranks and are left out.
    """
    known = [row for row in rows if len(row) > 1 and np.isfinite(row).all() and np.ptp(row) > 0]
    found = [float(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) for a, b in combinations(known, 2)]
    return float(np.mean(found)) if found else math.nan
