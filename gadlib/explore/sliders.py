"""Hyperparameters as sliders: which kind each declaration asks for, and values from a study.

Nothing here draws anything; `controls` makes widgets of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gadlib.files.shapes import TuningFile, fit
from gadlib.screening.setup import read_best, transfers
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.tuning import tune

_N_STEPS = 100
_DIGITS = 6


class Slider(NamedTuple):
    """A slider; where it is logarithmic, its ends and its step are exponents of 10."""

    low: float
    high: float
    step: float
    is_log: bool
    is_whole: bool
    readout: str


def slider_of(declared: Hyperparameter) -> Slider:
    """The slider that a declaration asks for."""
    is_whole = declared.type is int
    if declared.log:
        low, high = math.log10(declared.low), math.log10(declared.high)
        form = ".0f" if is_whole else ".1e" if declared.low < 1e-3 else ".2g"
        return Slider(low, high, (high - low) / _N_STEPS, True, is_whole, form)
    if is_whole:
        return Slider(declared.low, declared.high, 1, False, True, "d")
    step = 10.0 ** math.floor(math.log10((declared.high - declared.low) / 20))
    return Slider(declared.low, declared.high, step, False, False, ".3g")


def value_of(declared: Hyperparameter, shown: float) -> float:
    """The value that a slider stands for: whole where it must be, and within the limits."""
    value = float(round(shown)) if declared.type is int else float(f"{shown:.{_DIGITS}g}")
    return min(max(value, declared.least), declared.most)


def tooltip_of(declared: Hyperparameter) -> str:
    """What the hyperparameter is, its range and its default, in a sentence."""
    return f"{declared.doc}; {declared.range_text}, default {declared.default:g}"


def label_of(declared: Hyperparameter) -> str:
    """The name of the hyperparameter, with its unit."""
    unit = declared.unit.replace("^2", "²").replace("A", "Å")
    return f"{declared.name} ({unit})" if unit else declared.name


def defaults(solver: str) -> dict[str, float]:
    """The defaults of every hyperparameter of a solver."""
    return {declared.name: declared.default for declared in SOLVERS[solver].tunable()}


def values_between(declared: Hyperparameter, low: float, high: float, n: int) -> list[float]:
    """`n` values from `low` to `high` on the scale as declared; fewer where they must be whole.

    Raises:
        InputError: when the ends are outside the hyperparameter's range or the wrong way round.
    """
    if not declared.low <= low < high <= declared.high:
        raise InputError(
            f"{declared.name} from {low:g} to {high:g}:"
            f" expected an interval within {declared.range_text}"
        )
    spaced = np.geomspace(low, high, n) if declared.log else np.linspace(low, high, n)
    return list(dict.fromkeys(value_of(declared, value) for value in spaced))


def study_best(where: str, study_name: str | None, solver: str) -> dict[str, float]:
    """The best values of a study, from its `hpo_results.json`, its SQLite file or its URL.

    Raises:
        InputError: when there is no such study, no completed trial, or it is of another solver.
    """
    if not where.strip():
        raise InputError("no study: expected a path of hpo_results.json, or of the study's SQLite")
    where = where.strip()
    found = _from_results(where) if where.endswith(".json") else _from_study(where, study_name)
    where, known = _shown(where), defaults(solver)
    strange = sorted(found.keys() - known.keys())
    if other := [name for name in SOLVERS if strange and found.keys() <= _declared(name)]:
        raise InputError(
            f"{where}: a study of solver {other[0]!r}; expected one of {solver!r}, or that solver"
            " chosen"
        )
    if strange:
        raise InputError(f"{where}: {', '.join(strange)} is no hyperparameter of solver {solver!r}")
    return known | found


def _declared(solver: str) -> set[str]:
    return {declared.name for declared in SOLVERS[solver].tunable()}


def tuned_for_else(where: str, study_name: str | None, settings: SearchSettings) -> str:
    """A sentence on what the study was tuned for that the settings are not; empty if there is none.

    Raises:
        InputError: when there is no such study.
    """
    where = where.strip()
    if where.endswith(".json"):
        best = read_best(where)
    else:
        study = tune.load(where if "://" in where else f"sqlite:///{where}", study_name)
        stored = {"best_params": {"": 0}, "about": study.user_attrs.get("gadlib", {})}
        best = fit(TuningFile, stored, _shown(where))
    changes = transfers(best, settings)
    return f"It was tuned for something else: {'; '.join(changes)}." if changes else ""


def _from_results(where: str) -> dict[str, float]:
    return _numbers(read_best(where).best_params, where)


def _from_study(where: str, study_name: str | None) -> dict[str, float]:
    study = tune.load(where if "://" in where else f"sqlite:///{where}", study_name)
    where, best = _shown(where), tune.preferred(study)
    if best is None:
        raise InputError(f"{where}: no completed trial in it, so there are no best values")
    return _numbers(best.params, where)


def _shown(where: str) -> str:
    return tune.without_password(where) if "://" in where else where


def _numbers(values: Mapping[Any, Any], where: str) -> dict[str, float]:
    if not all(isinstance(value, int | float) for value in values.values()):
        raise InputError(f"{where}: its best values are not all numbers")
    return {str(name): float(value) for name, value in values.items()}
