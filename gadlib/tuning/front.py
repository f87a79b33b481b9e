"""The best trials of a study: those that no other is better than in all, and the one to take.

References: Pareto fronts, Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002),
doi:10.1109/4235.996017; the knee, Das, Struct. Optim. 18, 107 (1999), doi:10.1007/BF01195985.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from gadlib.settings.objectives import (
    OBJECTIVES,
    PUBLISHED,
    Bound,
    Objective,
    bounds_of,
    require_prefer,
)

ABOUT = "gadlib"
"""The attribute of a study that says what it is about."""

_SAME = 1e-9  # of values that differ by rounding only


def objectives_in(attributes: Mapping[str, Any]) -> tuple[Objective, ...]:
    """The objectives of a study, by its attributes; an earlier one has the published one.

    One that this version does not know is maximised.
    """
    about = attributes.get(ABOUT)
    names = about.get("objectives", PUBLISHED) if isinstance(about, Mapping) else PUBLISHED
    return tuple(OBJECTIVES.get(name, Objective(str(name), "")) for name in names)


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have values, in their order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [t for t in trials if t.values]


def feasible(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that keep the study's constraints."""
    asked = study.user_attrs.get("settings", {}).get("constraints")
    return [t for t in trials if keeps(t, bounds_of(asked, "constraints"))]


def keeps(trial: FrozenTrial, bounds: Sequence[Bound]) -> bool:
    """Whether the trial's scores are within all bounds."""
    return all(_excess(trial, bound) <= _SAME for bound in bounds)


def front(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that keep the constraints and that no other is better than by all objectives.

    Of a study with one objective the first best one alone. They are in the order of the first
    objective, the best last.
    """
    trials = feasible(study, completed(study))
    if not trials:
        return []
    merits = _merits(study, trials)
    if merits.shape[1] == 1:
        return [trials[int(merits[:, 0].argmax())]]
    kept = [i for i in range(len(trials)) if not _is_beaten(merits, i)]
    kept.sort(key=lambda i: tuple(merits[i]))
    return [trials[i] for i in kept]


def preferred(study: optuna.Study, prefer: str | None = None) -> FrozenTrial | None:
    """The trial of the front that is to be taken; None where there is none.

    By the knee: the one that lies farthest below the plane through the best by each objective. By
    bounds: of those within them (where there are none, of those nearest to them) the knee of the
    objectives that have no bound.

    Args:
        study: whose trials.
        prefer: as the setting has it; None: as the study was asked.
    """
    trials = front(study)
    if prefer is None:
        prefer = study.user_attrs.get("settings", {}).get("prefer") or "knee"
    if len(trials) < 2:
        return trials[0] if trials else None
    bounds = require_prefer(prefer)
    if bounds:
        missed = np.array([sum(max(0.0, _excess(t, b)) for b in bounds) for t in trials])
        trials = [t for t, by in zip(trials, missed, strict=True) if by <= missed.min() + _SAME]
    merits = _merits(study, trials)
    bounded = {bound.name for bound in bounds}
    free = [i for i, one in enumerate(objectives_in(study.user_attrs)) if one.name not in bounded]
    merits = merits[:, free or slice(None)]
    span = np.ptp(merits, axis=0)
    gains = ((merits - merits.min(axis=0)) / np.where(span > 0, span, 1.0)).sum(axis=1)
    return trials[int(gains.argmax())]


def _merits(study: optuna.Study, trials: Sequence[FrozenTrial]) -> np.ndarray:
    """T trials by the objectives, more is better."""
    signs = np.array([1.0 if d.name == "MAXIMIZE" else -1.0 for d in study.directions])
    return signs * np.array([t.values for t in trials], dtype=float)


def _is_beaten(merits: np.ndarray, row: int) -> bool:
    """Whether another trial is as good by all objectives and better by one, or the same before."""
    is_as_good = (merits >= merits[row]).all(axis=1)
    is_better = (merits > merits[row]).any(axis=1)
    is_twin = (merits == merits[row]).all(axis=1)
    return bool((is_as_good & is_better).any() or is_twin[:row].any())


def _excess(trial: FrozenTrial, bound: Bound) -> float:
    """By how much a trial misses a bound; infinite where it has no such score."""
    value = trial.user_attrs.get("scores", {}).get(bound.name)
    return float("inf") if value is None else bound.excess(float(value))
