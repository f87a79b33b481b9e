"""Which words the trials of a study tried, and what each was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from gadlib.files.shapes import StudyKept, TrialKept
from gadlib.settings.objectives import OBJECTIVES, PUBLISHED, Objective
from gadlib.tuning.front import objectives_in, preferred


class Tried(NamedTuple):
    """A word that trials could choose.

    Attributes:
        name: of the choice, as of mode.
        word: that was chosen.
        n_completed: trials with it that came to their ends.
        n_early: trials with it that ended early.
        medians: of the completed ones by each objective; empty where there are none.
        bests: of the completed ones by each objective alone; likewise.
        is_taken: whether the tuned values have it.
    """

    name: str
    word: str
    n_completed: int
    n_early: int
    medians: tuple[float, ...]
    bests: tuple[float, ...]
    is_taken: bool


class Words(NamedTuple):
    """The words of a study.

    Attributes:
        objectives: of the study.
        tried: each word of each choice, in the order of the choices; empty where none was chosen.
    """

    objectives: tuple[Objective, ...]
    tried: tuple[Tried, ...]


class _Ended(NamedTuple):
    """A trial that is over: what it drew, and its values; None where it ended early."""

    params: Mapping[str, Any]
    values: tuple[float, ...] | None


def words_of(study: optuna.Study, objectives: Sequence[Objective] | None = None) -> Words:
    """The words of a study, from its storage.

    Args:
        study: with one objective or several.
        objectives: of the study; None: as it says itself.
    """
    trials = study.get_trials(deepcopy=False)
    known = tuple(objectives_in(study.user_attrs) if objectives is None else objectives)
    offered = {
        name: tuple(map(str, kind.choices))
        for t in trials
        for name, kind in t.distributions.items()
        if isinstance(kind, CategoricalDistribution)
    }
    ended = [
        _Ended(t.params, tuple(t.values) if t.values and t.state is TrialState.COMPLETE else None)
        for t in trials
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
    ]
    best = preferred(study)
    return Words(known, _tried(ended, offered, known, {} if best is None else best.params))


def words_in(kept: StudyKept) -> Words:
    """The words of a study, from its file."""
    names = tuple(kept.objectives or PUBLISHED)
    known = tuple(OBJECTIVES.get(name, Objective(name, "")) for name in names)
    ended = [
        _Ended(t.params, _values(t, names) if t.state == "complete" else None)
        for t in kept.trials
        if t.state in ("complete", "pruned")
    ]
    choices = kept.settings.get("choices") or {}
    offered = {name: tuple(map(str, words)) for name, words in choices.items()}
    best = {**kept.best_params, **kept.best_choices}
    return Words(known, _tried(ended, offered, known, best))


def _values(trial: TrialKept, names: Sequence[str]) -> tuple[float, ...] | None:
    if len(names) == 1 and trial.score is not None:
        return (trial.score,)
    scores = trial.scores or {}
    return tuple(scores[name] for name in names) if {*names} <= scores.keys() else None


def _tried(
    ended: Sequence[_Ended],
    offered: Mapping[str, Sequence[str]],
    objectives: Sequence[Objective],
    best: Mapping[str, Any],
) -> tuple[Tried, ...]:
    rows = []
    for name, words in offered.items():
        for word in words:
            own = [t for t in ended if str(t.params.get(name)) == word]
            found = np.array([t.values for t in own if t.values is not None], dtype=float)
            columns = list(zip(objectives, found.T, strict=True)) if len(found) else []
            rows.append(
                Tried(
                    name=name,
                    word=word,
                    n_completed=len(found),
                    n_early=len(own) - len(found),
                    medians=tuple(float(np.median(values)) for _, values in columns),
                    bests=tuple(
                        float(values.min() if one.is_cost else values.max())
                        for one, values in columns
                    ),
                    is_taken=str(best.get(name)) == word,
                )
            )
    return tuple(rows)
