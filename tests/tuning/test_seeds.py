"""Studies of several seeds: apart in name and folder, the same question, the same samples."""

import json
from pathlib import Path

import optuna
import pytest
from faulty import Springs
from little_reactions import write_h5
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from gadlib import report
from gadlib.cli.parser import main
from gadlib.cluster.urls import without_password
from gadlib.settings.studies import TuneSettings
from gadlib.tuning import seeds
from gadlib.tuning.study import load


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda _: Springs())
    return TuneSettings(
        h5_path=str(write_h5(tmp_path / "little.h5")),
        split="train",
        start_from="midpoint_rt_noise0.3A",
        n_steps_per_sample=5,
        screening_steps=5,
        n_samples=2,
        n_trials=2,
        seeds=2,
        workers=0,
        out_dir=str(tmp_path / "out"),
    )


def test_each_seed_has_a_study_of_its_own_about_the_same(settings):
    studies = seeds.tune_seeds(settings)
    assert [s.study_name for s in studies] == ["gad_hpo_seed0", "gad_hpo_seed1"]
    assert studies[0].user_attrs["gadlib"] == studies[1].user_attrs["gadlib"]
    drawn = [[t.params for t in s.get_trials()] for s in studies]
    assert drawn[0][0] == drawn[1][0] and drawn[0][1] != drawn[1][1]  # after the defaults
    assert studies[1].get_trials()[0].user_attrs["n_cached"] == 2
    for i, study in enumerate(studies):
        content = json.loads((Path(settings.out_dir) / f"seed{i}/hpo_results.json").read_text())
        assert content["study_name"] == study.study_name
    found = report.collect_seeds(studies)
    assert "of 2 studies agree" in report.agreement_sentence(found)
    urls = seeds.storages_of(settings).split(",")
    assert [load(url).study_name for url in urls] == [s.study_name for s in studies]
    assert seeds.storages_shown(settings) == seeds.storages_of(settings)  # no password to hide


def test_they_share_a_storage_that_is_named(settings, tmp_path):
    shared = settings.model_copy(update={"storage": f"sqlite:///{tmp_path}/shared.db"})
    seeds.tune_seeds(shared)
    assert seeds.storages_of(shared) == shared.storage
    again = shared.model_copy(update={"resume": True, "n_trials": 3})
    assert [len(s.get_trials()) for s in seeds.tune_seeds(again)] == [3, 3]


def test_one_seed_is_one_study_as_ever(settings):
    one = settings.model_copy(update={"seeds": 1})
    (study,) = seeds.tune_seeds(one)
    assert seeds.of_seeds(one) == [one] and study.study_name == "gad_hpo"
    assert (Path(one.out_dir) / "hpo_results.json").is_file()
    assert load(seeds.storages_of(one)).study_name == "gad_hpo"


def test_words_that_the_studies_found_best_stand_beside_their_numbers():
    of = {"proof": CategoricalDistribution(["auto", "hessian", "products"])}
    studies = []
    for best in ("products", "products", "auto"):
        study = optuna.create_study(study_name=f"of {best}")
        for word in ("auto", "products"):
            value = 0.0 if word == best else 1.0
            trial = create_trial(params={"proof": word}, distributions=of, value=value)
            study.add_trial(trial)
        studies.append(study)
    found = report.collect_seeds(studies)
    told = report.agreement_sentence(found)
    assert told == "The best words of 3 studies: proof products in 2, auto in 1."
    assert report.seeds_table(found)["proof"].tolist() == ["products", "products", "auto"]
    assert "proof products in all" in report.agreement_sentence(report.collect_seeds(studies[:2]))
    report.draw_seeds(found)


def test_storages_of_several_seeds_are_shown_without_their_passwords(tmp_path, monkeypatch):
    url = "postgresql://me:secret@host/studies"
    monkeypatch.setattr(seeds, "storages_of", lambda settings: f"{url},{url}2")
    shown = seeds.storages_shown(TuneSettings())
    assert shown.split(",") == [without_password(url), without_password(f"{url}2")]
    assert "secret" not in shown


def test_one_study_agrees_with_nothing():
    assert "nothing can agree" in report.agreement_sentence(report.collect_seeds([]))


def test_the_command_prints_what_the_studies_agree_on(settings, capsys):
    flags = [
        *("--h5-path", settings.h5_path, "--start-from", settings.start_from, "--split", "train"),
        *("--n-steps", "5", "--screening-steps", "5", "--n-samples", "2", "--n-trials", "2"),
        *("--workers", "0", "--seeds", "2", "--out-dir", settings.out_dir),
    ]
    assert main(["tune", *flags]) == 0
    told = capsys.readouterr().out
    assert "Of no study is a gain known on reactions that no trial has seen" in told
    content = json.loads((Path(settings.out_dir) / "seed1/hpo_results.json").read_text())
    assert set(content["importances"]) == {"converged"}
    assert "gad_hpo_seed1" in told and "gadlib report --storage sqlite:///" in told
