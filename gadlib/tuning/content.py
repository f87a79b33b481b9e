"""What `hpo_results.json` holds of a study, from its storage alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gadlib.cluster.heartbeats import read_workers
from gadlib.settings.objectives import Objective
from gadlib.tuning.choices import of_settings, of_solver
from gadlib.tuning.front import ABOUT, ID, front, objectives_in, preferred, race_kept
from gadlib.tuning.ranges import at_ends


def collect_results(study: optuna.Study, prefer: str | None = None) -> dict[str, Any]:
    """The content of `hpo_results.json`, from the storage alone: best, trials, screening set.

    Args:
        study: as its storage has it.
        prefer: which trial of several best ones to take; None: as the study was asked.
    """
    trials = study.get_trials(deepcopy=False)
    best = preferred(study, prefer)
    attrs = study.user_attrs
    objectives, settings = objectives_in(attrs), attrs.get("settings", {})
    return {
        "study_name": study.study_name,
        "study_id": attrs.get(ID),
        "storage": getattr(study._storage, "shown", None),
        "best_trial": best and best.number,
        "best_score": best.values[0] if best and best.values and len(objectives) == 1 else None,
        "best_scores": best.user_attrs.get("scores", {}) if best else {},
        "objectives": {one.name: one.direction for one in objectives},
        "best_trials": [_best(t, objectives) for t in front(study)],
        "race": race_kept(study),
        "best_params": {**settings.get("hyperparameters", {}), **of_solver(best.params)}
        if best
        else {},
        "best_choices": of_settings(best.params) if best else {},
        "best_at_ends": [one.kept() for one in at_ends(best)],
        "best_convergence_rate": best and best.user_attrs.get("convergence_rate"),
        "best_mean_steps": best and best.user_attrs.get("mean_steps"),
        "n_trials": {
            str(state.name).lower(): sum(t.state is state for t in trials) for state in TrialState
        },
        "about": attrs.get(ABOUT, {}),
        "settings": settings,
        "versions": attrs.get("versions", {}),
        "workers": read_workers(study),
        "trials": [_trial(t) for t in trials],
        "screening": attrs.get("screening", []),
    }


def _best(trial: FrozenTrial, objectives: Sequence[Objective]) -> dict[str, Any]:
    names = [one.name for one in objectives]
    values = dict(zip(names, trial.values or (), strict=False))
    return {"number": trial.number, "values": values, "params": trial.params}


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    is_complete = trial.state is TrialState.COMPLETE
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.values[0] if is_complete and len(trial.values) == 1 else None,
        "params": trial.params,
        "started": trial.datetime_start and trial.datetime_start.isoformat(),
        "ended": trial.datetime_complete and trial.datetime_complete.isoformat(),
        "retry_of": trial.system_attrs.get("retry_history", []),
        **trial.user_attrs,
    }
