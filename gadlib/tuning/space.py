"""What a trial draws: hyperparameters from their ranges, by a sampler.

References: TPE, Bergstra et al., NeurIPS 24, 2546 (2011), of several objectives Ozaki et al., GECCO
2020, 533, doi:10.1145/3377930.3389817; CMA-ES, Hansen, Ostermeier, Evol. Comput. 9, 159 (2001);
NSGA-II, Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002), doi:10.1109/4235.996017;
Optuna, Akiba et al., KDD 2019, doi:10.1145/3292500.3330701.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from gadlib.evaluation import Calculator
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import InputError, shown
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.choices import choices_in, words_in_force

SAMPLERS = ("tpe", "gp", "cmaes", "nsgaii", "random", "qmc")
_PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
"""What a sampler needs besides Optuna."""


def space(
    solver: str,
    ranges: Mapping[str, Sequence[float]],
    fixed: Collection[str] = (),
    *,
    has_words: bool = False,
) -> tuple[Hyperparameter, ...]:
    """What of a solver is tuned, each with the range to draw from: declared, or given.

    Args:
        solver: its name.
        ranges: that differ from the declared ones.
        fixed: names of hyperparameters that have one value in all trials.
        has_words: whether trials choose words beside, so that no number need be left.

    Raises:
        InputError: when a range names no hyperparameter, is empty, or leaves the hard limits, or
            nothing is left to draw.
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
        if name in fixed:
            raise InputError(f"ranges: {name}: has a range and one value; expected one of them")
        drawn[name] = one._replace(low=low, high=high)
    left = tuple(one for one in drawn.values() if one.name not in fixed)
    if not left and not has_words:
        raise InputError(f"hyperparameters: all of solver {solver!r} are fixed; expected some free")
    return left


def _space_of(settings: TuneSettings) -> tuple[Hyperparameter, ...]:
    fixed, has_words = settings.hyperparameters, bool(settings.choices)
    return space(settings.solver, settings.ranges, fixed, has_words=has_words)


def drawn_in(
    settings: TuneSettings, calculator: Calculator | None = None
) -> tuple[Hyperparameter, ...]:
    """The numbers that trials draw, those left out that act under no word that may be chosen.

    Args:
        settings: of the study.
        calculator: which says what some words stand for; None leaves that open.

    Raises:
        InputError: as `space` and `choices_in`.
    """
    choices = choices_in(settings)
    ways = [dict(zip(choices, words, strict=True)) for words in product(*choices.values())]
    words = [words_in_force(settings, way, calculator) for way in ways]
    drawn = _space_of(settings)
    acting = tuple(one for one in drawn if any(map(one.is_acting, words)))
    if idle := [one.name for one in drawn if one not in acting and one.name in settings.ranges]:
        raise InputError(
            f"ranges: {idle[0]}: acts under none of the words that the solver has"
            f" ({', '.join(f'{k} {v}' for k, v in words[0].items())}); expected no range of it"
        )
    return acting


def drawn_of(about: Mapping[str, Any], settings: TuneSettings) -> tuple[Hyperparameter, ...]:
    """The numbers that the trials of a study draw, which says what it is about.

    One of before goes on as it was made.
    """
    if (kept := about.get("space")) is None:
        return drawn_in(settings)
    drawn = _space_of(settings)
    return tuple(one for one in drawn if one.name in kept)


def idle_in(
    about: Mapping[str, Any], acting: Collection[str], settings: TuneSettings
) -> tuple[Hyperparameter, ...]:
    """The numbers without effect that a study of before draws all the same."""
    return tuple(one for one in drawn_of(about, settings) if one.name not in acting)


def left_out_defaults(drawn: Sequence[Hyperparameter]) -> str:
    """A sentence on the defaults that the ranges to draw from leave out; empty if none."""
    left = [k for k in drawn if not k.low <= k.default <= k.high]
    names = ", ".join(f"{k.name} ({k.default:g}, drawn from {k.low:g} .. {k.high:g})" for k in left)
    return f"trial 0, the defaults, is outside the given ranges of {names}" if left else ""


def suggest(
    trial: Trial,
    solver: str,
    drawn: Sequence[Hyperparameter] | None = None,
    fixed: Mapping[str, float | int | str] | None = None,
) -> Hyperparameters:
    """Hyperparameters drawn by the trial, each in its range; by default the declared one.

    Args:
        trial: that draws.
        solver: its name.
        drawn: what is drawn, with the ranges.
        fixed: the values of others.
    """
    drawn = space(solver, {}) if drawn is None else drawn
    values: dict[str, Any] = dict(fixed or {})
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
    if name == "nsgaii":
        more["population_size"] = max(2, n_startup_trials)
    kinds = {
        "tpe": optuna.samplers.TPESampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "nsgaii": optuna.samplers.NSGAIISampler,
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
