"""A study: how the score rose, which hyperparameters matter, where the best values lie."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from gadlib.hyperparameters import SOLVERS
from gadlib.report.style import BLUE, GREY, ORANGE, SKY, VERMILLION, axes_or_new, panels, say

EDGE = 0.05
"""A best value within this fraction of the range from an end lies at the edge."""

_UNITS = {knob.name: knob.unit for kind in SOLVERS.values() for knob in kind.knobs()}
_COLOURS = "cividis"  # readable without colour vision


class Range(NamedTuple):
    """The range that a study drew one hyperparameter from."""

    name: str
    low: float
    high: float
    log: bool

    @property
    def label(self) -> str:
        """The name, with the unit where there is one."""
        unit = _UNITS.get(self.name, "").replace("^2", "²").replace("A", "Å")
        return f"{self.name} ({unit})" if unit else self.name

    def position(self, value):
        """Where values lie from the low end (0) to the high end (1), on the range's own scale."""
        if self.low == self.high:
            return 0.5 + 0.0 * np.asarray(value)
        scale = np.log10 if self.log else np.asarray
        return (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))


class Trials(NamedTuple):
    """The completed trials of a study, in their order.

    Attributes:
        study_name: of the study.
        n_failed: trials that ended without a score.
        numbers: of the trials.
        scores: of the trials, to be maximised.
        ranges: of the hyperparameters.
        values: T trials by P hyperparameters.
        best: the row of the best trial, None where no trial completed.
        default: the row of trial 0, which runs the defaults; None where it did not complete.
    """

    study_name: str
    n_failed: int
    numbers: np.ndarray
    scores: np.ndarray
    ranges: tuple[Range, ...]
    values: np.ndarray
    best: int | None
    default: int | None

    @property
    def nothing_yet(self) -> str:
        """The sentence to show where no trial completed."""
        return f"Study {self.study_name!r} has no completed trial yet ({self.n_failed} failed)."


def collect_trials(study: optuna.Study) -> Trials:
    """The completed trials of a study that maximises."""
    trials = study.get_trials(deepcopy=False)
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    ranges = _ranges(completed)
    scores = np.array([t.value for t in completed], dtype=float)
    numbers = np.array([t.number for t in completed], dtype=int)
    return Trials(
        study_name=study.study_name,
        n_failed=sum(t.state is TrialState.FAIL for t in trials),
        numbers=numbers,
        scores=scores,
        ranges=ranges,
        values=np.array([[t.params[r.name] for r in ranges] for t in completed], dtype=float),
        best=int(scores.argmax()) if completed else None,
        default=0 if completed and numbers[0] == 0 else None,
    )


def _ranges(completed: list[FrozenTrial]) -> tuple[Range, ...]:
    if not completed:
        return ()
    shared = {
        name: distribution
        for name, distribution in completed[0].distributions.items()
        if isinstance(distribution, FloatDistribution | IntDistribution)
        and all(name in t.params for t in completed)
    }
    return tuple(Range(name, d.low, d.high, d.log) for name, d in shared.items())


def draw_history(trials: Trials, *, ax: Axes | None = None) -> Axes:
    """The score of every trial, the best so far, and the defaults as a line."""
    ax = axes_or_new(ax)
    if trials.best is None:
        return say(ax, trials.nothing_yet)
    ax.scatter(trials.numbers, trials.scores, s=18, color=SKY, label="trial", zorder=2)
    best_so_far = np.maximum.accumulate(trials.scores)
    ax.step(trials.numbers, best_so_far, where="post", color=BLUE, label="best so far")
    if trials.default is not None:
        ax.axhline(trials.scores[trials.default], color=GREY, linestyle="--", label="defaults")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed = f", {trials.n_failed} failed" if trials.n_failed else ""
    title = f"{trials.study_name}: {len(trials.numbers)} completed{failed}"
    ax.set(xlabel="trial", ylabel="score", title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return ax


def live_history() -> Callable[[optuna.Study], None]:
    """A function of a study that redraws its history in place; for `hpo.tune(on_trial=...)`."""
    from IPython.display import display

    handle = display("no trial has completed yet", display_id=True)

    def redraw(study: optuna.Study) -> None:
        figure, axes = panels()
        draw_history(collect_trials(study), ax=axes[0, 0])
        if handle is not None:
            handle.update(figure)
        plt.close(figure)

    return redraw


class Importances(NamedTuple):
    """The share of each hyperparameter in the variation of the score.

    Attributes:
        names: of the hyperparameters, the most important (PED-ANOVA) first.
        shares: by the name of the method, in the order of `names`.
        reason: why a method could not say, in a sentence.
    """

    names: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    reason: str


def collect_importances(study: optuna.Study) -> Importances:
    """Importances by PED-ANOVA (Watanabe et al., IJCAI 2023, 4389), and by fANOVA where it can."""
    methods = {
        "PED-ANOVA": PedAnovaImportanceEvaluator,
        "fANOVA": lambda: FanovaImportanceEvaluator(seed=0),
    }
    found, reasons = {}, []
    for method, evaluator in methods.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                # Equal shares say nothing: too few trials, or all of them alike.
                warnings.filterwarnings("error", ".*will be equal.*", UserWarning)
                found[method] = optuna.importance.get_param_importances(
                    study, evaluator=evaluator()
                )
        except (UserWarning, ValueError, RuntimeError, ImportError) as error:
            reasons.append(f"{method}: {str(error).splitlines()[0]}")
    found = {method: shares for method, shares in found.items() if shares}
    names = tuple(next(iter(found.values()))) if found else ()
    return Importances(
        names,
        {method: tuple(float(shares[n]) for n in names) for method, shares in found.items()},
        " ".join(reasons),
    )


def draw_importances(importances: Importances, *, ax: Axes | None = None) -> Axes:
    """Bars of the shares, most important on top."""
    ax = axes_or_new(ax, height=3.8)
    if not importances.names:
        return say(ax, f"No importances can be told from this study. {importances.reason}")
    places = np.arange(len(importances.names))
    height = 0.8 / len(importances.shares)
    colours = {"PED-ANOVA": BLUE, "fANOVA": ORANGE}
    for i, (method, shares) in enumerate(importances.shares.items()):
        shift = (i - (len(importances.shares) - 1) / 2) * height
        ax.barh(places + shift, shares, height, label=method, color=colours[method])
    ax.set_yticks(places, importances.names)
    ax.invert_yaxis()
    ax.set(xlabel="share of the score's variation", title="Importance of the hyperparameters")
    ax.legend(loc="lower right", **LEGEND)
    return ax


def draw_parallel(trials: Trials, *, ax: Axes | None = None) -> Axes:
    """Every trial as a line through its values, each between the ends of its range."""
    ax = axes_or_new(ax, width=9.0, height=4.2)
    if trials.best is None:
        return say(ax, trials.nothing_yet)
    heights = _positions(trials)
    x = np.arange(len(trials.ranges))
    norm = _norm(trials)
    for row in np.argsort(trials.scores):
        ax.plot(x, heights[row], color=plt.get_cmap(_COLOURS)(norm(trials.scores[row])), alpha=0.7)
    if trials.default is not None:
        ax.plot(
            x, heights[trials.default], color=GREY, linestyle="--", linewidth=2, label="defaults"
        )
    ax.plot(x, heights[trials.best], color=VERMILLION, linewidth=2.4, label="best")
    for i, r in enumerate(trials.ranges):
        ax.annotate(f"{r.high:g}", (i, 1.02), ha="center", va="bottom", fontsize=7)
        ax.annotate(f"{r.low:g}", (i, -0.02), ha="center", va="top", fontsize=7)
    ax.set_xticks(x, [r.label for r in trials.ranges], rotation=35, ha="right")
    ax.set(ylim=(-0.09, 1.09), yticks=[], title="Values of every trial, low end to high end")
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.55), ncols=2, **LEGEND)
    _score_bar(ax.figure, norm, ax)
    return ax


