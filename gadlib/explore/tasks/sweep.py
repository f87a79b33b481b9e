"""A sweep: the same search at every value of one hyperparameter, or at every pair of two."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gadlib.explore.sliders import label_of, values_between
from gadlib.explore.tasks.background import Task
from gadlib.explore.tasks.choice import with_hyperparameters
from gadlib.screening.records import Record
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError

MAX_SEARCHES = 400


class Axis(NamedTuple):
    """The values at which a sweep sets one hyperparameter."""

    hyperparameter: Hyperparameter
    values: tuple[float, ...]

    @property
    def label(self) -> str:
        """The hyperparameter, with its unit."""
        return label_of(self.hyperparameter)


def axis(solver: str, name: str, low: float, high: float, n: int) -> Axis:
    """The axis of a hyperparameter between two values.

    Raises:
        InputError: when the hyperparameter is unknown or the values are not in its range.
    """
    declared = {each.name: each for each in SOLVERS[solver].tunable()}
    if name not in declared:
        raise InputError(
            f"{name}: no hyperparameter of solver {solver!r}; known: {', '.join(declared)}"
        )
    return Axis(declared[name], tuple(values_between(declared[name], low, high, n)))


@dataclass
class Sweep:
    """The searches of a sweep, and what came of them so far.

    Attributes:
        task: the search whose hyperparameters are varied.
        axes: one or two.
        records: by the place of the search in `tasks`.
    """

    task: Task
    axes: tuple[Axis, ...]
    records: dict[int, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [axis.hyperparameter.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise InputError(f"{names[0]} twice: expected two different hyperparameters")
        if len(self.cells) > MAX_SEARCHES:
            raise InputError(f"{len(self.cells)} searches: expected at most {MAX_SEARCHES}")

    @property
    def cells(self) -> list[tuple[float, ...]]:
        """The values of each search, the last axis varying fastest."""
        return list(product(*(axis.values for axis in self.axes)))

    @property
    def tasks(self) -> list[Task]:
        """The searches, in the order of the cells."""
        names = [axis.hyperparameter.name for axis in self.axes]
        return [
            with_hyperparameters(self.task, dict(zip(names, cell, strict=True)))
            for cell in self.cells
        ]


class Map(NamedTuple):
    """What a sweep found, as far as it came; a row per value of the second axis, or one.

    Attributes:
        x, y: the axes; y is None where there is one.
        steps: moves made; NaN where the search has not ended.
        is_converged: whether the criterion was met.
    """

    x: Axis
    y: Axis | None
    steps: Float[np.ndarray, "y x"]
    is_converged: Bool[np.ndarray, "y x"]


def collect_map(sweep: Sweep) -> Map:
    """The map of a sweep."""
    x, y = sweep.axes[0], sweep.axes[1] if len(sweep.axes) > 1 else None
    n = len(sweep.cells)
    steps, is_converged = np.full(n, np.nan), np.zeros(n, dtype=bool)
    for place, record in sweep.records.items():
        steps[place], is_converged[place] = record.steps, record.converged
    shape = (len(x.values), 1 if y is None else len(y.values))
    return Map(x, y, steps.reshape(shape).T, is_converged.reshape(shape).T)
