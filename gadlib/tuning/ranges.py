"""Where values lie in the ranges that they were drawn from, and which ranges are to be widened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from gadlib.files.shapes import StudyKept
from gadlib.settings.hyperparameters import SOLVERS

DECLARED = {each.name: each for kind in SOLVERS.values() for each in kind.tunable()}
"""The hyperparameters of all solvers, by their names."""

EDGE = 0.02
"""A value within this fraction of its range from an end lies at that end.

A random value does in one case of 25, so that a study of the eleven numbers of `gad` names 0.4 of
them by chance; with a twentieth it would be 1.1.
"""


class Range(NamedTuple):
    """The range that a study drew one hyperparameter from."""

    name: str
    low: float
    high: float
    log: bool

    @property
    def label(self) -> str:
        """The name, with the unit where there is one."""
        unit = DECLARED[self.name].unit if self.name in DECLARED else ""
        unit = unit.replace("^2", "²").replace("A", "Å")
        return f"{self.name} ({unit})" if unit else self.name

    def position(self, value):
        """Where values lie from the low end (0) to the high end (1), on the range's own scale."""
        if self.low == self.high:
            return 0.5 + 0.0 * np.asarray(value)
        scale = np.log10 if self.log else np.asarray
        return (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))

    def end_of(self, value: float) -> str:
        """The end that the value lies at, `lower` or `upper`; empty where it lies well inside."""
        position = float(self.position(value))
        if position <= EDGE:
            return "lower"
        return "upper" if position >= 1 - EDGE else ""

    def wider(self, end: str) -> tuple[float, float] | None:
        """A range that is half of its width wider at that end, on its own scale.

        Within the limits of the hyperparameter, in whole numbers where it is one; None where it may
        not be wider.
        """
        if self.low == self.high:
            return None
        if self.log:
            half = (self.high / self.low) ** 0.5
            low, high = self.low / half, self.high * half
        else:
            half = 0.5 * (self.high - self.low)
            low = max(self.low - half, 0.0) if self.low >= 0 else self.low - half
            high = self.high + half
        if self.name in DECLARED:
            declared = DECLARED[self.name]
            if declared.type is int:
                low, high = math.floor(low), math.ceil(high)
            low, high = max(low, declared.least), min(high, declared.most)
        found = (low, self.high) if end == "lower" else (self.low, high)
        return found if found[0] < self.low or found[1] > self.high else None


class AtEnd(NamedTuple):
    """A value that lies at an end of the range that it was drawn from.

    Attributes:
        value: of the hyperparameter.
        of: the range.
        end: `lower` or `upper`.
        wider: the range to draw from next time; None where the hyperparameter ends there, too.
    """

    value: float
    of: Range
    end: str
    wider: tuple[float, float] | None

    def __str__(self) -> str:
        """In a sentence without its full stop."""
        of = self.of
        where = "at" if of.low <= self.value <= of.high else "beyond"
        told = (
            f"{of.name} ({self.value:.3g}) lies {where} the {self.end} end of its range"
            f" ({of.low:g} .. {of.high:g})"
        )
        if self.wider is None:
            return f"{told}, and may not go further"
        return f"{told}: --range {of.name}={self.wider[0]:.3g}:{self.wider[1]:.3g} widens it"

    def kept(self) -> dict[str, Any]:
        """As a results file has it."""
        wider = None if self.wider is None else [float(f"{value:.3g}") for value in self.wider]
        return {
            **{"name": self.of.name, "value": self.value, "end": self.end},
            **{"low": self.of.low, "high": self.of.high, "wider": wider},
        }


def read_at_ends(kept: StudyKept) -> tuple[AtEnd, ...]:
    """The values at an end of their ranges, from a study's file; none of one made before.

    Whether a range was logarithmic is not kept.
    """
    return tuple(
        AtEnd(one.value, Range(one.name, one.low, one.high, log=False), one.end, one.wider)
        for one in kept.best_at_ends or ()
    )


def range_of(name: str, drawn: FloatDistribution | IntDistribution) -> Range:
    """The range that Optuna drew a number from."""
    return Range(name, drawn.low, drawn.high, drawn.log)


def at_ends(trial: FrozenTrial | None) -> tuple[AtEnd, ...]:
    """The numbers of a trial that lie at an end of their ranges; none of no trial."""
    drawn: Mapping[str, Any] = {} if trial is None else trial.distributions
    found = []
    for name, kind in drawn.items():
        if trial is None or not isinstance(kind, FloatDistribution | IntDistribution):
            continue
        value, of = trial.params[name], range_of(name, kind)
        if end := of.end_of(value):
            found.append(AtEnd(value, of, end, of.wider(end)))
    return tuple(found)


def ends_told(found: Iterable[AtEnd]) -> str:
    """Which best values lie at an end of their ranges, in a sentence; empty where none does."""
    return "".join(f"{one}. " for one in found).strip()
