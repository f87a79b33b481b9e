import os
import signal
import time

import optuna
import pytest
from optuna.trial import TrialState

from gadlib.cluster.slots import MAX_DEATHS, deaths, has_slot, is_over, slot_of
from gadlib.files.reading import read_json
from gadlib.tuning.tune import load, read_status

STORAGES = [
    "sqlite",
    "journal",
    pytest.param("postgres", marks=pytest.mark.postgres),
    "grpc",
]


@pytest.fixture
def url(request, tmp_path):
    kind = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    if kind == "journal":
        return f"journal:///{tmp_path}/study.log"
    server = request.getfixturevalue(kind)
    return server if isinstance(server, str) else server.url


def settings_of(url, n_trials, **more):
    name = f"study-{time.time_ns()}"
    return {
        "n_trials": n_trials,
        "storage": url,
        "study_name": name,
        "sampler": "random",
        "grace_s": 6.0,
        **more,
    }


def require_whole(study, n_trials):
    """Exactly as many trials as asked for, none running or queued, every failed one tried again."""
    trials = study.get_trials()
    done = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == n_trials
    assert not [t for t in trials if t.state in (TrialState.RUNNING, TrialState.WAITING)]
    assert [t.number for t in trials] == list(range(len(trials)))
    queued = {number for t in trials for number in t.system_attrs.get("retry_history", [])}
    failed = [t for t in trials if t.state is TrialState.FAIL and t.number not in queued]
    assert [t for t in failed if has_slot(t, trials, n_trials) and not is_over(t)] == []
    defaults = [t for t in trials if "fixed_params" in t.system_attrs]
    assert {slot_of(t) for t in defaults} == {0}  # queued once, and first
    n_done = sum(t in done for t in defaults)
    assert n_done == 1 or (n_done == 0 and deaths(defaults[-1]) == MAX_DEATHS)
    return done


@pytest.mark.parametrize("url", STORAGES, indirect=True)
def test_sixteen_starting_at_once_run_exactly_the_total(url, nest, tmp_path):
    settings = settings_of(url, 20, resume=True)  # the last may begin when all is done
    workers = nest(16, settings=settings)
    assert workers.wait() == ([0] * 16, 0), workers.told()
    study = load(url, settings["study_name"])
    done = require_whole(study, 20)
    seeds = {t.user_attrs["worker"]: t.user_attrs["seed"] for t in done}
    assert len(set(seeds.values())) == len(seeds) > 1
    results = read_json(tmp_path / "hpo_results.json")
    assert results["n_trials"]["complete"] + results["n_trials"]["pruned"] == 20
    assert read_status(study).n_done == 20
    assert read_status(study).alive == ()


@pytest.mark.parametrize("url", STORAGES[:3], indirect=True)
def test_killed_workers_lose_nothing(url, nest, tmp_path):
    settings = settings_of(url, 16, resume=True)  # who makes the study may be killed at once
    workers = nest(4, settings=settings, kill_every_s=0.5, kills=4, sample_s=0.2)
    statuses, kills = workers.wait()
    assert statuses == [0] * 4, workers.told()
    assert kills > 0
    require_whole(load(url, settings["study_name"]), 16)


def test_sigterm_ends_a_worker_soon_and_its_trial_is_tried_again(nest, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    settings = settings_of(url, 6)
    workers = nest(1, settings=settings, sample_s=6.0)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.3)
        if (tmp_path / "study.db").exists() and _has_running(url):
            break
    began = time.monotonic()
    os.kill(workers.pids[0], signal.SIGTERM)
    assert workers.wait() == ([130], 0), workers.told()
    assert time.monotonic() - began < 30
    study = load(url, settings["study_name"])
    assert not [t for t in study.get_trials() if t.state is TrialState.RUNNING]
    assert read_json(tmp_path / "hpo_results.json")["n_trials"]["waiting"] >= 1
    assert nest(1, settings=settings | {"resume": True}).wait() == ([0], 0)
    require_whole(load(url, settings["study_name"]), 6)


def _has_running(url):
    try:
        names = optuna.get_all_study_names(url)
        return any(t.state is TrialState.RUNNING for t in load(url, names[0]).get_trials())
    except Exception:  # not made yet
        return False
