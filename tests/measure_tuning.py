"""What early ends and a race are worth: studies of several seeds, their cost, and held-out gains.

Each seed makes studies of the same samples: all steps of all samples in every trial, as before
(`plain`); rungs of samples (`halving`) and of steps (`halving_steps`); a race after either (`race`,
`steps_race`, which go on from these); and random trials for as many gradients as the last took
(`random`). The tuned values of each are compared with those of trial 0, and with one another, on
reactions of other splits. As a table:

    python tests/measure_tuning.py --solver trust --seeds 5 --out runs/measure_tuning

rungs of steps where searches have many:

    python tests/measure_tuning.py --solver damped --ways halving_steps --n-steps 800 --n-trials 8 \
        --screening-steps 60 --n-samples 6 --n-race 6 --seeds 1 --no-random --held-out 0

and what the easy reactions of a trial cost beside its fifteen hardest ones, both in the screening:

    python tests/measure_tuning.py --solver gad --easy
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from make_profiles import OF_SOLVER, held_out
from optuna.trial import TrialState
from scipy.stats import wilcoxon

import gadlib
from gadlib.report.statistics import mcnemar
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import read_records
from gadlib.screening.screen import key
from gadlib.settings.objectives import KNEE
from gadlib.tuning import tune
from gadlib.tuning.samples import easy_samples

SEARCHED: dict[str, dict[str, Any]] = {
    "gad": {"solver": "gad", "criterion": "index1", "start_from": "midpoint_rt_noise0.3A"},
    "damped": {"solver": "gad", "criterion": "index1", "start_from": "midpoint_rt_noise1.0A"},
    "trust": {
        "solver": "trust",
        "criterion": "bound",
        "start_from": "idpp_rp",
        "mode": "reaction",
    },
}
"""What is searched from where, by what is tuned."""

SPACE: dict[str, dict[str, Any]] = {
    "gad": {},
    "damped": {name: OF_SOLVER["gad"][name] for name in ("hyperparameters", "ranges")},
    "trust": {"choices": OF_SOLVER["trust"]["choices"]},
}
"""What trials draw: as for the shipped profiles, and for `gad` what is declared."""

WAYS = {"halving": "race", "halving_steps": "steps_race"}
"""Early ends, and the name of a study that had a race after them."""

SAMPLE = {"split": "train", "max_samples": 40}
STUDY = {
    "easy_share": 0.0,  # so that trials cost what they are scored by
    "batch_size": 5,  # of trust most of the time of a step is its own, which batches share
    "n_startup_trials": 6,
    "resume": True,
}


def main() -> None:
    """Print a row for each study, the sums, and each study beside the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", default="gad", choices=SEARCHED)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="where they begin")
    parser.add_argument("--n-trials", type=int, default=20)
    parser.add_argument("--n-samples", type=int, default=15)
    parser.add_argument("--trial-samples", default="hardest", help="as of tune")
    parser.add_argument("--n-steps", type=int, default=100)
    parser.add_argument("--screening-steps", type=int, help="where they are not --n-steps")
    parser.add_argument("--n-race", type=int, default=12)
    parser.add_argument("--n-candidates", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS), help="how trials end early")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--held-out", type=int, default=40, help="0: what studies cost alone")
    parser.add_argument("--no-random", action="store_true", help="leave random trials out")
    parser.add_argument("--out", type=Path, default=Path("runs/measure_tuning"))
    parser.add_argument("--h5-path", help="another set than the embedded one")
    parser.add_argument("--easy", action="store_true", help="the cost of easy reactions alone")
    asked = parser.parse_args()
    if asked.easy:
        print(json.dumps(_easy_cost(asked)), flush=True)
        return
    rows = []
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    for row in (row for seed in seeds for row in _of_seed(asked, seed)):
        rows.append(row)
        print(json.dumps(row), flush=True)
    if not asked.held_out:
        return
    names = list(dict.fromkeys(row["study"] for row in rows))
    by_name = {name: [row for row in rows if row["study"] == name] for name in names}
    trial_0 = _row_of_trial_0(asked)
    print(json.dumps(trial_0), flush=True)
    for name, mine in by_name.items():
        print(_beside(name, mine, "trial 0", [trial_0] * len(mine)), flush=True)
    for i, name in enumerate(names):
        for other in names[:i]:
            print(_beside(name, by_name[name], other, by_name[other]), flush=True)


