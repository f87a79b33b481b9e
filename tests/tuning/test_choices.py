"""Words that trials choose beside numbers: declared, drawn, searched with, kept and validated."""

import json
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from gadlib import report
from gadlib.cli import flags
from gadlib.cli.parser import build, main
from gadlib.report.exchange.profile import write_profile
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning import trials, tune
from gadlib.tuning.choices import choices_in, own_choices, words_in_force
from gadlib.tuning.space import drawn_in, drawn_of
from gadlib.tuning.study import about
from gadlib.tuning.validation import tuned_choices

TRUST = {"solver": "trust", "criterion": "bound"}
STARTS = ["midpoint_rt_noise0.3A", "idpp_rp"]
COSTLY, CHEAP = (SimpleNamespace(is_hessian_costly=is_so) for is_so in (True, False))


def settings_of(**changes):
    return TuneSettings(**TRUST | changes)


@pytest.mark.parametrize(
    ("choices", "more", "reason"),
    [
        ({"criterion": ["bound", "strict"]}, {}, "criterion = .*: expected one of mode, start"),
        ({"mode": ["lowest"]}, {}, r"mode = \['lowest'\]: expected two words or more"),
        ({"mode": ["lowest", "lowest"]}, {}, "two words or more, each once"),
        ({"mode": ["lowest", "highest"]}, {}, "mode 'highest': expected lowest"),
        ({"mode": ["reaction", "bonds:0-1"]}, {}, "expected lowest among them, which trial 0"),
        ({"start_from": ["ts", "nowhere"]}, {"start_from": "ts"}, "start 'nowhere': expected"),
        ({"exact_hessians": ["auto", "never"]}, {}, "'never': expected some of auto, proof, often"),
        ({"exact_hessians": ["auto", "often"]}, {"solver": "gad"}, "for solver 'gad'"),
        (
            {"exact_hessians": ["proof", "often"]},
            {"hyperparameters": {"exact_hessians": "proof"}},
            "has choices and one value",
        ),
    ],
)
def test_choices_that_cannot_be_are_refused(choices, more, reason):
    with pytest.raises(InputError, match=reason):
        choices_in(settings_of(choices=choices, **more))


def test_trial_0_has_the_words_that_are_set():
    chosen = {"mode": ["lowest", "reaction"], "exact_hessians": ["often", "auto"]}
    settings = settings_of(mode="reaction", choices=chosen)
    assert own_choices(settings) == {"mode": "reaction", "exact_hessians": "auto"}


@pytest.mark.parametrize(
    ("words", "calculator", "without"),
    [
        ({}, None, set()),
        ({}, COSTLY, {"hessian_every"}),
        ({}, CHEAP, {"probe_every"}),
        ({"exact_hessians": "proof"}, CHEAP, {"hessian_every"}),
        ({"exact_hessians": "often"}, None, {"probe_every"}),
    ],
)
def test_numbers_without_effect_are_not_drawn(words, calculator, without):
    settings = settings_of(hyperparameters=words)
    everything = {k.name for k in drawn_in(settings_of())}
    assert {k.name for k in drawn_in(settings, calculator)} == everything - without
    with_choice = settings_of(choices={"exact_hessians": ["auto", "often", "proof"]})
    assert {k.name for k in drawn_in(with_choice, calculator)} == everything


def test_a_range_of_a_number_without_effect_is_refused():
    often = settings_of(hyperparameters={"exact_hessians": "often"}, ranges={"probe_every": [1, 9]})
    with pytest.raises(InputError, match=r"probe_every: acts under none of the words.*often"):
        drawn_in(often)


def test_a_study_of_before_goes_on_with_the_numbers_that_it_draws():
    settings = settings_of()
    everything = drawn_in(settings)
    before = {"space": {k.name: [k.low, k.high, k.log] for k in everything}}
    assert drawn_of(before, settings) == everything != drawn_in(settings, COSTLY)
    assert drawn_of(about(settings, [], calculator=COSTLY), settings) == drawn_in(settings, COSTLY)


def little(folder, **changes):
    given = {
        **{"start_from": STARTS[0], "max_samples": 5, "n_samples": 2, "n_steps_per_sample": 2},
        **{"screening_steps": 1, "n_trials": 6, "workers": 0, "sampler": "random", "seed": 5},
        "out_dir": str(folder / "out"),
        "choices": {
            "mode": ["lowest", "reaction"],
            "start_from": STARTS,
            "exact_hessians": ["auto", "often"],
        },
    }
    return settings_of(**given | changes)


