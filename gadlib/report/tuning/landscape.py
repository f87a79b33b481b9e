"""A study's trials over the space: parallel coordinates, slices, contours."""

from __future__ import annotations

from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from matplotlib.tri import Triangulation

from gadlib.report.style import (
    BLACK,
    GREY,
    LEGEND,
    SKY,
    VERMILLION,
    axes_or_new,
    label_bar,
    panels,
    say,
)
from gadlib.report.tuning.importances import Importances
from gadlib.report.tuning.study import Trials, Word
from gadlib.tuning.ranges import Range

_COLOURS = "cividis"  # readable without colour vision
_NOTHING = "The trials of this study share no number and no choice to draw."


def draw_parallel(trials: Trials, *, ax: Axes | None = None) -> Axes:
    """Every trial as a line through its values, each between the ends of its range.

    Words stand evenly from the first to the last of those that trials could choose.
    """
    ax = axes_or_new(ax, width=9.0, height=4.2)
    if trials.best is None:
        return say(ax, trials.nothing_yet)
    if not trials.ranges and not trials.chosen:
        return say(ax, _NOTHING)
    heights = np.column_stack([_positions(trials), *map(_heights, trials.chosen)])
    x = np.arange(heights.shape[1])
    norm = _norm(trials)
    order = np.argsort(trials.merits)
    lines = [np.column_stack([x, heights[row]]) for row in order]
    colours = plt.get_cmap(_COLOURS)(norm(trials.scores[order]))
    ax.add_collection(LineCollection(lines, colors=colours, alpha=0.7))
    if trials.default is not None:
        ax.plot(x, heights[trials.default], color=BLACK, linestyle="--", label="defaults")
    ax.plot(x, heights[trials.best], color=VERMILLION, linewidth=2.4, label="best")
    _annotate(ax, trials)
    names = [*(r.label for r in trials.ranges), *(word.name for word in trials.chosen)]
    ax.set_xticks(x, names, rotation=35, ha="right")
    ax.set(ylim=(-0.09, 1.09), yticks=[])
    ax.set_title("Values of every trial, low end to high end", loc="left")
    ax.spines["left"].set_visible(False)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, **LEGEND)
    _score_bar(ax.figure, norm, ax, trials.label)
    return ax


def _annotate(ax: Axes, trials: Trials) -> None:
    """The ends of each range, and the words of each choice, beside their places."""
    for i, r in enumerate(trials.ranges):
        ax.annotate(f"{r.high:g}", (i, 1.02), ha="center", va="bottom", fontsize=7)
        ax.annotate(f"{r.low:g}", (i, -0.02), ha="center", va="top", fontsize=7)
    for i, word in enumerate(trials.chosen, start=len(trials.ranges)):
        for place, told in enumerate(word.choices):
            height = _height(word, float(place))
            ax.annotate(told, (i, height), (4, 3), textcoords="offset points", fontsize=7)


def _height(word: Word, place):
    return place / (len(word.choices) - 1) if len(word.choices) > 1 else 0.5 + 0.0 * place


def _heights(word: Word) -> np.ndarray:
    return _height(word, word.places())


