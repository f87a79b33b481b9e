"""How a study stands, from trials and workers made by hand."""

from dataclasses import asdict
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from gadlib.cluster.workers import Worker
from gadlib.tuning.raced import Race, UnderWay
from gadlib.tuning.rungs import Rung
from gadlib.tuning.status import RungStatus, read_status

BEGAN = datetime(2026, 1, 1)


def study_of(*ended, n_trials=10):
    """A study with trials of this state, value and minute of their end."""
    study = optuna.create_study(direction="maximize", study_name="s")
    study.set_user_attr("n_trials", n_trials)
    for state, value, minute in ended:
        trial = create_trial(state=state, value=value)
        trial.datetime_complete = BEGAN + timedelta(minutes=minute)
        study.add_trial(trial)
    return study


COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING = TrialState.RUNNING


def test_counts_best_and_rate_are_of_what_is_decided():
    study = study_of((COMPLETE, 0.5, 0), (COMPLETE, 0.7, 10), (PRUNED, None, 30), (FAIL, None, 99))
    Worker(study, 10)
    told = read_status(study)
    assert (told.study_name, told.n_trials, told.n_done) == ("s", 10, 3)
    assert told.states == {"running": 0, "complete": 2, "pruned": 1, "fail": 1, "waiting": 0}
    assert (told.best_trial, told.best_values, told.n_best) == (1, {"converged": 0.7}, 1)
    assert told.trials_per_hour == pytest.approx(4.0)  # two more in half an hour
    assert told.hours_left == pytest.approx(7 / 4)


def test_the_rate_is_of_the_last_twenty():
    slow = [(COMPLETE, 0.0, 1000.0 * i) for i in range(5)]
    quick = [(COMPLETE, 0.0, 9000.0 + i) for i in range(20)]
    told = read_status(study_of(*slow, *quick, n_trials=30))
    assert told.trials_per_hour == pytest.approx(60.0)


def test_what_is_not_known_is_none():
    told = read_status(study_of())
    assert (told.best_trial, told.best_values, told.trials_per_hour) == (None, {}, None)
    assert told.hours_left is None
    one = read_status(study_of((COMPLETE, 0.5, 0)))
    assert one.trials_per_hour is None


def test_no_time_is_left_when_all_is_done_and_none_is_told_without_a_worker():
    two = ((COMPLETE, 0.5, 0), (COMPLETE, 0.7, 10))
    assert read_status(study_of(*two, n_trials=2)).hours_left == 0.0
    assert read_status(study_of(*two, n_trials=1)).hours_left == 0.0
    assert read_status(study_of(*two, n_trials=3)).hours_left is None


def test_a_running_trial_is_stale_when_its_worker_has_gone():
    study = study_of()
    here, gone = Worker(study, 10), Worker(study, 10)
    here.ask(), gone.ask()
    gone.leave()
    told = read_status(study)
    assert told.alive == (here.name,)
    assert told.stale == (1,)


def test_the_text_has_a_line_for_each():
    study = study_of((COMPLETE, 0.5, 0), (COMPLETE, 0.7, 10))
    lines = dict(line.split(":", 1) for line in str(read_status(study)).splitlines())
    told = {name: value.strip() for name, value in lines.items()}
    assert told == {
        "study": "s",
        "done": "2 of 10",
        "trials": "2 complete",
        "best": "0.7000 converged (trial 1)",
        "trials per hour": "6.0",
        "hours left": "unknown",
        "workers alive": "0",
        "stale trials": "none",
    }
    assert "best:            none yet" in str(read_status(study_of()))


def test_of_several_objectives_it_tells_the_preferred_trial_of_the_front():
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.set_user_attr("gadlib", {"objectives": ["bound", "gradients"]})
    for values in ((0.5, 40.0), (1.0, 200.0), (0.9, 50.0), (0.4, 90.0)):
        study.add_trial(create_trial(values=values))
    told = read_status(study)
    assert (told.best_trial, told.n_best) == (2, 3)
    assert "0.9000 bound, 50.0000 gradients (trial 2, one of 3)" in str(told)


def test_it_says_at_which_rung_trials_stand_and_ended():
    study = study_of()
    COME = (
        (COMPLETE, (2, 5)), (PRUNED, (2,)), (PRUNED, (2, 5)), (RUNNING, (2,)), (FAIL, (2, 5)),
        (RUNNING, ()),
    )  # fmt: skip
    for state, sizes in COME:
        attributes = {Rung(size).name: [1.0] for size in sizes}
        value = 0.5 if state is COMPLETE else None
        study.add_trial(create_trial(state=state, value=value, user_attrs=attributes))
    told = read_status(study)
    assert told.rungs == (RungStatus(Rung(2), 4, 1, 1), RungStatus(Rung(5), 2, 1, 0))
    shown = "of 4 at 2 samples 1 ended, 1 on the way up; of 2 at 5 samples 1 ended"
    assert f"rungs:           {shown}" in str(told)
    assert read_status(study_of((COMPLETE, 0.5, 0))).rungs == ()


def test_it_says_how_far_the_race_has_come_until_there_is_another_trial():
    study = study_of((COMPLETE, 0.5, 0), (COMPLETE, 0.7, 10))
    under_way = UnderWay(12, {"0": 9, "1": 6, "2": 6}, [2], n_completed=2)
    study.set_user_attr("racing", asdict(under_way))
    shown = "21 of at most 30 searches done, 2 of 3 candidates still in it"
    assert f"race:            {shown}" in str(read_status(study))
    race = Race(1, ["a", "b"], {"0": 2, "1": 2}, {"0": {}, "1": {}}, 0.9, {}, n_completed=2)
    study.set_user_attr("race", asdict(race))
    assert read_status(study).race == "trial 1 wins, 4 searches on 2 reactions"
    study.add_trial(create_trial(value=0.1))
    assert read_status(study).race == ""
