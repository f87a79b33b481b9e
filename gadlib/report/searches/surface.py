"""A surface that can be seen: its contours, the flow on it, and the paths of searches over it.

For teaching, on surfaces of one particle in the xy plane such as Mueller's and Brown's. Floor 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from gadlib.batch import Batch
from gadlib.calculators.surfaces import Surface
from gadlib.hessians.normal_modes import spectrum
from gadlib.report.style import GREEN, LEGEND, ORANGE, PURPLE, VERMILLION, axes_or_new, panels
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver.gad import reflect
from gadlib.solver.search import search
from gadlib.solver.state import Status

X_SPAN, Y_SPAN = (-1.5, 1.2), (-0.3, 2.0)
_PATHS = (VERMILLION, GREEN, PURPLE, ORANGE)


class Landscape(NamedTuple):
    """A surface on a grid in its plane z = 0.

    Attributes:
        surface: whose it is.
        x, y: the coordinates of the grid in A.
        energy: in eV.
        forces, ascent: the fields of steepest descent and of gentlest ascent, x and y parts in
            eV/A.
        lowest: the lower curvature in eV/(A^2 amu), below zero where gentlest ascent is at home.
    """

    surface: Surface
    x: Float[np.ndarray, " X"]
    y: Float[np.ndarray, " Y"]
    energy: Float[np.ndarray, "Y X"]
    forces: Float[np.ndarray, "Y X 2"]
    ascent: Float[np.ndarray, "Y X 2"]
    lowest: Float[np.ndarray, "Y X"]


def collect_landscape(
    surface: Surface,
    *,
    x_span: tuple[float, float] = X_SPAN,
    y_span: tuple[float, float] = Y_SPAN,
    n: int = 50,
) -> Landscape:
    """Energy, both fields and the lower curvature of a surface of one particle.

    The field of gentlest ascent is F - 2 (F.v) v with v the lowest mode at the point (E, Zhou,
    Nonlinearity 24, 1831, 2011), so that its stable points are the saddles.
    """
    x, y = np.linspace(*x_span, n), np.linspace(*y_span, n)
    places = np.stack(np.meshgrid(x, y), -1).reshape(-1, 1, 2)
    places = np.concatenate([places, np.zeros_like(places[..., :1])], -1)
    batch = Batch.pack(list(places), [[1]] * len(places), is_free=False)
    told = surface(batch)
    assert told.hessian is not None
    modes = spectrum(told.hessian, batch)
    ascent = reflect(told.forces.flatten(1), modes.modes[:, :, 0])
    return Landscape(
        surface,
        x,
        y,
        told.energy.reshape(n, n).numpy(),
        told.forces.reshape(n, n, 3)[..., :2].numpy(),
        ascent.reshape(n, n, 3)[..., :2].numpy(),
        modes.eigenvalues[:, 0].reshape(n, n).numpy(),
    )


def draw_surface(landscape: Landscape, *, ax: Axes | None = None) -> Axes:
    """Contours of the energy, with the known minima (dots) and saddles (crosses)."""
    ax = axes_or_new(ax, width=5.2, height=4.4)
    low = landscape.energy.min()
    top = max(point.energy for point in landscape.surface.points)
    levels = np.linspace(low, top + 1.3 * (top - low), 22)
    shades = ListedColormap(plt.get_cmap("Blues_r")(np.linspace(0.1, 0.95, 256)))
    ax.contourf(
        landscape.x, landscape.y, landscape.energy, levels=levels, cmap=shades, extend="max"
    )
    ax.contour(
        landscape.x, landscape.y, landscape.energy, levels=levels, colors="white", linewidths=0.3
    )
    for order, marker, label in ((0, "o", "minimum"), (1, "X", "saddle")):
        known = landscape.surface.stationary(order).positions[:, 0]
        ax.scatter(
            known[:, 0],
            known[:, 1],
            marker=marker,
            s=55,
            color="white",
            edgecolor="black",
            label=label,
            zorder=5,
        )
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


class Path(NamedTuple):
    """The way of one search over a surface, x and y of every point in A; how it ended."""

    points: Float[np.ndarray, "T 2"]
    ending: str


def collect_paths(
    surface: Surface,
    starts: Sequence[tuple[float, float]],
    hyperparameters: Hyperparameters,
    *,
    n_steps: int = 150,
) -> list[Path]:
    """The path from every start to a strict saddle, or to where the steps ran out."""
    places = [[[x, y, 0.0]] for x, y in starts]
    batch = Batch.pack([torch.tensor(p) for p in places], [[1]] * len(places), is_free=False)
    points: list[list[list[float]]] = [[] for _ in starts]
    endings = [""] * len(starts)
    for frame in search(surface, batch, hyperparameters, criterion="strict", n_steps=n_steps):
        for row, index in enumerate(frame.state.index.tolist()):
            points[index].append(frame.state.batch.positions[row, 0, :2].tolist())
            steps = int(frame.state.steps[row])
            is_there = frame.status[row] is Status.SADDLE
            endings[index] = (
                f"saddle after {steps} steps" if is_there else f"{steps} steps, no saddle"
            )
    return [Path(np.array(way), end) for way, end in zip(points, endings, strict=True)]


def draw_paths(landscape: Landscape, paths: Mapping[str, Sequence[Path]]) -> Figure:
    """The paths of each solver over the surface, from the square to the star, side by side."""
    figure, axes = panels(1, len(paths), width=4.5 * len(paths), height=4.2, sharey=True)
    for ax, (solver, ways) in zip(axes[0], paths.items(), strict=True):
        draw_surface(landscape, ax=ax)
        for number, path in enumerate(ways):
            colour = _PATHS[number % len(_PATHS)]
            line = {"color": colour, "marker": ".", "markersize": 4, "linewidth": 1.2}
            ax.plot(*path.points.T, label=path.ending, zorder=6, **line)
            ax.plot(*path.points[0], marker="s", color=colour, markeredgecolor="white", zorder=7)
            ax.plot(
                *path.points[-1],
                marker="*",
                markersize=12,
                color=colour,
                markeredgecolor="white",
                zorder=7,
            )
        ax.set_title(solver, loc="left")
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[2:], labels[2:], loc="upper right", fontsize=7, framealpha=0.9)
    for ax in axes[0, 1:]:
        ax.set_ylabel("")
    return figure
