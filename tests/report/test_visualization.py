"""optuna.visualization, as researchers paste it from Optuna's pages, on a study of ours."""

from __future__ import annotations

import warnings

import optuna
import pytest
from little_reactions import write_h5
from optuna import visualization

from gadlib.settings.studies import TuneSettings
from gadlib.tuning import tune

PLOTS = [
    "plot_contour",
    "plot_edf",
    "plot_intermediate_values",
    "plot_optimization_history",
    "plot_parallel_coordinate",
    "plot_param_importances",
    "plot_rank",
    "plot_slice",
    "plot_timeline",
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    settings = TuneSettings(
        h5_path=str(write_h5(folder / "little.h5")),
        split="train",
        start_from="midpoint_rt_noise0.1A",
        n_steps_per_sample=25,
        screening_steps=5,
        n_samples=3,
        n_trials=6,
        batch_size=1,
        workers=0,
        pruning="none",
        out_dir=str(folder),
    )
    return tune.tune(settings)


def test_plotly_is_there():
    assert visualization.is_available()


@pytest.mark.parametrize("name", PLOTS)
def test_figure_of_plotly_is_drawn(name, study):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        figure = getattr(visualization, name)(study)
    assert figure.layout.title.text
    if name != "plot_intermediate_values":  # of trials that ended early
        assert len(figure.data) >= 1
    if name == "plot_optimization_history":
        (points, *_) = figure.data
        assert list(points.y) == [trial.value for trial in study.trials]
