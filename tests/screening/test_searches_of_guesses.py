"""Searches of guesses of one's own: their defaults, and what is refused with them."""

from __future__ import annotations

import json

import pytest
from ase import Atoms
from faulty import Springs

from gadlib.cli.parser import main
from gadlib.molecules.starting_points import from_atoms
from gadlib.screening import search as module
from gadlib.screening.jobs import Job
from gadlib.screening.setup import starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings, SearchSettings

GUESS = Atoms("NH3", [[0, 0, 0.12], [0.94, 0, 0], [-0.47, 0.81, 0], [-0.47, -0.81, 0]])


@pytest.fixture
def asked(monkeypatch):
    """The settings that the loop of searches is called with."""
    seen = []
    monkeypatch.setattr(module, "screen", lambda settings, **_: seen.append(settings) or [])
    return seen


@pytest.mark.parametrize(
    ("guesses", "settings", "given", "expected"),
    [
        (GUESS, None, {}, ("trust", "bound")),
        ([GUESS], None, {}, ("trust", "bound")),
        (GUESS, SearchSettings(), {}, ("trust", "bound")),
        (GUESS, SearchSettings(solver="gad"), {}, ("gad", "bound")),
        (GUESS, SearchSettings(criterion="index1"), {}, ("trust", "index1")),
        (GUESS, SearchSettings(solver="trust"), {"solver": "gad"}, ("gad", "bound")),
        (None, None, {}, ("gad", "index1")),
        (None, SearchSettings(split="val"), {}, ("gad", "index1")),
        (GUESS, ScreenSettings(), {}, ("gad", "index1")),
    ],
)
def test_guesses_are_searched_for_bound_saddles_unless_told_otherwise(
    asked, guesses, settings, given, expected
):
    module.search(guesses, settings, **given)
    assert (asked[0].solver, asked[0].criterion) == expected


def test_starting_points_of_a_recipe_keep_the_defaults_of_sets(asked):
    settings = SearchSettings(max_samples=1, split="val")
    module.search(starts_of(settings), settings)
    assert (asked[0].solver, asked[0].criterion) == ("gad", "index1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("start_from", "ts"), ("split", "test"), ("h5_path", "a.h5"), ("noise_seed", 42)),
        *(("max_samples", 3), ("sample", "first"), ("sample_seed", 1)),
    ],
)
def test_what_only_a_set_of_reactions_has_is_refused_with_guesses(asked, name, value):
    with pytest.raises(InputError, match=f"^{name}: for sets of reactions; expected none, as geom"):
        module.search(GUESS, SearchSettings.read({name: value}))
    assert not asked


def test_the_command_refuses_a_recipe_beside_a_file_in_one_sentence(tmp_path, capsys):
    assert main(["search", "own.xyz", "--start-from", "ts", "--split", "val"]) == 2
    told = capsys.readouterr().err
    assert "start_from" in told and "split" in told and told.count("\n") == 1


def test_the_result_file_says_what_was_used(tmp_path):
    pytest.importorskip("scine_sparrow")
    out = tmp_path / "found.json"
    [record] = module.search(GUESS, workers=0, out=out, max_fragments=2, n_steps_per_sample=1)
    settings = json.loads(out.read_text())["settings"]
    assert (settings["solver"], settings["criterion"]) == ("trust", "bound")
    assert settings["max_fragments"] == 2
    assert record.status == "out_of_steps"


@pytest.mark.parametrize(("given", "expected"), [(None, 1), (1, 1), (3, 3)])
def test_fragments_are_counted_unless_said_by_hand(given, expected):
    settings = SearchSettings(max_fragments=given)
    [start] = Job.of(settings, from_atoms([GUESS]), Springs()).starts
    assert start.max_fragments == expected


def test_a_limit_of_no_fragments_is_refused():
    with pytest.raises(InputError, match="max_fragments = 0"):
        SearchSettings.read({"max_fragments": 0})
