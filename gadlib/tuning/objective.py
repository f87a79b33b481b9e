"""What a trial is: hyperparameters drawn from their ranges, and the score of the records they give.

References: TPE, Bergstra et al., NeurIPS 24, 2546 (2011); CMA-ES, Hansen, Ostermeier, Evol. Comput.
9, 159 (2001); Optuna, Akiba et al., KDD 2019, doi:10.1145/3292500.3330701.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record, judged
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import InputError, shown
from gadlib.solver.state import Status

STEP_WEIGHT = 0.01
"""How much of the convergence rate a search that uses all its steps costs."""


@dataclass(frozen=True)
class Objective:
    """What a study maximises: a number made of the records of a trial's samples.

    Attributes:
        name: of the objective.
        sentence: what it is.
        score: of all records of a trial and the steps that each search might make. A sample that
            converges at once, without a call, must not lower it: that is how `best_possible` tells
            which trials can't be the best any more.
    """

    name: str
    sentence: str
    score: Callable[[Sequence[Record], int], float]


def convergence_rate(records: Sequence[Record]) -> float:
    """The share of the searches that converged."""
    return sum(r.converged for r in records) / len(records)


def mean_steps(records: Sequence[Record], n_steps: int) -> float:
    """The mean steps of the searches that converged; the budget where none did."""
    steps = [r.steps for r in records if r.converged]
    return sum(steps) / len(steps) if steps else float(n_steps)


OBJECTIVES = {
    row.name: row
    for row in (
        Objective(
            "rate_and_steps",
            "convergence_rate - 0.01 * mean_steps / n_steps, with the mean steps of the searches"
            " that converged",
            lambda records, n_steps: (
                convergence_rate(records) - STEP_WEIGHT * mean_steps(records, n_steps) / n_steps
            ),
        ),
    )
}
"""The objectives by their names."""

OBJECTIVE = OBJECTIVES["rate_and_steps"]
"""The one that studies have; there is no other to choose yet."""


@dataclass(frozen=True)
class Outcome:
    """What a trial found on its samples.

    Attributes:
        rates: the share of the samples that meet each criterion that was judged.
        mean_steps: of the samples that converged; the budget where none did.
        score: by the objective.
    """

    convergence_rate: float
    rates: Mapping[str, float]
    mean_steps: float
    score: float
    n_converged: int
    n_samples: int

    def attributes(self) -> dict[str, float]:
        """The outcome as a trial's attributes, a rate of each criterion by its name."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rates"}
        return values | {f"{name}_rate": rate for name, rate in self.rates.items()}


def outcome(records: Sequence[Record], n_steps: int) -> Outcome:
    """The outcome of a trial from the records of its samples."""
    n = len(records)
    return Outcome(
        convergence_rate=convergence_rate(records),
        rates={name: sum(r.meets(name) for r in records) / n for name in judged(records)},
        mean_steps=mean_steps(records, n_steps),
        score=OBJECTIVE.score(records, n_steps),
        n_converged=sum(r.converged for r in records),
        n_samples=n,
    )


def best_possible(records: Sequence[Record], n_samples: int, n_steps: int) -> float:
    """The score when every sample that is still missing converges at once: no outcome is better."""
    missing = n_samples - len(records)
    return OBJECTIVE.score([*records, *[_AT_ONCE] * missing], n_steps)


_NOWHERE = Start("", "", "", "", None, np.zeros(0, np.int64), np.zeros((0, 3)), 1)
_AT_ONCE = replace(
    Record.blank(_NOWHERE, Status.SADDLE, ""),
    converged=True,
    criteria=dict.fromkeys(CRITERIA, True),
)


SAMPLERS = ("tpe", "gp", "cmaes", "random", "qmc")
_PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
"""What a sampler needs besides Optuna."""


