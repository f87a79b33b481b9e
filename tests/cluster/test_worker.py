"""A worker's trials, step by step, on a study in memory."""

import datetime

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from gadlib.cluster import workers
from gadlib.cluster.heartbeats import read_workers, write_worker
from gadlib.cluster.slots import MAX_DEATHS, MAX_STALLS
from gadlib.cluster.workers import Worker

RUNNING, WAITING, COMPLETE, PRUNED, FAIL = (
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
)


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize")


@pytest.fixture
def clock(monkeypatch):
    """Seconds of a clock that a test sets."""
    now = [1000.0]
    monkeypatch.setattr(workers.time, "monotonic", lambda: now[0])
    return now


def states(worker):
    return [t.state for t in worker.trials()]


def elsewhere(study, n_trials=9, **about):
    """A worker of another machine; alive by its last sign."""
    other = Worker(study, n_trials)
    other._about |= {"machine": "elsewhere", **about}
    other.beat(force=True)
    return other


def test_a_name_begins_with_the_machine_and_the_process_and_is_no_others(study):
    one, two = Worker(study, 1), Worker(study, 1)
    host, pid, draw = one.name.rsplit("-", 2)
    assert (host, int(pid)) == (one._about["machine"].split("/")[0], one._about["pid"])
    assert len(draw) == 6 and one.name != two.name
    assert set(read_workers(study)) == {one.name, two.name}


@pytest.mark.parametrize(("seconds", "is_written"), [(29.9, False), (30.0, True)])
def test_a_sign_of_life_is_written_six_times_in_the_grace_period(study, clock, seconds, is_written):
    worker = Worker(study, 1, grace_s=180.0)
    worker.seed = 5
    clock[0] += seconds
    worker.beat()
    assert (read_workers(study)[worker.name]["seed"] == 5) is is_written


def test_who_leaves_says_so(study):
    worker = Worker(study, 1)
    assert "ended" not in read_workers(study)[worker.name]
    worker.leave()
    assert read_workers(study)[worker.name]["ended"]


def test_trials_are_asked_for_until_there_are_as_many_as_wanted(study):
    worker = Worker(study, 2)
    first, second = worker.ask(), worker.ask()
    assert [first.number, second.number] == [0, 1]
    assert worker.ask() is None and len(worker.trials()) == 2
    assert {t.user_attrs["worker"] for t in worker.trials()} == {worker.name}
    assert worker.tell(first, 1.0, {"a": 1}) and worker.tell(second, None, {})
    assert states(worker) == [COMPLETE, PRUNED]
    assert (worker.n_done, worker.ask()) == (2, None)
    assert worker.trials()[0].user_attrs["a"] == 1
    assert worker.trials()[0].value == 1.0


def test_a_queued_trial_is_taken_though_all_slots_are_taken(study):
    worker = Worker(study, 1)
    study.enqueue_trial({"x": 0.5})
    assert worker.ask().number == 0
    assert worker.ask() is None


def test_a_trial_beyond_the_total_is_given_up(study):
    worker = Worker(study, 1)
    study.add_trial(create_trial(state=RUNNING))
    study.enqueue_trial({"x": 0.5})  # queued by another program
    assert worker.ask() is None
    assert states(worker) == [RUNNING, FAIL]
    assert worker.trials()[1].user_attrs["surplus"] is True


def test_of_two_that_try_a_trial_again_the_later_is_given_up(study):
    worker = Worker(study, 3)
    again = {"retry_history": [0], "failed_trial": 0}
    study.add_trial(create_trial(state=FAIL))
    study.add_trial(create_trial(state=RUNNING, system_attrs=again))
    study.add_trial(create_trial(state=WAITING, system_attrs=again))
    assert worker.ask() is None
    assert worker.trials()[2].state is FAIL and worker.trials()[2].user_attrs["twin"] is True


