"""Intervals of gains on a few samples, against those that are known."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from gadlib.tuning.gains import interval


@pytest.mark.parametrize(("met", "n"), [(6, 6), (8, 9), (5, 9), (0, 6)])
def test_of_what_is_gained_or_lost_it_is_that_of_clopper_and_pearson(met, n):
    gains = np.array([1.0] * met + [-1.0] * (n - met))
    found = binomtest(met, n).proportion_ci(method="exact")
    low, high = interval(gains, is_cost=False)
    assert (low, high) == pytest.approx((2 * found.low - 1, 2 * found.high - 1), abs=0.03)


def test_of_a_cost_it_is_the_usual_one_where_there_are_many():
    gains = np.random.default_rng(0).normal(20, 30, 400)
    half = norm.ppf(0.975) * gains.std() / 20
    found = interval(gains, is_cost=True)
    assert found == pytest.approx((gains.mean() - half, gains.mean() + half), rel=0.02)


@pytest.mark.parametrize(("is_cost", "least"), [(False, 190), (True, 170)])
def test_it_holds_the_true_gain_about_as_often_as_it_says(is_cost, least):
    """Nine samples of which most gain alike, or of skewed costs."""
    generator = np.random.default_rng(1)
    pool = np.where(generator.random(1000) < 0.8, 0.9, -0.05) + generator.normal(0, 0.02, 1000)
    pool = 50 * generator.gamma(2.0, size=1000) - 20 if is_cost else pool
    n_held = 0
    for _ in range(200):
        low, high = interval(generator.choice(pool, 9), is_cost=is_cost)
        n_held += low <= pool.mean() <= high
    assert n_held >= least


def test_the_same_samples_have_the_same_interval_and_one_alone_says_nothing():
    gains = np.array([0.3, 0.9, -0.1])
    assert interval(gains, is_cost=False) == interval(gains, is_cost=False)
    low, high = interval(gains[:1], is_cost=True)
    assert low < 0 < high
