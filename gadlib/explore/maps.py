"""The map of a sweep as a figure: steps over one hyperparameter, or over two."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from gadlib.explore.stage import DRAWING, blank, png
from gadlib.explore.tasks.sweep import Axis, Map
from gadlib.report.style import BLUE, GREY, LEGEND, VERMILLION, label_bar, panels, say


def map_png(found: Map, n_steps: int) -> bytes:
    """The map of a sweep as a PNG."""
    with DRAWING:
        return png(draw_map(found, n_steps))


def draw_map(found: Map, n_steps: int) -> Figure:
    """Steps against one hyperparameter, or as a heat map over two; failures are crosses."""
    figure, axes = panels(figure=blank(6.4, 3.9, layout="constrained"))
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
    ax.set(
        xscale="log" if found.x.hyperparameter.log else "linear",
        xlabel=found.x.label,
        ylabel="steps",
    )
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(bottom=0)
    ax.set_title("Steps until the search ended", loc="left")
    _legend(ax)


def _draw_heat(ax: Axes, found: Map, n_steps: int) -> None:
    assert found.y is not None
    shown = np.where(found.is_converged, found.steps, np.nan)
    image = ax.imshow(shown, cmap="cividis_r", vmin=0, vmax=n_steps, origin="lower", aspect="auto")
    rows, columns = np.nonzero(~np.isnan(found.steps) & ~found.is_converged)
    ax.scatter(columns, rows, marker="x", color=VERMILLION, label="not converged")
    _ticks(ax, "x", found.x)
    _ticks(ax, "y", found.y)
    ax.grid(visible=False)
    ax.set_title("Steps to convergence", loc="left")
    if len(rows):
        _legend(ax)
    label_bar(ax.figure.colorbar(image, ax=ax), "steps")


def _legend(ax: Axes) -> None:
    """The legend above the axes, where nothing in it can be taken for a point of theirs."""
    place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
    ax.legend(ncols=2, handletextpad=0.2, **place, **LEGEND)


def _ticks(ax: Axes, name: str, axis: Axis) -> None:
    every = max(1, -(-len(axis.values) // 10))
    places = range(0, len(axis.values), every)
    labels = [textwrap.shorten(f"{axis.values[i]:.3g}", 8) for i in places]
    ax.set(
        **{f"{name}ticks": list(places), f"{name}ticklabels": labels, f"{name}label": axis.label}
    )
