"""Hyperparameters as sliders: which kind each declaration asks for.

Nothing here draws anything; `controls` makes widgets of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError

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
