"""A study whose trials are scored by intended saddles, from its references to its results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gadlib.screening import jobs
from gadlib.screening.records import read_records
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning import tune

pytest.importorskip("scine_sparrow")

SMALL = {
    "solver": "trust", "split": "test", "start_from": "ts_noise0.1A", "max_samples": 3,
    "sample": "first", "n_samples": 2, "n_trials": 2, "n_startup_trials": 1, "workers": 0,
    "n_steps_per_sample": 40, "screening_steps": 40, "difficulty_threshold": 1.0,
    "pruning": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("intended")
    tune.tune(TuneSettings(criterion="intended", out_dir=str(out), **SMALL))
    return out


def results_of(out: Path) -> dict:
    return json.loads((out / "hpo_results.json").read_text())


def test_a_study_scores_intended_saddles_and_says_that_it_is_about_them(study):
    found = results_of(study)
    assert found["about"]["criterion"] == "intended"
    assert len(found["trials"]) == 2
    for trial in found["trials"]:
        intended = [bool(one["criteria"]["intended"]) for one in trial["samples"]]
        assert trial["convergence_rate"] == trial["intended_rate"] == sum(intended) / 2
        for one, is_met in zip(trial["samples"], intended, strict=True):
            assert one["converged"] == is_met
            assert one["n_path_gradient"] > 20 or not is_met
    assert found["best_score"] > 0


def test_the_reactions_own_saddles_are_followed_before_the_screening(study):
    own = read_records(study / "screening_reference.json")[1]
    kept = {record.name for record in own if record.meets("intended")}
    assert {record.name for record in read_records(study / "screening.json")[1]} == kept
    assert set(results_of(study)["about"]["reactions"]) <= kept


def test_a_study_of_bound_saddles_is_another_one(study, tmp_path):
    shutil.copytree(study, tmp_path / "out")
    given = TuneSettings(criterion="bound", out_dir=str(tmp_path / "out"), resume=True, **SMALL)
    with pytest.raises(InputError, match="criterion was 'intended', now 'bound'"):
        tune.tune(given)


def test_samples_that_were_followed_are_not_computed_again(study, tmp_path, monkeypatch):
    shutil.copytree(study, tmp_path / "out")
    (tmp_path / "out" / "scine_hpo_study.db").unlink()
    (tmp_path / "out" / "hpo_results.json").unlink()

    def never(*_, **__):
        raise AssertionError("searched again")

    monkeypatch.setattr(jobs, "search", never)
    more = SMALL | {"n_trials": 1}
    tune.tune(
        TuneSettings(criterion="intended", out_dir=str(tmp_path / "out"), resume=True, **more)
    )
    [trial] = results_of(tmp_path / "out")["trials"]
    assert trial["n_cached"] == 2 and trial["score"] == results_of(study)["trials"][0]["score"]


def test_tuned_values_are_validated_on_intended_saddles(study, tmp_path):
    given = {n: SMALL[n] for n in ("solver", "start_from", "workers", "sample")}
    validation = tune.validate(
        ValidateSettings(
            criterion="intended", split="val", max_samples=2, n_steps_per_sample=40,
            best=str(study / "hpo_results.json"), allow_transfer=True, out_dir=str(tmp_path),
            **given,
        )
    )  # fmt: skip
    assert (tmp_path / "default_reference.json").is_file()
    for record in (*validation.default, *validation.tuned):
        assert record.converged == record.meets("intended")
