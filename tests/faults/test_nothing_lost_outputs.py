"""Each output has one writer, who keeps what was done; bars show signs of life from the start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import warm
from clusters import spoiled
from faulty import Springs
from little_searches import STARTS

from gadlib import calculators
from gadlib.cli.parser import main
from gadlib.files import kept as keeping
from gadlib.files import locks
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.endpoints import Connection
from gadlib.paths import intended
from gadlib.progress.bar import Bar
from gadlib.progress.signs_of_life import Life
from gadlib.screening import screen
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError
from gadlib.settings.results import PathSettings
from gadlib.settings.searches import SearchSettings
from gadlib.solver.downhill import irc
from gadlib.solver.state import Status

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OMP_NUM_THREADS": "1",
}


def started(*command: str, **more) -> subprocess.Popen:
    return warm.Popen(
        [sys.executable, "-m", "gadlib", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
        **more,
    )


@contextlib.contextmanager
def ended_in_the_end(process: subprocess.Popen):
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def content(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except OSError:
        return {}


def wait_for(is_so, process: subprocess.Popen, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


SMALL = ("--split", "test", "--workers", "0", "--batch-size", "1", "--max-samples", "100")
COMMANDS = {
    "search": ("search", *SMALL, "--n-steps", "20"),
    "screen": ("screen", *SMALL, "--n-steps", "20"),
    "validate": ("validate", *SMALL, "--n-steps", "20", "--escape-delta", "0.2"),
    "benchmark": ("benchmark", *SMALL, "--solvers", "gad,trust", "--n-steps", "20"),
    "irc": ("irc", "--max-samples", "100"),
}
FILES = {
    "search": ("search.json", "records"),
    "screen": ("screening.json", "records"),
    "validate": ("default.json", "records"),
    "benchmark": ("reference.json", "records"),
    "irc": ("paths.json", "paths"),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", COMMANDS)
def test_second_run_on_an_output_is_refused_and_the_first_keeps_what_was_done(tmp_path, name):
    pytest.importorskip("scine_sparrow")
    file, key = FILES[name]
    command = (*COMMANDS[name], "--out-dir", str(tmp_path / "out"))
    kept = tmp_path / "out" / file
    with ended_in_the_end(started(*command)) as first:
        wait_for(lambda: len(content(kept).get(key, [])) >= 3, first)
        more = () if name == "benchmark" else ("--resume",)
        before = content(kept)[key]
        with ended_in_the_end(started(*command, *more)) as second:
            told = second.communicate(timeout=120)[1]
            assert second.returncode == 2
        if name != "benchmark":  # where the files of the solvers come later
            assert "another run is writing it (process" in told
        assert "Traceback" not in told
        first.send_signal(signal.SIGTERM)
        told = first.communicate(timeout=60)[1]
    assert first.returncode == 130
    assert told.splitlines()[-1].endswith("interrupted; what was done is kept, --resume goes on")
    after = content(kept)[key]
    assert len(after) >= len(before) >= 3
    assert all(one in after for one in before)
    assert not list((tmp_path / "out").glob(".*.running"))


def test_report_does_not_say_that_anything_is_kept(tmp_path, monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gadlib.cli.parser.settings_of", lambda *_: interrupted(None))
    for name in ("report", "growth", "timing"):
        assert main([name]) == 130
        assert "kept" not in capsys.readouterr().err


def test_lock_of_a_dead_process_does_not_block(tmp_path):
    out = tmp_path / "s.json"
    (tmp_path / ".s.json.running").write_text("process 1 on elsewhere\n")
    with (
        locks.sole(out),
        pytest.raises(InputError, match="another run is writing it"),
        locks.sole(out),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_lock_is_of_the_file_whatever_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    with locks.sole(tmp_path / "link" / "s.json"), pytest.raises(InputError), locks.sole("s.json"):
        pass


def test_file_system_that_cannot_lock_is_gone_on_with(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with locks.sole(tmp_path / "s.json"), locks.sole(tmp_path / "s.json"), locks.scratch() as one:
        assert one.is_dir()
        locks.sweep()
        assert one.is_dir()


def test_screening_refuses_an_output_at_work(tmp_path):
    out = tmp_path / "s.json"
    settings = SearchSettings(n_steps_per_sample=1, workers=0, resume=True)
    with locks.sole(out), pytest.raises(InputError, match=re.escape(str(out))):
        screen.screen(settings, starts=STARTS, calculator=Springs(), out=out)


def test_result_file_that_cannot_be_written_for_a_moment_is_written_later(
    tmp_path, monkeypatch, capsys
):
    write_json, calls = keeping.write_json, []

    def sometimes(path, values):
        calls.append(1)
        if len(calls) == 1:
            raise InputError(f"{path}: can't be written (No space left on device)")
        return write_json(path, values)

    monkeypatch.setattr(keeping, "write_json", sometimes)
    out = tmp_path / "s.json"
    settings = SearchSettings(n_steps_per_sample=1, workers=0, batch_size=1)
    screen.screen(settings, starts=STARTS, calculator=Springs(), out=out)
    assert len(content(out)["records"]) == len(STARTS)
    assert "No space left on device); going on, it is tried again" in capsys.readouterr().err


def test_folder_removed_while_a_screening_runs_is_made_again_with_all_of_it(tmp_path):
    out = tmp_path / "out" / "s.json"
    removed = []

    class Removing(Springs):
        def __call__(self, batch, *, hessian=True):
            if out.exists() and not removed:
                removed.append(out.unlink())
                for path in out.parent.iterdir():
                    path.unlink()
                out.parent.rmdir()
            return super().__call__(batch, hessian=hessian)

    settings = SearchSettings(n_steps_per_sample=1, workers=0, batch_size=1)
    screen.screen(settings, starts=STARTS, calculator=Removing(), out=out)
    assert removed
    assert len(content(out)["records"]) == len(STARTS)


@pytest.fixture(scope="module")
def known():
    return reactions.read(max_samples=4)


def saddles(known):
    return [
        replace(Record.blank(start, Status.SADDLE, ""), criteria={"strict": True})
        for start in starting_points.starts(known, "ts")
    ]


def dftb0():
    return calculators.get("scine", functional="DFTB0")


def test_path_that_fails_in_whatever_way_is_a_record_and_the_others_are_as_alone(
    known, monkeypatch
):
    calculator = dftb0()
    alone = [intended.follow_all(calculator, [r], known)[0] for r in saddles(known)]
    relax, n_atoms = irc.relax, len(known[1].atomic_numbers)

    def fragile(calculator, state, **more):
        if (state.batch.atomic_numbers[:, :n_atoms] == numbers).all(-1).any():
            raise ArithmeticError("the solver stumbled")
        return relax(calculator, state, **more)

    numbers = torch.tensor(known[1].atomic_numbers)
    monkeypatch.setattr(irc, "relax", fragile)
    found = intended.follow_all(calculator, saddles(known), known)
    lost = [i for i, path in enumerate(found) if path.verdict == Connection.FAILED]
    assert 1 in lost
    for i, path in enumerate(found):
        if i in lost:
            assert path.message.endswith("ArithmeticError: the solver stumbled")
            assert path.name == known[i].name
        else:
            assert path.verdict == alone[i].verdict
            assert path.barrier == pytest.approx(alone[i].barrier, abs=1e-6)


def test_broken_calculator_of_one_saddle_costs_one_path(known):
    size = len(known[2].atomic_numbers)
    broken = spoiled(dftb0(), lambda batch: batch.n_atoms == size, how="raises")
    found = intended.follow_all(broken, saddles(known), known)
    is_lost = [p.verdict == Connection.FAILED for p in found]
    assert is_lost == [len(r.atomic_numbers) == size for r in known]


def test_each_saddle_is_written_as_it_ends_though_they_are_followed_together(
    tmp_path, known, monkeypatch
):
    seen = []
    grown = keeping.Kept.grown

    def looked(self):
        grown(self)
        seen.append(len(content(tmp_path / "paths.json")["paths"]))

    monkeypatch.setattr(keeping.Kept, "grown", looked)
    monkeypatch.setattr(keeping, "_PAUSE", 0)
    intended.follow(PathSettings(out_dir=str(tmp_path), max_samples=4, batch_size=4))
    assert seen == [0, 1, 2, 3, 4]


def test_bar_shows_steps_before_anything_is_done(capsys):
    with Bar(60, "searching", "molecule") as bar:
        bar.live(Life(120, 8))
        assert "0/60" in capsys.readouterr().err
        bar.done(converged="1/1")
    told = capsys.readouterr().err
    assert "1/60" in told
    assert "converged=1/1, steps=120" in told


@pytest.mark.timeout(120)
def test_bar_of_a_screening_tells_steps_within_seconds(tmp_path):
    pytest.importorskip("scine_sparrow")
    command = ("screen", "--split", "test", "--workers", "1", "--n-steps", "100000")
    command += ("--criterion", "bound", "--out-dir", str(tmp_path / "out"))
    with ended_in_the_end(started(*command)) as process:
        told, until = "", time.monotonic() + 60
        while not re.search(r"steps=[1-9]\d*, at work=[1-8]\b", told):
            assert time.monotonic() < until, told
            told += os.read(process.stderr.fileno(), 4096).decode()
        assert "starting" in told
