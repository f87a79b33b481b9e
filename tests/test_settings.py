from __future__ import annotations

import pytest
from pydantic import ValidationError

from gadlib.settings import (
    BenchmarkSettings,
    InputError,
    ScreenSettings,
    SearchSettings,
    TuneSettings,
    ValidateSettings,
)

KINDS = (SearchSettings, ScreenSettings, TuneSettings, ValidateSettings)


@pytest.mark.parametrize("kind", (*KINDS, BenchmarkSettings))
def test_every_setting_has_a_default_and_says_what_it_is(kind):
    kind()
    assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_takes_all_settings_of_a_search(kind):
    assert set(SearchSettings.model_fields) <= set(kind.model_fields)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        SearchSettings().split = "train"  # type: ignore[misc]


def test_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"^n_trails: unknown setting \(did you mean n_trials\?\)"):
        TuneSettings.read({"n_trails": 5})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"n_trials": 0}, "n_trials = 0: Input should be greater than or equal to 1"),
        ({"max_samples": -3}, "max_samples = -3: Input should be greater than or equal to 1"),
        ({"noise_seed": -1}, "noise_seed = -1: Input should be greater than or equal to 0"),
        ({"difficulty_threshold": 1.5}, "difficulty_threshold = 1.5: Input should be less than"),
        ({"difficulty_threshold": float("nan")}, "difficulty_threshold = nan"),
        ({"workers": "two"}, "workers = 'two': Input should be a valid integer"),
    ],
)
def test_value_out_of_range_is_refused_with_name_value_and_expectation(values, told):
    with pytest.raises(InputError) as caught:
        TuneSettings.read(values)
    assert str(caught.value).startswith(told)


def test_settings_from_a_notebook_take_its_variables_and_no_others():
    names = {"split": "val", "noise_seed": 7, "SearchSettings": SearchSettings, "x": 1}
    assert SearchSettings.from_namespace(names) == SearchSettings(split="val", noise_seed=7)


def test_published_defaults_of_screening_and_tuning():
    screening, tuning = ScreenSettings(), TuneSettings()
    assert (screening.n_steps_per_sample, screening.difficulty_threshold) == (200, 0.5)
    assert (tuning.n_samples, tuning.n_steps_per_sample, tuning.n_startup_trials) == (15, 800, 10)
    assert tuning.start_from == "midpoint_rt_noise1.0A"
    assert tuning.noise_seed == 42
    assert (tuning.scine_functional, tuning.max_samples) == ("DFTB0", 100)
