"""Which trials end before all their samples are searched.

References: asynchronous successive halving (`rungs`), Li et al., MLSys 2020 (arXiv:1810.05934);
ending trials by a paired test on the same samples, as in F-Race, Birattari et al., GECCO 2002, 11,
by Wilcoxon's test, Biometrics Bull. 1, 80 (1945), doi:10.2307/3001968.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import wilcoxon

from gadlib.settings.objectives import Objective
from gadlib.tuning.rungs import ETA, Rung
from gadlib.tuning.scores import is_matched

WAYS = ("best_possible", "halving", "halving_steps", "wilcoxon", "none")
"""When a trial may end early; the setting says when that is."""

P_MAX = 0.1
"""Optuna's WilcoxonPruner has the same."""

LEAST_PAIRS = 4
"""Of samples, below which no exact test could reach 10 %."""


def is_stopped_at_rung(
    number: int,
    rung: Rung,
    trials: Sequence[FrozenTrial],
    objectives: Sequence[Objective],
) -> bool:
    """Whether a trial ends at a rung: too many of those that came there are better in all.

    A trial that failed is not counted, as the one that tries it again will be.

    Args:
        number: of the trial, whose values at the rung are among the trials'.
        rung: there.
        trials: of the study.
        objectives: of the study.
    """
    name = rung.name
    known = {
        t.number: tuple(t.user_attrs[name])
        for t in trials
        if name in t.user_attrs and t.state is not TrialState.FAIL
    }
    mine = known[number]
    n_better = sum(
        is_matched(mine, [other], objectives) and other != mine for other in known.values()
    )
    return n_better >= max(1, len(known) // ETA)


def is_worse_in_pairs(mine: Sequence[float], best: Sequence[float], *, is_cost: bool) -> bool:
    """Whether a trial is worse than the best one on the samples that it has.

    Args:
        mine: its values by sample.
        best: those of the best trial, at least as many, of the same samples in the same order.
        is_cost: whether less is better.
    """
    gains = np.array(best[: len(mine)], dtype=float) - np.array(mine, dtype=float)
    if is_cost:
        gains = -gains
    if len(gains) < LEAST_PAIRS or len(best) < len(mine) or gains.mean() <= 0:
        return False
    return p_of_gain(gains) < P_MAX


def p_of_gain(gains: np.ndarray) -> float:
    """The p value of Wilcoxon's one-sided test that these paired gains are above zero; 1 of none.

    Pairs without a difference count half to each side.
    """
    if not gains.any():
        return 1.0
    found: Any = wilcoxon(gains, zero_method="zsplit", alternative="greater")
    return float(found.pvalue)
