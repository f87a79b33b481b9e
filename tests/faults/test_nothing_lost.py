"""What goes wrong halfway costs only what was running, and says why."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from faulty import Springs
from little_reactions import write_h5
from little_searches import STARTS
from optuna.trial import TrialState

from gadlib.evaluation import DeviceLostError
from gadlib.files import kept as keeping
from gadlib.screening import screen
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning import trials, tune

VICTIM = STARTS[0]  # HCN, the only one with nitrogen


def settings_of(folder: Path, **changes) -> TuneSettings:
    values = {
        "h5_path": str(folder / "little.h5"),
        "split": "train",
        "start_from": "midpoint_rt_noise0.3A",
        "n_steps_per_sample": 5,
        "screening_steps": 2,
        "n_samples": 1,
        "n_trials": 500,
        "workers": 0,
        "out_dir": str(folder / "out"),
    }
    return TuneSettings.read(values | changes)


def command_of(settings: TuneSettings) -> list[str]:
    given = settings.model_dump(exclude_unset=True).items()
    flags = [part for name, value in given for part in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "gadlib", "tune", *flags]


def n_completed(database: Path) -> int:
    """Completed trials in the database, asked of SQLite itself."""
    if not database.is_file():
        return 0
    query = "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query).fetchone()[0]
        except sqlite3.OperationalError:  # no table yet, or locked for the moment
            return 0


def has_ended(group: int) -> bool:
    """Whether no process of the group is left, within some seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def results_of(folder: Path) -> dict:
    return json.loads((folder / "out" / "hpo_results.json").read_text())


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("sent", "workers", "status"),
    [
        (signal.SIGINT, 1, 130),
        (signal.SIGTERM, 0, 130),
        (signal.SIGKILL, 0, -signal.SIGKILL),
    ],
)
def test_stopped_study_keeps_its_completed_trials_and_resumes_to_the_same_total(
    tmp_path, sent, workers, status
):
    pytest.importorskip("scine_sparrow")
    write_h5(tmp_path / "little.h5")
    settings = settings_of(tmp_path, workers=workers)
    database = tmp_path / "out" / "scine_hpo_study.db"
    process = warm.Popen(
        command_of(settings), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while n_completed(database) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(sent)
        told = process.communicate(timeout=60)[1]
        is_alone = sent != signal.SIGKILL and has_ended(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert is_alone or sent == signal.SIGKILL
    assert "Traceback" not in told
    kept = n_completed(database)
    assert kept >= 2
    written = [t for t in results_of(tmp_path)["trials"] if t["state"] == "complete"]
    assert len(written) == kept or (sent == signal.SIGKILL and len(written) == kept - 1)
    total = kept + 1
    study = tune.tune(settings_of(tmp_path, workers=0, n_trials=total, resume=True))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == total
    assert results_of(tmp_path)["n_trials"]["complete"] == total == n_completed(database)


def test_exception_in_a_trial_keeps_the_completed_ones_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    write_h5(tmp_path / "little.h5")
    suggest, asked = trials.suggest, []

    def third_fails(trial, *given):
        asked.append(trial.number)
        if len(asked) == 3:
            raise ZeroDivisionError("the third one")
        return suggest(trial, *given)

    monkeypatch.setattr(trials, "suggest", third_fails)
    with pytest.raises(ZeroDivisionError):
        tune.tune(settings_of(tmp_path, n_trials=4))
    states = [t["state"] for t in results_of(tmp_path)["trials"]]
    assert states == ["complete", "complete", "fail", "waiting"]
    study = tune.tune(settings_of(tmp_path, n_trials=4, resume=True))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 4
    assert results_of(tmp_path)["n_trials"]["complete"] == 4


def test_trial_is_in_the_database_before_the_next_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    write_h5(tmp_path / "little.h5")
    monkeypatch.setattr(tune, "_SLOW_WRITING_S", float("inf"))  # however slow the disk is
    database, seen = tmp_path / "out" / "scine_hpo_study.db", []
    tune.tune(
        settings_of(tmp_path, n_trials=3),
        on_trial=lambda study: seen.append(
            (n_completed(database), results_of(tmp_path)["n_trials"]["complete"])
        ),
    )
    assert seen == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("raises", Status.BAD_START, "RuntimeError: the nitrogen leaked out"),
        ("nan", Status.BAD_START, "the calculator returned values that are not finite"),
        ("exits", Status.PROCESS_ENDED, "(A worker process"),
        ("loses_gpu", Status.PROCESS_ENDED, "the GPU can't be used by this process any more (CUDA"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])  # below: the pool is kept from fault to fault
def test_faulty_calculator_costs_one_record_with_the_reason(
    tmp_path, workers, fault, status, reason
):
    settings = SearchSettings(n_steps_per_sample=1, workers=workers, batch_size=2)
    starts = [STARTS[2], VICTIM, STARTS[1]]  # the larger and the victim share a batch
    out = tmp_path / "s.json"
    found = screen.screen(settings, starts=starts, calculator=Springs(fault), out=out)
    assert [r.name for r in found] == ["H2CO", "HCN", "H2O"]
    assert [r.status for r in found] == [Status.OUT_OF_STEPS, status, Status.OUT_OF_STEPS]
    assert found[1].message.startswith(status.sentence)
    assert reason in found[1].message
    assert found[1].energy is None
    assert len(json.loads(out.read_text())["records"]) == 3


def test_a_lost_gpu_ends_what_computes_in_this_process_and_keeps_the_records(tmp_path, monkeypatch):
    monkeypatch.setattr("faulty._LOST", [])
    settings = SearchSettings(n_steps_per_sample=1, workers=0, batch_size=1)
    out = tmp_path / "s.json"
    with pytest.raises(DeviceLostError, match=r"workers = 1 or more.* the molecule at fault"):
        screen.screen(
            settings, starts=[STARTS[1], VICTIM], calculator=Springs("loses_gpu"), out=out
        )
    assert [r["name"] for r in json.loads(out.read_text())["records"]] == [STARTS[1].name]


def test_faulty_calculator_costs_a_trial_one_sample(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs("raises"))
    write_h5(tmp_path / "little.h5")
    study = tune.tune(settings_of(tmp_path, n_trials=1, n_samples=3))
    (trial,) = study.get_trials(states=(TrialState.COMPLETE,))
    samples = {s["name"]: s for s in trial.user_attrs["samples"]}
    assert {n: s["status"] for n, s in samples.items()} == {
        "rxn00": "bad_start",
        "rxn01": "out_of_steps",
        "rxn02": "bad_start",
    }
    assert "the nitrogen leaked out" in samples["rxn00"]["message"]


def test_result_file_is_whole_in_the_end_however_long_it_takes_to_write(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(keeping, "_PAUSE", 1e9)
    write_json = keeping.write_json
    monkeypatch.setattr(
        keeping, "write_json", lambda *content: (written.append(1), write_json(*content))
    )
    out = tmp_path / "s.json"
    settings = SearchSettings(n_steps_per_sample=1, workers=0, batch_size=1)
    screen.screen(settings, starts=STARTS, calculator=Springs(), out=out)
    assert len(json.loads(out.read_text())["records"]) == len(STARTS)
    assert len(written) == 2  # the first record, and what came after


def test_interrupted_screening_keeps_what_was_done(tmp_path):
    out = tmp_path / "s.json"
    settings = SearchSettings(n_steps_per_sample=1, workers=0, batch_size=1)

    def interrupted(batch, *, hessian=True):
        if VICTIM.atomic_numbers[1] in batch.atomic_numbers and 7 in batch.atomic_numbers:
            signal.raise_signal(signal.SIGINT)
        return Springs()(batch, hessian=hessian)

    with pytest.raises(KeyboardInterrupt):
        screen.screen(settings, starts=[*STARTS[1:3], VICTIM], calculator=interrupted, out=out)
    kept = [r["name"] for r in json.loads(out.read_text())["records"]]
    assert kept == ["H2O", "H2CO"]
    on = settings.model_copy(update={"resume": True})
    found = screen.screen(on, starts=[*STARTS[1:3], VICTIM], calculator=Springs(), out=out)
    assert [r.name for r in found] == ["H2O", "H2CO", "HCN"]
