"""What hyperparameters do together: shares of pairs beyond those of each, by objective.

Reference: the decomposition of a forest's variance by marginals over its leaves, Hutter, Hoos,
Leyton-Brown, Proc. 31st ICML, PMLR 32(1), 754 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution
from optuna.search_space import intersection_search_space
from sklearn.ensemble import RandomForestRegressor

from gadlib.report.style import GREEN, axes_or_new, panels, say
from gadlib.report.tuning.anova import Leaves, leaves, spread, variance_along
from gadlib.report.tuning.importances import (
    Importances,
    collect_importances,
    draw_importances,
)
from gadlib.report.tuning.parts import within_ranges
from gadlib.report.tuning.study import objectives_shown, place_of
from gadlib.settings.objectives import Objective
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.front import completed
from gadlib.tuning.results import write_results
from gadlib.tuning.seeds import of_seeds

LEAST_TRIALS = 10
"""Below which pairs are not told: a tree of fewer has a leaf or two for each hyperparameter."""

_MOST = 1000
"""Trials that a forest is grown on at most, the last ones: with 2,000 it takes twice the time."""


class Pairs(NamedTuple):
    """The shares of pairs of hyperparameters in the variation of an objective.

    Attributes:
        names: of the pairs, the largest share first.
        shares: of each what both do together, beyond what each does alone.
        reason: why there are none, in a sentence; empty where there are.
    """

    names: tuple[tuple[str, str], ...]
    shares: tuple[float, ...]
    reason: str


class Shares(NamedTuple):
    """Importances and interactions of a study by its objectives.

    Attributes:
        objectives: of the study.
        importances: of single hyperparameters, for each objective.
        pairs: for each objective.
    """

    objectives: tuple[Objective, ...]
    importances: tuple[Importances, ...]
    pairs: tuple[Pairs, ...]


def collect_shares(study: optuna.Study, *, n_trees: int = 32) -> Shares:
    """Importances and interactions by each objective of the study.

    Args:
        study: with one objective or several.
        n_trees: of the forests.
    """
    known = objectives_shown(study)
    names = [None] if len(known) == 1 else [one.name for one in known]
    return Shares(
        known,
        tuple(collect_importances(study, name) for name in names),
        tuple(collect_pairs(study, name, n_trees=n_trees) for name in names),
    )


def collect_pairs(
    study: optuna.Study, objective: str | None = None, *, n_trees: int = 32, seed: int = 0
) -> Pairs:
    """The shares of all pairs of hyperparameters that every trial has, words among them.

    A word has its place among the words of its choice as its number, so that a tree parts them.

    Args:
        study: with one objective or several.
        objective: for which of them; None: the first.
        n_trees: of the forest.
        seed: of the forest.

    Raises:
        InputError: when the study has no such objective.
    """
    place, _ = place_of(study, objective)
    study = within_ranges(study)
    trials = [t for t in completed(study) if np.isfinite(t.values[place])][-_MOST:]
    space: dict[str, Any] = intersection_search_space(study.get_trials(deepcopy=False))
    varied = [name for name, kind in space.items() if not kind.single()]
    if len(trials) < LEAST_TRIALS or len(varied) < 2:
        return Pairs((), (), f"Fewer than {LEAST_TRIALS} completed trials, or than two that vary.")
    found = [[_number(space[name], t.params[name]) for name in varied] for t in trials]
    scores = np.array([t.values[place] for t in trials])
    forest = RandomForestRegressor(n_trees, max_depth=64, random_state=seed)
    forest.fit(np.array(found), scores)
    ends = np.array([_ends(space[name]) for name in varied])
    by_tree = [_of_tree(leaves(tree.tree_, ends), ends) for tree in forest.estimators_]
    if not (told := [shares for shares in by_tree if shares is not None]):
        return Pairs((), (), "The objective does not vary.")
    shares = np.mean(told, axis=0)
    pairs = [*combinations(varied, 2)]
    order = np.argsort(-shares, kind="stable")
    return Pairs(tuple(pairs[i] for i in order), tuple(float(shares[i]) for i in order), "")


def _number(kind: Any, value: Any) -> float:
    is_word = isinstance(kind, CategoricalDistribution)
    return float(kind.to_internal_repr(value)) if is_word else float(value)


def _ends(kind: Any) -> tuple[float, float]:
    if isinstance(kind, CategoricalDistribution):
        return -0.5, len(kind.choices) - 0.5  # so that each word has the same width
    return float(kind.low), float(kind.high)


def _of_tree(found: Leaves, ends: np.ndarray) -> np.ndarray | None:
    """The share of each pair's interaction in a tree's variance; None without any."""
    fractions, variance = spread(found, ends)
    if not variance > 0:
        return None
    columns = range(len(ends))
    single = [variance_along(found, fractions, (i,)) for i in columns]
    both = [
        variance_along(found, fractions, pair) - single[pair[0]] - single[pair[1]]
        for pair in combinations(columns, 2)
    ]
    return np.maximum(both, 0.0) / variance  # below zero by rounding alone


def pairs_sentence(shares: Shares) -> str:
    """The largest interaction by each objective, in a sentence."""
    told = []
    for one, pairs, alone in zip(shares.objectives, shares.pairs, shares.importances, strict=True):
        if pairs.reason or not pairs.names:
            told.append(f"{one.name}: {pairs.reason or 'No pairs.'}")
            continue
        (first, second), share = pairs.names[0], pairs.shares[0]
        most = max(alone.shares.get("fANOVA", (0.0,)), default=0.0)
        told.append(
            f"{one.name}: the pair that does most beyond each alone is {first} with {second},"
            f" {100 * share:.0f} % of the variation (the most important single one"
            f" {100 * most:.0f} %)."
        )
    return " ".join(told)


def draw_pairs(pairs: Pairs, *, n_most: int = 8, ax: Axes | None = None) -> Axes:
    """Bars of the largest interactions, the largest on top."""
    ax = axes_or_new(ax, height=3.8)
    if pairs.reason:
        return say(ax, f"No pairs can be told from this study. {pairs.reason}")
    shown = pairs.names[:n_most]
    ax.barh(np.arange(len(shown)), pairs.shares[:n_most], 0.6, color=GREEN)
    ax.set_yticks(np.arange(len(shown)), [f"{a}\nwith {b}" for a, b in shown], fontsize=7)
    ax.invert_yaxis()
    ax.set(xlabel="share of the variation beyond each alone", title="Pairs (fANOVA)")
    return ax


def draw_shares(shares: Shares) -> Figure:
    """A row for each objective: single hyperparameters on the left, pairs on the right."""
    n = len(shares.objectives)
    figure, axes = panels(n, 2, width=10.5, height=3.8 * n)
    for row, one in enumerate(shares.objectives):
        left = draw_importances(shares.importances[row], ax=axes[row, 0])
        draw_pairs(shares.pairs[row], ax=axes[row, 1])
        if n > 1 and left.get_title():
            left.set_title(f"Importance for {one.name}")
    return figure


def shares_kept(shares: Shares, n_most: int = 20) -> dict[str, Any]:
    """Importances and pairs by objective, as results files have them."""
    rows: Sequence[tuple[Objective, Importances, Pairs]] = [
        *zip(shares.objectives, shares.importances, shares.pairs, strict=True)
    ]
    return {
        one.name: {
            **{
                method: dict(zip(alone.names, found, strict=True))
                for method, found in alone.shares.items()
            },
            "pairs": [
                [*names, share] for names, share in zip(pairs.names, pairs.shares, strict=True)
            ][:n_most],
        }
        for one, alone, pairs in rows
    }


def write_results_with_shares(
    study: optuna.Study, path: str | Path, prefer: str | None = None
) -> Path:
    """The path, with the results of the study written there, and its importances in them.

    Raises:
        InputError: as `write_results`.
    """
    return write_results(study, path, prefer, importances=shares_kept(collect_shares(study)))


def write_results_of_seeds(studies: Sequence[optuna.Study], settings: TuneSettings) -> list[Path]:
    """The paths of the results, with importances, of the studies of some seeds.

    Args:
        studies: in their order.
        settings: that they were made with.

    Raises:
        InputError: as `write_results`.
    """
    return [
        write_results_with_shares(study, Path(own.out_dir) / "hpo_results.json")
        for study, own in zip(studies, of_seeds(settings), strict=True)
    ]
