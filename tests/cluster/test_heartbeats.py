"""Which workers are alive, by their processes here and by their last sign elsewhere."""

import os
import subprocess
import sys
import time

import optuna
import pytest

from gadlib.cluster import heartbeats
from gadlib.cluster.heartbeats import (
    is_alive,
    read_workers,
    this_machine,
    this_process,
    write_worker,
)

NOW = 1_000_000.0
ELSEWHERE = {"machine": "elsewhere", "pid": 1, "ticks": "7", "beat": NOW}


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize")


def test_this_process_is_alive_until_it_has_ended():
    here = this_process() | {"beat": 0.0}
    assert here["pid"] == os.getpid() and here["machine"] == this_machine()
    assert is_alive(here, 1.0) is True
    assert is_alive(here | {"ended": "2026-01-01"}, 1.0) is False


def test_another_process_of_the_same_number_is_not_the_worker():
    here = this_process() | {"beat": time.time()}
    assert is_alive(here | {"ticks": f"{int(here['ticks']) + 1}"}, 1e9) is False
    assert is_alive(here | {"ticks": None}, 1e9) is False
    assert is_alive(here | {"pid": 2**31 - 1}, 1e9) is False


def test_a_process_that_has_ended_and_was_not_waited_for_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", ""])
    ticks = heartbeats._ticks(child.pid)
    assert ticks is not None
    worker = {"machine": this_machine(), "pid": child.pid, "ticks": ticks, "beat": 0.0}
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(worker, 1e9) is False
    child.wait()


@pytest.mark.parametrize(
    ("seconds", "alive"), [(0.0, True), (9.9, True), (10.0, False), (-9.9, True), (-10.0, False)]
)
def test_elsewhere_the_last_sign_tells_whichever_clock_is_ahead(seconds, alive, monkeypatch):
    monkeypatch.setattr(heartbeats.time, "time", lambda: NOW + seconds)
    assert is_alive(ELSEWHERE, 10.0) is alive


def test_of_nobody_it_is_not_known():
    assert is_alive({}, 10.0) is None


def test_what_workers_say_comes_back_by_their_names(study):
    write_worker(study, "a", ELSEWHERE)
    study.set_user_attr("other", 1)
    assert read_workers(study) == {"a": ELSEWHERE}


@pytest.mark.parametrize("damage", [{"pid": "1"}, {"beat": -1.0}, {"machine": None}, {"pid": -1}])
def test_what_is_damaged_says_nothing(study, damage):
    write_worker(study, "a", ELSEWHERE | damage)
    study.set_user_attr("worker:b", "alive")
    assert read_workers(study) == {"a": {}, "b": {}}


def test_a_machine_is_known_by_more_than_its_name():
    assert len(this_machine().split("/")) == 3
