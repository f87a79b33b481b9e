"""The flow on a surface, and the searches over it, as they are drawn."""

import pytest
from matplotlib import pyplot as plt

from gadlib import report
from gadlib.calculators.surfaces import SURFACES
from gadlib.screening.surfaces import map_surface, search_surface
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters

MULLER_BROWN = SURFACES["muller_brown"]


@pytest.fixture(scope="module")
def landscape():
    return map_surface(MULLER_BROWN, n=24)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_searches_are_drawn_from_start_to_end_with_how_they_ended(landscape):
    (out_of_steps,) = search_surface(MULLER_BROWN, [(0.5, 0.1)], GadHyperparameters(), n_steps=2)
    (found,) = search_surface(MULLER_BROWN, [(-0.9, 0.5)], TrustHyperparameters(), n_steps=40)
    figure = report.draw_paths(landscape, {"gad": [out_of_steps], "trust": [found]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["gad", "trust"]
    labels = [ax.get_legend().get_texts()[0].get_text() for ax in figure.axes]
    assert labels == ["2 steps, no saddle", f"saddle after {len(found) - 1} steps"]
    path, square, star = figure.axes[1].lines[-3:]
    assert len(path.get_xdata()) == len(found)
    assert square.get_xydata()[0] == pytest.approx((-0.9, 0.5))
    assert star.get_xydata()[0] == pytest.approx(found[-1].positions[0, :2])


def test_flows_are_drawn_side_by_side_with_units(landscape):
    figure = report.draw_flows(landscape)
    assert [ax.get_xlabel() for ax in figure.axes] == ["x (Å)", "x (Å)"]
    assert "minima" in figure.axes[0].get_title(loc="left")
    assert "saddles" in figure.axes[1].get_title(loc="left")


def test_known_minima_and_saddles_are_marked(landscape):
    ax = report.draw_surface(landscape)
    marked = {
        c.get_label(): c.get_offsets().shape for c in ax.collections if c.get_label()[0] != "_"
    }
    assert marked == {"minimum": (3, 2), "saddle": (2, 2)}