def draw_slices(trials: Trials) -> Figure:
    """The score against each hyperparameter, and against the words of each choice."""
    if trials.best is None:
        return _said(trials.nothing_yet)
    n = len(trials.ranges) + len(trials.chosen)
    if not n:
        return _said(_NOTHING)
    n_columns = 4
    n_rows = -(-n // n_columns)
    height = 1.9 * n_rows + 0.4 + (0.6 if trials.chosen else 0.0)  # for words below their axes
    figure, axes = panels(n_rows, n_columns, width=9.0, height=height, sharey=True)
    flat = [*axes.flat]
    for column, (ax, r) in enumerate(zip(flat, trials.ranges, strict=False)):
        x = trials.values[:, column]
        ax.scatter(x, trials.scores, s=12, color=SKY, label="trial")
        if trials.default is not None:
            _mark(ax, x[trials.default], trials.scores[trials.default], GREY, "defaults")
        _mark(ax, x[trials.best], trials.scores[trials.best], VERMILLION, "best")
        _scale(ax, "x", r)
    for ax, word in zip(flat[len(trials.ranges) :], trials.chosen, strict=False):
        _draw_word(ax, trials, word)
    for ax in flat[n:]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel(trials.label)
    legend = {
        name: of for ax in flat for of, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [*legend.values()], [*legend], loc="outside upper center", ncols=len(legend), **LEGEND
    )
    return figure


def _draw_word(ax: Axes, trials: Trials, word: Word) -> None:
    """The scores of trials over the words of one choice, with the median of each."""
    places = word.places()
    ax.scatter(places, trials.scores, s=12, color=SKY, label="trial")
    for place in range(len(word.choices)):
        if len(own := trials.scores[places == place]):
            ends = [place - 0.3, place + 0.3]
            ax.plot(ends, [np.median(own)] * 2, color=BLACK, linewidth=1.2, label="median")
    if trials.default is not None:
        _mark(ax, places[trials.default], trials.scores[trials.default], GREY, "defaults")
    assert trials.best is not None
    _mark(ax, places[trials.best], trials.scores[trials.best], VERMILLION, "best")
    ax.set(xlim=(-0.5, len(word.choices) - 0.5), xlabel=word.name)
    ax.set_xticks(range(len(word.choices)), word.choices, rotation=20, ha="right")


def draw_contours(trials: Trials, importances: Importances, *, n_most: int = 3) -> Figure:
    """The score over each pair of the most important hyperparameters, between the trials."""
    names = [r.name for r in trials.ranges]
    chosen = [names.index(n) for n in importances.names if n in names][:n_most]
    chosen = chosen or list(range(min(n_most, len(names))))
    pairs = [(i, j) for place, i in enumerate(chosen) for j in chosen[place + 1 :]]
    if trials.best is None:
        return _said(trials.nothing_yet)
    if not pairs:
        return _said("A contour needs two hyperparameters.")
    figure, axes = panels(1, len(pairs), width=3.1 * len(pairs), height=3.0)
    norm = _norm(trials)
    heights = _positions(trials)
    for ax, (i, j) in zip(axes[0], pairs, strict=True):
        x, y = trials.values[:, i], trials.values[:, j]
        triangles = _triangles(heights[:, i], heights[:, j])
        if triangles is not None:
            surface = Triangulation(x, y, triangles)
            ax.tricontourf(surface, trials.scores, levels=12, cmap=_COLOURS, norm=norm)
        ax.scatter(x, y, s=10, color="white", edgecolor="black", linewidth=0.6, clip_on=False)
        _mark(ax, x[trials.best], y[trials.best], VERMILLION, "best")
        _scale(ax, "x", trials.ranges[i])
        _scale(ax, "y", trials.ranges[j])
        ax.grid(visible=False)
    _score_bar(figure, norm, axes[0].tolist(), trials.label)
    name = trials.label.capitalize()
    figure.suptitle(f"{name} between the trials (best in red)", fontsize=10)
    return figure


def _triangles(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Triangles between the points; None where they span no area."""
    points = np.unique(np.column_stack([x, y]), axis=0)
    if len(points) < 3 or np.linalg.matrix_rank(points[1:] - points[0], tol=1e-6) < 2:
        return None
    return Triangulation(x, y).triangles


def _positions(trials: Trials) -> np.ndarray:
    columns = [r.position(trials.values[:, i]) for i, r in enumerate(trials.ranges)]
    return np.column_stack(columns) if columns else np.empty((len(trials.scores), 0))


def _norm(trials: Trials) -> Normalize:
    low, high = trials.scores.min(), trials.scores.max()
    return Normalize(low, high if high > low else low + 1e-3)


def _score_bar(figure, norm: Normalize, axes, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, _COLOURS), ax=axes, pad=0.01)
    label_bar(bar, label)


def _mark(ax: Axes, x: float, y: float, colour: str, label: str) -> None:
    ax.scatter(x, y, s=42, color=colour, edgecolor="white", label=label, clip_on=False, zorder=3)


def _scale(ax: Axes, name: Literal["x", "y"], r: Range) -> None:
    """The whole range on an axis, labelled; of a logarithmic one only the decades."""
    margin = 0.03 * (r.high - r.low)
    ends = (r.low / 1.1, r.high * 1.1) if r.log else (r.low - margin, r.high + margin)
    scale = "log" if r.log else "linear"
    ax.set(**{f"{name}scale": scale, f"{name}lim": ends, f"{name}label": r.label})
    axis = ax.xaxis if name == "x" else ax.yaxis
    axis.set_minor_formatter(NullFormatter())


def _said(sentence: str) -> Figure:
    figure, axes = panels(height=2.0)
    say(axes[0, 0], sentence)
    return figure
