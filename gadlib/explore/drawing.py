"""The page's figures as PNG: the curves of runs, and the map of a sweep.

They are drawn without pyplot, because they are drawn beside the main thread. Floor 5.
"""

from __future__ import annotations

import io
import textwrap
import threading
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

from gadlib.criteria import FORCE_TOL
from gadlib.explore.series import REACH, Run
from gadlib.explore.sweep import Axis, Map
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

RUN_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
_DPI = 100
_DRAWING = threading.Lock()
"""matplotlib sets its style for the whole process, so that one figure is drawn at a time."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def curves_png(runs: Sequence[Run]) -> bytes:
    """The curves of the runs as a PNG, a colour each."""
    with _DRAWING:
        return png(draw_curves(runs))


def map_png(found: Map, n_steps: int) -> bytes:
    """The map of a sweep as a PNG."""
    with _DRAWING:
        return png(draw_map(found, n_steps))


def draw_curves(runs: Sequence[Run]) -> Figure:
    """Energy, largest force, two lowest eigenvalues, order and reach of each run over its steps.

    Dashed lines are escapes, dotted ones the beginnings of further tries.
    """
    figure, axes = panels(3, 2, figure=Figure(figsize=(8.0, 6.0)), sharex=True)
    figure.subplots_adjust(0.105, 0.075, 0.985, 0.97, wspace=0.3, hspace=0.12)
    for number, run in enumerate(runs):
        if run.points:
            _add(axes, run, RUN_COLOURS[number % len(RUN_COLOURS)])
    energy, force, eigenvalues, order, reach, legend = axes.flat
    _scales(energy, force, eigenvalues, order)
    labels = {run.settings.solver: REACH[run.settings.solver][1] for run in runs}
    reach.set(yscale="log", ylabel=next(iter(labels.values())) if len(labels) == 1 else "reach")
    _plain(reach)
    reach.set_xlabel("steps")
    order.tick_params(labelbottom=True)
    reach.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(legend, runs)
    figure.align_ylabels(axes)
    return figure


def _add(axes: np.ndarray, run: Run, colour: str) -> None:
    energy, force, eigenvalues, order, reach, _ = axes.flat
    x = run.column("steps")
    line = {"color": colour, "linewidth": 1.3, "marker": "o" if len(x) == 1 else None}
    values = run.column("energy")
    energy.plot(x, values - values[0], **line)
    force.plot(x, run.column("max_force"), **line)
    eigenvalues.plot(x, run.column("lowest"), **line)
    eigenvalues.plot(x, run.column("second"), **line | {"linewidth": 0.8, "linestyle": "--"})
    order.step(x, run.column("order"), where="mid", **line)
    reach.plot(x, run.column("reach"), **line)
    for ax in (energy, force, eigenvalues, order, reach):
        for counter, style in (("escapes", "--"), ("attempt", ":")):
            for step in run.rises(counter):
                ax.axvline(step, color=colour, linestyle=style, linewidth=0.8, alpha=0.6)


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
    order.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _plain(ax: Axes) -> None:
    """Few ticks in plain numbers: most of the time of drawing goes into the others."""
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _legend(ax: Axes, runs: Sequence[Run]) -> None:
    ax.set_axis_off()
    for number, run in enumerate(runs):
        ax.plot([], [], color=RUN_COLOURS[number % len(RUN_COLOURS)], label=run.label)
    marks = (("lowest", "-"), ("second", "--")) if runs else ()
    for label, style in marks:
        ax.plot([], [], color=GREY, linestyle=style, label=f"{label} eigenvalue")
    for counter, style, label in (("escapes", "--", "escape"), ("attempt", ":", "next try")):
        if any(run.rises(counter) for run in runs):
            ax.plot([], [], color=GREY, linestyle=style, linewidth=0.8, label=f"{label} (upright)")
    if runs:
        ax.plot(
            [], [], color=GREY, linewidth=0.8, label=f"{FORCE_TOL:g} eV/Å, the strict criterion"
        )
        ax.legend(loc="upper left", bbox_to_anchor=(-0.08, 0.92), **LEGEND)
    else:
        say(ax, "No search yet.")


def draw_map(found: Map, n_steps: int) -> Figure:
    """Steps at each value of one knob, or as a heat map over two; failures are crosses."""
    figure, axes = panels(figure=Figure(figsize=(6.4, 3.9), layout="constrained"))
    ax = axes[0, 0]
    if np.isnan(found.steps).all():
        say(ax, "No search of the sweep has ended yet.")
    elif found.y is None:
        _draw_line(ax, found)
    else:
        _draw_heat(ax, found, n_steps)
    return figure


def _draw_line(ax: Axes, found: Map) -> None:
    x, steps, is_converged = found.x.values, found.steps[0], found.is_converged[0]
    ended = ~np.isnan(steps)
    ax.plot(x, steps, color=GREY, linewidth=0.9)
    for chosen, colour, marker, label in (
        (is_converged, BLUE, "o", "converged"),
        (ended & ~is_converged, VERMILLION, "x", "not converged"),
    ):
        if chosen.any():
            shown = np.asarray(x)[chosen]
            ax.scatter(shown, steps[chosen], color=colour, marker=marker, label=label, zorder=3)
    ax.set(xscale="log" if found.x.knob.log else "linear", xlabel=found.x.label, ylabel="steps")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(bottom=0)
    ax.set_title("Steps until the search ended", loc="left")
    ax.legend(loc="best", **LEGEND)


def _draw_heat(ax: Axes, found: Map, n_steps: int) -> None:
    assert found.y is not None
    shown = np.where(found.is_converged, found.steps, np.nan)
    image = ax.imshow(shown, cmap="cividis_r", vmin=0, vmax=n_steps, origin="lower", aspect="auto")
    rows, columns = np.nonzero(~np.isnan(found.steps) & ~found.is_converged)
    ax.scatter(columns, rows, marker="x", color=VERMILLION, label="not converged")
    _ticks(ax, "x", found.x)
    _ticks(ax, "y", found.y)
    ax.grid(visible=False)
    ax.set_title("Steps to convergence (crosses: not converged)", loc="left")
    ax.figure.colorbar(image, ax=ax, label="steps")


def _ticks(ax: Axes, name: str, axis: Axis) -> None:
    every = max(1, -(-len(axis.values) // 10))
    places = range(0, len(axis.values), every)
    labels = [textwrap.shorten(f"{axis.values[i]:.3g}", 8) for i in places]
    ax.set(
        **{f"{name}ticks": list(places), f"{name}ticklabels": labels, f"{name}label": axis.label}
    )
