"""Processes that hang, are killed or lose their parent: one record, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import warm
from faulty import Springs
from little_searches import STARTS

from gadlib.files import locks
from gadlib.screening import screen
from gadlib.screening.processes import run
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status

HERE = Path(__file__).parents[1]
VICTIM = STARTS[0]  # HCN, the only one with nitrogen
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{HERE.parent}:{HERE}",
    "OMP_NUM_THREADS": "1",
}
SCRIPT = """
import sys
from faulty import Springs
from little_searches import STARTS
from gadlib.screening import screen
from gadlib.cli.parser import interrupt
from gadlib.settings.searches import SearchSettings
import signal

signal.signal(signal.SIGTERM, interrupt)
settings = SearchSettings(n_steps_per_sample=1, workers=1, batch_size=1)
starts = [STARTS[2], STARTS[1], STARTS[0]]  # the victim is the last that a process comes to
try:
    screen.screen(settings, starts=starts, calculator=Springs("hangs"), out=sys.argv[1])
except KeyboardInterrupt:
    sys.exit(130)
"""


def processes_of(group: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == group and fields[0] not in "ZX":
                found.append(int(stat.parent.name))
    return found


def wait_until(is_so, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(params=["g-", "g-" + "long" * 25], ids=["forked", "where no socket has room"])
def hanging(request, tmp_path, monkeypatch):
    """A screening whose process hangs in a native call, two molecules done; its own /tmp."""
    own = Path(tempfile.mkdtemp(prefix=request.param))
    out = tmp_path / "s.json"
    process = warm.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT | {"TMPDIR": str(own)},
    )
    try:
        assert wait_until(lambda: out.exists() and len(records_in(out)) == 2, 90)
        time.sleep(1)
        yield process, out, own
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(own, ignore_errors=True)


def records_in(out: Path) -> list[dict]:
    return json.loads(out.read_text())["records"]


def semaphores() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("sem.mp-*")}


@pytest.mark.timeout(180)
def test_sigterm_ends_a_native_call_within_seconds_and_keeps_what_was_done(hanging):
    process, out, _ = hanging
    process.terminate()
    began = time.monotonic()
    process.wait(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert wait_until(lambda: not processes_of(process.pid), 10)
    assert {r["name"] for r in records_in(out)} == {"H2O", "H2CO"}


@pytest.mark.timeout(180)
def test_nothing_outlives_a_killed_run_and_its_folders_are_swept(hanging, monkeypatch):
    process, _, temporary = hanging
    before = semaphores()
    assert len(processes_of(process.pid)) > 1
    assert list(temporary.glob("gadlib-*"))
    process.kill()
    assert wait_until(lambda: not processes_of(process.pid), 10)
    assert wait_until(lambda: len(semaphores()) < len(before) or not before, 10)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with locks.scratch():
        assert len(list(temporary.glob("gadlib-*"))) == 1  # that of today
    assert not list(temporary.glob("gadlib-*"))


@pytest.mark.timeout(180)
def test_folder_of_a_living_process_is_not_swept(hanging, monkeypatch):
    _, _, temporary = hanging
    before = set(temporary.glob("gadlib-*"))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    locks.sweep()
    assert set(temporary.glob("gadlib-*")) == before != set()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("workers", "batch_size"), [(1, 3), (2, 1)])
def test_molecule_that_hangs_is_a_record_and_the_others_go_on(tmp_path, workers, batch_size):
    settings = SearchSettings(
        n_steps_per_sample=1, workers=workers, batch_size=batch_size, search_timeout_s=5
    )
    starts = [STARTS[2], VICTIM, STARTS[1]]
    out = tmp_path / "s.json"
    found = screen.screen(settings, starts=starts, calculator=Springs("hangs"), out=out)
    assert [r.status for r in found] == [
        Status.OUT_OF_STEPS,
        Status.TIMED_OUT,
        Status.OUT_OF_STEPS,
    ]
    assert found[1].message == f"{Status.TIMED_OUT.sentence} (No step for 5 s.)"
    assert len(records_in(out)) == 3


def slow_but_alive(job):
    """Every molecule takes longer than the limit, but never between two steps."""
    from gadlib.progress import signs_of_life
    from gadlib.screening.records import Record

    for place, start in enumerate(job.starts):
        for _ in range(8):
            time.sleep(1)
            signs_of_life.stepped(1, 1)
        yield place, Record.blank(start, Status.OUT_OF_STEPS, "")


@pytest.mark.timeout(180)
def test_search_that_makes_steps_is_never_ended_however_long_it_takes():
    from little_searches import job_of

    lives = []
    parts = run([job_of(STARTS[0])], compute=slow_but_alive, timeout_s=5, on_tick=lives.append)
    (records,) = [found for _, found in parts]
    assert records[0].status == Status.OUT_OF_STEPS
    assert max(life.steps for life in lives) >= 7  # and is seen at it
    assert max(life.at_work for life in lives) == 1


@pytest.mark.timeout(60)
def test_without_a_process_of_its_own_a_limit_is_said_to_do_nothing(capsys):
    from little_searches import job_of

    list(run([job_of(STARTS[0])], workers=0, timeout_s=5))
    assert "search_timeout_s = 5 does nothing with workers = 0" in capsys.readouterr().err
