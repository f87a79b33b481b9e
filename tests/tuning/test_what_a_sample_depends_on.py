"""Settings that make another sample, named one by one: not what they are declared to do."""

import numpy as np
import pytest

from gadlib.molecules.starting_points import Start
from gadlib.screening.setup import hyperparameters_of, identity_of
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.sample_cache import digest

START = Start("a", "H2", "train", "ts", 42, np.array([1, 1]), np.eye(2, 3), 1)
OTHERS = {
    "calculator": "surface",
    "scine_functional": "PM6",
    "solver": "trust",
    "mode": "reaction",
    "criterion": "strict",
    "n_steps_per_sample": 801,
}


def key(**settings) -> str:
    asked = TuneSettings.read(settings)
    told = identity_of(asked, without=("starts", "hyperparameters"))
    return digest(told, START, hyperparameters_of(asked))


@pytest.mark.parametrize("name", OTHERS)
def test_another_sample_is_computed_when_the_settings_ask_for_one(name):
    assert key(**{name: OTHERS[name]}) != key()


def test_the_same_sample_is_not_computed_twice_for_whom_and_when_it_is():
    assert key(n_trials=7, study_name="another", seed=3) == key()
