"""A surface as `gadlib.screening.surfaces` maps it: contours, flows, and searches over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from gadlib.report.style import GREEN, LEGEND, ORANGE, PURPLE, VERMILLION, axes_or_new, panels
from gadlib.screening.surfaces import Landscape
from gadlib.screening.trajectories import Point
from gadlib.solver.state import Status

_PATHS = (VERMILLION, GREEN, PURPLE, ORANGE)


def draw_surface(landscape: Landscape, *, ax: Axes | None = None) -> Axes:
    """Contours of the energy, with the known minima (dots) and saddles (crosses)."""
    ax = axes_or_new(ax, width=5.2, height=4.4)
    low = landscape.energy.min()
    levels = np.linspace(low, landscape.top + 1.3 * (landscape.top - low), 22)
    shades = ListedColormap(plt.get_cmap("Blues_r")(np.linspace(0.1, 0.95, 256)))
    ax.contourf(
        landscape.x, landscape.y, landscape.energy, levels=levels, cmap=shades, extend="max"
    )
    ax.contour(
        landscape.x, landscape.y, landscape.energy, levels=levels, colors="white", linewidths=0.3
    )
    dot: Any = {"s": 55, "color": "white", "edgecolor": "black", "zorder": 5}
    ax.scatter(*landscape.minima.T, marker="o", label="minimum", **dot)
    ax.scatter(*landscape.saddles.T, marker="X", label="saddle", **dot)
    ax.set(xlabel="x (Å)", ylabel="y (Å)", xlim=landscape.x[[0, -1]], ylim=landscape.y[[0, -1]])
    ax.grid(visible=False)
    return ax


def draw_flows(landscape: Landscape) -> Figure:
    """Steepest descent beside gentlest ascent: where each leads from anywhere."""
    figure, axes = panels(1, 2, width=9.0, height=4.2, sharey=True)
    fields = (
        ("Steepest descent: ends at minima", landscape.forces),
        ("Gentlest ascent: ends at saddles", landscape.ascent),
    )
    for ax, (title, field) in zip(axes[0], fields, strict=True):
        draw_surface(landscape, ax=ax)
        ax.streamplot(
            landscape.x,
            landscape.y,
            field[..., 0],
            field[..., 1],
            color="#333333",
            linewidth=0.7,
            arrowsize=0.8,
            density=1.3,
        )
        ax.contour(
            landscape.x,
            landscape.y,
            landscape.lowest,
            levels=[0.0],
            colors=VERMILLION,
            linestyles="--",
        )
        ax.set_title(title, loc="left")
    axes[0, 1].set_ylabel("")
    ax = axes[0, 0]
    ax.plot([], [], color=VERMILLION, linestyle="--", label="lowest curvature zero")
    ax.fill_between([], [], color="#08509B", label="low energy")
    ax.fill_between([], [], color="#E8F1FA", label="high energy")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5, **LEGEND)
    return figure


def draw_paths(landscape: Landscape, paths: Mapping[str, Sequence[Sequence[Point]]]) -> Figure:
    """The searches of each solver over the surface, from the square to the star, side by side."""
    figure, axes = panels(1, len(paths), width=4.5 * len(paths), height=4.2, sharey=True)
    for ax, (solver, searches) in zip(axes[0], paths.items(), strict=True):
        draw_surface(landscape, ax=ax)
        for number, points in enumerate(searches):
            _draw_path(ax, points, _PATHS[number % len(_PATHS)])
        ax.set_title(solver, loc="left")
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[2:], labels[2:], loc="upper right", fontsize=7, framealpha=0.9)
    for ax in axes[0, 1:]:
        ax.set_ylabel("")
    return figure


def _draw_path(ax: Axes, points: Sequence[Point], colour: str) -> None:
    places = np.array([point.positions[0, :2] for point in points])
    end: Any = {"color": colour, "markeredgecolor": "white", "zorder": 7}
    line: Any = {"color": colour, "marker": ".", "markersize": 4, "linewidth": 1.2, "zorder": 6}
    ax.plot(*places.T, label=_ending(points[-1]), **line)
    ax.plot(*places[0], marker="s", **end)
    ax.plot(*places[-1], marker="*", markersize=12, **end)


def _ending(last: Point) -> str:
    if last.status.is_met:
        found = "saddle" if last.status is Status.SADDLE else "order one"
        return f"{found} after {last.steps} steps"
    return f"{last.steps} steps, no saddle"