def _searched(asked: argparse.Namespace) -> dict[str, Any]:
    """What is searched from where, of the set that is asked for."""
    return SEARCHED[asked.solver] | {"h5_path": asked.h5_path}


def _beside(
    name: str, mine: Sequence[dict[str, Any]], other: str, theirs: Sequence[dict[str, Any]]
) -> str:
    """Two studies of the same seeds on the held-out reactions, in a sentence.

    The same reactions are searched with the values of every seed. So each counts once, with its
    mean over the seeds, in Wilcoxon's tests; McNemar's takes all pairs for independent.
    """
    met, cost = (
        np.array([[row[column] for row in rows] for rows in (mine, theirs)], dtype=float)
        for column in ("met", "cost")
    )  # studies, seeds, reactions
    gained = int((met[0] > met[1]).sum())
    lost = int((met[0] < met[1]).sum())
    spent = [sum(row["gradients"] for row in rows) for rows in (mine, theirs)]
    ratio = f"{spent[0] / spent[1]:.2f} of its gradients; " if spent[1] else ""
    more = (met[0] - met[1]).mean(axis=0)
    saved = (cost[1] - cost[0]).mean(axis=0)
    by_seed = ", ".join(f"{value:.1f}" for value in (cost[1] - cost[0]).mean(axis=1))
    return (
        f"{name} beside {other}: {ratio}met {met[0].sum():.0f} and {met[1].sum():.0f} of"
        f" {met[0].size}, +{gained} -{lost} (p = {mcnemar(gained, lost):.3g}, by reaction"
        f" {_p(more):.3g}); {cost[0].mean():.1f} and {cost[1].mean():.1f} gradients a search, saved"
        f" {saved.mean():.1f} ({by_seed}), p = {_p(saved):.3g}"
    )


def _p(apart: np.ndarray) -> float:
    return float(wilcoxon(apart).pvalue) if apart.any() else 1.0


def _easy_cost(asked: argparse.Namespace) -> dict[str, Any]:
    """Gradients of the hardest reactions of the whole train split, and of easy ones beside them."""
    settings = gadlib.TuneSettings(
        **_searched(asked),
        split="train",
        screening_steps=200,
        workers=asked.workers,
        out_dir=str(asked.out / f"easy_{asked.solver}"),
    )
    screened, samples = tune.difficult_samples(settings)
    chosen = samples[: settings.n_samples]
    cost = {key(record): gradients_of(record) for record in screened}
    hard = [cost[key(start)] for start in chosen]
    easy = [cost[key(start)] for start in easy_samples(settings, screened, chosen)]
    return {"hard": sum(hard), "easy": easy, "share": round(sum(easy) / sum(hard), 3)}


def _of_seed(asked: argparse.Namespace, seed: int) -> Iterable[dict[str, Any]]:
    n = asked.n_trials
    yield _study(asked, seed, "plain", pruning="none", n_trials=n)
    raced: dict[str, Any] = {}
    for way in asked.ways.split(","):
        yield _study(asked, seed, way, pruning=way, n_trials=n)
        race = {"n_race": asked.n_race, "n_candidates": asked.n_candidates}
        # all of it is there but for the race
        study, spent = _tuned(asked, seed, way, pruning=way, n_trials=n, **race)
        raced = _row(asked, seed, WAYS[way], spent, study)
        yield raced
    if asked.no_random:
        return
    study, spent = None, {}
    for n_random in range(1, 4 * n):  # one trial at a time, up to the same cost
        found = {"pruning": "none", "sampler": "random", "n_trials": n_random}
        study, spent = _tuned(asked, seed, "random", **found)
        if sum(spent.values()) >= raced["gradients"]:
            break
    yield _row(asked, seed, "random", spent, study)


