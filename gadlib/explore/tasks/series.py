"""The searches that were started from the page, while they grow and after they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from gadlib.explore.tasks.background import Task
from gadlib.explore.tasks.choice import Molecule, potential_label
from gadlib.paths.records import PathRecord
from gadlib.screening.records import Record
from gadlib.screening.setup import hyperparameters_of
from gadlib.screening.trajectories import Point, column, rises
from gadlib.settings.searches import SearchSettings


@dataclass
class Run:
    """A search that was started from the page, while it grows and after it ended.

    Attributes:
        number: which run it was.
        task: what was asked for.
        molecule: what was searched, as it was chosen.
        points: what came so far.
        record: how it ended, None while it has not, or where it was stopped.
        sentence: how it stands, in words.
        path: where its saddle leads, None until that was asked for and found.
    """

    number: int
    task: Task
    molecule: Molecule
    points: list[Point] = field(default_factory=list)
    record: Record | None = None
    sentence: str = "Starting."
    path: PathRecord | None = None

    @property
    def settings(self) -> SearchSettings:
        """What was asked for."""
        return self.task.settings

    @property
    def name(self) -> str:
        """Of the reaction or geometry, with the formula."""
        return self.molecule.name

    @property
    def atomic_numbers(self) -> Int[np.ndarray, " n"]:
        """Of the molecule."""
        return self.task.start.atomic_numbers

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
        "molecule": run.name,
        "start": run.task.start.start,
        "calculator": potential_label(run.settings.model_dump()),
        "solver": run.settings.solver,
        "hyperparameters": ", ".join(shown) or "defaults",
        "criteria met": _criteria(record),
        "energy (eV)": "" if last is None else f"{last.energy:.4f}",
        "imaginary (cm⁻¹)": _number(record and record.imaginary_cm1, "{:.0f}i"),
        "largest force (eV/Å)": "" if last is None else f"{last.max_force:.2g}",
        "steps": "" if last is None else last.steps,
        "tries": "" if record is None else len(record.tries) or "",
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
