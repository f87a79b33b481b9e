"""How far a study's numbers may be trusted: importances resampled, and other seeds beside it.

References: as in `statistics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.trial import TrialState

from gadlib.report.statistics import rank_agreement, resamples, spread
from gadlib.report.style import BLUE, LEGEND, ORANGE, SKY, VERMILLION, axes_or_new, panels, say
from gadlib.report.tuning.importances import METHOD_COLOURS, Importances, collect_importances
from gadlib.report.tuning.parts import OfTrials
from gadlib.report.tuning.study import Trials, collect_trials


class Stability(NamedTuple):
    """Importances of resampled trials.

    Attributes:
        names: of the hyperparameters, as in the study's own importances.
        shares: by method, R resamplings by P hyperparameters.
        reason: why there are none, in a sentence.
    """

    names: tuple[str, ...]
    shares: dict[str, np.ndarray]
    reason: str


def collect_stability(
    study: optuna.Study,
    importances: Importances,
    *,
    n_resamples: int = 10,
    seed: int = 0,
    max_trials: int = 1000,
    n_trees: int = 16,
) -> Stability:
    """Importances of trials drawn with replacement, as many as there are.

    Args:
        study: with one objective or several.
        importances: its own, for the first.
        n_resamples: how many times.
        seed: of the draws.
        max_trials: drawn at most each time.
        n_trees: of fANOVA's forest.
    """
    own = importances
    if not own.names:
        return Stability((), {}, f"No importances can be told from this study. {own.reason}")
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    n = len(completed)
    draws = resamples(n, n_drawn=min(n, max_trials), n_resamples=n_resamples, seed=seed)
    found: dict[str, list[tuple[float, ...]]] = {method: [] for method in own.shares}
    for drawn in draws:
        again = OfTrials(study, [completed[i] for i in drawn])
        drawn_again = collect_importances(again, n_trees=n_trees)
        place = {name: i for i, name in enumerate(drawn_again.names)}
        if set(place) == set(own.names):
            for method, shares in drawn_again.shares.items():
                if method in found:
                    found[method].append(tuple(shares[place[name]] for name in own.names))
    kept = {method: np.array(rows) for method, rows in found.items() if rows}
    reason = "" if kept else "No resampling of these trials tells importances: too few of them."
    return Stability(own.names if kept else (), kept, reason)


def draw_stability(stability: Stability, *, ax: Axes | None = None) -> Axes:
    """The spread of every share over the resamplings: median, and 5 to 95 %."""
    ax = axes_or_new(ax, height=3.8)
    if not stability.names:
        return say(ax, stability.reason)
    places = np.arange(len(stability.names))
    for shift, (method, shares) in zip((-0.15, 0.15), stability.shares.items(), strict=False):
        low, middle, high = spread(shares)
        error, colour = np.stack([middle - low, high - middle]), METHOD_COLOURS[method]
        ax.errorbar(middle, places + shift, xerr=error, fmt="o", color=colour, label=method)
    ax.set_yticks(places, stability.names)
    ax.invert_yaxis()
    n = len(next(iter(stability.shares.values())))
    ax.set(xlabel="share of the score's variation, median and 5 to 95 %")
    ax.set_title(f"Importances in {n} resamplings of the trials")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return ax


class Seeds(NamedTuple):
    """Studies of the same question side by side.

    Attributes:
        trials: of each study that has a completed trial.
        importances: S studies by P hyperparameters, PED-ANOVA shares; NaN where unknown.
        names: of the hyperparameters that all have.
        positions: S by P, where the best value lies in its range, 0 to 1.
        agreement: mean rank correlation of the importances between studies; NaN for fewer than
            two.
        words: by the name of a choice that all have, the best word of each.
    """

    trials: tuple[Trials, ...]
    importances: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    agreement: float
    words: Mapping[str, tuple[str | None, ...]] = {}


def collect_seeds(studies: Sequence[optuna.Study]) -> Seeds:
    """Studies with different seeds, side by side; those without a completed trial are left out."""
    pairs = [(study, collect_trials(study)) for study in studies]
    pairs = [(study, trials) for study, trials in pairs if trials.best is not None]
    ranges = [{r.name: r for r in trials.ranges} for _, trials in pairs]
    names = tuple(n for n in (ranges[0] if ranges else ()) if all(n in own for own in ranges))
    shares = np.full((len(pairs), len(names)), np.nan)
    positions = np.full_like(shares, np.nan)
    for row, ((study, trials), own) in enumerate(zip(pairs, ranges, strict=True)):
        importances = collect_importances(study)
        own_shares = dict(
            zip(importances.names, importances.shares.get("PED-ANOVA", ()), strict=False)
        )
        columns = [r.name for r in trials.ranges]
        for column, name in enumerate(names):
            shares[row, column] = own_shares.get(name, np.nan)
            best = trials.values[trials.best, columns.index(name)]
            positions[row, column] = float(own[name].position(best))
    agreement = rank_agreement(shares)
    found = tuple(trials for _, trials in pairs)
    return Seeds(found, shares, names, positions, agreement, _best_words(found))


def _best_words(found: Sequence[Trials]) -> dict[str, tuple[str | None, ...]]:
    chosen = [{word.name: word.best for word in trials.chosen} for trials in found]
    shared = [name for name in (chosen[0] if chosen else ()) if all(name in own for own in chosen)]
    return {name: tuple(own[name] for own in chosen) for name in shared}


def seeds_table(seeds: Seeds) -> pd.DataFrame:
    """One row per study: trials, default score, best score, and the best values."""
    rows = []
    for place, (label, trials) in enumerate(zip(_labels(seeds), seeds.trials, strict=True)):
        columns = [r.name for r in trials.ranges]
        values = trials.values[trials.best]
        default = None if trials.default is None else round(float(trials.scores[trials.default]), 4)
        row: dict[str, Any] = {
            "study": label,
            "trials": len(trials.numbers),
            "default": default,
            "best": round(float(trials.scores[trials.best]), 4),
        }
        row |= {name: f"{values[columns.index(name)]:.3g}" for name in seeds.names}
        row |= {name: best[place] or "-" for name, best in seeds.words.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def agreement_sentence(seeds: Seeds) -> str:
    """How far the studies agree on importances and on best values, in a sentence."""
    n = len(seeds.trials)
    if n < 2:
        return "Fewer than two studies have best values, so that nothing can agree."
    told = []
    if seeds.names:
        spans = np.ptp(seeds.positions, axis=0)
        close = [name for name, span in zip(seeds.names, spans, strict=True) if span < _CLOSE]
        shown = ", ".join(close) or "none"
        ranks = "unknown" if np.isnan(seeds.agreement) else f"{seeds.agreement:.2f}"
        told.append(
            f"Importances of {n} studies agree by {ranks} (mean rank correlation; 1 is the same"
            f" order, 0 chance); best values lie within a quarter of the range for {shown}."
        )
    if seeds.words:
        parts = [f"{name} {_counted(best)}" for name, best in seeds.words.items()]
        told.append(f"The best words of {n} studies: {'; '.join(parts)}.")
    return " ".join(told) or "The studies share no number and no choice, so that nothing can agree."


def _counted(best: Sequence[str | None]) -> str:
    """The words with how many have each, the most frequent first."""
    counts = Counter(word or "unknown" for word in best).most_common()
    if len(counts) == 1:
        return f"{counts[0][0]} in all"
    return ", ".join(f"{word} in {n}" for word, n in counts)


_CLOSE = 0.25  # of the range; of three places drawn at random one time in six


def _labels(seeds: Seeds) -> list[str]:
    """The studies' names, numbered where two have the same."""
    names = [trials.study_name for trials in seeds.trials]
    if len(set(names)) == len(names):
        return names
    return [f"{name}, {number}" for number, name in enumerate(names, start=1)]


