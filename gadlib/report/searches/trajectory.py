"""One search, step by step: energy, force, eigenvalues, order, reach, escapes and tries."""

from __future__ import annotations

from collections.abc import Sequence

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
from gadlib.screening.trajectories import Point, Trajectory, column, rises

REACH_LABELS = {"gad": "time step\n(Å²/eV)", "trust": "trust radius\n(Å)", "delta": "reach\n(Å)"}
"""What limits the steps of a solver, as its axis is labelled."""

_COUNTERS = (("escapes", "--", "escape"), ("n_tries", ":", "next try"))


def draw_trajectory(trajectory: Trajectory) -> Figure:
    """Energy, force, eigenvalues and order over the steps, and what limits them where it is known.

    Dashed lines are escapes, dotted ones the beginnings of further tries.
    """
    name, solver, points = trajectory
    reach = column(points, "reach")
    n_panels = 4 if np.isnan(reach).all() else 5
    figure, axes = panels(
        n_panels, 1, width=7.0, height=1.45 * n_panels + 0.6, sharex=len(points) > 0
    )
    if not points:
        for ax in axes.flat:
            say(ax, "This search has no point." if ax is axes[0, 0] else "")
        return figure
    figure.suptitle(f"{name}: {points[-1].sentence}", fontsize=10)
    _draw_curves(axes[:, 0], points)
    if n_panels == 5:
        _log(axes[4, 0], column(points, "steps"), reach, ORANGE, REACH_LABELS[solver])
    for counter, style, label in _COUNTERS:
        steps = rises(points, counter)
        for ax in axes[:, 0]:
            for step in steps:
                ax.axvline(step, color=GREY, linestyle=style, linewidth=0.9)
        if steps:
            axes[0, 0].plot([], [], color=GREY, linestyle=style, label=label)
            axes[0, 0].legend(loc="best", **LEGEND)
    axes[-1, 0].set_xlabel("steps")
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels(axes[:, 0])
    return figure


def _draw_curves(axes: np.ndarray, points: Sequence[Point]) -> None:
    energy, force, eigenvalues, order = axes[:4]
    x, energies = column(points, "steps"), column(points, "energy")
    marker = "o" if len(x) == 1 else None
    energy.plot(x, energies - energies[0], color=BLUE, marker=marker)
    energy.set_ylabel("energy − start\n(eV)")
    _log(force, x, column(points, "max_force"), VERMILLION, "largest force\n(eV/Å)")
    for name, colour in (("lowest", PURPLE), ("second", GREEN)):
        eigenvalues.plot(x, column(points, name), marker=marker, color=colour, label=name)
    eigenvalues.axhline(0, color=BLACK, linewidth=0.7)
    # Converged curvatures lie within 0.1 of zero, those of a distorted start far from it.
    eigenvalues.set_yscale("symlog", linthresh=0.1)
    eigenvalues.set_ylabel("eigenvalues\n(eV/Å²/amu)")
    eigenvalues.legend(ncols=2, loc="best", **LEGEND)
    order.step(x, column(points, "order"), where="mid", color=BLACK, marker=marker)
    order.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    order.set_ylabel("order")


def _log(ax: Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    if not (values > 0).any():
        say(ax, "No point of this search could be computed.")
        return
    ax.plot(x, values, color=colour, marker="o" if len(x) == 1 else None)
    ax.set_yscale("log")
    ax.set_ylabel(label)