def space(solver: str, ranges: Mapping[str, Sequence[float]]) -> tuple[Hyperparameter, ...]:
    """What of a solver is tuned, each with the range to draw from: declared, or given.

    Raises:
        InputError: when a range names no hyperparameter, is empty, or leaves the hard limits.
    """
    drawn = {one.name: one for one in SOLVERS[solver].tunable()}
    try:
        ranges = SOLVERS[solver].by_name(ranges)
    except ValueError as error:
        raise InputError(f"ranges: {error}") from None
    for name, span in ranges.items():
        if name not in drawn:
            raise InputError(
                f"ranges: {name}: unknown hyperparameter of solver {solver!r};"
                f" known: {', '.join(drawn)}"
            )
        one = drawn[name]
        low, high = span if len(span) == 2 else (1.0, 0.0)
        is_whole = one.type is not int or (float(low).is_integer() and float(high).is_integer())
        if not one.least <= low <= high <= one.most or not is_whole:
            raise InputError(
                f"ranges: {name} = {shown(list(span))}: expected [low, high] within"
                f" {one.limits_text}{', in whole numbers' if one.type is int else ''}"
            )
        drawn[name] = one._replace(low=low, high=high)
    return tuple(drawn.values())


def left_out_defaults(drawn: Sequence[Hyperparameter]) -> str:
    """A sentence on the defaults that the ranges to draw from leave out; empty if none."""
    left = [k for k in drawn if not k.low <= k.default <= k.high]
    names = ", ".join(f"{k.name} ({k.default:g}, drawn from {k.low:g} .. {k.high:g})" for k in left)
    return f"trial 0, the defaults, is outside the given ranges of {names}" if left else ""


def suggest(
    trial: Trial, solver: str, drawn: Sequence[Hyperparameter] | None = None
) -> Hyperparameters:
    """Hyperparameters drawn by the trial, each in its range; by default the declared one."""
    drawn = space(solver, {}) if drawn is None else drawn
    values: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Fixed parameter")  # said by `left_out_defaults`
        for one in drawn:
            if one.type is int:
                values[one.name] = trial.suggest_int(one.name, int(one.low), int(one.high))
            else:
                values[one.name] = trial.suggest_float(one.name, one.low, one.high, log=one.log)
    return SOLVERS[solver](**values)


def sampler(name: str, seed: int, n_startup_trials: int, *, study_seed: int = 0) -> BaseSampler:
    """The sampler of that name; `tpe` as published: independent, random trials first.

    Args:
        name: one of `SAMPLERS`.
        seed: of this worker; no two of a study have the same.
        n_startup_trials: random trials before the sampler takes over.
        study_seed: of the study; workers of a quasi-random sequence must share it.

    Raises:
        InputError: when the name is unknown or its package is missing.
    """
    more: dict[str, Any] = {"seed": seed}
    if name in ("tpe", "gp", "cmaes"):
        more["n_startup_trials"] = n_startup_trials
    if name == "tpe":  # the liar matters only beside running trials
        more |= {"multivariate": False, "constant_liar": True}
    if name == "qmc":
        more |= {"seed": study_seed, "scramble": True}
    if name in ("cmaes", "qmc"):
        more["warn_independent_sampling"] = False
    kinds = {
        "tpe": optuna.samplers.TPESampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "random": optuna.samplers.RandomSampler,
        "qmc": optuna.samplers.QMCSampler,
    }
    if name not in kinds:
        raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    for package in _PACKAGES.get(name, ()):  # Optuna asks when the sampler takes over
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"sampler {name!r}: its package {package} is not installed; expected it"
                f" (pip install {package}), or another of {', '.join(SAMPLERS)}"
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return kinds[name](**more)
        except ImportError as error:
            raise InputError(f"sampler {name!r}: {error}") from None


_SUMMARY = (
    *("name", "status", "converged", "criteria", "steps", "escapes", "fmax", "n_gradient"),
    *("n_hessian", "n_path_gradient", "n_path_hessian", "message"),
)


def sample_summary(record: Record) -> dict[str, Any]:
    """What a study keeps of one sample of one trial; a message only where something failed."""
    values = {name: getattr(record, name) for name in _SUMMARY}
    if record.status in (Status.SADDLE, Status.ORDER_ONE, Status.OUT_OF_STEPS):
        del values["message"]
    return values
