"""What a search by `delta` has learned, as `gadlib.screening.learned` maps it, in four panels."""

from __future__ import annotations

import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from gadlib.report.style import BLACK, GREEN, LEGEND, ORANGE, VERMILLION, label_bar, panels
from gadlib.screening.learned import Learned

_TOP = 2.0
"""eV above the saddle that is drawn; higher ways no reaction goes where there is a saddle."""

_APART = 1.25
"""eV of the difference, to both sides of that in the saddle, that colours tell apart."""

_EDGE = 1.0
"""eV above that where values are cut: those of the walls would move the edges."""


def draw_learned(learned: Learned) -> Figure:
    """Costly and cheap potential, what was learned of their difference, and cheap with learned.

    The same colour is the same energy above the saddle in three of them. Where the costly one is
    high all are white.
    """
    figure, axes = panels(2, 2, width=9.0, height=4.5, sharex=True, sharey=True)
    (costly, cheap), (correction, surrogate) = axes
    energies = {costly: learned.costly, cheap: learned.cheap, surrogate: learned.surrogate}
    is_low = learned.costly < _TOP
    low = min(float(energy[is_low].min()) for energy in energies.values())
    levels = np.arange(np.floor(low), _TOP + 0.01, 0.5)
    filled = [_draw_energy(ax, learned, one, levels) for ax, one in energies.items()]
    apart = _draw_difference(correction, learned)
    label_bar(figure.colorbar(filled[0], ax=axes[0]), "above the saddle (eV)")
    label_bar(figure.colorbar(apart, ax=axes[1]), "difference (eV)")
    for ax in (costly, correction):
        _draw_calls(ax, learned)
        ax.annotate("1", learned.calls[0], (5, 4), textcoords="offset points", fontsize=8)
    _look_closer(costly, learned, levels)
    _draw_saddle(cheap, learned, learned.cheap_saddle, VERMILLION)
    _draw_saddle(surrogate, learned, learned.surrogate_saddle, GREEN)
    n = len(learned.calls)
    titles = {
        costly: f"Costly ({learned.costly_name}), asked {n} times",
        cheap: f"Cheap ({learned.cheap_name}), asked at will",
        correction: f"Learned from {n} calls; lines: costly − cheap",
        surrogate: "Cheap + learned",
    }
    for ax, title in titles.items():
        ax.set_title(title, loc="left")
        _draw_frame(ax, learned)
    for ax in axes[1]:
        ax.set_xlabel("hydrogen along C≡N (Å)")
    for ax in axes[:, 0]:
        ax.set_ylabel("across it (Å)")
    return figure


def _draw_energy(ax: Axes, learned: Learned, energy: np.ndarray, levels: np.ndarray) -> ContourSet:
    """Filled contours."""
    shades = ListedColormap(plt.get_cmap("Blues_r")(np.linspace(0.1, 0.95, 256)))
    grid = (learned.x, learned.y, _cut(energy))
    filled = ax.contourf(*grid, levels=levels, cmap=shades)
    ax.contour(*grid, levels=levels, colors="white", linewidths=0.4)
    return filled


def _draw_difference(ax: Axes, learned: Learned) -> ContourSet:
    """What was learned in colours, what there is to learn as lines."""
    levels = np.linspace(-_APART, _APART, 11)
    grid = (learned.x, learned.y)
    filled = ax.contourf(*grid, learned.correction, levels=levels, cmap="PuOr", extend="both")
    there = np.where(learned.costly < _TOP + _EDGE, learned.difference, np.nan)
    lines = ax.contour(*grid, there, levels=levels, colors=BLACK, linewidths=0.7)
    ax.clabel(lines, levels[1::2], fontsize=6)
    return filled


def _draw_frame(ax: Axes, learned: Learned) -> None:
    """White where the costly potential is high, the two atoms at their places, and the frame."""
    high = [_TOP, 2 * _TOP]
    ax.contourf(learned.x, learned.y, _cut(learned.costly), levels=high, colors="white", zorder=2.2)
    ax.plot(learned.ends, (0.0, 0.0), color=BLACK, linewidth=3, zorder=7, clip_on=False)
    for symbol, x in zip("CN", learned.ends, strict=True):
        ax.annotate(symbol, (x, 0.04), ha="center", va="bottom", weight="bold", zorder=8)
    ax.set(aspect="equal", xlim=learned.x[[0, -1]], ylim=learned.y[[0, -1]])
    ax.grid(visible=False)


def _cut(energy: np.ndarray) -> np.ndarray:
    """The energy, no higher than a little above what is drawn, so that edges lie right."""
    return np.minimum(np.nan_to_num(energy, nan=np.inf), _TOP + _EDGE)


def _draw_calls(ax: Axes, learned: Learned) -> None:
    """Where the costly potential was asked, in order."""
    ax.plot(*learned.calls.T, color=ORANGE, linewidth=0.9, zorder=5)
    ax.plot(*learned.calls.T, "o", color=ORANGE, markeredgecolor=BLACK, markersize=5, zorder=6)


def _look_closer(ax: Axes, learned: Learned, levels: np.ndarray) -> None:
    """All calls but the first, numbered, in the white room between the atoms."""
    calls = learned.calls[1:]
    if not len(calls):
        return
    middle = (calls.min(0) + calls.max(0)) / 2
    half = max(0.7 * float(np.ptp(calls, axis=0).max()), 0.05)
    room = ax.inset_axes((-0.75, 0.24, 1.5, 0.58), transform=ax.transData, zorder=8)
    _draw_energy(room, learned, learned.costly, levels)
    _draw_calls(room, learned)
    sides = itertools.cycle(((0, -9), (9, 3), (-9, 0), (4, -9)))
    label: Any = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 9}
    for (number, place), side in zip(enumerate(calls, start=2), sides, strict=False):
        room.annotate(str(number), place, side, textcoords="offset points", **label)
    x, y = middle
    wide = half * 1.5 / 0.58
    room.set(xlim=(x - wide, x + wide), ylim=(y - half, y + half), xticks=(), yticks=())
    ax.indicate_inset_zoom(room, edgecolor=BLACK)


def _draw_saddle(ax: Axes, learned: Learned, place: np.ndarray, colour: str) -> None:
    """The potential's own saddle beside that of the costly one, and how far apart they are."""
    star: Any = {"color": "white", "markeredgecolor": BLACK, "markersize": 13, "zorder": 6}
    ax.plot(*learned.saddle, "*", label="costly one's saddle", **star)
    own: Any = {"color": colour, "markeredgecolor": "white", "markersize": 8, "zorder": 7}
    way = float(np.linalg.norm(place - learned.saddle))
    ax.plot(*place, "X", label=f"its own, {way:.3f} Å away", **own)
    ax.legend(loc="center", bbox_to_anchor=(0.0, 0.5), bbox_transform=ax.transData, **LEGEND)
