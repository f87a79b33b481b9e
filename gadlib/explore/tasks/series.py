"""What a running search tells of itself, point by point, and the runs that are kept. Floor 5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from gadlib.screening.records import Record
from gadlib.screening.setup import hyperparameters_of
from gadlib.settings.searches import SearchSettings
from gadlib.solver.search import Frame

REACH = {"gad": ("time_step", "time step\n(Å²/eV)"), "trust": ("radius", "trust radius\n(Å)")}
"""What of a solver's memory limits its steps, and how its axis is labelled."""


class Point(NamedTuple):
    """One moment of a search.

    Attributes:
        steps: moves made so far.
        energy: in eV.
        max_force: largest force on an atom in eV/A.
        lowest, second: vibrational eigenvalues in eV/(A^2 amu).
        order: negative vibrational eigenvalues.
        reach: the time step in A^2/eV, or the trust radius in A.
        escapes, attempt: escapes made, and tries begun before this one.
        positions: in A.
        mode: the climbed mode as a Cartesian displacement, the farthest atom by 1; zero where none
            is climbed.
    """

    steps: int
    energy: float
    max_force: float
    lowest: float
    second: float
    order: int
    reach: float
    escapes: int
    attempt: int
    positions: Float[np.ndarray, "n 3"]
    mode: Float[np.ndarray, "n 3"]


def point_of(frame: Frame, row: int = 0) -> Point:
    """The moment of one system of a frame; numbers are NaN where it could not be computed."""
    state, memory = frame.state, frame.state.memory
    is_known = not state.message[row]
    lowest, second, *_ = [*state.spectrum.eigenvalues[row].tolist(), math.nan, math.nan]
    n = int(state.batch.n_atoms[row])
    reach = [getattr(memory, name) for name, _ in REACH.values() if hasattr(memory, name)]
    attempt = getattr(memory, "n_tries", state.escapes)
    return Point(
        steps=int(state.steps[row]),
        energy=float(state.energy[row]) if is_known else math.nan,
        max_force=float(state.max_force[row]) if is_known else math.nan,
        lowest=_finite(lowest) if is_known else math.nan,
        second=_finite(second) if is_known else math.nan,
        order=int(state.order[row]),
        reach=float(reach[0][row]) if reach else math.nan,
        escapes=int(state.escapes[row]),
        attempt=int(attempt[row]) if hasattr(memory, "n_tries") else 0,
        positions=state.batch.positions[row, :n].cpu().numpy(),
        mode=_climbed(frame, row)[:n],
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _climbed(frame: Frame, row: int) -> Float[np.ndarray, "n 3"]:
    state = frame.state
    mode = state.spectrum.modes[row, :, 0]
    followed = getattr(state.memory, "mode", None)
    if followed is not None and followed[row].any():
        mode = followed[row]
    is_settling = getattr(state.memory, "is_settling", None)
    if is_settling is not None and bool(is_settling[row]):
        mode = torch.zeros_like(mode)
    moved = (state.batch.inverse_sqrt_masses[row] * mode).reshape(-1, 3)
    farthest = moved.norm(dim=-1).max().clamp(min=1e-12)
    return (moved / farthest).cpu().numpy()


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
        return np.array([getattr(point, name) for point in self.points], dtype=float)

    def rises(self, name: str) -> list[int]:
        """The steps at which a counter (`escapes`, `attempt`) rose."""
        counted = self.column(name)
        return [self.points[i].steps for i in np.flatnonzero(np.diff(counted, prepend=0) > 0)]

    def changed(self) -> dict[str, float]:
        """The knobs of the run that differ from the defaults."""
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
        "knobs": ", ".join(shown) or "defaults",
        "criteria met": _criteria(record),
        "steps": "" if last is None else last.steps,
        "largest force (eV/Å)": "" if last is None else f"{last.max_force:.2g}",
        "imaginary (cm⁻¹)": _number(record and record.imaginary_cm1, "{:.0f}i"),
        "gradients": "" if record is None else record.n_gradient,
        "Hessians": "" if record is None else record.n_hessian,
        "wall (s)": "" if record is None else f"{record.elapsed_s:.2g}",
    }


def _criteria(record: Record | None) -> str:
    if record is None:
        return "stopped"
    names = [name for name in ("index1", "strict", "bound") if getattr(record, name)]
    return ", ".join(names) or "none"


def _number(value: float | None, form: str) -> str:
    return form.format(value) if value else ""
