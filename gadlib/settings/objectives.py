"""What a study may be tuned for: a table of objectives, and bounds on them.

Settings, flags, studies, figures and tables read names and sentences here; `gadlib.tuning.scores`
measures them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gadlib.settings.criteria import CRITERIA
from gadlib.settings.reading import InputError, shown

STEP_WEIGHT = 0.01
"""How much of the convergence rate a search that uses all its steps costs, as published."""


Direction = Literal["minimize", "maximize"]
"""Optuna's words."""


@dataclass(frozen=True)
class Objective:
    """A number made of the records of a trial's samples.

    Attributes:
        name: as settings, files and tables have it.
        sentence: what it is.
        is_cost: whether less is better.
        unit: of the number; a share has none.
        is_share: whether it is a share of the samples, from 0 to 1.
    """

    name: str
    sentence: str
    is_cost: bool = False
    unit: str = ""
    is_share: bool = False

    @property
    def label(self) -> str:
        """The name, with the unit where there is one."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def direction(self) -> Direction:
        """Optuna's word."""
        return "minimize" if self.is_cost else "maximize"


_FAILED = "; a search that does not meet the criterion counts as all its steps"

OBJECTIVES = {
    row.name: row
    for row in (
        Objective(
            "converged",
            "the share that meets the criterion, less 0.01 of the mean steps of those searches in"
            " units of the budget, as published",
        ),
        *(
            Objective(name, f"the share that meets the criterion {name}", is_share=True)
            for name in CRITERIA
        ),
        Objective(
            "near",
            "the share that ends at a bound saddle near its start",
            is_share=True,
        ),
        Objective(
            "recovered",
            "the share that ends at the saddle that a search from the reference transition state"
            " ends at",
            is_share=True,
        ),
        Objective("steps", f"the mean steps of a search{_FAILED}", is_cost=True),
        Objective(
            "gradients",
            "the mean gradients of a search, a Hessian counted as 6N of them; a search that does"
            " not meet the criterion counts as one for each step of the budget, at least",
            is_cost=True,
        ),
        Objective(
            "seconds",
            "the mean wall time of a search, whether it meets the criterion or not",
            is_cost=True,
            unit="s",
        ),
    )
}
"""The objectives by their names."""

EASY = "easy"
"""What may be bounded besides, and is no objective: the share of a trial's easy samples that
converge, of which there are too few to tune for."""

NAMES = ", ".join(OBJECTIVES)
"""Their names, for a sentence."""

PUBLISHED = ("converged",)
"""What studies were about before there was a choice."""

KNEE = "knee"
"""The choice among trials none of which is better in all: where little more is gained by giving
up a lot."""


def objectives_of(asked: str, solver: str) -> tuple[Objective, ...]:
    """The objectives that are asked for, in their order.

    `auto` is the published one for `gad`, whose searches often fail. Of the others nearly all end
    at bound saddles from every start, so that their rates say nothing; gradients do.

    Args:
        asked: names with commas between, or `auto`.
        solver: whose hyperparameters are tuned.

    Raises:
        InputError: when a name is unknown or given twice.
    """
    if asked == "auto":
        return (OBJECTIVES["converged" if solver == "gad" else "gradients"],)
    names = [part.strip() for part in asked.split(",")]
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(
                f"objective {shown(name)}: expected auto, or some of {NAMES}, with commas between"
            )
        if names.count(name) > 1:
            raise InputError(f"objective {name}: given twice; expected each once")
    return tuple(OBJECTIVES[name] for name in names)


@dataclass(frozen=True)
class Bound:
    """A bound on an objective: at least a value, or at most."""

    name: str
    sign: str
    value: float

    def excess(self, value: float) -> float:
        """By how much a value misses the bound; zero or less where it does not."""
        return self.value - value if self.sign == ">=" else value - self.value

    def __str__(self) -> str:
        """As it is given."""
        return f"{self.name}{self.sign}{self.value:g}"


_BOUND = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([0-9.eE+-]+)\s*")


def bounds_of(asked: str | None, what: str) -> tuple[Bound, ...]:
    """The bounds that are asked for.

    Args:
        asked: such as `bound>=0.95` or `bound>=0.9,gradients<=100`; None for none.
        what: the setting, for a message.

    Raises:
        InputError: when one can't be read, or its objective is unknown.
    """
    return tuple(_bound(part, what) for part in (asked.split(",") if asked else ()))


def _bound(text: str, what: str) -> Bound:
    expected = f"expected OBJECTIVE>=NUMBER or OBJECTIVE<=NUMBER, of {NAMES}, {EASY}"
    found = _BOUND.fullmatch(text)
    if found is None or found[1] not in (*OBJECTIVES, EASY):
        raise InputError(f"{what} {shown(text.strip())}: {expected}")
    try:
        value = float(found[3])
    except ValueError:
        raise InputError(f"{what} {shown(text.strip())}: {expected}") from None
    return Bound(found[1], found[2], value)


def needs_references(names: Iterable[str]) -> bool:
    """Whether any of these objectives compares with the reactions' own saddles."""
    return "recovered" in names


def require_prefer(prefer: str) -> tuple[Bound, ...]:
    """The bounds that the choice among the best trials is made by; none for the knee.

    Raises:
        InputError: when it can't be read.
    """
    if prefer == KNEE:
        return ()
    return bounds_of(prefer, "prefer")
