"""Trials of dead workers are free at once on their machine, later elsewhere; totals are exact."""

import subprocess
import sys
import time
from contextlib import contextmanager

import optuna
import pytest
import warm
from optuna.trial import TrialState

from gadlib.cluster import workers
from gadlib.cluster.heartbeats import is_alive, read_workers, this_machine
from gadlib.cluster.slots import MAX_DEATHS
from gadlib.cluster.storage import open_storage
from gadlib.cluster.workers import Worker

WORKER = """
import sys, time
import optuna
from gadlib.cluster.workers import Worker
from gadlib.cluster.slots import MAX_DEATHS
from gadlib.cluster.storage import open_storage

study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
mine = Worker(study, 9)
mine.ask().suggest_float("x", 0, 1)
study.ask().suggest_float("x", 0, 1)  # as when killed before it could sign
print("claimed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="s", storage=open_storage(url), direction="maximize")
    return url


def study_of(url):
    return optuna.load_study(study_name="s", storage=open_storage(url))


@contextmanager
def another_worker(url):
    process = warm.Popen([sys.executable, "-c", WORKER, url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "claimed\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_killed_workers_trials_are_free_at_once_and_a_living_ones_are_not(url):
    with another_worker(url) as process:
        mine = Worker(study_of(url), 9)
        assert mine.recover(force=True) == 0
        process.kill()
        process.wait()
        assert mine.recover(force=True) == 2
    states = [t.state for t in mine.trials()]
    assert states == [TrialState.FAIL] * 2 + [TrialState.WAITING] * 2
    before, again = mine.trials()[:2], mine.trials()[2:]
    assert [t.params for t in again] == [t.params for t in before]
    assert [t.system_attrs["retry_history"] for t in again] == [[0], [1]]
    assert mine.recover(force=True) == 0


def test_an_unsigned_trial_is_free_soon_beside_living_workers(url, monkeypatch):
    monkeypatch.setattr(workers, "_DOUBT_S", 0.2)
    other, mine = Worker(study_of(url), 9), Worker(study_of(url), 9)
    other.study.ask()
    assert mine.recover(force=True) == 0
    time.sleep(0.3)
    assert mine.recover(force=True) == 1


def test_a_worker_elsewhere_is_dead_when_it_gave_no_sign_for_the_grace_period(url, monkeypatch):
    monkeypatch.setattr(workers, "_DOUBT_S", 0.2)
    other = Worker(study_of(url), 9, grace_s=2.0)
    other._about["machine"] = "elsewhere"
    assert other.ask().number == 0
    other.beat(force=True)
    mine = Worker(study_of(url), 9, grace_s=2.0)
    assert mine.recover(force=True) == 0
    time.sleep(2.2)
    assert mine.recover(force=True) == 0  # seen for the first time since: clocks may differ
    time.sleep(0.3)
    assert mine.recover(force=True) == 1


def test_no_more_trials_than_the_total_are_claimed_together(url):
    both = [Worker(study_of(url), 3), Worker(study_of(url), 3)]
    taken = [worker.ask() for _ in range(3) for worker in both]
    assert sum(trial is not None for trial in taken) == 3
    assert both[0].give_back("interrupted") == 2
    assert both[1].ask().number == 3
    assert [t.user_attrs.get("worker") for t in both[1].trials()][3] == both[1].name


def test_a_trial_that_kills_its_workers_is_not_tried_for_ever(url):
    study = study_of(url)
    for n in range(MAX_DEATHS):
        victim = Worker(study, 9)
        victim.ask()
        victim._about["pid"] = 0  # no process has that number
        victim.beat(force=True)
        assert Worker(study, 9).recover(force=True) == (n < MAX_DEATHS - 1)
    queued = [t for t in study.get_trials() if t.state is TrialState.WAITING]
    assert queued == []


def test_who_has_left_is_not_alive(url):
    mine = Worker(study_of(url), 9)
    assert is_alive(read_workers(mine.study)[mine.name], 180.0) is True
    assert read_workers(mine.study)[mine.name]["machine"] == this_machine()
    mine.leave()
    assert is_alive(read_workers(mine.study)[mine.name], 180.0) is False
    assert is_alive({}, 180.0) is None
