"""A surface on a grid, and searches over it."""

import numpy as np
import pytest

from gadlib.calculators.surfaces import SURFACES
from gadlib.screening.surfaces import map_surface, search_surface
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.solver.state import Status

MULLER_BROWN = SURFACES["muller_brown"]


@pytest.fixture(scope="module")
def landscape():
    return map_surface(MULLER_BROWN, n=24)


def test_the_fields_differ_only_along_the_lowest_mode(landscape):
    both = landscape.forces, landscape.ascent
    np.testing.assert_allclose(*(np.linalg.norm(field, axis=-1) for field in both), rtol=1e-9)
    assert not np.allclose(*both)


def test_forces_are_the_slope_of_the_energy():
    near = map_surface(MULLER_BROWN, x_span=(-0.6, -0.5), y_span=(1.3, 1.4), n=41)
    slope_y, slope_x = np.gradient(near.energy, near.y, near.x, edge_order=2)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(-slope_x[inner], near.forces[inner][..., 0], atol=0.1)
    np.testing.assert_allclose(-slope_y[inner], near.forces[inner][..., 1], atol=0.1)


def test_lowest_curvature_is_negative_at_the_saddles_and_positive_at_the_minima(landscape):
    for places, is_saddle in ((landscape.minima, False), (landscape.saddles, True)):
        assert len(places) == 3 - is_saddle
        for x, y in places:
            row, column = abs(landscape.y - y).argmin(), abs(landscape.x - x).argmin()
            assert (landscape.lowest[row, column] < 0) == is_saddle


def test_top_is_the_energy_of_the_highest_known_point(landscape):
    assert landscape.top == max(point.energy for point in MULLER_BROWN.points)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        GadHyperparameters(dt_max=0.01, plateau_patience=20, plateau_boost=1.2),
        TrustHyperparameters(),
    ],
    ids=["gad", "trust"],
)
def test_searches_from_beside_the_saddles_end_there(hyperparameters):
    starts = [(-0.9, 0.5), (0.0, 0.3)]
    found = search_surface(MULLER_BROWN, starts, hyperparameters, n_steps=40)
    saddles = MULLER_BROWN.stationary(1).positions[:, 0, :2].numpy()
    for start, points, saddle in zip(starts, found, saddles, strict=True):
        assert points[0].positions[0].tolist() == [*start, 0.0]
        np.testing.assert_allclose(points[-1].positions[0, :2], saddle, atol=1e-3)
        assert points[-1].status is Status.SADDLE
        assert [point.steps for point in points] == list(range(len(points)))
