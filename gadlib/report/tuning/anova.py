"""fANOVA without waiting: Optuna's forest and answer, the marginals summed over all leaves at once.

Reference: Hutter, Hoos, Leyton-Brown, Proc. 31st ICML, PMLR 32(1), 754 (2014).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState
from sklearn.ensemble import RandomForestRegressor


class Fanova(FanovaImportanceEvaluator):
    """Optuna's evaluator; numeric hyperparameters in a hundredth of its time.

    Args:
        n_trees: of the forest.
        seed: of the forest.
    """

    def __init__(self, *, n_trees: int = 64, seed: int = 0) -> None:
        super().__init__(n_trees=n_trees, seed=seed)
        self._forest = RandomForestRegressor(n_trees, max_depth=64, random_state=seed)

    def evaluate(
        self,
        study: optuna.Study,
        params: list[str] | None = None,
        *,
        target: Callable[[FrozenTrial], float] | None = None,
    ) -> dict[str, float]:
        """The share of each hyperparameter, the largest first; Optuna's where one is a word.

        Raises:
            ValueError: when the score does not vary.
        """
        space: dict[str, Any] = intersection_search_space(study.get_trials(deepcopy=False))
        is_word = any(isinstance(d, CategoricalDistribution) for d in space.values())
        trials = [
            t
            for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if np.isfinite(t.values[0] if target is None else target(t))
        ]
        varied = [name for name, d in space.items() if not d.single()]
        if params is not None or is_word or not varied or len(trials) < 2:
            return super().evaluate(study, params, target=target)
        values = np.array([[t.params[name] for name in varied] for t in trials], dtype=float)
        scores = np.array([t.values[0] if target is None else target(t) for t in trials])
        self._forest.fit(values, scores)
        ends = np.array([(space[name].low, space[name].high) for name in varied], dtype=float)
        by_tree = [_shares(leaves(tree.tree_, ends), ends) for tree in self._forest.estimators_]
        if not (found := [shares for shares in by_tree if shares is not None]):
            raise ValueError("the score does not vary")
        shares = dict.fromkeys(space, 0.0) | dict(zip(varied, np.mean(found, 0), strict=True))
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


class Leaves(NamedTuple):
    """The L boxes over P hyperparameters into which a tree parts the space.

    Attributes:
        low, high: L by P, the ends of the boxes.
        value: of the score in each.
    """

    low: np.ndarray
    high: np.ndarray
    value: np.ndarray


def leaves(tree: Any, ends: np.ndarray) -> Leaves:
    """The leaves of scikit-learn's tree over a space with these ends (P by 2)."""
    low = np.tile(ends[:, 0], (tree.node_count, 1))
    high = np.tile(ends[:, 1], (tree.node_count, 1))
    left, right = tree.children_left, tree.children_right
    nodes = np.array([0])
    while len(nodes := nodes[left[nodes] >= 0]):
        split, where = tree.feature[nodes], tree.threshold[nodes]
        for children, end in ((left[nodes], high), (right[nodes], low)):
            low[children], high[children] = low[nodes], high[nodes]
            end[children, split] = where
        nodes = np.concatenate([left[nodes], right[nodes]])
    is_leaf = left < 0
    return Leaves(low[is_leaf], high[is_leaf], tree.value[is_leaf, 0, 0])


def _shares(found: Leaves, ends: np.ndarray) -> np.ndarray | None:
    """The share of each hyperparameter's marginal in a tree's variance; None without any."""
    fractions, variance = spread(found, ends)
    if not variance > 0:
        return None
    return np.array([variance_along(found, fractions, (i,)) for i in range(len(ends))]) / variance


def spread(found: Leaves, ends: np.ndarray) -> tuple[np.ndarray, float]:
    """The fraction of each range that each leaf has (L by P), and the whole tree's variance."""
    fractions = (found.high - found.low) / (ends[:, 1] - ends[:, 0])
    weights = fractions.prod(1)
    mean = np.average(found.value, weights=weights)
    return fractions, float(np.average((found.value - mean) ** 2, weights=weights))


def variance_along(found: Leaves, fractions: np.ndarray, columns: tuple[int, ...]) -> float:
    """The variance of the mean over all hyperparameters but these, along these.

    Between neighbouring splits the mean is that of the leaves that reach over the cell. Each leaf
    is added at the corner where it begins and taken away where it ends, so that running sums over
    the cells have all leaves at once.
    """
    others = np.delete(fractions, columns, axis=1).prod(1)
    begin, end, sizes = [], [], []
    for column in columns:
        splits, place = np.unique(
            np.concatenate([found.low[:, column], found.high[:, column]]), return_inverse=True
        )
        first, last = place.reshape(2, -1)
        begin, end, sizes = [*begin, first], [*end, last], [*sizes, np.diff(splits)]
    sums = np.zeros((2, *(len(size) + 1 for size in sizes)))
    for corner in np.ndindex(*(2,) * len(columns)):
        at = tuple(end[i] if is_end else begin[i] for i, is_end in enumerate(corner))
        sign = (-1.0) ** sum(corner)
        np.add.at(sums[0], at, sign * others)
        np.add.at(sums[1], at, sign * others * found.value)
    for axis in range(1, len(columns) + 1):
        sums = np.delete(sums.cumsum(axis), -1, axis=axis)
    weight, total = sums
    means = total / weight
    cells = weight * sizes[0] if len(sizes) == 1 else weight * np.multiply.outer(*sizes)
    mean = np.average(means, weights=cells)
    return float(np.average((means - mean) ** 2, weights=cells))
