"""What a trial is: hyperparameters drawn from their ranges, and the score of the records they give.

References: TPE, Bergstra et al., NeurIPS 24, 2546 (2011); CMA-ES, Hansen, Ostermeier, Evol. Comput.
9, 159 (2001); Optuna, Akiba et al., KDD 2019, doi:10.1145/3292500.3330701.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from gadlib.screening.records import Record
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import InputError, shown

STEP_WEIGHT = 0.01
"""How much of the convergence rate a search that uses all its steps costs."""

SAMPLERS = ("tpe", "gp", "cmaes", "random", "qmc")
_PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}


@dataclass(frozen=True)
class Outcome:
    """What a trial found on its samples.

    Attributes:
        mean_steps: of the samples that converged; the budget where none did.
        score: convergence_rate - 0.01 * mean_steps / budget.
    """

    convergence_rate: float
    strict_rate: float
    bound_rate: float
    mean_steps: float
    score: float
    n_converged: int
    n_samples: int


def outcome(records: Sequence[Record], n_steps: int) -> Outcome:
    """The outcome of a trial from the records of its samples."""
    n = len(records)
    steps = [r.steps for r in records if r.converged]
    mean_steps = sum(steps) / len(steps) if steps else float(n_steps)
    rate = len(steps) / n
    return Outcome(
        convergence_rate=rate,
        strict_rate=sum(bool(r.strict) for r in records) / n,
        bound_rate=sum(bool(r.bound) for r in records) / n,
        mean_steps=mean_steps,
        score=rate - STEP_WEIGHT * mean_steps / n_steps,
        n_converged=len(steps),
        n_samples=n,
    )


def best_possible(records: Sequence[Record], n_samples: int, n_steps: int) -> float:
    """The score when every sample that is still missing converges at once: no outcome is better.

    More converged samples raise the rate and, needing no steps, lower the mean, so this is a bound.
    """
    steps = [r.steps for r in records if r.converged]
    n_converged = len(steps) + n_samples - len(records)
    mean_steps = sum(steps) / n_converged if n_converged else float(n_steps)
    return n_converged / n_samples - STEP_WEIGHT * mean_steps / n_steps


def space(solver: str, ranges: Mapping[str, Sequence[float]]) -> tuple[Hyperparameter, ...]:
    """The knobs of a solver, each with the range to draw from: the declared one, or the one given.

    Raises:
        InputError: when a range names no knob, is empty, or leaves the hard limits.
    """
    knobs = {knob.name: knob for knob in SOLVERS[solver].tunable()}
    try:
        ranges = SOLVERS[solver].by_name(ranges)
    except ValueError as error:
        raise InputError(f"ranges: {error}") from None
    for name, span in ranges.items():
        if name not in knobs:
            raise InputError(
                f"ranges: {name}: unknown hyperparameter of solver {solver!r};"
                f" known: {', '.join(knobs)}"
            )
        knob = knobs[name]
        low, high = span if len(span) == 2 else (1.0, 0.0)
        is_whole = knob.type is not int or (float(low).is_integer() and float(high).is_integer())
        if not knob.least <= low <= high <= knob.most or not is_whole:
            raise InputError(
                f"ranges: {name} = {shown(list(span))}: expected [low, high] within"
                f" {knob.limits_text}{', in whole numbers' if knob.type is int else ''}"
            )
        knobs[name] = knob._replace(low=low, high=high)
    return tuple(knobs.values())


def outside(knobs: Sequence[Hyperparameter]) -> str:
    """A sentence on the defaults that the ranges to draw from leave out; empty if none."""
    left = [k for k in knobs if not k.low <= k.default <= k.high]
    told = ", ".join(f"{k.name} ({k.default:g}, drawn from {k.low:g} .. {k.high:g})" for k in left)
    return f"trial 0, the defaults, is outside the given ranges of {told}" if left else ""


def suggest(
    trial: Trial, solver: str, knobs: Sequence[Hyperparameter] | None = None
) -> Hyperparameters:
    """Hyperparameters drawn by the trial, each knob in its range; by default the declared one."""
    knobs = space(solver, {}) if knobs is None else knobs
    values: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Fixed parameter")  # told by `outside`
        for knob in knobs:
            if knob.type is int:
                values[knob.name] = trial.suggest_int(knob.name, int(knob.low), int(knob.high))
            else:
                values[knob.name] = trial.suggest_float(
                    knob.name, knob.low, knob.high, log=knob.log
                )
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


def sample_summary(record: Record) -> dict[str, Any]:
    """What a study keeps of one sample of one trial."""
    kept = (
        "name",
        "status",
        "converged",
        "index1",
        "strict",
        "bound",
        "steps",
        "escapes",
        "fmax",
        "n_gradient",
        "n_hessian",
        "message",
    )
    values = asdict(record)
    return {
        name: values[name]
        for name in kept
        if name != "message" or record.status not in ("saddle", "out_of_steps")
    }
