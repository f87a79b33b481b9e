"""What of a study goes to Weights & Biases: each trial, the front as it grows, the race."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from gadlib.cluster.retries import StorageLostError
from gadlib.progress.interrupts import undisturbed
from gadlib.tuning.front import front, objectives_in
from gadlib.tuning.raced import race_of
from gadlib.tuning.status import read_status
from gadlib.tuning.wandb_log import Tracking, summary_of


@contextlib.contextmanager
def tracked(
    study: optuna.Study, study_name: str, worker: str, config: Mapping[str, Any], folder: str
) -> Iterator[Tracking]:
    """Inside, trials may be told; in the end what was found is, whatever has happened."""
    tracking = Tracking(study_name, worker, config, folder)
    try:
        yield tracking
    finally:
        with undisturbed():
            found: dict[str, Any] = {}
            with contextlib.suppress(StorageLostError):
                found = summary(study)
            tracking.end(found)


def follow(tracking: Tracking, study: optuna.Study, trial: FrozenTrial) -> None:
    """Tell of a trial that has ended: its values by objective, and the front that it left."""
    known = objectives_in(study.user_attrs)
    values = zip(known, trial.values or (), strict=False)
    more: dict[str, Any] = {f"objectives/{one.name}": value for one, value in values}
    if len(known) > 1:
        best = [t.number for t in front(study)]
        more |= {"front/size": len(best), "front/is_on_it": trial.number in best}
    tracking.trial(
        trial.number, trial.state.name.lower(), trial.params, {**trial.user_attrs, "more": more}
    )


def summary(study: optuna.Study) -> dict[str, Any]:
    """What a study found: trials by state, the best one, the front and how the race ended."""
    now = read_status(study)
    trials = study.get_trials(deepcopy=False)
    found = summary_of(now.states, None if now.best_trial is None else trials[now.best_trial])
    names = [one.name for one in objectives_in(study.user_attrs)]
    if len(names) > 1:
        found["front"] = [
            {"trial": t.number, **dict(zip(names, t.values, strict=True))} for t in front(study)
        ]
    if (race := race_of(study)) is not None:
        found |= {"race/winner": race.winner, "race/win_share": race.win_share}
        for name, (mean, low, high) in race.gain.items():
            found |= {f"race/gain/{name}": mean, f"race/gain/{name}/interval": [low, high]}
    return found