def test_a_trial_that_another_has_ended_is_not_told(study):
    worker = Worker(study, 2)
    trial = worker.ask()
    study.tell(trial.number, state=FAIL)
    assert worker.tell(trial, 1.0, {}) is False
    assert states(worker) == [FAIL]
    quick = worker.ask()
    study.tell(quick.number, 3.0)
    assert worker.tell(quick, 1.0, {"a": 1}) is False
    assert worker.trials()[quick.number].value == 3.0


def test_a_value_that_optuna_refuses_is_an_error_and_no_others_trial(study):
    worker = Worker(study, 1)
    trial = worker.ask()
    with pytest.raises(ValueError):
        worker._end(trial, float("nan"), COMPLETE)
    assert states(worker) == [RUNNING]


def test_what_is_given_back_is_queued_again_with_its_values(study):
    worker, other = Worker(study, 5), Worker(study, 5)
    study.enqueue_trial({"x": 7.0})
    with pytest.warns(UserWarning, match="out of range"):
        worker.ask().suggest_float("x", 0, 1)
    worker.ask().suggest_float("x", 0, 1)
    theirs = other.ask()
    assert worker.give_back("interrupted", stalled=[1]) == 2
    assert states(worker) == [FAIL, FAIL, RUNNING, WAITING, WAITING]
    trials = worker.trials()
    assert [t.user_attrs["ended"] for t in trials[:2]] == ["interrupted"] * 2
    assert [t.user_attrs["ended_by"] for t in trials[:2]] == [worker.name] * 2
    assert trials[3].system_attrs["fixed_params"] == {"x": 7.0}
    assert trials[3].params == {} and trials[4].params == trials[1].params
    assert [t.system_attrs["retry_history"] for t in trials[3:]] == [[0], [1]]
    assert [t.system_attrs["failed_trial"] for t in trials[3:]] == [0, 1]
    assert [t.user_attrs for t in trials[3:]] == [
        {"deaths": 0, "stalls": 0},
        {"deaths": 0, "stalls": 1},
    ]
    assert worker.give_back("interrupted") == 0
    assert other.tell(theirs, 1.0, {})


def test_a_trial_with_a_sample_done_has_not_stalled(study):
    worker = Worker(study, 5)
    worker.ask().set_user_attr("stalls", MAX_STALLS - 1)
    assert worker.give_back("interrupted") == 1
    assert worker.trials()[1].user_attrs["stalls"] == 0


@pytest.mark.parametrize("before", [MAX_STALLS - 2, MAX_STALLS - 1])
def test_a_trial_that_stalls_too_often_is_not_queued_again(study, before):
    worker = Worker(study, 5)
    worker.ask().set_user_attr("stalls", before)
    assert worker.give_back("interrupted", stalled=[0]) == (before + 1 < MAX_STALLS)


@pytest.mark.parametrize("before", [MAX_DEATHS - 2, MAX_DEATHS - 1])
def test_a_trial_that_costs_too_many_workers_is_not_queued_again(study, before):
    worker, dead = Worker(study, 5), Worker(study, 5)
    dead.ask().set_user_attr("deaths", before)
    dead.leave()
    assert worker.recover(force=True) == (before + 1 < MAX_DEATHS)
    if before + 1 < MAX_DEATHS:
        assert worker.trials()[1].user_attrs["deaths"] == before + 1


def test_a_chain_remembers_all_its_trials(study):
    worker = Worker(study, 5)
    for _ in range(3):
        worker.ask()
        worker.give_back("interrupted")
    assert worker.trials()[3].system_attrs["retry_history"] == [0, 1, 2]
    assert worker.trials()[3].system_attrs["failed_trial"] == 0


def test_a_trial_without_a_slot_is_not_queued_again(study):
    worker = Worker(study, 5)
    worker.ask(), worker.ask()
    worker.n_trials = 1
    assert worker.give_back("interrupted") == 1
    assert states(worker) == [FAIL, FAIL, WAITING]


