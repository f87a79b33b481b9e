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
    fractions = (found.high - found.low) / (ends[:, 1] - ends[:, 0])
    weights = fractions.prod(1)
    mean = np.average(found.value, weights=weights)
    variance = np.average((found.value - mean) ** 2, weights=weights)
    if not variance > 0:
        return None
    return np.array([_marginal(found, fractions, i) for i in range(len(ends))]) / variance


def _marginal(found: Leaves, fractions: np.ndarray, column: int) -> float:
    """The variance of the mean over all hyperparameters but one, along that one.

    Between two splits the mean is that of the leaves that reach over the gap, so that it rises
    where a leaf begins and falls where it ends.
    """
    splits, place = np.unique(
        np.concatenate([found.low[:, column], found.high[:, column]]), return_inverse=True
    )
    begin, end = place.reshape(2, -1)
    others = np.delete(fractions, column, axis=1).prod(1)
    sums = np.zeros((2, len(splits)))
    for row, amount in enumerate((others, others * found.value)):
        np.add.at(sums[row], begin, amount)
        np.subtract.at(sums[row], end, amount)
    weight, total = sums.cumsum(1)[:, :-1]
    means, sizes = total / weight, np.diff(splits) * weight
    mean = np.average(means, weights=sizes)
    return float(np.average((means - mean) ** 2, weights=sizes))