def draw_slices(trials: Trials) -> Figure:
    """The score against each hyperparameter."""
    if trials.best is None:
        return _said(trials.nothing_yet)
    n_columns = 4
    n_rows = -(-len(trials.ranges) // n_columns)
    figure, axes = panels(n_rows, n_columns, width=9.0, height=1.9 * n_rows + 0.4, sharey=True)
    for column, (ax, r) in enumerate(zip(axes.flat, trials.ranges, strict=False)):
        x = trials.values[:, column]
        ax.scatter(x, trials.scores, s=12, color=SKY, label="trial")
        if trials.default is not None:
            _mark(ax, x[trials.default], trials.scores[trials.default], GREY, "defaults")
        _mark(ax, x[trials.best], trials.scores[trials.best], VERMILLION, "best")
        ax.set_xscale("log" if r.log else "linear")
        ax.set_xlabel(r.label)
    for ax in axes.flat[len(trials.ranges) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("score")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, **LEGEND)
    return figure


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
        ax.scatter(x, y, s=10, color="white", edgecolor="black", linewidth=0.6)
        ax.scatter(x[trials.best], y[trials.best], s=40, color=VERMILLION, edgecolor="white")
        for r, axis in ((trials.ranges[i], "x"), (trials.ranges[j], "y")):
            ax.set(**{f"{axis}label": r.label, f"{axis}scale": "log" if r.log else "linear"})
        ax.grid(visible=False)
    _score_bar(figure, norm, axes[0].tolist())
    figure.suptitle("Score between the trials (best in red)", fontsize=10)
    return figure


def _triangles(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Triangles between the points; None where they span no area."""
    points = np.unique(np.column_stack([x, y]), axis=0)
    if len(points) < 3 or np.linalg.matrix_rank(points[1:] - points[0], tol=1e-6) < 2:
        return None
    return Triangulation(x, y).triangles


def _positions(trials: Trials) -> np.ndarray:
    columns = [r.position(trials.values[:, i]) for i, r in enumerate(trials.ranges)]
    return np.column_stack(columns)


def _norm(trials: Trials) -> Normalize:
    low, high = trials.scores.min(), trials.scores.max()
    return Normalize(low, high if high > low else low + 1e-3)


def _score_bar(figure, norm: Normalize, axes) -> None:
    figure.colorbar(ScalarMappable(norm, _COLOURS), ax=axes, label="score", pad=0.01)


def _mark(ax: Axes, x: float, y: float, colour: str, label: str) -> None:
    ax.scatter(x, y, s=42, color=colour, edgecolor="white", label=label)


def _said(sentence: str) -> Figure:
    figure, axes = panels(height=2.0)
    say(axes[0, 0], sentence)
    return figure


def best_table(trials: Trials) -> pd.DataFrame:
    """Best values against defaults, their positions in the range (0 low end, 1 high end), edges."""
    rows = []
    for i, r in enumerate(trials.ranges):
        best = trials.values[trials.best, i]
        position = float(r.position(best))
        rows.append(
            {
                "hyperparameter": r.label,
                "default": None if trials.default is None else trials.values[trials.default, i],
                "best": best,
                "low": r.low,
                "high": r.high,
                "scale": "log" if r.log else "linear",
                "position": round(position, 3),
                "edge": edge(position),
            }
        )
    return pd.DataFrame(rows)


def edge(position: float) -> str:
    """What a position in the range asks for; empty where it lies well inside."""
    if position <= EDGE:
        return "at lower edge: widen it"
    return "at upper edge: widen it" if position >= 1 - EDGE else ""
