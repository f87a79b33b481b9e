from __future__ import annotations

import pytest

from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings

KINDS = (SearchSettings, ScreenSettings, TuneSettings, ValidateSettings)


@pytest.mark.parametrize("kind", (*KINDS, BenchmarkSettings))
def test_every_setting_has_a_default_and_says_what_it_is(kind):
    kind()
    assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_takes_all_settings_of_a_search(kind):
    assert set(SearchSettings.model_fields) <= set(kind.model_fields)


def test_published_defaults_of_screening_and_tuning():
    screening, tuning = ScreenSettings(), TuneSettings()
    assert (screening.n_steps_per_sample, screening.difficulty_threshold) == (200, 0.5)
    assert (tuning.n_samples, tuning.n_steps_per_sample, tuning.n_startup_trials) == (15, 800, 10)
    assert tuning.start_from == "midpoint_rt_noise1.0A"
    assert tuning.noise_seed == 42
    assert (tuning.scine_functional, tuning.max_samples) == ("DFTB0", 100)
