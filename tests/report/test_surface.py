"""The flow on a surface, and the paths over it."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from gadlib import report
from gadlib.calculators.surfaces import SURFACES
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters

MULLER_BROWN = SURFACES["muller_brown"]


@pytest.fixture(scope="module")
def landscape():
    return report.collect_landscape(MULLER_BROWN, n=24)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_the_fields_differ_only_along_the_lowest_mode(landscape):
    both = landscape.forces, landscape.ascent
    np.testing.assert_allclose(*(np.linalg.norm(field, axis=-1) for field in both), rtol=1e-9)
    assert not np.allclose(*both)


def test_forces_are_the_slope_of_the_energy():
    near = report.collect_landscape(MULLER_BROWN, x_span=(-0.6, -0.5), y_span=(1.3, 1.4), n=41)
    slope_y, slope_x = np.gradient(near.energy, near.y, near.x, edge_order=2)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(-slope_x[inner], near.forces[inner][..., 0], atol=0.1)
    np.testing.assert_allclose(-slope_y[inner], near.forces[inner][..., 1], atol=0.1)


def test_lowest_curvature_is_negative_at_the_saddles_and_positive_at_the_minima(landscape):
    for order in (0, 1):
        for x, y, _ in MULLER_BROWN.stationary(order).positions[:, 0].tolist():
            row, column = abs(landscape.y - y).argmin(), abs(landscape.x - x).argmin()
            assert (landscape.lowest[row, column] < 0) == (order == 1)


@pytest.mark.parametrize(
    "knobs",
    [
        GadHyperparameters(dt_max=0.01, plateau_patience=20, plateau_boost=1.2),
        TrustHyperparameters(),
    ],
    ids=["gad", "trust"],
)
def test_paths_from_beside_the_saddles_end_there(knobs):
    starts = [(-0.9, 0.5), (0.0, 0.3)]
    paths = report.collect_paths(MULLER_BROWN, starts, knobs, n_steps=40)
    saddles = MULLER_BROWN.stationary(1).positions[:, 0, :2].numpy()
    for start, path, saddle in zip(starts, paths, saddles, strict=True):
        np.testing.assert_allclose(path.points[0], start, atol=1e-12)
        np.testing.assert_allclose(path.points[-1], saddle, atol=1e-3)
        assert path.ending == f"saddle after {len(path.points) - 1} steps"


def test_a_search_out_of_steps_says_so(landscape):
    (path,) = report.collect_paths(MULLER_BROWN, [(0.5, 0.1)], GadHyperparameters(), n_steps=2)
    assert path.ending == "2 steps, no saddle"
    figure = report.draw_paths(landscape, {"gad": [path], "trust": [path]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["gad", "trust"]
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == path.ending


def test_flows_are_drawn_side_by_side_with_units(landscape):
    figure = report.draw_flows(landscape)
    assert [ax.get_xlabel() for ax in figure.axes] == ["x (Å)", "x (Å)"]
    assert "minima" in figure.axes[0].get_title(loc="left")
    assert "saddles" in figure.axes[1].get_title(loc="left")
