"""What a study is about, who may join it, and what is collected from its storage."""

import re
import time
from dataclasses import replace

import optuna
import pytest
from little_searches import STARTS, record_of

from gadlib.cluster.storage import open_storage
from gadlib.settings.reading import InputError
from gadlib.settings.studies import StudySettings, TuneSettings
from gadlib.tuning import study as studies
from gadlib.tuning.content import collect_results
from gadlib.tuning.front import objectives_in
from gadlib.tuning.study import (
    about,
    default_storage,
    load,
    open_study,
    require_storage,
)


@pytest.fixture
def settings(tmp_path):
    return TuneSettings(storage=f"sqlite:///{tmp_path}/study.db", n_trials=3, resume=True)


def changed(settings: TuneSettings, **values) -> TuneSettings:
    return TuneSettings.read(settings.model_dump() | values)


def test_storage_is_the_given_one_then_the_environments_then_a_file_of_the_calculators(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("GADLIB_STORAGE", raising=False)
    plain = StudySettings(out_dir=str(tmp_path), calculator="hip")
    assert default_storage(plain) == f"sqlite:///{tmp_path}/hip_hpo_study.db"
    monkeypatch.setenv("GADLIB_STORAGE", "journal:///there.log")
    assert default_storage(plain) == "journal:///there.log"
    assert default_storage(StudySettings(storage="sqlite:///mine.db")) == "sqlite:///mine.db"


def test_storage_on_a_network_disk_is_a_journal(tmp_path, monkeypatch):
    monkeypatch.delenv("GADLIB_STORAGE", raising=False)
    monkeypatch.setattr(studies, "network_filesystem", lambda folder: "nfs")
    plain = StudySettings(out_dir=str(tmp_path))
    assert default_storage(plain) == f"journal:///{tmp_path}/scine_hpo_study.log"


@pytest.mark.parametrize(
    "values",
    [
        {"solver": "trust"},
        {"criterion": "bound"},
        {"mode": "reaction"},
        {"n_steps_per_sample": 77},
        {"scine_functional": "PM6"},
        {"ranges": {"dt_max": [0.02, 0.05]}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_changes_a_trials_worth_is_what_a_study_is_about(settings, values):
    assert about(changed(settings, **values), STARTS) != about(settings, STARTS)


@pytest.mark.parametrize(
    "values",
    [
        {"n_trials": 50},
        {"sampler": "random"},
        {"seed": 7},
        {"pruning": "none"},
        {"workers": 3},
        {"out_dir": "elsewhere"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_which_trials_are_drawn_and_where_is_not(settings, values):
    assert about(changed(settings, **values), STARTS) == about(settings, STARTS)


def test_a_study_is_about_its_reactions_and_where_they_begin(settings):
    here = about(settings, STARTS)
    assert here["reactions"] == [start.name for start in STARTS]
    assert about(settings, STARTS[:2]) != here
    assert about(settings, STARTS[::-1])["starting_points"] != here["starting_points"]
    ions = [replace(start, charge=2) for start in STARTS]
    assert about(settings, ions)["starting_points"] != here["starting_points"]


def test_a_new_study_begins_with_the_defaults_and_keeps_what_it_is_about(settings):
    worker = open_study(settings, STARTS, [record_of(40)])
    study = worker.study
    assert study.user_attrs["gadlib"] == about(settings, STARTS)
    assert study.user_attrs["n_trials"] == 3
    assert "storage" not in study.user_attrs["settings"]
    (waiting,) = study.get_trials(deepcopy=False)
    assert waiting.state is optuna.trial.TrialState.WAITING
    assert waiting.system_attrs["fixed_params"]["dt_max"] == 0.05
    assert [row["steps"] for row in study.user_attrs["screening"]] == [40]


def test_who_joins_gets_the_same_study_and_may_ask_for_more_trials(settings):
    first = open_study(settings, STARTS)
    identity = first.study.user_attrs["study_id"]
    second = open_study(changed(settings, n_trials=9), STARTS)
    assert second.study.user_attrs["study_id"] == identity
    assert second.study.user_attrs["n_trials"] == 9
    assert len(second.study.get_trials(deepcopy=False)) == 1


def test_study_about_something_else_is_not_joined(settings):
    open_study(settings, STARTS)
    with pytest.raises(
        InputError, match=r"about something else: .*criterion was 'index1', now 'bo"
    ):
        open_study(changed(settings, criterion="bound"), STARTS)


def test_study_of_other_starts_is_refused_with_the_setting_that_made_them(settings):
    open_study(settings, STARTS)
    with pytest.raises(InputError, match="noise_seed was 42, now 43"):
        open_study(changed(settings, noise_seed=43), STARTS[:1])


def test_study_that_nobody_works_on_is_continued_with_resume_only(settings):
    worker = open_study(settings, STARTS)
    worker.leave()
    with pytest.raises(InputError, match=r"exists in .*continue it with --resume"):
        open_study(changed(settings, resume=False), STARTS)
    assert open_study(settings, STARTS).study.study_name == "gad_hpo"


def test_study_that_somebody_works_on_is_joined_without_resume(settings):
    open_study(settings, STARTS)
    assert open_study(changed(settings, resume=False), STARTS).study.study_name == "gad_hpo"


def test_study_in_memory_is_refused(settings):
    with pytest.raises(InputError, match="kept in memory only, expected a file or a server"):
        require_storage(changed(settings, storage="sqlite:///:memory:"))


def test_study_of_another_program_is_left_alone(settings):
    other = optuna.create_study(study_name="gad_hpo", storage=open_storage(settings.storage))
    other.optimize(lambda trial: 1.0, n_trials=2)
    before = [t.number for t in other.get_trials()]
    with pytest.raises(InputError, match="was not made by gadlib"):
        open_study(settings, STARTS)
    assert [t.number for t in other.get_trials()] == before


def test_study_with_other_directions_than_its_objectives_is_no_study_of_gadlibs(settings):
    storage = open_storage(settings.storage)
    other = optuna.create_study(study_name="gad_hpo", storage=storage, direction="minimize")
    other.set_user_attr("gadlib", about(settings, STARTS))
    reason = "(its directions are minimize, expected maximize)"
    with pytest.raises(InputError, match=re.escape(reason)):
        open_study(settings, STARTS)


def test_a_study_of_before_goes_on_with_its_own_objective(settings):
    """One of solver trust, from when there was no choice, where auto means gradients now."""
    asked = settings.model_copy(update={"solver": "trust", "criterion": "bound", "resume": True})
    storage = open_storage(settings.storage)
    earlier = optuna.create_study(study_name="gad_hpo", storage=storage, direction="maximize")
    of_before = {k: v for k, v in about(asked, STARTS).items() if k != "objectives"}
    earlier.set_user_attr("gadlib", of_before)
    worker = open_study(asked, STARTS)
    assert [one.name for one in objectives_in(worker.study.user_attrs)] == ["converged"]
    other = asked.model_copy(update={"objective": "bound,gradients"})
    with pytest.raises(InputError, match="objectives was"):
        open_study(other, STARTS)


def test_a_study_of_several_objectives_is_made_and_joined(settings):
    asked = settings.model_copy(update={"objective": "index1,steps", "resume": True})
    directions = [d.name for d in open_study(asked, STARTS).study.directions]
    assert directions == ["MAXIMIZE", "MINIMIZE"]
    assert len(open_study(asked, STARTS).study.directions) == 2


def test_study_that_another_worker_makes_while_one_looks_at_it_is_gadlibs(settings, monkeypatch):
    """What it is about is said, and a trial begun, between the two looks."""
    storage = open_storage(settings.storage)
    study = optuna.create_study(study_name="gad_hpo", storage=storage, direction="maximize")
    other = optuna.load_study(study_name="gad_hpo", storage=settings.storage)
    look = study.get_trials

    def late(**options):
        found = look(**options)
        if not found:
            other.set_user_attr("gadlib", about(settings, STARTS))
            other.ask()
            found = look(**options)
        return found

    monkeypatch.setattr(study, "get_trials", late)
    studies.require_own(study)
    assert [trial.state.name for trial in look(deepcopy=False)] == ["RUNNING"]


def test_study_whose_maker_died_before_saying_what_it_is_about_is_made_again(settings, monkeypatch):
    monkeypatch.setattr(studies, "_MADE_S", 1.0)
    storage = open_storage(settings.storage)
    optuna.create_study(study_name="gad_hpo", storage=storage, direction="maximize")
    began = time.monotonic()
    worker = open_study(settings, STARTS)
    assert time.monotonic() - began < 5.0
    assert worker.study.user_attrs["gadlib"] == about(settings, STARTS)
    assert len(worker.study.get_trials(deepcopy=False)) == 1


def test_only_study_needs_no_name_and_of_several_one_is_asked_for(settings):
    open_study(settings, STARTS)
    assert load(settings.storage).study_name == "gad_hpo"
    open_study(changed(settings, study_name="second"), STARTS)
    with pytest.raises(InputError, match="several studies, expected one of gad_hpo, second"):
        load(settings.storage)
    assert load(settings.storage, "second").study_name == "second"
    with pytest.raises(InputError, match="no study 'third'; studies there: gad_hpo, second"):
        load(settings.storage, "third")


def test_storage_without_a_study_says_so(settings):
    open_storage(settings.storage)
    with pytest.raises(InputError, match="no study in it"):
        load(settings.storage)


def test_results_are_those_of_the_storage(settings):
    worker = open_study(settings, STARTS, [record_of(40), record_of(90, converged=False)])
    study = worker.study
    for score in (0.25, 0.75, 0.5):
        trial = study.ask()
        trial.suggest_float("dt_max", 0.01, 0.1)
        trial.set_user_attr("convergence_rate", score / 2)
        study.tell(trial, score)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    found = collect_results(study)
    assert (found["best_trial"], found["best_score"]) == (1, 0.75)
    assert found["best_convergence_rate"] == 0.375
    assert found["n_trials"] == {"running": 0, "complete": 3, "pruned": 0, "fail": 1, "waiting": 0}
    assert [t["score"] for t in found["trials"]] == [0.25, 0.75, 0.5, None]
    assert [t["state"] for t in found["trials"]] == ["complete"] * 3 + ["fail"]
    assert [s["converged"] for s in found["screening"]] == [True, False]
    assert found["study_id"] == study.user_attrs["study_id"]


def test_results_of_a_study_without_a_finished_trial_have_no_best(settings):
    found = collect_results(open_study(settings, STARTS).study)
    assert (found["best_trial"], found["best_score"], found["best_params"]) == (None, None, {})
