"""The calculator of a result file is taken where none is given."""

import pytest

from gadlib.paths.inherited import inherit_cheap
from gadlib.screening.inherited import inherit_calculator
from gadlib.settings.results import PathSettings

PM6 = {"calculator": "scine", "scine_functional": "PM6", "threads": 4, "trust_checkpoint": True}


def test_calculator_of_the_file_is_taken_and_told(capsys):
    found = inherit_calculator(PathSettings.read({"n_steps": 7}), PM6, "saddle.json")
    assert (found.calculator, found.scine_functional, found.n_steps) == ("scine", "PM6", 7)
    assert (
        "as in saddle.json: calculator 'scine', scine_functional 'PM6'" in capsys.readouterr().err
    )
    assert found.threads is None
    assert not found.trust_checkpoint


@pytest.mark.parametrize(
    ("given", "functional"),
    [
        ({"scine_functional": "AM1"}, "AM1"),
        ({"calculator": "scine"}, "PM6"),
        ({"calculator": "surface"}, "DFTB0"),
        ({"ase_calculator": "ase.calculators.emt:EMT"}, "DFTB0"),
    ],
    ids=str,
)
def test_what_is_given_stays(given, functional):
    settings = PathSettings.read(given)
    found = inherit_calculator(settings, PM6, "saddle.json")
    assert found.scine_functional == functional
    assert all(getattr(found, name) == value for name, value in given.items())


def test_file_that_tells_no_calculator_changes_nothing():
    settings = PathSettings.read({})
    assert inherit_calculator(settings, {}, "saddle.json") is settings


DELTA = {**PM6, "solver": "delta", "cheap": "scine:DFTB0"}


def test_the_cheap_potential_of_the_file_is_taken_and_told(capsys):
    settings = PathSettings.read({"scine_functional": "PM6", "n_steps": 7})
    found = inherit_cheap(settings, DELTA, "saddle.json")
    assert (found.cheap, found.n_steps, found.scine_functional) == ("scine:DFTB0", 7, "PM6")
    assert capsys.readouterr().err == "as in saddle.json: cheap 'scine:DFTB0'\n"


@pytest.mark.parametrize(
    ("given", "earlier"),
    [
        ({"cheap": "none"}, DELTA),
        ({"temperature": 350.0}, DELTA),
        ({"pressure": 2e5}, DELTA),
        ({"scine_functional": "AM1"}, DELTA),
        ({}, {**DELTA, "solver": "trust"}),
        ({}, {**DELTA, "cheap": "none"}),
        ({}, {}),
    ],
    ids=str,
)
def test_no_cheap_potential_is_taken_where_another_way_was_asked_for(given, earlier, capsys):
    settings = PathSettings.read({"scine_functional": "PM6"} | given)
    assert inherit_cheap(settings, earlier, "saddle.json") is settings
    assert capsys.readouterr().err == ""
