"""A search moment by moment, for those who draw it or watch it: points, and the search made again.

A record keeps where a search ended; how it came there is asked of the same search, repeated.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from gadlib.molecules.geometries import Geometry
from gadlib.molecules.starting_points import Start, at_geometry
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.portfolios import kept_start
from gadlib.screening.records import Record
from gadlib.screening.search import completed
from gadlib.screening.setup import starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import GuessSettings, SearchSettings
from gadlib.solver.goal import Frame
from gadlib.solver.state import Status

_REACH = ("time_step", "radius")
"""What limits the steps of `gad` and of `trust`, by its name in their memory."""


class Point(NamedTuple):
    """One moment of a search; numbers are NaN, and the order None, where nothing could be computed.

    Attributes:
        steps: moves made so far.
        status, message: how the search stands, and why it failed, if it did.
        energy: in eV.
        max_force: largest force on an atom in eV/A.
        lowest, second: vibrational eigenvalues in eV/(A^2 amu).
        order: negative vibrational eigenvalues.
        reach: the time step in A^2/eV, or the trust radius in A.
        escapes, n_tries: escapes made, and tries that ended before.
        positions: in A.
        mode: the climbed mode as a Cartesian displacement, the farthest atom by 1; zero where none
            is climbed.
    """

    steps: int
    status: Status
    message: str
    energy: float
    max_force: float
    lowest: float
    second: float
    order: int | None
    reach: float
    escapes: int
    n_tries: int
    positions: Float[np.ndarray, "n 3"]
    mode: Float[np.ndarray, "n 3"]

    @property
    def sentence(self) -> str:
        """How the search stands, in words."""
        return f"{self.status.sentence} {self.message}".strip()


def point_of(frame: Frame, row: int = 0) -> Point:
    """The moment of one system of a frame."""
    state, memory = frame.state, frame.state.memory
    is_known = not state.message[row]
    lowest, second, *_ = [*state.spectrum.eigenvalues[row].tolist(), math.nan, math.nan]
    n = int(state.batch.n_atoms[row])
    reach = [getattr(memory, name) for name in _REACH if hasattr(memory, name)]
    return Point(
        steps=int(state.steps[row]),
        status=frame.status[row],
        message=state.message[row],
        energy=float(state.energy[row]) if is_known else math.nan,
        max_force=float(state.max_force[row]) if is_known else math.nan,
        lowest=_finite(lowest) if is_known else math.nan,
        second=_finite(second) if is_known else math.nan,
        order=int(state.order[row]) if is_known else None,
        reach=float(reach[0][row]) if reach and is_known else math.nan,
        escapes=int(state.escapes[row]),
        n_tries=int(memory.n_tries[row]) if hasattr(memory, "n_tries") else 0,
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


class Trajectory(NamedTuple):
    """One search, from its start to where it ended.

    Attributes:
        name: of what was searched.
        solver: that searched.
        points: one for each frame.
    """

    name: str
    solver: str
    points: Sequence[Point]


def trace(frames: Iterable[Frame]) -> dict[int, list[Point]]:
    """The points of each system, by its index in the batch that was searched."""
    found: defaultdict[int, list[Point]] = defaultdict(list)
    for frame in frames:
        for row, index in enumerate(frame.state.index.tolist()):
            found[index].append(point_of(frame, row))
    return dict(found)


def column(points: Sequence[Point], name: str) -> Float[np.ndarray, " T"]:
    """The values of one quantity at all points; NaN where it is not known."""
    return np.array([getattr(point, name) for point in points], dtype=float)


def rises(points: Sequence[Point], name: str) -> list[int]:
    """The steps at which a counter (`escapes`, `n_tries`) rose."""
    counted = column(points, name)
    return [points[i].steps for i in np.flatnonzero(np.diff(counted, prepend=0) > 0).tolist()]


def repeat_search(
    record: Record,
    settings: SearchSettings | Mapping[str, Any] | None = None,
    **given: Any,
) -> Trajectory:
    """The search behind a record, made again in this process; that of an own geometry, too.

    Of the searches of a portfolio it is the one that the record was kept from.

    As in `repeat_search(record)` for a record of `search("my.xyz")`, and, for one of a result file,
    `repeat_search(record, settings)` with the settings that `read_records` gives.

    Args:
        record: of the search.
        settings: that it was made with; what they do not set has the default that `search` gives.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when the settings do not lead to the record's starting point.
    """
    is_own = not record.split
    if isinstance(settings, Mapping):  # of whatever ran: a screening has settings besides
        kind = GuessSettings if is_own else SearchSettings
        settings = kind.read(
            {name: settings[name] for name in kind.model_fields if name in settings}
        )
    asked = completed(settings, given, is_own=is_own)
    start = _own_start(record) if is_own else _start_in_set(record, asked)
    frames: list[Frame] = []
    search_starts(Job.of(asked, [start]), on_frame=frames.append)
    name = f"{record.name} ({record.formula})"
    return Trajectory(name, asked.solver, trace(frames).get(0, []))


def _start_in_set(record: Record, settings: SearchSettings) -> Start:
    for start in starts_of(settings):
        if (start.name, start.noise_seed) == (record.name, record.noise_seed):
            return kept_start(start, record)
    raise InputError(f"record {record.name!r}: not among the starts that the settings name")


def _own_start(record: Record) -> Start:
    """Where the search of a geometry of one's own began, which its record keeps."""
    if len(record.began_at) != len(record.atomic_numbers):
        raise InputError(
            f"record {record.name!r}: of an earlier gadlib, which did not keep where a search of"
            f" {record.start} began; expected one of this version, made by searching that anew"
        )
    geometry = Geometry(
        record.name,
        np.array(record.atomic_numbers, dtype=int),
        np.array(record.began_at, dtype=float).reshape(-1, 3),
        charge=record.charge,
        multiplicity=record.multiplicity,
    )
    return at_geometry(geometry, record.start)
