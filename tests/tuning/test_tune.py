from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from faulty import Springs
from little_reactions import write_h5
from optuna.trial import TrialState

from gadlib.screening.setup import starts_of
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning import tune


@pytest.fixture(scope="module")
def h5_path(tmp_path_factory):
    return str(write_h5(tmp_path_factory.mktemp("set") / "little.h5"))


@pytest.fixture
def settings(tmp_path, h5_path):
    return settings_of(h5_path, tmp_path / "out")


def settings_of(h5_path, out_dir):
    return TuneSettings(
        h5_path=h5_path,
        split="train",
        start_from="midpoint_rt_noise0.3A",
        n_steps_per_sample=10,
        screening_steps=5,
        n_samples=2,
        n_trials=3,
        workers=0,
        out_dir=str(out_dir),
    )


@pytest.fixture(scope="module", autouse=True)
def hurried_sqlite():
    """SQLite does not wait for the disk, which is nearly all of the time of these studies."""

    def hurry(connection, _):
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", hurry)
    yield
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", hurry)


@pytest.fixture
def springs(monkeypatch):
    """No quantum chemistry: all calculators are springs."""
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, h5_path):
    """The output folder of a study of two trials."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gadlib.calculators.build", lambda settings: Springs())
        settings = settings_of(h5_path, out)
        tune.tune(settings.model_copy(update={"n_trials": 2}))
    return out


@pytest.fixture
def done(settings, springs, finished):
    """The settings of a study that has two of its three trials."""
    shutil.copytree(finished, settings.out_dir)
    return settings


def again(settings: TuneSettings, **changes) -> TuneSettings:
    return settings.model_copy(update={"resume": True} | changes)


def test_study_ends_with_its_trials_completed_and_the_defaults_first(settings):
    pytest.importorskip("scine_sparrow")
    study = tune.tune(settings)
    trials = study.get_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 3
    assert trials[0].params == {k.name: k.default for k in GadHyperparameters.tunable()}
    content = json.loads((Path(settings.out_dir) / "hpo_results.json").read_text())
    best = max(trials, key=lambda t: t.value)
    assert content["best_score"] == best.value
    assert content["best_params"] == best.params
    assert content["best_trial"] == best.number
    assert content["best_convergence_rate"] == best.user_attrs["convergence_rate"]
    assert content["best_mean_steps"] == best.user_attrs["mean_steps"]
    assert [t["score"] for t in content["trials"]] == [t.value for t in trials]
    assert all(len(t["samples"]) == 2 for t in content["trials"])
    assert [r["name"] for r in content["screening"]] == ["rxn00", "rxn01", "rxn02"]
    assert content["settings"]["noise_seed"] == 42
    assert (Path(settings.out_dir) / "scine_hpo_study.db").is_file()


def test_two_workers_complete_all_trials_with_all_their_samples(settings):
    pytest.importorskip("scine_sparrow")
    study = tune.tune(settings.model_copy(update={"workers": 2, "batch_size": 1, "n_trials": 4}))
    trials = study.get_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 4
    assert all(len(t.user_attrs["samples"]) == 2 for t in trials)


def test_trials_run_on_the_hardest_reactions(done):
    study = tune.load(tune.default_storage(done))
    hardest = [s["name"] for s in study.get_trials()[0].user_attrs["samples"]]
    assert hardest == study.user_attrs["gadlib"]["reactions"]
    assert len(hardest) == 2


def test_resumed_study_goes_on_to_the_same_total(done):
    study = tune.tune(again(done, n_trials=3))
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE] * 3
    study = tune.tune(again(done, n_trials=3))
    assert len(study.get_trials()) == 3


def test_resumed_study_draws_other_values(done):
    trials = tune.tune(again(done, n_trials=3)).get_trials()
    assert trials[1].params["dt_max"] != trials[2].params["dt_max"]


def test_study_that_exists_is_refused_without_resume_before_anything_is_computed(done, tmp_path):
    elsewhere = done.model_copy(
        update={"storage": tune.default_storage(done), "out_dir": str(tmp_path / "other")}
    )
    with pytest.raises(InputError, match=r"^study 'gad_hpo' exists in sqlite.*: continue it with"):
        tune.tune(elsewhere)
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"criterion": "strict"}, "criterion was 'index1', now 'strict'"),
        ({"n_steps_per_sample": 11}, "n_steps_per_sample was 10, now 11"),
        ({"noise_seed": 1}, "noise_seed was 42, now 1"),
        ({"split": "test"}, r"reactions was \['rxn00', .*\], now \['rxn2"),
        ({"n_samples": 1}, "reactions was"),
    ],
)
def test_study_about_something_else_is_refused_with_the_difference(done, tmp_path, changes, told):
    other = again(
        done,
        storage=tune.default_storage(done),
        out_dir=str(tmp_path / "other"),
        **changes,
    )
    with pytest.raises(InputError, match=f"'gad_hpo' is about something else: .*{told}"):
        tune.tune(other)


def test_study_made_with_another_space_is_refused_with_the_knob(done):
    study = tune.load(tune.default_storage(done))
    about = study.user_attrs["gadlib"]
    about["space"]["dt_max"] = [0.01, 0.2, True]
    study.set_user_attr("gadlib", about)
    with pytest.raises(InputError, match=r"space of dt_max was \[0.01, 0.2, True\], now \[0.01, 0"):
        tune.tune(again(done))


def test_study_of_another_program_is_refused(settings, springs):
    tune.require_writable(settings.out_dir)
    url = tune.default_storage(settings)
    optuna.create_study(study_name="gad_hpo", storage=url).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    with pytest.raises(InputError, match="study 'gad_hpo' was not made by gadlib"):
        tune.tune(again(settings))


def test_worker_joins_a_study_that_another_has_only_just_created(settings, springs):
    tune.require_writable(settings.out_dir)
    optuna.create_study(
        study_name="gad_hpo", storage=tune.default_storage(settings), direction="maximize"
    )
    assert len(tune.tune(again(settings, n_trials=1)).get_trials()) == 1


def test_worker_joins_without_resume_a_study_that_another_is_at_work_on(settings, springs):
    samples = tune.difficult_samples(settings)[1][: settings.n_samples]
    other = tune.open_study(settings, samples)
    study = tune.tune(settings.model_copy(update={"n_trials": 1}))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 1
    other.leave()
    with pytest.raises(InputError, match="continue it with --resume"):
        tune.tune(settings)


def test_defaults_are_queued_once_where_who_made_the_study_died_over_it(settings):
    samples = tune.difficult_samples(settings)[1][: settings.n_samples]
    study = optuna.create_study(
        study_name="gad_hpo", storage=tune.default_storage(settings), direction="maximize"
    )
    study.enqueue_trial({k.name: k.default for k in GadHyperparameters.tunable()})
    worker = tune.open_study(settings, samples)
    assert [t.state for t in worker.study.get_trials()] == [TrialState.WAITING]


def test_defaults_are_tried_again_after_their_trial_failed(settings, springs):
    samples = tune.difficult_samples(settings)[1][: settings.n_samples]
    worker = tune.open_study(settings, samples)
    worker.study.tell(worker.study.ask(), state=TrialState.FAIL)
    worker.leave()
    trials = tune.tune(again(settings, n_trials=1)).get_trials(states=(TrialState.COMPLETE,))
    assert trials[0].params == {k.name: k.default for k in GadHyperparameters.tunable()}


def test_database_that_is_none_is_refused_with_its_name(settings, tmp_path):
    (tmp_path / "not.db").write_text("no database at all " * 100)
    url = f"sqlite:///{tmp_path / 'not.db'}"
    with pytest.raises(InputError, match=f"^storage {url}: not a usable database .file is not"):
        tune.tune(settings.model_copy(update={"storage": url}))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("study.db", "storage study.db: not a usable storage URL"),
        ("nosuch://host/db", "storage nosuch://host/db: not a usable storage URL"),
        ("mysql://host/db", "storage mysql://host/db: not a usable storage URL"),
        ("sqlite://", "storage sqlite://: kept in memory only, expected a file or a server"),
    ],
)
def test_storage_that_is_none_is_refused(settings, url, told):
    with pytest.raises(InputError) as caught:
        tune.tune(settings.model_copy(update={"storage": url}))
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "mysql://127.0.0.1:1/db?password=hunter2",
        "nosuch://me:hunter2@host/db",
        "me:hunter2@host",
    ],
)
def test_password_of_a_storage_is_never_shown(settings, url):
    assert "hunter2" not in tune.without_password(url)
    with pytest.raises(InputError) as caught:
        tune.tune(settings.model_copy(update={"storage": url}))
    assert "hunter2" not in str(caught.value)


def test_storage_is_in_the_results_of_its_study_alone(settings, springs, tmp_path):
    url = f"sqlite:///{tmp_path / 'hunter2.db'}"
    study = tune.tune(settings.model_copy(update={"storage": url, "n_trials": 1}))
    assert "hunter2" not in str(study.user_attrs)
    written = [path for path in Path(settings.out_dir).rglob("*") if path.is_file()]
    assert len(written) > 2
    told = [path.name for path in written if "hunter2" in path.read_text()]
    assert told == ["hpo_results.json"]
    assert json.loads((Path(settings.out_dir) / told[0]).read_text())["storage"] == url


def test_more_samples_than_reactions_are_refused_before_anything_is_computed(settings):
    with pytest.raises(InputError, match=r"^n_samples 4: larger than the set, expected at most 3"):
        tune.tune(settings.model_copy(update={"n_samples": 4}))
    assert not (Path(settings.out_dir) / "screening.json").exists()


def test_a_hyperparameter_that_is_given_has_that_value_in_all_trials(settings, springs):
    fixed = settings.model_copy(update={"hyperparameters": {"dt_max": 0.02}})
    study = tune.tune(fixed)
    assert all("dt_max" not in t.params for t in study.get_trials())
    content = json.loads((Path(settings.out_dir) / "hpo_results.json").read_text())
    assert content["best_params"]["dt_max"] == 0.02 and content["about"]["fixed"]
    other = again(fixed, hyperparameters={"dt_max": 0.03}, n_trials=4)
    with pytest.raises(InputError, match="is about something else"):
        tune.tune(other)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"objective": "best"}, "objective 'best': expected auto, or some of"),
        ({"objective": "intended"}, "expected --criterion intended, or --check-ends"),
        ({"constraints": "bound>0.9"}, "constraints 'bound>0.9': expected OBJECTIVE>=NUMBER"),
        ({"prefer": "best"}, "prefer 'best': expected OBJECTIVE>=NUMBER"),
        ({"objective": "bound,steps", "sampler": "cmaes"}, "sampler cmaes: knows one objective"),
        ({"objective": "bound,steps", "pruning": "wilcoxon"}, "pruning wilcoxon: knows one"),
        ({"pruning": "never"}, "pruning 'never': expected one of best_possible, halving"),
        (
            {"hyperparameters": {"dt_max": 0.02}, "ranges": {"dt_max": [0.01, 0.1]}},
            "dt_max: has a range and one value",
        ),
    ],
)
def test_objectives_and_choices_that_cannot_be_are_refused_first(settings, changes, reason):
    pytest.importorskip("cmaes") if changes.get("sampler") == "cmaes" else None
    with pytest.raises(InputError, match=reason):
        tune.tune(settings.model_copy(update=changes))
    assert not Path(settings.out_dir).exists()


@pytest.mark.parametrize("pruning", ["halving", "wilcoxon", "best_possible", "none"])
def test_a_study_ends_with_its_trials_however_they_end(settings, springs, pruning):
    many = {"pruning": pruning, "n_trials": 6, "batch_size": 1, "n_samples": 3, "workers": 0}
    study = tune.tune(settings.model_copy(update=many))
    states = [t.state for t in study.get_trials()]
    assert len(states) == 6 and set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert states[0] is TrialState.COMPLETE


def test_a_race_on_reactions_that_no_trial_saw_ends_the_study(settings, springs):
    raced = settings.model_copy(update={"n_race": 1, "n_candidates": 2})
    study = tune.tune(raced)
    content = json.loads((Path(settings.out_dir) / "hpo_results.json").read_text())
    (name,) = content["race"]["samples"]
    assert name not in content["about"]["reactions"]
    assert content["best_trial"] == content["race"]["winner"]
    assert tune.preferred(study).number == content["race"]["winner"]
    assert len(list((Path(settings.out_dir) / "race").glob("trial_*.json"))) >= 2
    values, seen = tune.tuned_values(
        ValidateSettings(best=str(Path(settings.out_dir) / "hpo_results.json"))
    )
    assert name in seen and set(values) == set(content["best_params"])


def test_a_race_needs_reactions_that_no_trial_saw(settings, springs):
    with pytest.raises(InputError, match="n_race 2: the trials have seen all 3 reactions"):
        tune.tune(settings.model_copy(update={"n_race": 2, "n_samples": 3}))


def test_several_objectives_give_a_front_in_the_results(settings, springs):
    study = tune.tune(settings.model_copy(update={"objective": "converged,gradients"}))
    content = json.loads((Path(settings.out_dir) / "hpo_results.json").read_text())
    assert content["objectives"] == {"converged": "maximize", "gradients": "minimize"}
    assert content["best_trials"] and content["best_score"] is None
    assert {t["number"] for t in content["best_trials"]} <= {t.number for t in study.get_trials()}
    assert content["best_trial"] in [t["number"] for t in content["best_trials"]]
    chosen = tune.write_results(study, Path(settings.out_dir) / "hpo_results.json", "gradients<=0")
    assert chosen.is_file()


def test_results_of_another_study_are_not_overwritten(done):
    before = (Path(done.out_dir) / "hpo_results.json").read_text()
    with pytest.raises(InputError, match="holds the results of study 'gad_hpo', not 'other'"):
        tune.tune(done.model_copy(update={"study_name": "other"}))
    assert (Path(done.out_dir) / "hpo_results.json").read_text() == before


def test_screening_of_a_file_is_used_as_it_is(done, tmp_path):
    screening = Path(done.out_dir) / "screening.json"
    other = done.model_copy(
        update={"screening": str(screening), "out_dir": str(tmp_path / "b"), "n_trials": 1}
    )
    study = tune.tune(other)
    assert len(study.user_attrs["gadlib"]["reactions"]) == 2
    assert not (tmp_path / "b" / "screening.json").exists()


def test_screening_with_other_settings_is_refused(done):
    screening = str(Path(done.out_dir) / "screening.json")
    with pytest.raises(InputError, match="was made with other settings: noise_seed was 42, now 1"):
        tune.tune(again(done, screening=screening, noise_seed=1))


def test_load_lists_the_studies_there_are(done):
    url = tune.default_storage(done)
    assert tune.load(url).study_name == "gad_hpo"
    with pytest.raises(InputError, match="no study 'x'; studies there: gad_hpo"):
        tune.load(url, "x")
    with pytest.raises(InputError, match="no such file"):
        tune.load("sqlite:///nowhere.db")


def test_validation_searches_the_same_starts_with_defaults_and_tuned(done, tmp_path):
    best = str(Path(done.out_dir) / "hpo_results.json")
    wanted = {name: getattr(done, name) for name in ("h5_path", "start_from", "workers")}
    found = tune.validate(
        ValidateSettings(**wanted, n_steps_per_sample=10, best=best, out_dir=str(tmp_path / "v"))
    )
    assert found.transfer == ()
    assert found.hyperparameters == json.loads(Path(best).read_text())["best_params"]
    assert [r.name for r in found.default] == [r.name for r in found.tuned]
    assert {r.split for r in found.default} == {"val", "test"}
    assert {p.name for p in (tmp_path / "v").iterdir()} == {
        f"{side}.{kind}" for side in ("default", "tuned") for kind in ("json", "extxyz")
    }


def test_validation_on_reactions_that_tuning_saw_is_refused(done):
    best = str(Path(done.out_dir) / "hpo_results.json")
    with pytest.raises(
        InputError, match=r"split 'all' has reactions that tuning saw \(rxn00, rxn01"
    ):
        tune.validate(
            ValidateSettings(h5_path=done.h5_path, split="all", best=best, allow_transfer=True)
        )


def test_values_that_were_tuned_for_something_else_are_refused_or_allowed_and_told(
    done, tmp_path, capsys
):
    best = str(Path(done.out_dir) / "hpo_results.json")
    wanted = {name: getattr(done, name) for name in ("h5_path", "workers")}
    wanted |= {"start_from": "ts", "n_steps_per_sample": 3, "criterion": "bound", "best": best}
    settings = ValidateSettings(**wanted, split="val", out_dir=str(tmp_path / "v"))
    with pytest.raises(InputError, match="tuned for something else") as told:
        tune.validate(settings)
    differing = (
        "start_from was 'midpoint_rt_noise0.3A', now 'ts'",
        "n_steps_per_sample was 10, now 3",
        "criterion was 'index1', now 'bound'",
    )
    assert all(part in str(told.value) for part in (*differing, "--allow-transfer"))
    assert not (tmp_path / "v").exists()
    found = tune.validate(settings.model_copy(update={"allow_transfer": True}))
    assert set(found.transfer) == set(differing)
    assert all(part in capsys.readouterr().out for part in differing[:1])
    for side in ("default", "tuned"):
        content = json.loads((tmp_path / "v" / f"{side}.json").read_text())
        assert set(content["transfer"]) == set(differing)


def test_best_values_of_an_older_study_are_taken_to_have_had_the_defaults(done, tmp_path):
    content = json.loads((Path(done.out_dir) / "hpo_results.json").read_text())
    del content["about"]["mode"]
    best = tmp_path / "older.json"
    best.write_text(json.dumps(content))
    wanted = {name: getattr(done, name) for name in ("h5_path", "start_from", "workers")}
    wanted |= {"n_steps_per_sample": 10, "best": str(best), "out_dir": str(tmp_path / "v")}
    assert tune.validate(ValidateSettings(**wanted)).transfer == ()
    with pytest.raises(InputError, match=r"mode was 'lowest' .its default; it was not kept., now"):
        tune.validate(ValidateSettings(**wanted, mode="reaction"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"can't be read \(No such file"),
        ("[]", "expected an hpo_results.json with best_params"),
        ('{"best_params": {}}', "no completed trial in it, so there are no best values"),
        ("half {", "not JSON"),
    ],
)
def test_best_values_that_are_none_are_refused_with_the_file(tmp_path, content, told):
    path = tmp_path / "best.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=f"^{path}: {told}"):
        tune.tuned_values(ValidateSettings(best=str(path)))


def test_validation_of_nothing_is_refused():
    with pytest.raises(InputError, match="nothing to validate: expected --best"):
        tune.validate(ValidateSettings())


def test_study_knows_the_starting_points_by_their_positions(settings):
    samples = starts_of(settings)
    about = tune.about(settings, samples)
    moved = starts_of(settings.model_copy(update={"noise_seed": 43}))
    assert about["starting_points"] != tune.about(settings, moved)["starting_points"]
    assert about == tune.about(settings, starts_of(settings))


def test_interrupt_waits_until_what_is_being_stored_is_stored():
    stored = []
    with pytest.raises(KeyboardInterrupt), tune.undisturbed():
        signal.raise_signal(signal.SIGINT)
        stored.append("all")
    assert stored == ["all"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_error_while_storing_is_not_hidden_by_an_interrupt():
    with pytest.raises(ZeroDivisionError), tune.undisturbed():
        raise ZeroDivisionError


# Early ends


@pytest.mark.parametrize(
    ("batch_size", "n_samples", "pruning", "told"),
    [
        (2, 2, "best_possible", "--batch-size 1 or less lets them"),
        (8, 2, "best_possible", "with batch_size 8 its 2 samples are searched at once"),
        (1, 2, "best_possible", None),
        (8, 2, "none", None),
        (8, 1, "best_possible", None),
    ],
)
def test_study_whose_trials_cannot_end_early_says_so(
    batch_size, n_samples, pruning, told, settings, springs, capsys
):
    changed = {"batch_size": batch_size, "n_samples": n_samples, "pruning": pruning, "n_trials": 1}
    tune.tune(settings.model_copy(update=changed))
    said = [
        line for line in capsys.readouterr().out.splitlines() if "No trial can end early" in line
    ]
    assert len(said) == (told is not None)
    assert told is None or told in said[0]


def test_advice_on_the_batch_is_one_with_which_trials_end_early():
    for batch_size, n_samples, batches in ((15, 15, 1), (15, 15, 4), (8, 15, 4), (9, 3, 4)):
        asked = TuneSettings(batch_size=batch_size, n_samples=n_samples)
        said = tune._never_early(asked, batches * batch_size)
        most = int(said.partition("--batch-size ")[2].split()[0]) if "--batch-size" in said else 0
        assert most * batches < n_samples <= (most + 1) * batches
