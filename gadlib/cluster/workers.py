"""The workers of a study, who share out exactly as many trials as were asked for.

Every worker keeps a sign of life in the study's attributes (`heartbeats`); a trial carries its
worker's name. A trial is created first and run only if it has a slot (`slots`): numbers are given
out one by one by every storage, so no two workers can both take the last. A trial that is
interrupted, or whose worker has died, is ended as failed by exactly one process and queued again
with its parameters.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from gadlib.cluster.heartbeats import (
    is_alive,
    now,
    read_workers,
    this_machine,
    this_process,
    write_worker,
)
from gadlib.cluster.slots import (
    DONE,
    deaths,
    has_slot,
    history,
    is_over,
    is_twin,
    lost,
    stalls,
    taken_slots,
)

_QUEUED_S = 60.0
"""Who failed a trial queues it again in the next moment; after that long it is another's to do."""

_LOOK_S = 5.0
"""How often to look for trials of dead workers, which costs a read of all trials."""

_DOUBT_S = 30.0
"""How long a worker elsewhere, or a trial that nobody signed, is watched before it counts as dead:
clocks of two machines may differ, what this process itself saw does not depend on them."""


@dataclass
class Worker:
    """A worker of a study of `n_trials` trials: this process.

    Attributes:
        grace_s: seconds without a sign of life after which a worker counts as dead; clocks of
            different machines must agree better than that.
        seed: of this worker's sampler, once it is known.
    """

    study: optuna.Study
    n_trials: int
    grace_s: float = 180.0
    seed: int | None = None
    name: str = ""
    _about: dict[str, Any] = field(default_factory=dict)
    _last_beat: float = -1e9
    _last_recovery: float = -1e9
    _seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._about = this_process()
        host, pid = self._about["machine"].split("/")[0], self._about["pid"]
        self.name = f"{host}-{pid}-{random.SystemRandom().randrange(16**6):06x}"
        self.beat(force=True)

    def beat(self, *, force: bool = False, **more: Any) -> None:
        """A sign of life, written when the last one is old enough to make another worth while."""
        if not force and time.monotonic() - self._last_beat < self.grace_s / 6:
            return
        self._about |= {"beat": time.time(), "seed": self.seed, **more}
        write_worker(self.study, self.name, self._about)
        self._last_beat = time.monotonic()

    def leave(self) -> None:
        """The last sign: this worker has ended in order."""
        self.beat(force=True, ended=now())

    def trials(self) -> list[FrozenTrial]:
        """The trials as they are in the storage now."""
        return self.study.get_trials(deepcopy=False)

    @property
    def n_done(self) -> int:
        """Trials that are decided, whoever ran them."""
        return sum(t.state in DONE for t in self.trials())

    def ask(self) -> Trial | None:
        """The next trial, this worker's to run; None when others have all there are to run."""
        trials = self.trials()
        if sum(t.state in DONE for t in trials) >= self.n_trials:
            return None
        is_queued = any(t.state is TrialState.WAITING for t in trials)
        if not is_queued and len(taken_slots(trials)) >= self.n_trials:
            return None
        trial = self.study.ask()
        with contextlib.suppress(UpdateFinishedTrialError):  # slept, and was taken for dead
            trial.set_user_attr("worker", self.name)
            trials = self.trials()
            this = trials[trial.number]
            if is_twin(this, trials):
                trial.set_user_attr("twin", True)
            elif has_slot(this, trials, self.n_trials):
                return trial
            else:
                trial.set_user_attr("surplus", True)
            self._end(trial, None, TrialState.FAIL)
        return None

    def tell(
        self,
        trial: Trial,
        values: Sequence[float] | None,
        attributes: Mapping[str, Any],
        missed: Mapping[str, float] | None = None,
    ) -> bool:
        """Whether the trial was this worker's still, and has ended so.

        Args:
            trial: that has ended.
            values: by each objective; None: pruned.
            attributes: what it found.
            missed: by each constraint how far it is missed; zero or less where it is kept.
        """
        try:
            for name, content in attributes.items():
                trial.set_user_attr(name, content)
            for name, excess in (missed or {}).items():
                trial.set_constraint(name, excess)
            self._end(trial, values, TrialState.PRUNED if values is None else TrialState.COMPLETE)
        except UpdateFinishedTrialError:
            return False
        return True

    def _end(
        self, trial: Trial | int, values: Sequence[float] | None, state: TrialState
    ) -> FrozenTrial:
        """As `study.tell`; raises UpdateFinishedTrialError where another process was first."""
        try:
            return self.study.tell(trial, values, state=state)
        except ValueError:  # what Optuna says, too, of a trial that has ended
            number = trial if isinstance(trial, int) else trial.number
            if self.trials()[number].state is TrialState.RUNNING:
                raise
            raise UpdateFinishedTrialError from None

    def give_back(self, reason: str, stalled: Collection[int] = ()) -> int:
        """How many trials of this worker, not finished, were queued again.

        Args:
            reason: why they end.
            stalled: the numbers of those for which nothing was done in a fair time.
        """
        n = 0
        for frozen in self.trials():
            is_mine = frozen.user_attrs.get("worker") == self.name
            if is_mine and frozen.state is TrialState.RUNNING:
                with contextlib.suppress(UpdateFinishedTrialError):
                    trial = Trial(self.study, frozen._trial_id)
                    if frozen.number in stalled:
                        trial.set_user_attr("stalls", stalls(frozen) + 1)
                    elif stalls(frozen):
                        trial.set_user_attr("stalls", 0)
                    trial.set_user_attr("ended", reason)
                n += self._requeue(frozen)
        return n

    def _requeue(self, trial: FrozenTrial) -> bool:
        try:
            Trial(self.study, trial._trial_id).set_user_attr("ended_by", self.name)
            return self._queue_again(self._end(trial.number, None, TrialState.FAIL))
        except UpdateFinishedTrialError:
            return False

    def _queue_again(self, trial: FrozenTrial) -> bool:
        """Whether it is tried again.

        As by Optuna's RetryHeartbeatStaleTrialCallback, whose attributes these are.
        """
        if is_over(trial) or not has_slot(trial, self.trials(), self.n_trials):
            return False
        numbers = [*history(trial), trial.number]
        kept = {"failed_trial": numbers[0], "retry_history": numbers}
        if "fixed_params" in trial.system_attrs:
            kept["fixed_params"] = trial.system_attrs["fixed_params"]
        drawn = {name: kind for name, kind in trial.distributions.items() if _is_in(trial, name)}
        self.study.add_trial(  # a default outside its range comes back from `fixed_params`
            optuna.create_trial(
                state=TrialState.WAITING,
                params={name: trial.params[name] for name in drawn},
                distributions=drawn,
                user_attrs={"deaths": deaths(trial), "stalls": stalls(trial)},
                system_attrs=kept,
            )
        )
        return True

    def recover(self, *, force: bool = False) -> int:
        """How many trials of dead workers were queued again."""
        pause = min(_LOOK_S, self.grace_s / 12)
        if not force and time.monotonic() - self._last_recovery < pause:
            return 0
        self._last_recovery = time.monotonic()
        trials = self.trials()
        known = read_workers(self.study)  # read after the trials, so that none is of an unknown one
        others = [worker for name, worker in known.items() if name != self.name]
        is_alone = not any(is_alive(worker, self.grace_s) for worker in others)
        n = 0
        for trial in trials:
            if trial.state is TrialState.RUNNING and self._is_orphan(trial, known, is_alone):
                n += self._requeue(trial)
        for trial in lost(self.trials()):
            if is_alone or self._is_left(trial, known):
                n += self._queue_again(trial)
        return n

    def _is_orphan(
        self, trial: FrozenTrial, known: Mapping[str, dict[str, Any]], is_alone: bool
    ) -> bool:
        """Whether its worker has ended, or gave no sign while this process looked on."""
        name = trial.user_attrs.get("worker")
        if name == self.name:
            return False
        worker = known.get(name, {}) if name else {}
        if name is None or not worker:  # killed before it signed the trial, or about to sign
            return is_alone or self._unchanged_s(f"trial {trial.number}", None) > self._doubt_s
        verdict = is_alive(worker, self.grace_s)
        if verdict is not None and worker.get("machine") == this_machine():
            return not verdict
        if worker.get("ended"):
            return True
        return verdict is False and self._unchanged_s(name, worker.get("beat")) > self._doubt_s

    def _is_left(self, trial: FrozenTrial, known: Mapping[str, dict[str, Any]]) -> bool:
        """Whether who failed it, and would queue it again in the next moment, can't any more."""
        by = trial.user_attrs.get("ended_by", "")
        if by != self.name and is_alive(known.get(by, {}), self.grace_s) is False:
            return True
        ended = trial.datetime_complete
        return ended is not None and datetime.now().timestamp() - ended.timestamp() > _QUEUED_S

    @property
    def _doubt_s(self) -> float:
        return min(_DOUBT_S, self.grace_s / 2)

    def _unchanged_s(self, key: str, sign: Any) -> float:
        """For how long this process has seen the same sign of life."""
        now = time.monotonic()
        if key not in self._seen or self._seen[key][0] != sign:
            self._seen[key] = (sign, now)
        return now - self._seen[key][1]


def _is_in(trial: FrozenTrial, name: str) -> bool:
    kind = trial.distributions[name]
    return kind._contains(kind.to_internal_repr(trial.params[name]))
