"""What a run found as text in extxyz, for a file: its last point, and the path from its saddle."""

from __future__ import annotations

import re
from dataclasses import replace

from gadlib.explore.tasks.series import Run
from gadlib.molecules.formats import output
from gadlib.paths.atoms import frames_of
from gadlib.screening.atoms import atoms_of
from gadlib.screening.records import Record
from gadlib.solver.state import Status


def last_point(run: Run) -> tuple[str, str]:
    """The name of a file and its text: where the search ended, or was stopped."""
    record = run.record
    if record is None:
        point = run.points[-1]
        record = replace(
            Record.blank(run.task.start, Status.STOPPED, run.sentence),
            positions=point.positions.tolist(),
            energy=point.energy,
        )
    kind = "saddle" if record.strict else "point"
    return f"{_stem(run)}-{kind}.xyz", output.extxyz([atoms_of(record)])


def whole_path(run: Run) -> tuple[str, str]:
    """The name of a file and its text: each point of the path that was found."""
    assert run.path is not None
    return f"{_stem(run)}-path.xyz", output.extxyz(frames_of(run.path))


def _stem(run: Run) -> str:
    plain = re.sub(r"[^\w.-]+", "_", run.task.start.name).strip("_.") or "molecule"
    return f"{plain}-run{run.number}"
