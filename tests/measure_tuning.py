"""What early ends and a race are worth: studies of several seeds, their cost, and held-out gains.

Each seed makes studies of the same samples: all steps of all samples in every trial, as before
(`plain`); rungs of samples (`halving`) and of steps (`halving_steps`); a race after either (`race`,
`steps_race`, which go on from these); and random trials for as many gradients as the last took
(`random`). The tuned values of each are compared with the defaults on reactions of other splits. As
a table:

    python tests/measure_tuning.py --seeds 3 --out runs/measure_tuning

and what the easy reactions of a trial cost beside its fifteen hardest ones, both in the screening:

    python tests/measure_tuning.py --solver gad --easy
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

import gadlib
from gadlib.report.statistics import mcnemar
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record, read_records
from gadlib.screening.screen import key
from gadlib.tuning import tune
from gadlib.tuning.samples import easy_samples

SEARCHED = {
    "gad": {"solver": "gad", "criterion": "index1", "start_from": "midpoint_rt_noise0.3A"},
    "trust": {
        "solver": "trust",
        "criterion": "bound",
        "start_from": "idpp_rp",
        "mode": "reaction",
    },
}
"""What is searched from where, by the solver that is tuned."""

SAMPLE = {"split": "train", "max_samples": 40}
STUDY = {
    "n_samples": 9,
    "easy_share": 0.0,  # so that trials cost what they are scored by
    "batch_size": 1,
    "n_startup_trials": 8,
    "resume": True,
}


def main() -> None:
    """Print a row for each study, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", default="gad", choices=SEARCHED)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-trials", type=int, default=27)
    parser.add_argument("--n-steps", type=int, default=100)
    parser.add_argument("--n-race", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("runs/measure_tuning"))
    parser.add_argument("--easy", action="store_true", help="the cost of easy reactions alone")
    asked = parser.parse_args()
    if asked.easy:
        print(json.dumps(_easy_cost(asked)), flush=True)
        return
    rows = []
    for row in (row for seed in range(asked.seeds) for row in _of_seed(asked, seed)):
        rows.append(row)
        print(json.dumps(row), flush=True)
    for name in dict.fromkeys(row["study"] for row in rows):
        mine = [row for row in rows if row["study"] == name]
        names = ("gradients", "defaults met", "tuned met", "gained", "lost")
        total = {k: sum(row[k] for row in mine) for k in names}
        saved = [value for row in mine for value in row["saved"]]
        p = f"{mcnemar(total['gained'], total['lost']):.3g}"
        cost = f"{np.mean(saved):.1f} gradients saved a search, p = {wilcoxon(saved).pvalue:.3g}"
        print(name, total, f"p = {p}; {cost}", flush=True)


def _easy_cost(asked: argparse.Namespace) -> dict[str, Any]:
    """Gradients of the hardest reactions of the whole train split, and of easy ones beside them."""
    settings = gadlib.TuneSettings(
        **SEARCHED[asked.solver],
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
    for way, name in (("halving", "race"), ("halving_steps", "steps_race")):
        yield _study(asked, seed, way, pruning=way, n_trials=n)
        race = {"pruning": way, "n_trials": n, "n_race": asked.n_race}
        study, cost = _tuned(asked, seed, way, **race)  # which is all there but for the race
        raced = _row(asked, seed, name, cost, study)
        yield raced
    per_trial = 0.0
    for n_random in range(1, 4 * n):  # one trial at a time, up to the same cost
        found = {"pruning": "none", "sampler": "random", "n_trials": n_random}
        study, per_trial = _tuned(asked, seed, "random", **found)
        if per_trial >= raced["gradients"]:
            break
    yield _row(asked, seed, "random", per_trial, study)


def _study(asked: argparse.Namespace, seed: int, name: str, **changes: Any) -> dict[str, Any]:
    study, cost = _tuned(asked, seed, name, **changes)
    return _row(asked, seed, name, cost, study)


def _tuned(asked: argparse.Namespace, seed: int, name: str, **changes: Any) -> tuple[Any, float]:
    """The study, and the gradients that its trials and its race took, a Hessian as 6N."""
    out = asked.out / f"{name}{seed}"
    settings = gadlib.TuneSettings(
        **SEARCHED[asked.solver] | SAMPLE | STUDY | changes,
        n_steps_per_sample=asked.n_steps,
        screening_steps=asked.n_steps,
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
    return study, _trials_cost(study) + sum(map(gradients_of, raced))


def _trials_cost(study: Any) -> float:
    """In gradients; of a sample the study keeps no atoms, but its mean cost by size is the same."""
    sizes = {r.name: len(r.atomic_numbers) for r in read_records(_screened_in(study))[1]}
    return sum(
        sample["n_gradient"] + 6 * sizes[sample["name"]] * sample["n_hessian"]
        for trial in study.get_trials(deepcopy=False)
        for sample in trial.user_attrs.get("samples", [])
    )


def _screened_in(study: Any) -> str:
    return study.user_attrs["settings"]["screening"]


def _screening(asked: argparse.Namespace) -> Path:
    out = asked.out / "screening.json"
    if not out.is_file():
        settings = gadlib.ScreenSettings(
            **SEARCHED[asked.solver] | SAMPLE,
            n_steps_per_sample=asked.n_steps,
            workers=asked.workers,
            out_dir=str(asked.out),
        )
        gadlib.screen(settings, out=out)
    return out


def _row(
    asked: argparse.Namespace, seed: int, name: str, cost: float, study: Any
) -> dict[str, Any]:
    out = asked.out / f"{name}{seed}"
    best = tune.write_results(study, out / "hpo_results.json")
    settings = gadlib.ValidateSettings(
        best=str(best),
        **SEARCHED[asked.solver],
        n_steps_per_sample=asked.n_steps,
        split="val,test",
        max_samples=asked.held_out,
        workers=asked.workers,
        resume=True,
        out_dir=str(out / "held_out"),
    )
    found = gadlib.validate(settings)
    pairs = list(zip(found.default, found.tuned, strict=True))
    return {
        "study": name,
        "seed": seed,
        "trials": len(study.get_trials(deepcopy=False)),
        "gradients": round(cost),
        "best trial": tune.preferred(study).number,
        "defaults met": _met(found.default),
        "tuned met": _met(found.tuned),
        "gained": sum(b.converged and not a.converged for a, b in pairs),
        "lost": sum(a.converged and not b.converged for a, b in pairs),
        "saved": [gradients_of(a) - gradients_of(b) for a, b in pairs],
    }


def _met(records: Iterable[Record]) -> int:
    return sum(record.converged for record in records)


if __name__ == "__main__":
    main()
