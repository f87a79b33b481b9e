"""Some of a study's trials as a study, for what Optuna computes of a whole one."""

from __future__ import annotations

from collections.abc import Container, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from gadlib.report.tuning.study import empty_study


class OfTrials(optuna.Study):
    """A study of trials of another, not copied as Optuna's own would."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        empty = empty_study(directions=study.directions)
        super().__init__(empty.study_name, empty._storage)
        self._trials = trials

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Those that it is of, not copied."""
        return [t for t in self._trials if states is None or t.state in states]


def within_ranges(study: optuna.Study) -> optuna.Study:
    """The study without trials that have a value outside of their ranges; itself where none has.

    So may trial 0, the defaults, where others draw from ranges that leave them out. Importances are
    of the space that was drawn from, of which boxes that hold such a trial are no part.
    """
    trials = study.get_trials(deepcopy=False)
    inside = [t for t in trials if all(_holds(t, name) for name in t.params)]
    return study if len(inside) == len(trials) else OfTrials(study, inside)


def _holds(trial: FrozenTrial, name: str) -> bool:
    drawn = trial.distributions[name]
    return drawn._contains(drawn.to_internal_repr(trial.params[name]))