def test_each_trial_is_searched_as_it_chose_and_all_that_follows_knows(folder, monkeypatch):
    jobs, real = {}, trials.Job.of

    def seen(settings, starts, calculator, hyperparameters, *, tag):
        if isinstance(tag, tuple):  # those of the race have places alone
            jobs[tag[0]] = (settings.mode, {s.start for s in starts}, hyperparameters)
        return real(settings, starts, calculator, hyperparameters, tag=tag)

    monkeypatch.setattr(trials.Job, "of", seen)
    settings = little(folder, n_race=2, n_candidates=2, pruning="halving")
    study = tune.tune(settings)
    assert study.user_attrs["gadlib"]["choices"] == settings.choices
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        mode, starts, hyperparameters = jobs[trial.number]
        assert mode == trial.params["mode"] and starts == {trial.params["start_from"]}
        words = trial.params["exact_hessians"]
        assert hyperparameters.exact_hessians == words
        assert ("probe_every" in trial.params) == (words == "auto")
        assert ("hessian_every" in trial.params) == (words != "auto")  # springs: costly Hessians
    first = study.get_trials()[0].params
    assert [first[n] for n in settings.choices] == ["lowest", STARTS[0], "auto"]
    content = json.loads((folder / "out" / "hpo_results.json").read_text())
    best = tune.preferred(study).params
    assert content["best_choices"] == {n: best[n] for n in ("mode", "start_from")}
    assert not {"mode", "start_from"} & set(content["best_params"])
    for number in content["race"]["scores"]:
        raced = json.loads((folder / f"out/race/trial_{number}.json").read_text())
        own = study.get_trials()[int(number)].params
        assert raced["settings"]["mode"] == own["mode"]
        assert {r["start"] for r in raced["records"]} == {own["start_from"]}
        assert [r["name"] for r in raced["records"]] == content["race"]["samples"]
    table = report.best_table(report.collect_trials(study)).set_index("hyperparameter")
    assert table.loc["mode", "best"] == best["mode"]
    assert table.loc["start_from", "scale"] == ", ".join(STARTS)
    assert "mode: lowest gradients" in report.choices_sentence(study)
    with pytest.raises(InputError, match=r"choices of mode was .*, now None"):
        tune.tune(settings.model_copy(update={"choices": {}, "resume": True}))
    again = tune.tune(settings.model_copy(update={"n_trials": 7, "resume": True}))
    assert len([t for t in again.get_trials() if t.state.is_finished()]) == 7


def test_words_alone_are_tuned_where_every_number_is_fixed(folder):
    numbers = {one.name: one.default for one in SOLVERS["trust"].tunable()}
    with pytest.raises(InputError, match="all of solver 'trust' are fixed"):
        drawn_in(settings_of(hyperparameters=numbers))
    words = {"proof": ["auto", "hessian", "products"]}
    settings = little(folder, hyperparameters=numbers, choices=words, n_trials=3)
    study = tune.tune(settings)
    assert study.user_attrs["gadlib"]["space"] == {}
    assert {tuple(t.params) for t in study.get_trials()} == {("proof",)}
    content = json.loads((folder / "out" / "hpo_results.json").read_text())
    assert content["best_params"] == numbers | tune.preferred(study).params
    assert set(report.collect_importances(study).names) <= {"proof"}
    again = tune.tune(settings.model_copy(update={"n_trials": 4, "resume": True}))
    assert len(again.get_trials()) == 4


def test_tuned_words_are_validated_kept_in_a_profile_and_searched_with(folder):
    best = folder / "best.json"
    words = {"mode": "reaction", "start_from": "idpp_rp"}
    content = {"best_params": {"kick": 0.4}, "best_choices": words, "about": {}, "trials": []}
    best.write_text(json.dumps(content))
    given = {"start_from": STARTS[0], "split": "val", "max_samples": 2, "n_steps_per_sample": 1}
    out = folder / "validate"
    settings = ValidateSettings(
        **TRUST, **given, best=str(best), workers=0, out_dir=str(out), allow_transfer=True
    )
    found = tune.validate(settings)
    assert dict(found.choices) == words
    assert {r.start for r in found.default} == {STARTS[0]}
    assert {r.start for r in found.tuned} == {"idpp_rp"}
    assert [r.name for r in found.default] == [r.name for r in found.tuned]
    compared = report.collect_comparison(found.default, found.tuned)
    assert compared.verdict.endswith(f"begin from idpp_rp, the others from {STARTS[0]}.")
    profile = write_profile("mine", best, out, folder)
    taken = SearchSettings(solver="trust", profile=str(profile))
    assert (taken.mode, taken.start_from) == ("reaction", "idpp_rp")
    given_before = SearchSettings(solver="trust", profile=str(profile), mode="lowest")
    assert (given_before.mode, given_before.start_from) == ("lowest", "idpp_rp")
    words["criterion"] = "strict"
    best.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"best_choices\.criterion: expected some of mode"):
        tuned_choices(settings)


@pytest.mark.parametrize("text", ["mode", "mode=", "mode=lowest,", "=a,b"])
def test_a_choice_that_cannot_be_read_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--choice", text])
    assert "expected NAME=A,B,..., as in mode=lowest,reaction" in capsys.readouterr().err


def test_choices_are_given_by_name_as_often_as_there_are_some():
    given = ["--choice", "mode=lowest, reaction", "--choice", "start-from=ts,idpp_rp"]
    read = flags.settings_of(TuneSettings, build().parse_args(["tune", *given]))
    assert read.choices == {"mode": ["lowest", "reaction"], "start_from": ["ts", "idpp_rp"]}


def test_words_in_force_are_the_chosen_then_the_given_then_the_default():
    given = settings_of(hyperparameters={"proof": "hessian"})
    assert words_in_force(given, {}) == {"exact_hessians": "auto", "proof": "hessian"}
    assert words_in_force(given, {}, COSTLY)["exact_hessians"] == "proof"
    chosen = {"exact_hessians": "often"}
    assert words_in_force(given, chosen, COSTLY) == {"exact_hessians": "often", "proof": "hessian"}
