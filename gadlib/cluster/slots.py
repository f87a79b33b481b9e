"""Which trials a study of so many trials has room for, known from the list of its trials alone.

A trial that failed and those that try it again are one chain, and hold one slot. The slot has the
number of the first of them, which no other trial has. So every process comes to the same answer
without asking another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
"""A pruned trial is decided: it can't be the best."""

MAX_DEATHS = 3
"""A trial during which that many workers died is not tried again: it may be what kills them."""

MAX_STALLS = 3
"""A trial that was ended in order that often in a row, with no sample done, is not tried again."""


def history(trial: FrozenTrial) -> list[int]:
    """The numbers of the trials that this one tries again, the first one first."""
    return trial.system_attrs.get("retry_history", [])


def slot_of(trial: FrozenTrial) -> int:
    """The number of the first trial of its chain."""
    return (history(trial) or [trial.number])[0]


def deaths(trial: FrozenTrial) -> int:
    """How many workers have died during a trial that failed, and during those before it."""
    return trial.user_attrs.get("deaths", 0) + ("ended" not in trial.user_attrs)


def stalls(trial: FrozenTrial) -> int:
    """How often in a row a trial was ended in order without a sample done."""
    return trial.user_attrs.get("stalls", 0)


def is_over(trial: FrozenTrial) -> bool:
    """Whether a trial that failed is not to be tried again."""
    attrs = trial.user_attrs
    is_given_up = deaths(trial) >= MAX_DEATHS or stalls(trial) >= MAX_STALLS
    return bool(attrs.get("surplus") or attrs.get("twin")) or is_given_up


def taken_slots(trials: Iterable[FrozenTrial]) -> set[int]:
    """The slots that are taken."""
    chains: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        chains.setdefault(slot_of(trial), []).append(trial)
    return {slot for slot, chain in chains.items() if _is_live(chain)}


def _is_live(chain: Sequence[FrozenTrial]) -> bool:
    """Whether a trial of the chain is decided, running or queued, or will be queued again."""
    retries = [t for t in chain if not t.user_attrs.get("twin")]
    failed = [t for t in retries if t.state is TrialState.FAIL]
    if len(failed) < len(retries):
        return True
    return not failed or not is_over(max(failed, key=lambda t: t.number))


def has_slot(trial: FrozenTrial, trials: Iterable[FrozenTrial], n_trials: int) -> bool:
    """Whether the trial is among the first `n_trials`, given-up chains not counted."""
    mine = slot_of(trial)
    return sum(slot < mine for slot in taken_slots(trials)) < n_trials


def is_twin(trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> bool:
    """Whether another one, queued earlier, tries the same trial again."""
    mine = history(trial)
    return bool(mine) and any(history(t) == mine and t.number < trial.number for t in trials)


def lost(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Failed trials that nobody has queued again yet."""
    trials = list(trials)
    queued = {number for trial in trials for number in history(trial)}
    return [
        t
        for t in trials
        if t.state is TrialState.FAIL and t.number not in queued and not is_over(t)
    ]
