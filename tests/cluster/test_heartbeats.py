"""Signs of life: whose process lives, and who is elsewhere."""

import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest

from gadlib.cluster.heartbeats import (
    is_alive,
    now,
    read_workers,
    this_machine,
    this_process,
    write_worker,
)


def sound(**changes):
    return this_process() | {"beat": time.time()} | changes


def test_a_machine_is_its_host_its_start_and_its_numbering_of_processes():
    host, boot, numbering = this_machine().split("/")
    assert host == socket.gethostname()
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    assert numbering == str(Path("/proc/self/ns/pid").readlink())


def test_a_machine_that_tells_no_more_is_its_host(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "readlink", refuse)
    assert this_machine() == socket.gethostname()


def test_a_process_tells_when_it_was_started():
    told = this_process()
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    assert told["pid"] == os.getpid()
    assert told["ticks"] == fields[19]  # field 22 of proc(5): starttime
    assert told["machine"] == this_machine()
    elapsed = datetime.now(UTC) - datetime.fromisoformat(told["started"])
    assert -1 < elapsed.total_seconds() < 10


def test_the_time_is_told_in_utc_to_the_second():
    assert datetime.fromisoformat(now()).utcoffset().total_seconds() == 0
    assert len(now()) == len("2026-01-31T12:00:00+00:00")


def test_a_process_here_lives_until_it_has_ended_or_is_but_a_zombie():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    worker = sound(pid=process.pid, ticks=fields[19], beat=0.0)
    assert is_alive(worker, 1.0) is True
    assert is_alive(worker | {"ticks": "1"}, 1.0) is False  # another one had that number
    assert is_alive(worker | {"ticks": None}, 1.0) is False
    process.stdin.close()
    stat = Path(f"/proc/{process.pid}/stat")
    until = time.monotonic() + 20
    while stat.read_text().rsplit(")", 1)[1].split()[0] != "Z" and time.monotonic() < until:
        time.sleep(0.01)
    assert is_alive(worker, 1e9) is False
    process.wait()
    assert is_alive(worker, 1e9) is False
    assert is_alive(worker | {"ticks": None}, 1e9) is False


@pytest.mark.parametrize(
    ("ago", "lives"), [(9.0, True), (11.0, False), (-9.0, True), (-11.0, False)]
)
def test_a_worker_elsewhere_lives_by_its_last_sign(ago, lives):
    worker = sound(machine="elsewhere", beat=time.time() - ago)
    assert is_alive(worker, 10.0) is lives


def test_who_has_ended_lives_nowhere_and_of_whom_nothing_is_known_nothing_is_told():
    assert is_alive(sound(ended=now()), 1e9) is False
    assert is_alive(sound(machine="elsewhere", ended=now()), 1e9) is False
    assert is_alive({}, 1e9) is None


def test_workers_are_read_as_they_were_written_and_damaged_ones_are_empty():
    study = optuna.create_study()
    about = sound(seed=3)
    write_worker(study, "one", about)
    study.set_user_attr("worker:two", {"machine": 7})
    study.set_user_attr("other", about)
    study.set_user_attr("a worker:", about)
    assert read_workers(study) == {"one": about, "two": {}}
