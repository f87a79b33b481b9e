from __future__ import annotations

import pytest
from pydantic import ValidationError

from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings


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
