"""A storage that goes away at a rung or in a race: put back, all goes on where it was."""

from __future__ import annotations

import pytest
from faulty import Springs
from optuna.trial import TrialState
from test_nothing_lost import results_of, settings_of

from gadlib.cluster.heartbeats import read_workers, write_worker
from gadlib.cluster.retries import StorageLostError
from gadlib.tuning import race as racing
from gadlib.tuning import trials, tune
from gadlib.tuning.raced import race_of

GIVEN = {
    "h5_path": None,
    "max_samples": 6,
    "n_steps_per_sample": 2,
    "screening_steps": 1,
    "objective": "converged,gradients",
    "pruning": "halving",
    "n_samples": 4,
    "n_trials": 3,
    "n_race": 2,
    "n_candidates": 1,
    "batch_size": 1,
    "sampler": "random",
    "storage_timeout_s": 1,
}


def searched(monkeypatch, diary) -> int:
    """How many geometries have been computed until now; what is computed is written there."""
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs(diary=diary))
    return len(diary.read_text().splitlines()) if diary.exists() else 0


def run(folder, monkeypatch, name, **changes):
    """The study in a folder of its own, and what it computed."""
    diary = folder / f"{name}.txt"
    before = searched(monkeypatch, diary)
    study = tune.tune(settings_of(folder, **GIVEN | {"out_dir": str(folder / "out")} | changes))
    return study, searched(monkeypatch, diary) - before


def forget_process(url):
    """Its worker was this process, which lives on, and in earnest would have ended."""
    study = tune.load(url)
    for name, about in read_workers(study).items():
        write_worker(study, name, about | {"ticks": "0"})


@pytest.mark.timeout(60)
@pytest.mark.parametrize("when", ["at a rung", "in the race"])
def test_a_storage_that_comes_back_costs_nothing(tmp_path, monkeypatch, when):
    folder = tmp_path
    whole, n_whole = run(folder, monkeypatch, "whole", out_dir=str(folder / "whole"))
    database, calls = folder / "out" / "scine_hpo_study.db", []
    module, name = (trials, "is_stopped_at_rung") if when == "at a rung" else (racing, "screen")
    real = getattr(module, name)

    def lost(*given, **more):
        calls.append(1)
        if len(calls) == 2:
            database.rename(folder / "away.db")
        return real(*given, **more)

    monkeypatch.setattr(module, name, lost)
    with pytest.raises(StorageLostError, match="decided trials are in"):
        run(folder, monkeypatch, "out")
    n_before = searched(monkeypatch, folder / "out.txt")
    assert 0 < n_before < n_whole or (when == "in the race" and n_before == n_whole)
    (folder / "away.db").rename(database)
    forget_process(f"sqlite:///{database}")
    study, n_after = run(folder, monkeypatch, "out", resume=True)
    assert n_before + n_after == n_whole
    done = [t for t in study.get_trials() if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == GIVEN["n_trials"]
    assert race_of(study).samples == race_of(whole).samples
    assert results_of(folder)["race"]["n_completed"] == len(
        study.get_trials(states=(TrialState.COMPLETE,))
    )
