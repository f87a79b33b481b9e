"""Portfolios of starts in studies: chosen, paid for, ended early, raced, validated, kept."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from faulty import Springs
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from gadlib import report
from gadlib.molecules.starting_points import Start
from gadlib.report.exchange.profile import write_profile
from gadlib.screening.record_parts import Searched
from gadlib.screening.records import Record
from gadlib.screening.screen import NOT_CONVERGED, difficulty
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.settings.objectives import OBJECTIVES
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.solver.state import Status
from gadlib.tuning import tune
from gadlib.tuning.sample_cache import Cache, digest
from gadlib.tuning.scores import RECOVERED, best_possible, budget, is_matched, mean_steps, values
from gadlib.tuning.study import about
from gadlib.tuning.trials import Loop

ONE, TWO = "midpoint_rt_noise0.3A", "midpoint_rt_noise0.3A+idpp_rp+ts_noise0.1A"
N_STEPS = 100
START = Start("a", "H2", "train", ONE, 42, np.array([1, 1]), np.eye(2, 3), 1)
SEVERAL = replace(START, start=TWO, further=(2 * np.eye(2, 3), 3 * np.eye(2, 3)))
RECORD = Record.blank(SEVERAL, Status.OUT_OF_STEPS, "")
SAMPLE = st.tuples(st.booleans(), st.integers(0, 3 * N_STEPS), st.integers(0, 900))


def record_of(is_met, steps, n_gradient):
    criteria = {**dict.fromkeys(CRITERIA, is_met), RECOVERED: is_met}
    spent = {"steps": steps, "n_gradient": n_gradient, "elapsed_s": 0.1 * steps}
    return replace(RECORD, converged=is_met, criteria=criteria, near=is_met, **spent)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@given(st.lists(SAMPLE, min_size=2, max_size=12), st.integers(1, 11))
def test_no_outcome_is_better_than_was_possible_though_searches_take_more_than_the_steps_of_one(
    objective, samples, n_known
):
    records = [record_of(*sample) for sample in samples]
    known = records[: min(n_known, len(records) - 1)]
    possible = best_possible(known, len(records), N_STEPS, [objective])
    found = values(records, N_STEPS, [objective])
    assert is_matched(found, [possible], [objective]) or found == pytest.approx(possible)


def test_what_fails_from_every_start_costs_no_less_than_what_succeeds_from_the_last():
    failed, met = record_of(False, 12, 20), record_of(True, 3 * N_STEPS, 3 * N_STEPS)
    for name in ("steps", "gradients"):
        cost = {
            of: values([r], N_STEPS, [OBJECTIVES[name]])[0] for of, r in (("f", failed), ("m", met))
        }
        assert cost == {"f": 3 * N_STEPS, "m": 3 * N_STEPS}
    assert budget(failed, N_STEPS) == mean_steps([failed, failed], N_STEPS) == 3 * N_STEPS
    alone = replace(failed, start=ONE)
    assert budget(alone, N_STEPS) == mean_steps([alone], N_STEPS) == N_STEPS
    hung = Record.blank(SEVERAL, Status.TIMED_OUT, "")
    assert budget(hung, N_STEPS) == 3 * N_STEPS


def test_a_reaction_that_takes_many_steps_is_less_difficult_than_one_without_success():
    assert difficulty(record_of(True, 1500, 1)) == NOT_CONVERGED - 1
    assert difficulty(record_of(True, 250, 1)) == 250


def test_samples_and_studies_of_other_further_starts_are_others():
    moved = replace(SEVERAL, further=(SEVERAL.further[0], 4 * np.eye(2, 3)))
    first = replace(SEVERAL, start=ONE, further=())
    knobs = TrustHyperparameters()
    assert len({digest({}, start, knobs) for start in (SEVERAL, moved, first)}) == 3
    settings = TuneSettings(solver="trust", start_from=TWO)
    told = [about(settings, [start])["starting_points"] for start in (SEVERAL, moved, first)]
    assert len(set(told)) == 3


def test_a_sample_of_which_one_search_was_timed_out_is_kept_for_that_limit_alone(tmp_path):
    settings = TuneSettings(solver="trust", start_from=TWO, search_timeout_s=7.0)
    worker = SimpleNamespace(study=SimpleNamespace(user_attrs={}))
    loop = Loop(worker, settings, Springs(), (SEVERAL,), Cache(tmp_path))
    job = SimpleNamespace(tag=(0, [0]), hyperparameters=TrustHyperparameters())
    ended = [Searched(ONE, "timed_out", 0, 0, 0, is_kept=False)]
    ended.append(Searched("idpp_rp", "out_of_steps", 9, 9, 0, is_kept=True))
    loop._keep(job, 0, replace(RECORD, searches=ended))
    name = loop._key(job.hyperparameters, 0)
    assert loop.cache.get(name) is None and loop.cache.get(f"{name}-7.0") is not None


def little(folder, **changes):
    given = {
        **{"solver": "trust", "criterion": "bound", "start_from": ONE, "sampler": "random"},
        **{"max_samples": 8, "n_samples": 4, "n_steps_per_sample": 3, "screening_steps": 1},
        **{"n_trials": 6, "workers": 0, "batch_size": 1, "seed": 5, "easy_share": 0.0},
        **{"out_dir": str(folder / "out"), "choices": {"start_from": [ONE, TWO]}},
    }
    return TuneSettings(**given | changes)


@pytest.mark.parametrize("pruning", ["best_possible", "halving", "wilcoxon", "none"])
def test_a_study_chooses_portfolios_and_all_that_follows_knows(folder, pruning):
    settings = little(folder, pruning=pruning, n_race=2, n_candidates=3)
    study = tune.tune(settings)
    trials = [t for t in study.get_trials() if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    words = [t.params["start_from"] for t in trials]
    assert words[0] == ONE and {*words} == {ONE, TWO}
    for trial, word in zip(trials, words, strict=True):
        n = len(word.split("+"))
        for sample in trial.user_attrs["samples"]:
            assert sample["steps"] == 3 * n, "each start has all the steps, and fails"
        if trial.state is TrialState.COMPLETE:
            assert trial.values[0] >= 3 * n
    content = json.loads((folder / "out" / "hpo_results.json").read_text())
    for number in content["race"]["scores"]:
        raced = json.loads((folder / f"out/race/trial_{number}.json").read_text())
        own = study.get_trials()[int(number)].params["start_from"]
        assert {r["start"] for r in raced["records"]} == {own}
        assert all(len(r.get("searches", [1])) == len(own.split("+")) for r in raced["records"])
    told = report.choices_sentence(study)
    assert f"start_from: {ONE} gradients" in told and TWO in told


@pytest.mark.parametrize("given", [{"start_from": TWO, "choices": {}}, {}])
def test_steps_are_no_rungs_of_portfolios_which_is_said_before_anything_is_computed(folder, given):
    with pytest.raises(
        InputError, match=r"halving_steps: start_from midpoint_rt.* expected pruning"
    ):
        tune.tune(little(folder, pruning="halving_steps", **given))
    assert not (folder / "out").exists()
    tune.tune(little(folder, pruning="halving_steps", choices={}, n_trials=1))


def test_words_that_are_no_portfolio_are_refused(folder):
    for word, reason in ((f"{ONE}+ts+ts", "ts is there twice"), ("ts+nowhere", "start 'nowhere'")):
        with pytest.raises(InputError, match=reason):
            tune.tune(little(folder, choices={"start_from": [ONE, word]}))


def test_a_study_that_begins_with_a_portfolio_is_resumed_and_its_samples_are_not_searched_again(
    folder,
):
    settings = little(folder, start_from=TWO, choices={}, n_trials=1)
    first = tune.tune(settings).get_trials()[0]
    assert first.user_attrs["samples"][0]["steps"] == 9
    (folder / "out" / "scine_hpo_study.db").unlink()
    (folder / "out" / "hpo_results.json").unlink()
    again = tune.tune(settings.model_copy(update={"resume": True})).get_trials()[0]
    assert again.user_attrs["n_cached"] == 4
    assert again.values == first.values
    with pytest.raises(InputError, match=r"start_from was .*, now"):
        one = settings.model_copy(update={"start_from": ONE, "resume": True})
        tune.tune(one.model_copy(update={"out_dir": str(folder / "out")}))


def test_a_portfolio_is_validated_beside_one_start_and_kept_in_a_profile(folder):
    best, words = folder / "best.json", {"start_from": TWO}
    content = {"best_params": {"kick": 0.4}, "best_choices": words, "about": {}, "trials": []}
    best.write_text(json.dumps(content))
    out = folder / "validate"
    settings = ValidateSettings(
        solver="trust", criterion="bound", start_from=ONE, split="val", max_samples=2,
        n_steps_per_sample=2, best=str(best), workers=0, out_dir=str(out), allow_transfer=True,
    )  # fmt: skip
    found = tune.validate(settings)
    assert {(r.start, r.steps, len(r.searches)) for r in found.default} == {(ONE, 2, 0)}
    assert {(r.start, r.steps, len(r.searches)) for r in found.tuned} == {(TWO, 6, 3)}
    verdict = report.collect_comparison(found.default, found.tuned).verdict
    assert verdict.endswith(f"begin from {TWO}, the others from {ONE}.")
    profile = write_profile("mine", best, out, folder)
    assert SearchSettings(solver="trust", profile=str(profile)).start_from == TWO
