"""Intervals and tests against published and exact numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gadlib.report.statistics import (
    Rate,
    error_bars,
    mcnemar,
    median,
    rank_agreement,
    resamples,
    spread,
)


@pytest.mark.parametrize(
    ("n_success", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson_interval_is_the_published_one(n_success, n, low, high):
    """Newcombe, Stat. Med. 17, 857 (1998), Table I, method 3."""
    assert Rate(n_success, n).interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("gained", "lost"), [(6, 0), (9, 1), (1, 9), (3, 4), (5, 5), (0, 0)])
def test_mcnemar_p_is_the_binomial_sum(gained, lost):
    n, k = gained + lost, min(gained, lost)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * tail))


def test_rate_of_nothing_is_told_as_a_dash_and_never_divides():
    assert str(Rate.of([])) == "-"
    assert math.isnan(Rate(0, 0).fraction)
    assert np.isnan(Rate(0, 0).interval).all()


def test_rate_counts_what_is_true_and_tells_it_in_percent():
    rate = Rate.of([True, 1, None, False])
    assert rate == (2, 4)
    assert rate.fraction == 0.5
    assert str(Rate(4, 6)) == "67 % (30-90)"  # 0.299993, 0.903229 by Wilson's formula


def test_error_bars_reach_from_the_fraction_to_the_ends_of_its_interval():
    rates = [Rate(4, 6), Rate(0, 20)]
    below, above = error_bars(rates)
    assert below == pytest.approx([4 / 6 - 0.299993, 0.0], abs=1e-6)
    assert above == pytest.approx([0.903229 - 4 / 6, 0.161125], abs=1e-6)
    assert error_bars([]).shape == (2, 0)


def test_median_is_the_middle_or_the_mean_of_the_two_in_the_middle():
    assert median([5, 1, 2]) == 2
    assert median([1, 2, 4, 9]) == 3
    assert median([]) is None


def test_spread_holds_nine_tenths_of_each_column():
    low, middle, high = spread(np.arange(101.0)[:, None] * [1.0, 2.0])
    assert (low.tolist(), middle.tolist(), high.tolist()) == ([5, 10], [50, 100], [95, 190])


def test_resamples_are_drawn_with_replacement_and_again_with_the_same_seed():
    drawn = list(resamples(5, n_drawn=40, n_resamples=3, seed=1))
    assert [len(places) for places in drawn] == [40] * 3
    assert set(np.concatenate(drawn)) == set(range(5))
    again = list(resamples(5, n_drawn=40, n_resamples=3, seed=1))
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, list(resamples(5, n_drawn=40, n_resamples=3, seed=2)))


def test_rank_agreement_is_spearmans_mean_over_pairs():
    rows = np.array([[1.0, 2.0, 3.0], [10.0, 30.0, 20.0], [3.0, 2.0, 1.0]])
    # 1 - 6 sum d^2 / (n (n^2 - 1)): 0.5, -1 and -0.5
    assert rank_agreement(rows) == pytest.approx((0.5 - 1 - 0.5) / 3)


@pytest.mark.parametrize("bad", [[1.0, math.nan, 2.0], [1.0, 1.0, 1.0]], ids=["missing", "equal"])
def test_rows_without_ranks_are_left_out_of_the_agreement(bad):
    assert math.isnan(rank_agreement(np.array([[1.0, 2.0, 3.0], bad])))
