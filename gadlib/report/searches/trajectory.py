"""One search, step by step: energy, force, eigenvalues, order, time step, escapes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gadlib.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    PURPLE,
    VERMILLION,
    panels,
    say,
)
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.screening.setup import starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.search import Frame


class Trajectory(NamedTuple):
    """One search; every array has a value per frame, NaN where the point could not be computed.

    Attributes:
        name: of the reaction.
        steps: moves made so far.
        energy: in eV.
        max_force: largest force on an atom in eV/A.
        eigenvalues: the two lowest, in eV/(A^2 amu).
        order: negative vibrational eigenvalues.
        time_step: in A^2/eV; None for a solver that has none.
        escapes: the steps that were escapes.
        ending: how the search ended, in a sentence.
    """

    name: str
    steps: np.ndarray
    energy: np.ndarray
    max_force: np.ndarray
    eigenvalues: np.ndarray
    order: np.ndarray
    time_step: np.ndarray | None
    escapes: tuple[int, ...]
    ending: str


def collect_trajectory(frames: Iterable[Frame], *, index: int = 0, name: str = "") -> Trajectory:
    """The search of the system that stands at `index` of the batch, from the frames of a search.

    Raises:
        ValueError: when no frame has that system.
    """
    points = [
        _point(frame, row)
        for frame in frames
        for row in (frame.state.index == index).nonzero().flatten().tolist()
    ]
    if not points:
        raise ValueError(f"index {index}: no frame has that system")
    columns = {field: np.array([getattr(p, field) for p in points]) for field in _Point._fields}
    has_time_step = not np.isnan(columns["time_step"]).all()
    escaped = np.diff(columns["escapes"], prepend=0) > 0
    return Trajectory(
        name=name,
        steps=columns["steps"],
        energy=columns["energy"],
        max_force=columns["max_force"],
        eigenvalues=columns["eigenvalues"],
        order=columns["order"],
        time_step=columns["time_step"] if has_time_step else None,
        escapes=tuple(columns["steps"][escaped].tolist()),
        ending=points[-1].sentence,
    )


class _Point(NamedTuple):
    steps: int
    escapes: int
    sentence: str
    energy: float = math.nan
    max_force: float = math.nan
    eigenvalues: tuple[float, ...] = (math.nan, math.nan)
    order: float = math.nan
    time_step: float = math.nan


def _point(frame: Frame, row: int) -> _Point:
    state, message = frame.state, frame.state.message[row]
    sentence = f"{frame.status[row].sentence} {message}".strip()
    point = _Point(int(state.steps[row]), int(state.escapes[row]), sentence)
    if message:
        return point
    lowest = [v if math.isfinite(v) else math.nan for v in state.spectrum.eigenvalues[row].tolist()]
    time_step = getattr(state.memory, "time_step", None)
    return point._replace(
        energy=float(state.energy[row]),
        max_force=float(state.max_force[row]),
        eigenvalues=tuple([*lowest, math.nan, math.nan][:2]),
        order=float(state.order[row]),
        time_step=math.nan if time_step is None else float(time_step[row]),
    )


def repeat_search(record: Record, settings: SearchSettings) -> Trajectory:
    """The trajectory behind a record, from the same search made again in this process.

    Raises:
        InputError: when the settings do not lead to the record's starting point.
    """
    found = [
        start
        for start in starts_of(settings)
        if (start.name, start.noise_seed) == (record.name, record.noise_seed)
    ]
    if not found:
        raise InputError(f"record {record.name!r}: not among the starts that the settings name")
    frames: list[Frame] = []
    search_starts(Job.of(settings, found[:1]), on_frame=frames.append)
    return collect_trajectory(frames, name=f"{record.name} ({record.formula})")


def draw_trajectory(trajectory: Trajectory) -> Figure:
    """Five panels over the steps, or four without time steps; dashed lines are escapes."""
    n_panels = 4 if trajectory.time_step is None else 5
    figure, axes = panels(
        n_panels, 1, width=7.0, height=1.45 * n_panels + 0.6, sharex=len(trajectory.steps) > 0
    )
    figure.suptitle(f"{trajectory.name}: {trajectory.ending}", fontsize=10)
    energy, force, eigenvalues, order = axes[:4, 0]
    x = trajectory.steps
    marker = "o" if len(x) == 1 else None
    energy.plot(x, trajectory.energy - trajectory.energy[0], color=BLUE, marker=marker)
    energy.set_ylabel("energy − start\n(eV)")
    _log(force, x, trajectory.max_force, VERMILLION, "largest force\n(eV/Å)")
    lines = eigenvalues.plot(x, trajectory.eigenvalues, marker=marker)
    for line, colour, label in zip(lines, (PURPLE, GREEN), ("lowest", "second"), strict=True):
        line.set(color=colour, label=label)
    eigenvalues.axhline(0, color=BLACK, linewidth=0.7)
    # Converged curvatures lie within 0.1 of zero, those of a distorted start far from it.
    eigenvalues.set_yscale("symlog", linthresh=0.1)
    eigenvalues.set_ylabel("eigenvalues\n(eV/Å²/amu)")
    eigenvalues.legend(ncols=2, loc="best", **LEGEND)
    order.step(x, trajectory.order, where="mid", color=BLACK, marker=marker)
    order.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    order.set_ylabel("order")
    if trajectory.time_step is not None:
        _log(axes[4, 0], x, trajectory.time_step, ORANGE, "time step\n(Å²/eV)")
    for ax in axes[:, 0]:
        for step in trajectory.escapes:
            ax.axvline(step, color=GREY, linestyle="--", linewidth=0.9)
    if trajectory.escapes:
        axes[0, 0].plot([], [], color=GREY, linestyle="--", label="escape")
        axes[0, 0].legend(loc="best", **LEGEND)
    axes[-1, 0].set_xlabel("steps")
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels(axes[:, 0])
    return figure


def _log(ax: Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    if not (values > 0).any():
        say(ax, "No point of this search could be computed.")
        return
    ax.plot(x, values, color=colour, marker="o" if len(x) == 1 else None)
    ax.set_yscale("log")
    ax.set_ylabel(label)
