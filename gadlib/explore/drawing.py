"""The curves of runs, while they grow and afterwards, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from gadlib.explore.stage import DRAWING, Stage, blank, png
from gadlib.explore.tasks.series import Run
from gadlib.report.searches.trajectory import REACH_LABELS
from gadlib.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    panels,
    say,
)
from gadlib.solver.criteria import FORCE_TOL

RUN_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)

_SIZE = (6.6, 5.4)


def curves_png(runs: Sequence[Run]) -> bytes:
    """The curves of the runs as a PNG, a colour each."""
    with DRAWING:
        return png(draw_curves(runs))


def draw_curves(runs: Sequence[Run]) -> Figure:
    """Energy, largest force, two lowest eigenvalues, order and reach of each run over its steps.

    Dashed lines are escapes, dotted ones the beginnings of further tries.
    """
    if not runs:
        figure, axes = panels(figure=blank(*_SIZE))
        say(axes[0, 0], "No search yet.")
        return figure
    figure, axes = _empty(runs)
    for number, run in enumerate(runs):
        if run.points:
            _add(axes, run, RUN_COLOURS[number % len(RUN_COLOURS)])
    return figure


class LiveCurves:
    """The curves of growing runs, drawn in a twentieth of a second.

    Axes and labels take most of the time of a figure: they are drawn once, within limits that grow
    by leaps, and only the lines anew.
    """

    def __init__(self) -> None:
        self._ends = {"steps": 25.0, "rise": 1.0, "fall": -5.0, "order": 8.0}
        with DRAWING:
            figure, self._axes = _empty([], is_live=True)
            self._limit()
            self._stage = Stage(figure)

    def png(self, runs: Sequence[Run]) -> bytes:
        """The curves of the runs that have points, a colour each, as a PNG."""
        shown = [run for run in runs if run.points]
        with DRAWING:
            if self._grow(shown):
                self._limit()
                self._stage.redraw()
            lines = [
                line
                for number, run in enumerate(shown)
                for line in _add(self._axes, run, RUN_COLOURS[number % len(RUN_COLOURS)])
            ]
            return self._stage.png(lines)

    def _grow(self, runs: Sequence[Run]) -> bool:
        """Whether the limits had to grow for the runs."""
        before = dict(self._ends)
        for run in runs:
            rise = run.column("energy") - run.points[0].energy
            for name, value in (
                ("steps", run.points[-1].steps),
                ("rise", np.nanmax(rise, initial=0.0)),
                ("fall", np.nanmin(rise, initial=0.0)),
                ("order", np.nanmax(run.column("order"), initial=0.0)),
            ):
                while abs(value) > abs(self._ends[name]) and value * self._ends[name] > 0:
                    self._ends[name] *= 2
        return self._ends != before

    def _limit(self) -> None:
        energy, force, eigenvalues, order, reach, _ = self._axes.flat
        margin = 0.03 * (self._ends["rise"] - self._ends["fall"])
        reach.set(xlim=(-0.02 * self._ends["steps"], self._ends["steps"]), ylim=(3e-4, 1.2))
        energy.set_ylim(self._ends["fall"] - margin, self._ends["rise"] + margin)
        force.set_ylim(1e-3, 3e2)
        eigenvalues.set_ylim(-1e2, 1e1)
        order.set_ylim(-0.3, self._ends["order"] + 0.3)


def _empty(runs: Sequence[Run], *, is_live: bool = False) -> tuple[Figure, np.ndarray]:
    """The figure of the curves without any, and its axes."""
    figure, axes = panels(3, 2, figure=blank(*_SIZE), sharex=True)
    figure.subplots_adjust(0.12, 0.08, 0.985, 0.975, wspace=0.36, hspace=0.13)
    energy, force, eigenvalues, order, reach, legend = axes.flat
    _scales(energy, force, eigenvalues, order)
    labels = {run.settings.solver: REACH_LABELS[run.settings.solver] for run in runs}
    label = next(iter(labels.values())) if len(labels) == 1 else "time step (Å²/eV)\nor radius (Å)"
    reach.set(yscale="log", ylabel=label)
    _plain(reach)
    if not is_live:  # one that ended may lie within a decade
        reach.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    order.tick_params(labelbottom=True)
    reach.set_xlabel("steps")
    reach.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    energy.yaxis.set_major_locator(MaxNLocator(4))
    _legend(legend, runs, is_live=is_live)
    figure.align_ylabels(axes)
    return figure, axes


def _add(axes: np.ndarray, run: Run, colour: str) -> list[Line2D]:
    energy, force, eigenvalues, order, reach, _ = axes.flat
    x = run.column("steps")
    line: dict[str, Any] = {
        "color": colour,
        "linewidth": 1.3,
        "marker": "o" if len(x) == 1 else None,
    }
    thin = line | {"linewidth": 0.8, "linestyle": "--"}
    values = run.column("energy")
    lines = [
        *energy.plot(x, values - values[0], **line),
        *force.plot(x, run.column("max_force"), **line),
        *eigenvalues.plot(x, run.column("lowest"), **line),
        *eigenvalues.plot(x, run.column("second"), **thin),
        *order.step(x, run.column("order"), where="mid", **line),
        *reach.plot(x, run.column("reach"), **line),
    ]
    for ax in (energy, force, eigenvalues, order, reach):
        for counter, style in (("escapes", "--"), ("n_tries", ":")):
            lines += [
                ax.axvline(step, color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
                for step in run.rises(counter)
            ]
    return lines


def _scales(energy: Axes, force: Axes, eigenvalues: Axes, order: Axes) -> None:
    energy.set_ylabel("energy − start\n(eV)")
    force.axhline(FORCE_TOL, color=GREY, linewidth=0.8)
    force.set(yscale="log", ylabel="largest force\n(eV/Å)")
    eigenvalues.axhline(0, color=BLACK, linewidth=0.7)
    # Converged curvatures lie within 0.1 of zero, those of a distorted start far from it.
    eigenvalues.set_yscale("symlog", linthresh=0.1)
    eigenvalues.set_ylabel("eigenvalues\n(eV/Å²/amu)")
    for ax in (force, eigenvalues):
        _plain(ax)
    order.set_ylabel("order")
    order.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def _plain(ax: Axes) -> None:
    """Few ticks in plain numbers: most of the time of drawing goes into the others."""
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _legend(ax: Axes, runs: Sequence[Run], *, is_live: bool) -> None:
    ax.set_axis_off()
    for number, run in enumerate(runs):
        ax.plot([], [], color=RUN_COLOURS[number % len(RUN_COLOURS)], label=run.label)
    for label, style, width in (
        ("lowest eigenvalue", "-", 1.3),
        ("second eigenvalue", "--", 0.8),
        (f"{FORCE_TOL:g} eV/Å, the bound of strict", "-", 0.8),
    ):
        ax.plot([], [], color=GREY, linestyle=style, linewidth=width, label=label)
    for counter, style, label in (("escapes", "--", "escape"), ("n_tries", ":", "next try")):
        if is_live or any(run.rises(counter) for run in runs):
            ax.plot([], [], color=GREY, linestyle=style, linewidth=0.8, label=f"{label} (upright)")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.08, 0.92), **LEGEND)
