"""What a worker asks, tells, gives back and recovers, on a study that is kept in memory."""

import time
from datetime import timedelta

import optuna
import pytest
from optuna.trial import TrialState

from gadlib.cluster import workers
from gadlib.cluster.heartbeats import is_alive, now, read_workers, this_machine, write_worker
from gadlib.cluster.slots import MAX_DEATHS, MAX_STALLS
from gadlib.cluster.workers import Worker

WAITING, RUNNING, FAIL = TrialState.WAITING, TrialState.RUNNING, TrialState.FAIL
COMPLETE, PRUNED = TrialState.COMPLETE, TrialState.PRUNED


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize")


def states(worker):
    return [t.state for t in worker.trials()]


class Clock:
    """What a worker takes for the time."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(workers.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(workers.time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def elsewhere(study, n_trials=9, **about):
    """A worker of another machine."""
    worker = Worker(study, n_trials, grace_s=60.0)
    worker._about["machine"] = "elsewhere/1/2"
    worker.beat(force=True, **about)
    return worker


def test_a_worker_is_called_after_its_machine_and_process(study):
    worker = Worker(study, 9)
    about = read_workers(study)[worker.name]
    host, pid, random = worker.name.rsplit("-", 2)
    assert host == this_machine().split("/")[0]
    assert int(pid) == about["pid"]
    assert len(random) == 6
    assert int(random, 16) >= 0
    assert Worker(study, 9).name != worker.name
    assert is_alive(about, 1.0)


def test_a_sign_of_life_is_written_when_the_last_is_a_sixth_of_the_grace_old(study, clock):
    worker = Worker(study, 9, grace_s=60.0)
    for now_, expected in ((1009.9, 1000.0), (1010.0, 1010.0), (1019.9, 1010.0), (1020.1, 1020.1)):
        clock.now = now_
        worker.beat(sample=3)
        assert read_workers(study)[worker.name]["beat"] == expected
    assert read_workers(study)[worker.name]["sample"] == 3
    worker.seed = 5
    clock.now += 0.1
    worker.beat(force=True)
    assert read_workers(study)[worker.name] | {"seed": 5, "beat": clock.now} == worker._about


def test_who_leaves_says_so(study):
    worker = Worker(study, 9)
    worker.leave()
    assert read_workers(study)[worker.name]["ended"] <= now()
    assert is_alive(read_workers(study)[worker.name], 1e9) is False


def test_exactly_as_many_trials_are_run_as_were_asked_for(study):
    worker, other = Worker(study, 3), Worker(study, 3)
    first, second, third = worker.ask(), other.ask(), worker.ask()
    assert [t.number for t in (first, second, third)] == [0, 1, 2]
    assert other.ask() is None
    assert len(other.trials()) == 3
    assert worker.tell(first, 1.0, {"a": 1, "b": 2})
    assert other.tell(second, None, {})
    assert worker.n_done == 2
    assert worker.ask() is None
    assert worker.tell(third, 2.0, {})
    assert states(worker) == [COMPLETE, PRUNED, COMPLETE]
    assert [t.value for t in worker.trials()] == [1.0, None, 2.0]
    assert worker.trials()[0].user_attrs == {"worker": worker.name, "a": 1, "b": 2}
    study.enqueue_trial({"x": 1.0})
    assert worker.ask() is None
    assert states(worker)[3] is WAITING


def test_a_trial_created_in_the_same_moment_as_the_last_is_surplus(study):
    worker = Worker(study, 2)
    worker.ask()
    ask = study.ask

    def ask_after_another():
        ask()
        return ask()

    worker.study.ask = ask_after_another
    assert worker.ask() is None
    assert states(worker) == [RUNNING, RUNNING, FAIL]
    assert worker.trials()[2].user_attrs == {"worker": worker.name, "surplus": True}


def test_a_queued_trial_is_run_though_all_slots_are_taken(study):
    worker = Worker(study, 1)
    trial = worker.ask()
    assert worker.give_back("interrupted") == 1
    again = worker.ask()
    assert again.number == 1
    assert worker.trials()[1].system_attrs["retry_history"] == [trial.number]


def test_of_two_that_try_the_same_again_the_later_is_a_twin(study):
    worker = Worker(study, 9)
    worker.ask()
    worker.give_back("interrupted")
    queued = worker.trials()[1]
    study.add_trial(
        optuna.create_trial(state=WAITING, system_attrs={"retry_history": [0], "failed_trial": 0})
    )
    assert worker.ask().number == queued.number
    assert worker.ask() is None
    assert worker.trials()[2].user_attrs == {"worker": worker.name, "twin": True}
    assert worker.trials()[2].state is FAIL
    assert worker.ask().number == 3


def test_a_trial_that_another_has_ended_is_not_told_again(study):
    worker, other = Worker(study, 9), Worker(study, 9)
    trial = worker.ask()
    study.tell(trial.number, state=FAIL)
    assert worker.tell(trial, 1.0, {}) is False
    assert worker.tell(trial, 1.0, {"a": 1}) is False
    assert other._requeue(worker.trials()[0]) is False
    assert states(worker) == [FAIL]


def test_a_trial_that_can_not_end_so_is_an_error_of_who_tells_it(study):
    worker = Worker(study, 9)
    with pytest.raises(ValueError, match="No values were told"):
        worker._end(worker.ask(), None, COMPLETE)
    worker.ask()
    with pytest.raises(ValueError, match="No values were told"):
        worker._end(1, None, COMPLETE)
    assert states(worker) == [RUNNING, RUNNING]


def test_a_worker_gives_back_its_own_running_trials(study):
    worker, other = Worker(study, 9), Worker(study, 9)
    done, mine, others = worker.ask(), worker.ask(), other.ask()
    mine.suggest_float("x", 0, 1)
    worker.tell(done, 1.0, {})
    assert worker.give_back("interrupted") == 1
    assert states(worker) == [COMPLETE, FAIL, RUNNING, WAITING]
    failed, again = worker.trials()[1], worker.trials()[3]
    assert failed.user_attrs == {
        "worker": worker.name, "ended": "interrupted", "ended_by": worker.name
    }  # fmt: skip
    assert again.params == failed.params
    assert again.distributions == failed.distributions
    assert again.user_attrs == {"deaths": 0, "stalls": 0}
    assert again.system_attrs == {"failed_trial": 1, "retry_history": [1]}
    assert others.number == 2
    assert worker.give_back("interrupted") == 0


def test_a_trial_that_another_ends_meanwhile_is_not_given_back(study):
    worker = Worker(study, 9)
    worker.ask()
    running = worker.trials()
    worker.trials = lambda: running  # as they were a moment ago
    study.tell(0, 1.0)
    assert worker.give_back("interrupted", [0]) == 0
    assert [t.state for t in study.get_trials()] == [COMPLETE]
    assert study.get_trials()[0].user_attrs == {"worker": worker.name}


def test_stalls_in_a_row_are_counted_and_one_sample_done_ends_the_row(study):
    worker = Worker(study, 1)
    for n in range(MAX_STALLS):
        trial = worker.ask()
        assert worker.trials()[trial.number].user_attrs.get("stalls", 0) == n
        assert worker.give_back("stalled", [trial.number]) == (n < MAX_STALLS - 1)
    assert worker.trials()[-1].user_attrs["stalls"] == MAX_STALLS
    trial = worker.ask()
    worker.give_back("stalled", {trial.number})
    trial = worker.ask()
    worker.give_back("interrupted", [trial.number + 1])
    assert worker.trials()[trial.number].user_attrs["stalls"] == 0
    assert worker.trials()[-1].user_attrs == {"deaths": 0, "stalls": 0}


def test_what_a_trial_was_given_is_kept_for_its_next_try(study):
    study.enqueue_trial({"x": 7.0, "y": 0.5})
    worker = Worker(study, 9)
    trial = worker.ask()
    with pytest.warns(UserWarning, match="out of range"):
        assert trial.suggest_float("x", 0, 1) == 7.0
    assert trial.suggest_float("y", 0, 1) == 0.5
    worker.give_back("interrupted")
    again = worker.trials()[1]
    assert again.params == {"y": 0.5}
    assert again.system_attrs["fixed_params"] == {"x": 7.0, "y": 0.5}


def test_a_trial_whose_slot_is_another_s_by_now_is_not_queued_again(study):
    worker = Worker(study, 2)
    trials = [worker.ask() for _ in range(2)]
    worker.n_trials = 1
    assert worker.give_back("interrupted") == 1
    assert [t.system_attrs["retry_history"] for t in worker.trials()[2:]] == [[0]]
    assert len(trials) == 2


def test_workers_look_for_trials_of_the_dead_every_five_seconds_or_more_often(study, clock):
    for grace_s, pause in ((120.0, 5.0), (60.0, 5.0), (12.0, 1.0)):
        worker = Worker(study, 9, grace_s=grace_s)
        looked = []
        worker.trials = lambda looked=looked: looked.append(clock.now) or []
        for _ in range(2):
            assert worker.recover() == 0
            clock.now += pause - 0.01
            assert worker.recover() == 0
            clock.now += 0.02
        assert len(looked) == 4, grace_s  # each looks at all trials, and at those lost
        worker.recover(force=True)
        assert len(looked) == 6


def test_trials_of_the_dead_are_tried_again_and_their_deaths_counted(study):
    for n in range(MAX_DEATHS):
        dead = Worker(study, 9)
        assert dead.ask().number == n
        dead.leave()
        assert Worker(study, 9).recover(force=True) == (n < MAX_DEATHS - 1)
        if n < MAX_DEATHS - 1:
            assert dead.trials()[-1].user_attrs == {"deaths": n + 1, "stalls": 0}
    assert states(dead) == [FAIL] * MAX_DEATHS


def test_the_trials_of_a_dead_process_here_are_free_at_once_and_my_own_never(study):
    dead, mine = Worker(study, 9), Worker(study, 9)
    dead.ask()
    mine.ask()
    assert mine.recover(force=True) == 0
    write_worker(study, dead.name, dead._about | {"ticks": None, "beat": time.time()})
    assert mine.recover(force=True) == 1
    assert states(mine) == [FAIL, RUNNING, WAITING]
    assert mine.trials()[0].user_attrs["ended_by"] == mine.name


def test_the_trials_of_who_left_elsewhere_are_free_at_once(study):
    away, mine = elsewhere(study), Worker(study, 9, grace_s=60.0)
    away.ask()
    away.leave()
    assert mine.recover(force=True) == 1


def test_a_silent_worker_elsewhere_is_watched_before_its_trials_are_free(study, clock, monkeypatch):
    monkeypatch.setattr("gadlib.cluster.heartbeats.time.time", lambda: clock.now)
    away, mine = elsewhere(study), Worker(study, 9, grace_s=50.0)
    away.ask()
    clock.now += 51.0
    found = []
    for pause in (0.0, 24.9, 0.2):  # half the grace period
        clock.now += pause
        found.append(mine.recover(force=True))
    assert found == [0, 0, 1]


def test_a_sign_of_life_begins_the_watch_anew(study, clock, monkeypatch):
    monkeypatch.setattr("gadlib.cluster.heartbeats.time.time", lambda: clock.now)
    away, mine = elsewhere(study), Worker(study, 9, grace_s=100.0)
    away.ask()
    clock.now += 101.0
    assert mine.recover(force=True) == 0
    clock.now += 20.0
    away.beat(force=True)
    clock.now += 101.0
    for pause, n in ((0.0, 0), (29.9, 0), (0.2, 1)):  # no watch is longer than half a minute
        clock.now += pause
        assert mine.recover(force=True) == n


def test_an_unsigned_trial_is_anyone_s_when_no_other_worker_lives(study):
    mine = Worker(study, 9)
    study.ask()
    assert mine.recover(force=True) == 1


def test_an_unsigned_trial_is_watched_beside_living_workers(study, clock):
    other, mine = Worker(study, 9, grace_s=40.0), Worker(study, 9, grace_s=40.0)
    study.ask()
    study.ask().set_user_attr("worker", "nobody")
    found = []
    for pause in (0.0, 19.9, 0.2):
        clock.now += pause
        found.append(mine.recover(force=True))
    assert found == [0, 0, 2]
    assert other.name != mine.name


@pytest.mark.parametrize(("ago", "n"), [(59.0, 0), (60.5, 1)])
def test_who_failed_a_trial_has_a_minute_to_queue_it_again(study, ago, n):
    other, mine = Worker(study, 9), Worker(study, 9)
    other.ask()
    failed = other._end(0, None, FAIL)
    failed.datetime_complete -= timedelta(seconds=ago)
    assert mine._is_left(failed, read_workers(study)) is bool(n)
    assert mine._is_left(failed, {}) is bool(n)


def test_what_a_dead_worker_failed_is_queued_again_at_once(study):
    other, dead, mine = (Worker(study, 9) for _ in range(3))
    study.ask().set_user_attr("ended_by", dead.name)
    study.tell(0, state=FAIL)
    assert mine.recover(force=True) == 0
    dead.leave()
    assert mine.recover(force=True) == 1
    assert mine.recover(force=True) == 0
    assert other.trials()[1].system_attrs["retry_history"] == [0]


def test_what_i_failed_myself_long_ago_is_mine_to_queue(study):
    other, mine = Worker(study, 9), Worker(study, 9)
    trial = mine.ask()
    trial.set_user_attr("ended_by", mine.name)
    failed = mine._end(trial, None, FAIL)
    mine.leave()
    assert mine._is_left(failed, read_workers(study)) is False
    assert other._is_left(failed, read_workers(study)) is True
