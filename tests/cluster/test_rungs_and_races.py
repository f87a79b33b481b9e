"""Workers killed in studies of two seeds with rungs, two objectives, a race: all counts once."""

import json
from dataclasses import asdict

import nest as hen_of
import optuna
import pytest
from optuna.trial import TrialState
from test_workers import require_whole, settings_of

from gadlib.files.reading import read_json
from gadlib.screening import screen
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.front import RACE
from gadlib.tuning.race import hold_race
from gadlib.tuning.raced import race_of, race_under_way
from gadlib.tuning.rungs import Rung, rungs_of
from gadlib.tuning.tune import load, read_status

N_TRIALS, N_SAMPLES, N_RACE, N_SEEDS = 4, 6, 4, 2
OBJECTIVES = "converged,gradients"


@pytest.mark.parametrize(
    ("pruning", "n_steps", "rung"),
    [("halving", 6, Rung(2)), ("halving_steps", 30, Rung(10, "steps"))],
)
def test_killed_workers_lose_and_double_nothing_at_rungs_and_in_the_race(
    pruning, n_steps, rung, nest, tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path}/study.db"
    given = {"objective": OBJECTIVES, "pruning": pruning, "n_samples": N_SAMPLES}
    given["seeds"] = N_SEEDS
    more = {"n_steps_per_sample": n_steps, "n_candidates": 2, "batch_size": 1, "resume": True}
    settings = settings_of(url, N_TRIALS, **given, **more)
    workers = nest(3, settings=settings, kill_every_s=0.5, kills=3, sample_s=0.02)
    statuses, kills = workers.wait()
    assert statuses == [0] * 3 and kills, workers.told()
    done = []
    for i in range(N_SEEDS):
        study = load(url, f"{settings['study_name']}_seed{i}")
        done.append(require_whole(study, N_TRIALS))
        require_counted_once(study, done[i], tmp_path / f"seed{i}", rung)
    require_paid_once(done, tmp_path)
    raced = settings | {"n_race": N_RACE}
    workers = nest(1, settings=raced, kill_every_s=0.8, kills=2, sample_s=0.02)
    statuses, kills = workers.wait()
    assert statuses == [0] and kills, workers.told()
    for i in range(N_SEEDS):
        study = load(url, f"{settings['study_name']}_seed{i}")
        assert require_whole(study, N_TRIALS) == done[i]
        require_same_as_undisturbed(study, raced, tmp_path / f"seed{i}", monkeypatch)


def require_counted_once(study, done, folder, rung):
    """Each decided trial at its rung, and in the results."""
    (stand,) = read_status(study).rungs
    n_ended = sum(t.state is TrialState.PRUNED for t in done)
    assert (stand.rung, stand.n_came, stand.n_ended, stand.n_above) == (rung, N_TRIALS, n_ended, 0)
    assert all(rungs_of(t) == [rung] for t in done)
    written = read_json(folder / "hpo_results.json")["trials"]
    decided = {t["number"] for t in written if t["state"] in ("complete", "pruned")}
    assert decided == {t.number for t in done}


def require_paid_once(done, folder):
    """Each sample on the disk once; those of the defaults serve the studies of all seeds."""
    keys = [
        json.loads(line)["key"]
        for path in (folder / "samples").glob("*.jsonl")
        for line in path.read_text().splitlines()
        if line.endswith("}")
    ]
    n_used = sum(t.user_attrs["n_samples"] for trials in done for t in trials)
    assert len(keys) == len(set(keys)) >= n_used - (N_SEEDS - 1) * N_SAMPLES


def require_same_as_undisturbed(study, settings, folder, monkeypatch):
    """The race as it is when it is held anew, with each search in its records once."""
    race = race_of(study)
    n = len(race.scores) * N_RACE
    assert race_under_way(study).sentence.startswith(f"{n} of at most {n}")
    for number, n in race.n_searched.items():
        names = [r["name"] for r in read_json(folder / f"race/trial_{number}.json")["records"]]
        assert sorted(names) == sorted(race.samples) and len(names) == n == N_RACE
    monkeypatch.setattr(screen, "calculator_of", lambda *_: hen_of.saddle)
    copy = optuna.create_study(directions=study.directions)
    for name, value in study.user_attrs.items():
        copy.set_user_attr(name, value)
    copy.set_user_attr(RACE, None)
    copy.add_trials(study.get_trials())
    asked = TuneSettings(**{"workers": 0, **settings})
    fresh = hen_of.fresh(N_SAMPLES, N_RACE)
    assert asdict(hold_race(copy, asked, fresh, folder / "again", {})) == asdict(race)
