"""The searches that were started from the page, while they grow and after they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gadlib.screening.records import Record
from gadlib.screening.setup import hyperparameters_of
from gadlib.screening.trajectories import Point, column, rises
from gadlib.settings.searches import SearchSettings


@dataclass
class Run:
    """A search that was started from the page, while it grows and after it ended.

    Attributes:
        number: which run it was.
        settings: what was asked for.
        name: of the reaction and its formula.
        atomic_numbers: of the molecule.
        points: what came so far.
        record: how it ended, None while it has not, or where it was stopped.
        sentence: how it stands, in words.
    """

    number: int
    settings: SearchSettings
    name: str
    atomic_numbers: np.ndarray
    points: list[Point] = field(default_factory=list)
    record: Record | None = None
    sentence: str = "Starting."

    @property
    def label(self) -> str:
        """The run in a few words."""
        return f"{self.number}: {self.name}, {self.settings.solver}"

    def column(self, name: str) -> np.ndarray:
        """The values of one quantity of all points so far."""
        return column(self.points, name)

    def rises(self, name: str) -> list[int]:
        """The steps at which a counter (`escapes`, `n_tries`) rose."""
        return rises(self.points, name)

    def changed(self) -> dict[str, float]:
        """The hyperparameters of the run that differ from the defaults."""
        chosen = hyperparameters_of(self.settings)
        return {k.name: v for k in chosen.tunable() if (v := getattr(chosen, k.name)) != k.default}


def run_row(run: Run) -> Mapping[str, object]:
    """A run as a row of the table in which runs are compared."""
    record, last = run.record, run.points[-1] if run.points else None
    shown = [f"{name} = {value:g}" for name, value in run.changed().items()]
    return {
        "run": run.number,
        "reaction": run.name,
        "start": run.settings.start_from,
        "solver": run.settings.solver,
        "hyperparameters": ", ".join(shown) or "defaults",
        "criteria met": _criteria(record),
        "steps": "" if last is None else last.steps,
        "tries": "" if record is None else len(record.tries) or "",
        "largest force (eV/Å)": "" if last is None else f"{last.max_force:.2g}",
        "imaginary (cm⁻¹)": _number(record and record.imaginary_cm1, "{:.0f}i"),
        "gradients": "" if record is None else record.n_gradient,
        "Hessians": "" if record is None else record.n_hessian,
        "wall (s)": "" if record is None else f"{record.elapsed_s:.2g}",
    }


def _criteria(record: Record | None) -> str:
    if record is None:
        return "stopped"
    names = [name for name in record.criteria if record.meets(name)]
    return ", ".join(names) or "none"


def _number(value: float | None, form: str) -> str:
    return form.format(value) if value else ""
