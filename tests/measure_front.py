"""A front of `trust` by two objectives, and what each of its points is worth on other reactions.

    python tests/measure_front.py --out runs/measure_front

One study on `train`, from `idpp_rp`, by how many searches end at the saddle of their own reaction
and by gradients. Then each point of its front is compared with the defaults on the reactions of
`val` and `test`, which no trial has seen; so is the shipped profile. As a table: the trial, its
values on its own samples, intended of both, gained and lost with McNemar's p, gradients of both
with Wilcoxon's p.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from make_profiles import OF_SOLVER, PROVED, SEARCHED, STARTS, STUDY, held_out, worth

import gadlib
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.profiles import read_profile
from gadlib.tuning.front import front

SEARCH = SEARCHED["trust"] | STARTS["idpp"] | PROVED["idpp"]


def main() -> None:
    """Make the study, and print a row for each point of its front."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-trials", type=int, default=24)
    parser.add_argument("--n-samples", type=int, default=15)
    parser.add_argument("--held-out", type=int, default=38)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/measure_front"))
    asked = parser.parse_args()
    settings = gadlib.TuneSettings(
        **SEARCH | STUDY,
        objective="intended,gradients",
        choices=OF_SOLVER["trust"]["choices"],
        split="train",
        max_samples=40,
        n_samples=asked.n_samples,
        n_trials=asked.n_trials,
        seed=asked.seed,
        workers=asked.workers,
        resume=True,
        study_name="front",
        storage=f"sqlite:///{asked.out}/study.db",
        out_dir=str(asked.out),
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    study = gadlib.tune(settings)
    defaults = _held_out(asked, {}, "default")
    names = SOLVERS["trust"].model_fields
    for trial in front(study):
        values = {name: value for name, value in trial.params.items() if name in names}
        found = worth(defaults, _held_out(asked, values, f"trial_{trial.number}"))
        own = ", ".join(f"{value:.3g}" for value in trial.values)
        print(f"trial {trial.number} | {own} | {found}", flush=True)
    shipped = _held_out(asked, read_profile("trust-dftb0-idpp").best_params, "shipped")
    print(f"shipped | | {worth(defaults, shipped)}", flush=True)


def _held_out(asked: argparse.Namespace, values: dict[str, Any], name: str) -> list[Record]:
    out = asked.out / f"held_out_{name}.json"
    return held_out(SEARCH | {"batch_size": 20}, values, asked.held_out, asked.workers, out)


if __name__ == "__main__":
    main()