@pytest.mark.parametrize(("grace_s", "pause"), [(180.0, 5.0), (6.0, 0.5)])
def test_dead_workers_are_looked_for_now_and_then(study, clock, grace_s, pause):
    worker, dead = Worker(study, 5, grace_s=grace_s), Worker(study, 5)
    assert worker.recover() == 0
    dead.ask()
    dead.leave()
    clock[0] += 0.99 * pause
    assert worker.recover() == 0
    clock[0] += 0.02 * pause
    assert worker.recover() == 1


def test_a_living_workers_trials_and_ones_own_are_left(study):
    worker, other = Worker(study, 5), Worker(study, 5)
    worker.ask(), other.ask()
    assert worker.recover(force=True) == 0
    assert states(worker) == [RUNNING, RUNNING]


@pytest.mark.parametrize(("grace_s", "doubt_s"), [(180.0, 30.0), (20.0, 10.0)])
def test_a_worker_elsewhere_is_watched_before_it_counts_as_dead(study, clock, grace_s, doubt_s):
    worker = Worker(study, 5, grace_s=grace_s)
    other = elsewhere(study, 5)
    other.ask()
    write_worker(study, other.name, other._about | {"beat": 1.0})
    assert worker.recover(force=True) == 0
    clock[0] += doubt_s
    assert worker.recover(force=True) == 0
    write_worker(study, other.name, other._about | {"beat": 2.0})  # a sign: its clock is wrong
    clock[0] += 0.1
    assert worker.recover(force=True) == 0
    clock[0] += doubt_s + 0.1
    assert worker.recover(force=True) == 1


def test_a_worker_elsewhere_that_has_left_is_not_watched(study):
    worker, other = Worker(study, 5), elsewhere(study, 5)
    other.ask()
    other.leave()
    assert worker.recover(force=True) == 1


def test_a_trial_that_nobody_signed_is_watched_beside_living_workers(study, clock):
    worker, _ = Worker(study, 5), Worker(study, 5)
    study.ask()
    assert worker.recover(force=True) == 0
    clock[0] += 30.0
    assert worker.recover(force=True) == 0
    clock[0] += 0.1
    assert worker.recover(force=True) == 1


def test_who_is_alone_takes_a_trial_that_nobody_signed_at_once(study):
    worker = Worker(study, 5)
    study.ask()
    assert worker.recover(force=True) == 1


def failed_trial(ended_by, seconds_ago):
    ended = datetime.datetime.now() - datetime.timedelta(seconds=seconds_ago)
    trial = create_trial(state=FAIL, user_attrs={"ended_by": ended_by, "ended": "interrupted"})
    trial.datetime_start = trial.datetime_complete = ended
    return trial


@pytest.mark.parametrize(("seconds_ago", "is_queued"), [(30.0, False), (90.0, True)])
def test_a_failed_trial_is_left_for_a_moment_to_who_failed_it(study, seconds_ago, is_queued):
    worker, other = Worker(study, 5), Worker(study, 5)
    study.add_trial(failed_trial(other.name, seconds_ago))
    assert worker.recover(force=True) == is_queued


def test_a_failed_trial_of_a_dead_worker_is_queued_at_once_and_only_once(study):
    worker, dead, _ = Worker(study, 5), Worker(study, 5), Worker(study, 5)
    study.add_trial(failed_trial(dead.name, 1.0))
    dead.leave()
    assert worker.recover(force=True) == 1
    assert worker.recover(force=True) == 0


def test_only_values_within_their_ranges_are_queued_again(study):
    worker = Worker(study, 5)
    ranges = {"x": FloatDistribution(0, 1)}
    study.add_trial(create_trial(state=RUNNING, params={"x": 0.25}, distributions=ranges))
    assert worker.recover(force=True) == 1
    assert worker.trials()[1].params == {"x": 0.25}
    assert worker.trials()[1].distributions == ranges