def _study(asked: argparse.Namespace, seed: int, name: str, **changes: Any) -> dict[str, Any]:
    study, spent = _tuned(asked, seed, name, **changes)
    return _row(asked, seed, name, spent, study)


def _tuned(
    asked: argparse.Namespace, seed: int, name: str, **changes: Any
) -> tuple[Any, dict[str, float]]:
    """The study, and the gradients of its trials by how they ended, and of its race."""
    out = asked.out / f"{name}{seed}"
    settings = gadlib.TuneSettings(
        **_searched(asked) | SPACE[asked.solver] | SAMPLE | STUDY | changes,
        n_samples=asked.n_samples,
        trial_samples=asked.trial_samples,
        n_steps_per_sample=asked.n_steps,
        screening_steps=asked.screening_steps or asked.n_steps,
        seed=1000 * seed,
        workers=asked.workers,
        study_name=f"{name}{seed}",
        screening=str(_screening(asked)),
        storage=f"sqlite:///{out}/study.db",
        out_dir=str(out),
    )
    study = gadlib.tune(settings)
    files = sorted((out / "race").glob("trial_*.json"))
    raced = [record for path in files for record in read_records(path)[1]]
    spent = _trials_cost(study)
    return study, spent | ({"race": float(sum(map(gradients_of, raced)))} if raced else {})


def _trials_cost(study: Any) -> dict[str, float]:
    """In gradients, a Hessian as 6N; of a sample the study keeps no atoms, but its name."""
    sizes = {r.name: len(r.atomic_numbers) for r in read_records(_screened_in(study))[1]}
    spent = {"to the end": 0.0, "ended early": 0.0}
    for trial in study.get_trials(deepcopy=False):
        how = "to the end" if trial.state is TrialState.COMPLETE else "ended early"
        for sample in trial.user_attrs.get("samples", []):
            spent[how] += sample["n_gradient"] + 6 * sizes[sample["name"]] * sample["n_hessian"]
    return spent


def _screened_in(study: Any) -> str:
    return study.user_attrs["settings"]["screening"]


def _screening(asked: argparse.Namespace) -> Path:
    out = asked.out / "screening.json"
    if not out.is_file():
        settings = gadlib.ScreenSettings(
            **_searched(asked) | SAMPLE,
            n_steps_per_sample=asked.screening_steps or asked.n_steps,
            workers=asked.workers,
            out_dir=str(asked.out),
        )
        gadlib.screen(settings, out=out)
    return out


def _row(
    asked: argparse.Namespace, seed: int, name: str, spent: dict[str, float], study: Any
) -> dict[str, Any]:
    prefer = None if name in WAYS.values() else KNEE  # which passes over a race
    best = tune.preferred(study, prefer)
    out = asked.out / f"{name}{seed}"
    content = json.loads(tune.write_results(study, out / "hpo_results.json", prefer).read_text())
    trials = study.get_trials(deepcopy=False)
    return {
        "study": name,
        "seed": seed,
        "trials": len(trials),
        "to the end": sum(t.state is TrialState.COMPLETE for t in trials),
        "gradients": round(sum(spent.values())),
        "spent": {how: round(value) for how, value in spent.items()},
        "best trial": None if best is None else best.number,
        **_held_out(asked, content["best_params"], out),
    }


def _row_of_trial_0(asked: argparse.Namespace) -> dict[str, Any]:
    fixed = SPACE[asked.solver].get("hyperparameters", {})
    return {"study": "trial 0", "gradients": 0, **_held_out(asked, fixed, asked.out)}


def _held_out(asked: argparse.Namespace, values: dict[str, Any], out: Path) -> dict[str, Any]:
    """What comes of values on reactions that no study saw; nothing where none are asked for."""
    if not asked.held_out:
        return {}
    searched = _searched(asked) | {"n_steps_per_sample": asked.n_steps}
    file = out / "held_out.json"
    records = held_out(searched, values, asked.held_out, asked.workers, file)
    return {
        "met": [int(record.converged) for record in records],
        "cost": [gradients_of(record) for record in records],
    }


if __name__ == "__main__":
    main()