def draw_seeds(seeds: Seeds) -> Figure:
    """Left: best so far of each study; right: where their best values lie in the ranges."""
    figure, axes = panels(1, 2, width=10.0, height=3.6)
    left, right = axes[0]
    if not seeds.trials:
        say(left, "No study has a completed trial.")
        say(right, "")
        return figure
    palette = (BLUE, ORANGE, VERMILLION, SKY)
    for i, (label, trials) in enumerate(zip(_labels(seeds), seeds.trials, strict=True)):
        colour = palette[i % len(palette)]
        style = ("-", "--", ":")[i // len(palette) % 3]
        left.step(
            trials.numbers, trials.best_so_far, where="post", color=colour, ls=style, label=label
        )
        right.plot(seeds.positions[i], np.arange(len(seeds.names)), "o", color=colour, alpha=0.8)
    left.set(xlabel="trial", ylabel=f"best {seeds.trials[0].label} so far")
    left.legend(loc="lower right", **LEGEND)
    right.set_yticks(range(len(seeds.names)), seeds.names)
    right.invert_yaxis()
    right.set(xlim=(-0.03, 1.03), xlabel="best value's place in its range, low end to high end")
    agreement = (
        "" if np.isnan(seeds.agreement) else f"; importances agree to ρ = {seeds.agreement:.2f}"
    )
    figure.suptitle(f"{len(seeds.trials)} studies{agreement}", fontsize=10)
    return figure
