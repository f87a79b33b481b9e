"""Rungs of samples and of steps, and what a record was when its trial stood there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from clusters import POTENTIAL, clusters
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from test_trials import SAMPLES, loop_of

from gadlib.cluster.workers import Worker
from gadlib.screening.records import Record
from gadlib.settings.objectives import objectives_of
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning.rungs import Ladder, Rung, as_of, rungs_below, rungs_of, spread
from gadlib.tuning.sample_cache import Cache
from gadlib.tuning.scores import values
from gadlib.tuning.study import settings_shown
from gadlib.tuning.trials import Loop

CONVERGED = objectives_of("converged", "gad")


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, ()), (2, ()), (3, ()), (4, (2,)), (9, (3,)), (15, (2, 5)), (30, (2, 4, 10))],
)
def test_rungs_are_thirds_down_to_two_samples(n, expected):
    assert rungs_below(n, "samples") == tuple(map(Rung, expected))


@pytest.mark.parametrize(("n", "expected"), [(20, ()), (30, (10,)), (800, (89, 267))])
def test_rungs_of_steps_are_a_ninth_and_a_third_of_them(n, expected):
    assert rungs_below(n, "steps") == tuple(Rung(size, "steps") for size in expected)


@given(st.integers(1, 300))
def test_samples_of_a_rung_are_spread_over_all(n):
    order = spread(n)
    assert sorted(order) == [*range(n)]
    for size in range(1, n + 1):
        gaps = np.diff([-1, *sorted(order[:size]), n])
        assert gaps.max() <= 2 * n / size + 2


@given(st.integers(1, 2000), st.sampled_from(["samples", "steps"]))
def test_rungs_grow_to_less_than_all(n, of):
    sizes = [rung.size for rung in rungs_below(n, of)]
    assert sizes == sorted(set(sizes)) and all(size < n for size in sizes)


def test_the_rungs_of_a_trial_are_those_that_it_has_come_to():
    kept = {f"rung_{name}": [1.0] for name in ("15_samples", "5_samples", "x", "9_lives")}
    assert rungs_of(create_trial(value=1.0, user_attrs=kept)) == [Rung(5), Rung(15)]
    before = rungs_of(create_trial(value=1.0, user_attrs={"rung_5": [1.0], "score": 0.5}))
    assert [(rung.name, str(rung)) for rung in before] == [("rung_5", "5 first samples")]
    steps = [Rung(267, "steps"), Rung(89, "steps")]
    trial = create_trial(value=1.0, user_attrs={rung.name: [1.0] for rung in steps})
    assert rungs_of(trial) == steps[::-1]
    assert str(steps[0]) == "267 steps"


def record(status: Status, steps: int, **changes) -> Record:
    blank = replace(Record.blank(SAMPLES[0], status, ""), steps=steps, n_gradient=steps)
    criteria = {"index1": changes.get("converged", False), "strict": None}
    return replace(blank, criteria=criteria, elapsed_s=3.0, **changes)


def test_a_search_that_ended_later_had_met_nothing_at_a_rung():
    ended = record(Status.ORDER_ONE, 30, converged=True)
    assert as_of(ended, 30) is ended
    then = as_of(ended, 10)
    assert (then.converged, then.criteria["index1"], then.steps) == (False, False, 10)
    assert then.elapsed_s == pytest.approx(1.0)


@pytest.mark.parametrize("objective", ["converged", "index1", "gradients", "steps"])
def test_one_that_rests_counts_as_one_that_was_there_already(objective):
    """So that trials whose samples another one has searched are compared alike."""
    resting = record(Status.RESTING, 10)
    objectives = objectives_of(objective, "gad")
    for ended in (record(Status.ORDER_ONE, 30, converged=True), record(Status.OUT_OF_STEPS, 40)):
        one, other = (values([as_of(r, 10)], 40, objectives) for r in (resting, ended))
        assert one == other


def test_a_ladder_asks_for_all_scored_samples_at_each_rung_of_steps():
    settings = TuneSettings(pruning="halving_steps", n_steps_per_sample=90)
    ladder = Ladder.of(settings, 5, 6)
    assert [len(ladder.places(level)) for level in range(3)] == [5, 5, 6]
    assert [ladder.rest_after(level) for level in range(3)] == [10, 30, None]


CLUSTERS = tuple(
    replace(start, atomic_numbers=numbers, positions=places, ends=None)
    for start, (numbers, places) in zip(SAMPLES, map(clusters(10).system, range(3)), strict=True)
)
"""Searches from here end after 4 to more than 30 steps."""


def loop_with_steps(tmp_path, **changes) -> Loop:
    given = {"pruning": "halving_steps", "n_steps_per_sample": 30, "n_trials": 6, "workers": 0}
    settings = TuneSettings(**given | changes)
    study = optuna.create_study(direction="maximize")
    study.set_user_attr("gadlib", {"objectives": ["converged"]})
    study.set_user_attr("settings", settings_shown(settings))
    worker = Worker(study, settings.n_trials)
    return Loop(worker, settings, POTENTIAL, CLUSTERS, Cache(tmp_path))


def test_trials_that_are_among_the_best_third_go_on_from_their_rests(tmp_path):
    """What they find is what they would have found without a rest, for as many steps."""
    resting = loop_with_steps(tmp_path / "resting")
    plain = loop_with_steps(tmp_path / "plain", pruning="none")
    (*numbers,) = resting
    assert numbers == [0, 1, 2, 3, 4, 5]
    trials = resting.worker.trials()
    pruned = [t for t in trials if t.state is TrialState.PRUNED]
    assert pruned and trials[0].state is TrialState.COMPLETE
    assert all(Rung(10, "steps").name in t.user_attrs for t in trials)
    for trial in trials:
        plain.worker.study.enqueue_trial(trial.params)
    assert [*plain] == numbers
    for one, whole in zip(trials, plain.worker.trials(), strict=True):
        then = [s["steps"] for s in whole.user_attrs["samples"]]
        now = [s["steps"] for s in one.user_attrs["samples"]]
        if one.state is TrialState.COMPLETE:
            assert (now, one.value) == (then, pytest.approx(whole.value))
        else:
            assert now == [min(n, 10) for n in then]


def test_a_search_that_rests_is_in_no_cache_and_its_file_is_gone_with_its_trial(tmp_path):
    loop = loop_with_steps(tmp_path)
    for _ in loop:
        number = loop.worker.trials()[-1].number
        assert not [*loop.rests.folder.glob(f"{number - 1}_*")]
    kept = [loop.cache.get(name) for name in loop.cache._records]
    assert kept and all(one is not None and one.status != Status.RESTING for one in kept)
    assert not loop.rests.folder.exists()


def test_a_trial_whose_scored_samples_were_all_there_goes_on_to_the_easy_ones(tmp_path):
    loop = loop_of(tmp_path, pruning="halving")
    loop.samples = loop.ways.samples = SAMPLES
    loop.ladder, loop.n = Ladder((Rung(1),), 2, 3), 2
    first = loop._claim()
    for place in range(2):
        ended = replace(record(Status.OUT_OF_STEPS, 9), name=SAMPLES[place].name)
        loop.cache.put(loop._key(first.hyperparameters, place), ended)
    loop.running.clear()
    loop.worker.study.enqueue_trial(first.trial.params)
    job = loop._next_job()
    assert job is not None and job.tag[1] == [2]
