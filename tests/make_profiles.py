"""Shipped profiles: each by one command, from a study on `train`, proved on `val` and `test`.

    python tests/make_profiles.py gad-dftb0-noisy

screens, tunes, lets the best trials race, compares the winner with the defaults on reactions that
tuning never saw, and, where that shows a gain, writes the profile into `gadlib/settings/shipped`.
What is in --out already is not computed again. What all shipped profiles are worth elsewhere:

    python tests/make_profiles.py --transfer [NAME]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import wilcoxon

import gadlib
from gadlib.report.exchange.profile import write_profile
from gadlib.report.statistics import SIGNIFICANT, Rate, mcnemar
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record, judged
from gadlib.settings.benchmarks import GFN2
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.profiles import FOLDER, shipped
from gadlib.tuning import tune
from gadlib.tuning.validation import Validation

POTENTIALS: dict[str, dict[str, Any]] = {
    "dftb0": {"calculator": "scine", "scine_functional": "DFTB0"},
    "pm6": {"calculator": "scine", "scine_functional": "PM6"},
    "gfn2": GFN2,
}
"""Each in full: what is left out `validate` takes from the profile."""

STARTS: dict[str, dict[str, Any]] = {
    "noisy": {"start_from": "midpoint_rt_noise1.0A", "mode": "lowest"},
    "shaken": {"start_from": "midpoint_rt_noise0.3A", "mode": "lowest"},
    "ts": {"start_from": "ts_noise0.1A", "mode": "lowest"},
    "idpp": {"start_from": "idpp_rp", "mode": "reaction"},
}

PROVED: dict[str, dict[str, Any]] = {"idpp": {"check_ends": True}}
"""How searches of the proof differ from those of the study: ends cost more than searches."""

SEARCHED: dict[str, dict[str, Any]] = {
    "gad": {"solver": "gad", "criterion": "index1", "n_steps_per_sample": 800},
    "trust": {"solver": "trust", "criterion": "bound", "n_steps_per_sample": 200},
}

STUDY: dict[str, Any] = {
    "n_startup_trials": 6,
    "easy_share": 0.0,
    "pruning": "halving",
    "batch_size": 4,
    "screening_steps": 60,
}

OF_SOLVER: dict[str, dict[str, Any]] = {
    # Explicit steps blow up from time steps of 0.02 A^2/eV on, whatever the other values; damped
    # ones do not. A rising order no longer says then that a step was too long, so that the time
    # step never shrinks.
    "gad": {
        "hyperparameters": {
            "integrator": "damped",
            "plateau_shrink": 1.0,
            "plateau_patience": 3,
            "plateau_boost": 3.0,
        },
        "ranges": {
            "dt_min": [0.01, 0.1],
            "dt_max": [0.1, 1.0],
            "escape_disp_threshold": [1e-3, 2e-2],
            "escape_window": [3, 10],
            "escape_neg_vib_std": [0.5, 3.0],
            "escape_delta": [0.1, 0.6],
        },
        "n_samples": 9,
        "n_trials": 14,
        "n_race": 9,
        "n_candidates": 2,
    },
    # Words alone: nine samples do not tell numbers that lose saddles from those that do not
    # (docs/measurements/tuning.md, "Two objectives"). Words that came before cost nothing again, so
    # that eighteen trials draw most of the nine pairs, and only one that can't win ends early.
    "trust": {
        "hyperparameters": {one.name: one.default for one in SOLVERS["trust"].tunable()},
        "choices": {
            "exact_hessians": ["auto", "often", "proof"],
            "proof": ["auto", "hessian", "products"],
        },
        "pruning": "best_possible",
        "max_samples": 40,
        "n_samples": 9,
        "n_trials": 18,
        "n_race": 9,
        "n_candidates": 2,
    },
}

FEW_SAMPLES = {
    "screening_steps": 30,
    "max_samples": 20,
    "n_samples": 6,
    "n_trials": 10,
    "n_race": 6,
    "n_candidates": 1,
}

FEW_STEPS = {
    "n_steps_per_sample": 100,
    "max_samples": 16,
    "n_samples": 4,
    "n_trials": 8,
    "n_race": 4,
}
"""With the defaults nearly all searches from noisy starts take all steps."""

SMALLER: dict[str, dict[str, Any]] = {
    # A Hessian of PM6 takes 0.12 s, that of DFTB0 0.015 s, and `gad` asks for one at each step.
    "gad-pm6": {
        "n_steps_per_sample": 200,
        **FEW_SAMPLES,
    },
    "gad-pm6-noisy": FEW_STEPS,
    # A Hessian of differences is 6N gradients.
    "gad-gfn2": {
        "n_steps_per_sample": 100,
        **FEW_SAMPLES,
    },
    "gad-gfn2-noisy": FEW_STEPS,
}
"""Studies on potentials that take too long otherwise, by solver and potential, or by profile."""

NAMES = [
    f"{solver}-{potential}-{start}"
    for solver in SEARCHED
    for potential in POTENTIALS
    for start in STARTS
    if not (solver == "gad" and start == "idpp")  # it climbs the lowest mode
]


class Worth(NamedTuple):
    """What values are worth beside the defaults, from the same starts.

    Attributes:
        criterion: by which success is judged: `intended` where that was asked.
        default, tuned: how many succeed.
        gained, lost: where only the tuned, only the default search does.
        cost: gradients of a search in the mean, of both.
        p_cost: of Wilcoxon's signed-rank test on them.
    """

    criterion: str
    default: Rate
    tuned: Rate
    gained: int
    lost: int
    cost: tuple[float, float]
    p_cost: float

    @property
    def is_gain(self) -> bool:
        """Whether more succeed, or at least as many at less cost; never where none does."""
        if not self.tuned.n_success:
            return False
        if mcnemar(self.gained, self.lost) < SIGNIFICANT:
            return self.gained > self.lost
        is_cheaper = self.cost[1] < self.cost[0] and self.p_cost < SIGNIFICANT
        return is_cheaper and self.tuned.n_success >= self.default.n_success

    def __str__(self) -> str:
        p = mcnemar(self.gained, self.lost)
        return (
            f"{self.criterion} | {self.default} | {self.tuned} | +{self.gained} -{self.lost}"
            f" (p = {p:.2g}) | {self.cost[0]:.0f} | {self.cost[1]:.0f} (p = {self.p_cost:.2g})"
        )


def worth(default: Sequence[Record], tuned: Sequence[Record]) -> Worth:
    """What came of both sides, which are in the same order."""
    criterion = "intended" if "intended" in judged([*default, *tuned]) else "converged"
    met = [
        [r.converged if criterion == "converged" else r.meets(criterion) for r in side]
        for side in (default, tuned)
    ]
    cost = [[gradients_of(r) for r in side] for side in (default, tuned)]
    saved = [a - b for a, b in zip(*cost, strict=True)]
    return Worth(
        criterion,
        Rate.of(met[0]),
        Rate.of(met[1]),
        sum(b and not a for a, b in zip(*met, strict=True)),
        sum(a and not b for a, b in zip(*met, strict=True)),
        (sum(cost[0]) / len(saved), sum(cost[1]) / len(saved)),
        float(wilcoxon(saved).pvalue) if any(saved) else 1.0,
    )


def main() -> None:
    """Make a profile, or print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES)
    parser.add_argument("--transfer", action="store_true", help="the shipped profiles elsewhere")
    parser.add_argument("--potentials", default=",".join(POTENTIALS), help="of --transfer")
    parser.add_argument("--starts", default=",".join(STARTS), help="of --transfer")
    parser.add_argument("--held-out", type=int, default=38, help="reactions to prove it on")
    parser.add_argument("--out", type=Path, default=Path("runs/profiles"))
    asked = parser.parse_args()
    if asked.transfer:
        _print_transfer(asked)
    elif asked.name:
        _make(asked.name, asked.out / asked.name, asked.held_out)
    else:
        parser.error(f"expected --transfer, or one of {', '.join(NAMES)}")


