"""Profiles: written from a study and its validation, read by name, and searched with."""

import json
from dataclasses import replace

import pytest
from little_studies import DEFAULT, WORSE, record
from make_profiles import worth

from gadlib.cli.parser import main
from gadlib.files.writing import write_json
from gadlib.report.exchange.profile import write_profile
from gadlib.screening.records import payload
from gadlib.screening.setup import read_best
from gadlib.settings import profiles
from gadlib.settings.reading import InputError
from gadlib.settings.searches import GuessSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings

VALUES = {"dt_max": 0.06, "plateau_patience": 7}


@pytest.fixture
def study(tmp_path):
    """The results file of a study of `gad`, and the folder of its validation."""
    best = tmp_path / "hpo_results.json"
    about = {"solver": "gad", "criterion": "index1", "reactions": ["a"]}
    trials = [{"number": 0, "state": "complete", "score": 0.5, "params": {}, "samples": [{}]}]
    settings = TuneSettings().model_dump()
    content = {"study_name": "s", "best_params": VALUES, "about": about, "trials": trials}
    write_json(best, content | {"settings": settings, "versions": {}, "best_trial": 0})
    for side, records, values in (("default", DEFAULT, {}), ("tuned", WORSE, VALUES)):
        settings = ValidateSettings(hyperparameters=values)
        write_json(tmp_path / f"{side}.json", payload(settings, records))
    return best, tmp_path


def test_a_profile_holds_values_study_and_proof(study):
    best, folder = study
    path = write_profile("mine", best, folder, folder)
    content = json.loads(path.read_text())
    assert path.name == "mine.json" and content["best_params"] == VALUES
    assert content["trials"] == [
        {"number": 0, "state": "complete", "score": 0.5, "params": {}}
        | {"scores": None, "seed": None, "n_samples": None}
    ]
    assert content["held_out"]["reactions"] == ["a", "b", "c", "d"]
    said = "4 reactions that tuning never saw; converged: 75 % (30-95) instead of 75 % (30-95), "
    assert content["sentence"].startswith(f"{said}gained 1, lost 1 (p = 1); ")
    assert "intended" not in content["sentence"]  # where nobody asked for it
    assert dict(read_best(path).best_params) == VALUES
    assert "out_dir" not in content["settings"] and str(folder) not in path.read_text()
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_profile("mine", best, folder, folder)


def test_a_profile_says_how_many_saddles_are_intended_where_that_was_asked(study):
    best, folder = study
    for side, is_met in (("default", False), ("tuned", True)):
        values = VALUES if is_met else {}
        found = [
            replace(one, criteria=one.criteria | {"intended": is_met}) for one in (*DEFAULT[:3],)
        ]
        write_json(
            folder / f"{side}.json", payload(ValidateSettings(hyperparameters=values), found)
        )
    content = json.loads(write_profile("asked", best, folder, folder).read_text())
    assert (
        "; intended: 100 % (44-100) instead of 0 % (0-56), gained 3, lost 0" in content["sentence"]
    )


def test_a_validation_of_other_values_is_no_proof(study):
    best, folder = study
    other = payload(ValidateSettings(hyperparameters={"dt_max": 0.02}), [replace(record("a", 3))])
    write_json(folder / "tuned.json", other)
    with pytest.raises(InputError, match="made with other values than those of"):
        write_profile("mine", best, folder, folder)


def test_searches_take_the_values_of_a_profile_under_those_that_are_given(study):
    path = str(study[0])
    settings = SearchSettings.read({"profile": path, "hyperparameters": {"dt_max": 0.03}})
    assert settings.hyperparameters == {"dt_max": 0.03, "plateau_patience": 7}
    assert settings.profile is None  # what is kept of the run needs no file
    assert GuessSettings.read({"profile": path}).solver == "gad"
    with pytest.raises(InputError, match="of solver 'gad', not 'trust'"):
        SearchSettings.read({"profile": path, "solver": "trust"})


def test_a_profile_that_is_shipped_is_read_by_its_name(study, monkeypatch, capsys):
    best, folder = study
    monkeypatch.setattr(profiles, "FOLDER", folder / "shipped")
    write_profile("mine", best, folder, folder / "shipped")
    assert SearchSettings.read({"profile": "mine"}).hyperparameters == VALUES
    assert dict(read_best("mine").best_params) == VALUES
    assert main(["profiles"]) == 0
    assert "| `mine` | gad, index1 | " in capsys.readouterr().out
    with pytest.raises(InputError, match="one of those that are shipped: mine"):
        SearchSettings.read({"profile": "yours"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "expected a JSON object with best_params"),
        ("{", "can't be read"),
        ('{"best_params": {"dt_max": [1]}}', "best_params"),
        ('{"best_params": {}}', "expected a JSON object with best_params"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path, content, reason):
    path = tmp_path / "no.json"
    path.write_text(content)
    with pytest.raises(InputError, match=reason):
        SearchSettings.read({"profile": str(path)})


def test_the_command_writes_a_profile(study, capsys):
    best, folder = study
    command = ["profiles", "--name", "own", "--best", str(best), "--validation", str(folder)]
    assert main([*command, "--out-dir", str(folder)]) == 0
    assert "--profile" in capsys.readouterr().out and (folder / "own.json").is_file()


def test_every_shipped_profile_can_be_searched_with_and_says_what_it_gained():
    for one in profiles.shipped():
        settings = SearchSettings.read({"profile": one.name})
        assert settings.solver == one.solver and one.sentence


def test_more_that_succeed_or_as_many_for_less_are_a_gain_and_nothing_else_is():
    def side(*steps):
        return [replace(record(f"r{i}", n), n_gradient=n) for i, n in enumerate(steps)]

    def failed(some):
        return [replace(one, converged=False) for one in some]

    slow, quick = side(*range(20, 30)), side(*range(10, 20))
    assert worth(slow, quick).is_gain and not worth(quick, slow).is_gain
    assert not worth(slow, slow).is_gain
    assert not worth(slow, [*failed(quick[:1]), *quick[1:]]).is_gain  # cheaper, but one less
    assert worth(failed(quick), slow).is_gain  # ten more, for more gradients
    assert not worth([*failed(quick[:5]), *quick[5:]], slow).is_gain  # five may be luck
    assert not worth(failed(slow), failed(quick)).is_gain  # cheaper, but none succeeds
