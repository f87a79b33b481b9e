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
    KNEE,
    OBJECTIVES,
    PUBLISHED,
    Bound,
    Objective,
    bounds_of,
    require_prefer,
)

ABOUT = "gadlib"
"""The attribute of a study that says what it is about."""

ID = "study_id"
"""Of that which is kept wherever the study is moved to; no other study of its name has it."""

RACE = "race"
"""Of its race (`race`)."""

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
    bounds = bounds_of(asked, "constraints")
    return [t for t in trials if keeps(t, bounds)] if bounds else [*trials]


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
    return [trials[i] for i in _unbeaten(merits)]


def preferred(study: optuna.Study, prefer: str | None = None) -> FrozenTrial | None:
    """The trial that is to be taken; None where there is none.

    It is the winner of the race that was held on the trials that the study has, if nothing else is
    preferred; else one of the front (`pick`).

    Args:
        study: whose trials.
        prefer: as the setting has it; None: as the study was asked.
    """
    trials = front(study)
    if not trials:
        return None
    race = race_kept(study)
    if prefer is None and race is not None:
        return next(t for t in completed(study) if t.number == race["winner"])
    if prefer is None:
        prefer = study.user_attrs.get("settings", {}).get("prefer")
    found = np.array([t.values for t in trials], dtype=float)
    bounds = require_prefer(prefer or KNEE)
    missed = [sum(max(0.0, _excess(t, bound)) for bound in bounds) for t in trials]
    signs = _signs(study)
    bounded = {bound.name for bound in bounds}
    is_free = [one.name not in bounded for one in objectives_in(study.user_attrs)]
    return trials[_choose(signs * found, np.array(missed), np.array(is_free))]


def race_kept(study: optuna.Study) -> Mapping[str, Any] | None:
    """What the study keeps of a race on the trials that it has; None where none was held."""
    kept = study.user_attrs.get(RACE)
    is_held = isinstance(kept, Mapping) and kept.get("n_completed") == len(completed(study))
    return kept if is_held else None


def pick(found: np.ndarray, objectives: Sequence[Objective], prefer: str | None = None) -> int:
    """The row of values that is to be taken.

    With one objective the best. With several by the knee: the row that lies farthest from the plane
    through the worst by each objective. By bounds: of the rows within them (where there are none,
    of those nearest to them) the knee of the objectives that have no bound.

    Args:
        found: rows by the objectives.
        objectives: of the columns.
        prefer: as the setting has it; None: the knee. Bounds on other objectives are passed over.
    """
    bounds = require_prefer(prefer or KNEE)
    names = [one.name for one in objectives]
    missed = np.zeros(len(found))
    for bound in bounds:
        if bound.name in names:
            column = found[:, names.index(bound.name)]
            missed += [max(0.0, bound.excess(float(value))) for value in column]
    signs = np.array([-1.0 if one.is_cost else 1.0 for one in objectives])
    bounded = {bound.name for bound in bounds}
    return _choose(signs * found, missed, np.array([name not in bounded for name in names]))


def _choose(merits: np.ndarray, missed: np.ndarray, is_free: np.ndarray) -> int:
    """The row with the most gains, each in units of its span, among those that miss least."""
    rows = np.flatnonzero(missed <= missed.min() + _SAME)
    if len(is_free) == merits.shape[1] and is_free.any():
        merits = merits[:, is_free]
    within = merits[rows]
    span = np.ptp(within, axis=0)
    gains = ((within - within.min(axis=0)) / np.where(span > 0, span, 1.0)).sum(axis=1)
    return int(rows[gains.argmax()])


def _signs(study: optuna.Study) -> np.ndarray:
    return np.array([1.0 if d.name == "MAXIMIZE" else -1.0 for d in study.directions])


def _merits(study: optuna.Study, trials: Sequence[FrozenTrial]) -> np.ndarray:
    """T trials by the objectives, more is better."""
    return _signs(study) * np.array([t.values for t in trials], dtype=float)


def _unbeaten(merits: np.ndarray) -> list[int]:
    """The rows that no other is as good as in all, by their merits; of equal ones the first.

    From the best by the first column down a row is unbeaten unless one that was kept is as good in
    all, so that each is compared with the front alone.
    """
    order = np.lexsort((np.arange(len(merits)), *(-merits[:, ::-1].T)))
    kept: list[int] = []
    for row in order.tolist():
        if not (merits[kept] >= merits[row]).all(axis=1).any():
            kept.append(row)
    return kept[::-1]


def _excess(trial: FrozenTrial, bound: Bound) -> float:
    """By how much a trial misses a bound; infinite where it has no such score."""
    value = trial.user_attrs.get("scores", {}).get(bound.name)
    return float("inf") if value is None else bound.excess(float(value))