def _make(name: str, out: Path, held_out: int) -> None:
    solver, potential, start = name.split("-")
    searched = SEARCHED[solver] | POTENTIALS[potential] | STARTS[start]
    smaller = SMALLER.get(f"{solver}-{potential}", {}) | SMALLER.get(name, {})
    searched |= {name: smaller[name] for name in searched if name in smaller}
    settings = gadlib.TuneSettings(
        **searched | STUDY | OF_SOLVER[solver] | smaller,
        split="train",
        resume=True,
        study_name=name,
        storage=f"sqlite:///{out}/study.db",
        out_dir=str(out),
    )
    out.mkdir(parents=True, exist_ok=True)
    best = tune.write_results(gadlib.tune(settings), out / "hpo_results.json")
    proved = searched | PROVED.get(start, {})
    found = _validated(str(best), proved, out / "held_out", held_out)
    here = worth(found.default, found.tuned)
    print(f"{name} | {here}", flush=True)
    if not here.is_gain:
        print("no gain: not shipped", flush=True)
        return
    print(write_profile(name, best, out / "held_out", FOLDER), flush=True)


def held_out(
    searched: dict[str, Any], values: dict[str, Any], n: int, workers: int, out: Path
) -> list[Record]:
    """Searches with these values on reactions of `val` and `test`, kept in that file."""
    settings = gadlib.ScreenSettings(
        **searched,
        hyperparameters=values,
        split="val,test",
        max_samples=n,
        workers=workers,
        resume=True,
        out_dir=str(out.parent),
    )
    return gadlib.screen(settings, out=out)


def _validated(best: str, searched: dict[str, Any], out: Path, n: int) -> Validation:
    settings = gadlib.ValidateSettings(
        best=best,
        **searched,
        split="val,test",
        max_samples=n,
        batch_size=20,
        allow_transfer=True,
        resume=True,
        out_dir=str(out),
    )
    return gadlib.validate(settings)


def _print_transfer(asked: argparse.Namespace) -> None:
    print("| profile | potential | start | judged | defaults | profile | | gradients | profile |")
    print("|---|---|---|---|---|---|---|---|---|")
    for profile in shipped():
        if profile.name != (asked.name or profile.name):
            continue
        for potential in asked.potentials.split(","):
            for start in asked.starts.split(","):
                name = f"{profile.solver}-{potential}-{start}"
                if name not in NAMES or name == profile.name:
                    continue
                searched = SEARCHED[profile.solver] | POTENTIALS[potential] | STARTS[start]
                searched |= PROVED.get(start, {})
                out = asked.out / "transfer" / f"{profile.name}-{potential}-{start}"
                found = _validated(profile.name, searched, out, asked.held_out)
                row = f"{profile.name} | {potential} | `{searched['start_from']}`"
                print(f"| {row} | {worth(found.default, found.tuned)} |", flush=True)


if __name__ == "__main__":
    main()
