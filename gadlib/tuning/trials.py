"""The trials of one worker: taken, searched batch by batch, judged after each, reported, yielded.

Whose turn it is, is for `cluster.workers` to say; where the samples come from, for `samples`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial, Trial

from gadlib.cluster.workers import Worker
from gadlib.molecules.starting_points import Start
from gadlib.progress.interrupts import undisturbed
from gadlib.progress.signs_of_life import Life
from gadlib.screening.chunks import job_size
from gadlib.screening.jobs import Job
from gadlib.screening.processes import run
from gadlib.screening.records import Record
from gadlib.screening.references import Key, deviation, is_recovered, key_of
from gadlib.screening.setup import identity_of
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.objectives import Bound, Objective, bounds_of
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning.front import completed, feasible, objectives_in, preferred
from gadlib.tuning.sample_cache import Cache, digest
from gadlib.tuning.scores import RECOVERED, best_possible, is_matched, outcome, sample_summary
from gadlib.tuning.space import sampler, space, suggest

_POLL_S = 5.0
_FAIR_S = 5.0


@dataclass
class _Running:
    """A trial of this worker, with the records of its samples by their places."""

    trial: Trial
    hyperparameters: Hyperparameters
    found: dict[int, Record] = field(default_factory=dict)
    n_cached: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def is_stalled(self) -> bool:
        """Whether no sample was done in a fair time."""
        return len(self.found) == self.n_cached and time.monotonic() - self.began > _FAIR_S


@dataclass
class Loop:
    """Trials, taken as processes become free, reported with their last sample, then yielded.

    Samples run hardest first, so that a trial that can't be among the best any more soon shows it.

    Attributes:
        references: the reactions' own saddles, where the objectives ask for them.
    """

    worker: Worker
    settings: TuneSettings
    calculator: Any
    samples: tuple[Start, ...]
    cache: Cache
    running: dict[int, _Running] = field(default_factory=dict)
    reported: deque[int] = field(default_factory=deque)
    references: Mapping[Key, Record] = field(default_factory=dict)
    drawn: tuple[Hyperparameter, ...] = ()
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Bound, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)
    on_life: Callable[[Life], None] = lambda _: None

    def __post_init__(self) -> None:
        self.identity = identity_of(self.settings, without=("starts", "hyperparameters"))
        self.drawn = space(self.settings.solver, self.settings.ranges)
        self.objectives = objectives_in(self.worker.study.user_attrs)
        self.constraints = bounds_of(self.settings.constraints, "constraints")

    def __iter__(self) -> Generator[int, None, None]:
        pause = 0.2
        while self.worker.n_done < self.settings.n_trials:
            self._tick()
            for number in self._run():
                pause = 0.2
                yield number
            if self.worker.n_done >= self.settings.n_trials:
                return
            time.sleep(pause)  # the rest are other workers'; one of them may die yet
            pause = min(1.5 * pause, _POLL_S, self.settings.grace_s / 6)

    def _run(self) -> Iterator[int]:
        jobs = run(
            self._jobs(),
            self.settings.workers,
            on_tick=self._live,
            timeout_s=self.settings.search_timeout_s,
        )
        with contextlib.closing(jobs) as results:
            for job, records in results:
                for place, record in records.items():
                    self._keep(job, place, record)
                with undisturbed():
                    self._judge(job.tag[0])
                while self.reported:
                    yield self.reported.popleft()
        while self.reported:
            yield self.reported.popleft()

    def _live(self, life: Life) -> None:
        self._tick()
        self.on_life(life)

    def _tick(self) -> None:
        self.worker.beat()
        self.worker.recover()

    def _jobs(self) -> Iterator[Job]:
        while (this := self._claim()) is not None:
            trial, hyperparameters = this.trial, this.hyperparameters
            for place in range(len(self.samples)):
                name = self._key(hyperparameters, place)
                record = self.cache.get(name) or self.cache.get(self._timed(name))
                if record is not None:
                    this.found[place] = record
                    this.n_cached += 1
            with undisturbed():
                self._judge(trial.number)
            missing = [i for i in range(len(self.samples)) if i not in this.found]
            size = job_size(self.calculator, self.settings.batch_size)
            for first in range(0, len(missing), size):
                if trial.number not in self.running:
                    break
                places = missing[first : first + size]
                chosen = [self.samples[i] for i in places]
                tag = (trial.number, places)
                yield Job.of(self.settings, chosen, self.calculator, hyperparameters, tag=tag)

    def _claim(self) -> _Running | None:
        with undisturbed():
            trial = self.worker.ask()
            if trial is None:
                return None
            self._seed(trial)
            this = _Running(trial, suggest(trial, self.settings.solver, self.drawn))
            self.running[trial.number] = this
            return this

    def _seed(self, trial: Trial) -> None:
        """The worker's own sampler, once: no two workers' first trials have the same number."""
        if self.worker.seed is None:
            settings, self.worker.seed = self.settings, (self.settings.seed + trial.number) % 2**32
            self.worker.study.sampler = sampler(
                settings.sampler,
                self.worker.seed,
                settings.n_startup_trials,
                study_seed=settings.seed,
            )
            self.worker.beat(force=True)
        trial.set_user_attr("seed", self.worker.seed)

    def _key(self, hyperparameters: Hyperparameters, place: int) -> str:
        return digest(self.identity, self.samples[place], hyperparameters)

    def _timed(self, name: str) -> str:
        """The key of a record that the limit of time has ended: with another it may be another."""
        return f"{name}-{self.settings.search_timeout_s}"

    def _keep(self, job: Job, place: int, record: Record) -> None:
        """The record in the cache, and in its trial unless that has ended meanwhile."""
        number, places = job.tag
        name = self._key(job.hyperparameters, places[place])
        self.cache.put(self._timed(name) if record.status == Status.TIMED_OUT else name, record)
        if (this := self.running.get(number)) is not None:
            this.found[places[place]] = record

    def best(self) -> FrozenTrial | None:
        """The best trial so far, of all workers; of several objectives the preferred one."""
        return preferred(self.worker.study)

    def _judge(self, number: int) -> None:
        """End the trial when all its samples are there, or enough to rule it out as the best."""
        this = self.running.get(number)
        if this is None or not this.found:
            return
        records = [self._compared(this.found[i]) for i in sorted(this.found)]
        n, n_steps = len(self.samples), self.settings.n_steps_per_sample
        if len(records) == n:
            self._tell(number, this, records, is_pruned=False)
        elif self.settings.pruning == "best_possible":
            possible = best_possible(records, n, n_steps, self.objectives)
            study = self.worker.study
            known = [t.values for t in feasible(study, completed(study))]
            if is_matched(possible, known, self.objectives):
                if len(possible) == 1:  # Optuna keeps no such values of several
                    this.trial.report(possible[0], len(records))
                self._tell(number, this, records, is_pruned=True)

    def _compared(self, record: Record) -> Record:
        """The record, and in its criteria whether it ended at the reaction's saddle, if known."""
        found = is_recovered(record, deviation(record, self.references.get(key_of(record))))
        if found is None:
            return record
        return replace(record, criteria={**record.criteria, RECOVERED: found})

    def _tell(self, number: int, this: _Running, records: list[Record], *, is_pruned: bool) -> None:
        result = outcome(records, self.settings.n_steps_per_sample, self.objectives)
        attributes = result.attributes() | {
            "elapsed_s": round(sum(r.elapsed_s for r in records), 3),
            "n_cached": this.n_cached,
            "samples": [sample_summary(r) for r in records],
        }
        del self.running[number]
        values = None if is_pruned else result.values
        missed = {str(bound): bound.excess(result.scores[bound.name]) for bound in self.constraints}
        if self.worker.tell(this.trial, values, attributes, missed):
            self.reported.append(number)

    def end(self) -> None:
        """What is unfinished is queued again, and the worker has left."""
        with contextlib.suppress(Exception):  # the storage may be what failed
            stalled = [n for n, this in self.running.items() if this.is_stalled]
            self.worker.give_back("interrupted", stalled)
            self.worker.leave()
