"""What a run found as text in extxyz, for a file: its last point, and the path from its saddle."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from gadlib.explore.tasks.series import Run


def last_point(run: Run) -> tuple[str, str]:
    """The name of a file and its text: where the search ended, with the mode it climbed last.

    Energy in eV, positions in A; `mode` is the displacement with the farthest atom moved by 1.
    """
    point = run.points[-1]
    about = {"name": run.task.start.name, "order": point.order}
    if run.record is not None and run.record.imaginary_cm1:
        about["imaginary_cm1"] = round(run.record.imaginary_cm1, 1)
    atoms = _atoms(run.atomic_numbers, point.positions, point.energy, about)
    if point.mode.any():
        atoms.arrays["mode"] = point.mode.round(6)
    kind = "saddle" if run.record is not None and run.record.converged else "point"
    return f"{_stem(run)}-{kind}.xyz", _text([atoms])


def whole_path(run: Run) -> tuple[str, str]:
    """The name of a file and its text: each point of the path with its energy and arc."""
    return f"{_stem(run)}-path.xyz", _text(_points(run))


def _points(run: Run) -> Iterator[Atoms]:
    path = run.path
    assert path is not None and path.energy is not None
    for arc, energy, positions in zip(path.travelled, path.energies, path.positions, strict=True):
        about = {"name": path.name, "travelled": arc}
        yield _atoms(run.atomic_numbers, np.array(positions), path.energy + energy, about)


def _atoms(numbers: np.ndarray, positions: np.ndarray, energy: float, about: dict) -> Atoms:
    atoms = Atoms(numbers, positions, info={k: v for k, v in about.items() if v is not None})
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def _text(frames: Iterable[Atoms]) -> str:
    buffer = io.StringIO()
    write(buffer, list(frames), format="extxyz")
    return buffer.getvalue()


def _stem(run: Run) -> str:
    plain = re.sub(r"[^\w.-]+", "_", run.task.start.name).strip("_.") or "molecule"
    return f"{plain}-run{run.number}"
