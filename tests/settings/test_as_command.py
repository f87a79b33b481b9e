"""A search as a command says the same search again."""

from __future__ import annotations

import shlex

import pytest

from gadlib.cli.flags import settings_of
from gadlib.cli.parser import build
from gadlib.settings.as_command import search_command
from gadlib.settings.searches import SearchSettings

OF_REACTIONS = {"split": "all", "only": "rxn0007", "start_from": "ts_noise0.2A", "noise_seed": 3}


def read(command: str):
    words = shlex.split(command)
    assert words[0] == "gadlib"
    options = build().parse_args(words[1:])
    return settings_of(SearchSettings, options), options


@pytest.mark.parametrize(
    "given",
    [
        {},
        OF_REACTIONS,
        {"solver": "trust", "criterion": "bound", "hyperparameters": {"radius_max": 0.3}},
        {"solver": "trust", "hyperparameters": {"exact_hessians": "often", "hessian_every": 4}},
        {"calculator": "ase", "ase_calculator": "a.b:C", "ase_options": {"method": "it's"}},
        {"resume": True, "out_dir": "here and there", "mode": "bonds:0-3"},
    ],
    ids=["defaults", "reaction", "trust", "choice", "ase", "words"],
)
def test_a_command_is_read_as_the_settings_it_was_made_of(given):
    settings = SearchSettings.read(given)
    assert read(search_command(settings))[0] == settings


def test_what_has_its_default_and_what_is_of_another_calculator_is_left_out():
    settings = SearchSettings.read(
        {"scine_functional": "PM6", "calculator": "ase", "ase_calculator": "a.b:C"}
        | {"solver": "trust", "hyperparameters": {"radius_max": 0.2, "hessian_every": 2}}
    )
    assert search_command(settings) == (
        "gadlib search --calculator ase --ase-calculator a.b:C --criterion index1 --solver trust"
    )


def test_the_start_of_a_file_is_the_file():
    settings = SearchSettings.read(OF_REACTIONS | {"only": "ammonia"})
    found, options = read(search_command(settings, "my guess.xyz"))
    assert options.geometries == "my guess.xyz"
    assert (found.only, found.start_from) == ("ammonia", SearchSettings.read({}).start_from)
