"""The grid of a sweep, and the map of what came of it."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gadlib.explore.drawing import LiveCurves, curves_png, draw_curves
from gadlib.explore.maps import draw_map, map_png
from gadlib.explore.profiles import no_profile_png
from gadlib.explore.tasks.choice import molecules_of, task_of
from gadlib.explore.tasks.sweep import Sweep, axis, collect_map
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings
from gadlib.solver.state import Status


@pytest.fixture
def task():
    (molecule,) = molecules_of(ExploreSettings(max_samples=1))
    return task_of(molecule, {"solver": "trust", "hyperparameters": {"torn_steps": 3}})


def record(sweep, steps, is_converged):
    blank = Record.blank(sweep.task.start, Status.OUT_OF_STEPS, "")
    return replace(blank, steps=steps, converged=is_converged)


def test_every_pair_is_searched_once_and_other_hyperparameters_stay(task):
    sweep = Sweep(
        task, (axis("trust", "radius_max", 0.2, 0.4, 2), axis("trust", "hessian_every", 1, 100, 3))
    )
    hyperparameters = [t.settings.hyperparameters for t in sweep.tasks]
    assert [(k["radius_max"], k["hessian_every"]) for k in hyperparameters] == [
        (0.2, 1),
        (0.2, 10),
        (0.2, 100),
        (0.4, 1),
        (0.4, 10),
        (0.4, 100),
    ]
    assert all(k["torn_steps"] == 3 for k in hyperparameters)


def test_map_has_each_record_in_its_place(task):
    sweep = Sweep(
        task, (axis("trust", "radius_max", 0.2, 0.4, 2), axis("trust", "hessian_every", 1, 100, 3))
    )
    sweep.records[4] = record(sweep, 17, True)
    sweep.records[2] = record(sweep, 300, False)
    found = collect_map(sweep)
    assert found.steps.shape == (3, 2)
    assert found.steps[1, 1] == 17
    assert found.steps[2, 0] == 300
    assert found.is_converged.sum() == 1
    assert np.isnan(found.steps).sum() == 4
    figure = draw_map(found, 300)
    assert figure.axes[0].get_xlabel() == "radius_max (Å)"
    assert figure.axes[0].get_ylabel() == "hessian_every"


def test_one_hyperparameter_is_drawn_as_a_line_and_an_empty_map_as_a_sentence(task):
    sweep = Sweep(task, (axis("trust", "radius_max", 0.2, 0.4, 3),))
    assert "No search of the sweep" in draw_map(collect_map(sweep), 300).axes[0].texts[0].get_text()
    for place in range(3):
        sweep.records[place] = record(sweep, 10 * place + 5, place != 1)
    ax = draw_map(collect_map(sweep), 300).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [5, 15, 25]
    assert map_png(collect_map(sweep), 300).startswith(b"\x89PNG")


def test_figures_have_no_background_so_that_a_dark_theme_shows_through(task):
    sweep = Sweep(task, (axis("trust", "radius_max", 0.2, 0.4, 3),))
    sweep.records[0] = record(sweep, 5, True)
    for drawn in (
        map_png(collect_map(sweep), 300),
        curves_png([]),
        LiveCurves().png([]),
        no_profile_png("Nothing."),
    ):
        pixels = np.asarray(Image.open(io.BytesIO(drawn)))
        assert pixels[0, 0, 3] == 0
        assert (pixels[..., 3] == 0).mean() > 0.5


def test_the_legend_of_a_sweep_stands_above_its_points(task):
    sweep = Sweep(task, (axis("trust", "radius_max", 0.2, 0.4, 3),))
    for place, is_converged in enumerate((True, False, True)):
        sweep.records[place] = record(sweep, 5, is_converged)
    figure = draw_map(collect_map(sweep), 300)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_no_run_is_a_sentence():
    assert draw_curves([]).axes[-1].texts[0].get_text() == "No search yet."


def test_impossible_sweeps_are_refused(task):
    with pytest.raises(InputError, match="twice"):
        Sweep(task, (axis("trust", "torn_steps", 2, 9, 3),) * 2)
    with pytest.raises(InputError, match="no hyperparameter of solver 'trust'"):
        axis("trust", "dt_max", 0.01, 0.1, 3)
    with pytest.raises(InputError, match="at most 400"):
        Sweep(
            task,
            (axis("trust", "radius_max", 0.1, 0.8, 30), axis("trust", "radius_grow", 1.1, 3, 30)),
        )
