"""The trials of one worker: taken, searched batch by batch, judged after each, reported, yielded.

Whose turn it is, is for `cluster.workers` to say; where the samples come from, for `samples`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, Trial

from gadlib.cluster.workers import Worker
from gadlib.files.locks import scratch
from gadlib.molecules.starting_points import Start
from gadlib.progress.interrupts import undisturbed
from gadlib.progress.signs_of_life import Life
from gadlib.screening.chunks import job_size
from gadlib.screening.jobs import Job
from gadlib.screening.processes import run
from gadlib.screening.records import Record
from gadlib.screening.references import Key
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.objectives import EASY, Bound, Objective, bounds_of
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning.choices import choices_in, choose, of_settings, of_solver, words_in_force
from gadlib.tuning.front import ABOUT, completed, feasible, objectives_in, preferred
from gadlib.tuning.pruning import is_stopped_at_rung, is_worse_in_pairs
from gadlib.tuning.rungs import Ladder
from gadlib.tuning.running import RestFolder, Running, Waiting, Way, Ways
from gadlib.tuning.sample_cache import Cache, digest
from gadlib.tuning.scores import (
    best_possible,
    compared,
    convergence_rate,
    is_matched,
    outcome,
    sample_summary,
    values,
)
from gadlib.tuning.space import drawn_of, sampler, suggest

_POLL_S = 5.0


@dataclass
class Loop:
    """Trials, taken as processes become free, reported with their last sample, then yielded.

    Samples run hardest first, so that a trial that can't be among the best any more soon shows it.

    Attributes:
        references: the reactions' own saddles, where the objectives ask for them.
        n_scored: how many of the samples trials are scored by, the first ones; None: all.
        others: where searches begin from other recipes that a trial may choose, in the same order.
    """

    worker: Worker
    settings: TuneSettings
    calculator: Any
    samples: tuple[Start, ...]
    cache: Cache
    running: dict[int, Running] = field(default_factory=dict)
    reported: deque[int] = field(default_factory=deque)
    references: Mapping[Key, Record] = field(default_factory=dict)
    drawn: tuple[Hyperparameter, ...] = ()
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Bound, ...] = ()
    rests: RestFolder = field(default_factory=RestFolder)
    n_scored: int | None = None
    others: Mapping[str, Sequence[Start]] = field(default_factory=dict)
    way_of: dict[int, Way] = field(default_factory=dict)
    on_life: Callable[[Life], None] = lambda _: None

    def __post_init__(self) -> None:
        attributes = self.worker.study.user_attrs
        self.drawn = drawn_of(attributes.get(ABOUT, {}), self.settings)
        self.choices = choices_in(self.settings)
        self.ways = Ways(self.settings, self.samples, self.others)
        self.objectives = objectives_in(attributes)
        self.constraints = bounds_of(self.settings.constraints, "constraints")
        self.n = len(self.samples) if self.n_scored is None else self.n_scored
        self.ladder = Ladder.of(self.settings, self.n, len(self.samples))

    def __iter__(self) -> Generator[int, None, None]:
        with scratch() if self.ladder.rests else contextlib.nullcontext() as folder:
            self.rests = RestFolder(folder)
            yield from self._trials()

    def _trials(self) -> Iterator[int]:
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
            Waiting(self._next_job),
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

    def _next_job(self) -> Job | None:
        """The next samples of a trial that is under way, else of a new one; None: not now."""
        size = job_size(self.calculator, self.settings.batch_size)
        while True:
            for this in self.running.values():
                if places := this.next_places(size):
                    this.given.update(places)
                    chosen = [this.way.samples[i] for i in places]
                    tag = (this.trial.number, places)
                    job = Job.of(
                        this.way.settings, chosen, self.calculator, this.hyperparameters, tag=tag
                    )
                    return self.rests.resting(job, this)
            if (this := self._claim()) is None:
                return None
            for place in range(len(self.samples)):
                name = self._key(this.hyperparameters, place, this.way)
                record = self.cache.get(name) or self.cache.get(self._timed(name))
                if record is not None:
                    this.found[place] = record
                    this.n_cached += 1
            with undisturbed():
                self._judge(this.trial.number)

    def _claim(self) -> Running | None:
        with undisturbed():
            trial = self.worker.ask()
            if trial is None:
                return None
            self._seed(trial)
            chosen = choose(trial, self.choices)
            drawn = self.drawn
            if chosen:  # without choices what a study draws acts in all its trials
                words = words_in_force(self.settings, chosen, self.calculator)
                drawn = tuple(one for one in drawn if one.is_acting(words))
            fixed = {**self.settings.hyperparameters, **of_solver(chosen)}
            hyperparameters = suggest(trial, self.settings.solver, drawn, fixed)
            way = self.way_of[trial.number] = self.ways.of(of_settings(chosen))
            self.running[trial.number] = Running(trial, hyperparameters, way, self.ladder)
            return self.running[trial.number]

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

    def _key(self, hyperparameters: Hyperparameters, place: int, way: Way | None = None) -> str:
        way = self.ways.of({}) if way is None else way
        return digest(way.identity, way.samples[place], hyperparameters)

    def _timed(self, name: str) -> str:
        """The key of a record that the limit of time has ended: with another it may be another."""
        return f"{name}-{self.settings.search_timeout_s}"

    def _keep(self, job: Job, place: int, record: Record) -> None:
        """The record in the cache, and in its trial unless that has ended meanwhile."""
        number, places = job.tag
        name = self._key(job.hyperparameters, places[place], self.way_of.get(number))
        if record.status != Status.RESTING:
            self.cache.put(self._timed(name) if record.is_timed_out else name, record)
        if (this := self.running.get(number)) is not None:
            this.found[places[place]] = record

    def best(self) -> FrozenTrial | None:
        """The best trial so far, of all workers; of several objectives the preferred one."""
        return preferred(self.worker.study)

    def _judge(self, number: int) -> None:
        """End the trial when all its samples are there, or enough to rule it out."""
        this = self.running.get(number)
        if this is None or not this.found:
            return
        places = sorted(this.found)
        records = {i: compared(this.found[i], self.references) for i in places if i < self.n}
        n, n_steps = self.n, self.settings.n_steps_per_sample
        if this.is_complete:
            self._tell(number, this, [*records.values()])
            return
        ended = [r for r in records.values() if r.status != Status.RESTING]
        if len(ended) == n:  # only easy samples are missing, which end no trial
            this.climb(len(self.ladder.rungs))
        if self.settings.pruning == "none" or not records or len(ended) == n:
            return
        possible = best_possible(ended, n, n_steps, self.objectives)
        study = self.worker.study
        known = [t.values for t in feasible(study, completed(study))]
        if is_matched(possible, known, self.objectives):
            self._tell(number, this, [*records.values()], pruned_at=possible)
        elif self.ladder.rungs:
            self._climb(number, this, records)
        elif self.settings.pruning == "wilcoxon":
            self._compare(number, this, records)

    def _climb(self, number: int, this: Running, records: Mapping[int, Record]) -> None:
        """The trial at its next rung, or ended at this one."""
        while this.is_at_rung and (rung := self.ladder.rung(this.level)) is not None:
            part = self.ladder.at(rung, records)
            found = values(part, self.settings.n_steps_per_sample, self.objectives)
            this.trial.set_user_attr(rung.name, found)
            trials = self.worker.trials()
            if number and is_stopped_at_rung(number, rung, trials, self.objectives):
                self._tell(number, this, [*records.values()], pruned_at=found)
                return
            this.climb(this.level + 1)

    def _compare(self, number: int, this: Running, records: Mapping[int, Record]) -> None:
        """The trial ended where the best one is better on the samples that it has."""
        best = self.best()
        theirs = {} if best is None else best.user_attrs.get("by_sample", {})
        places = [i for i in records if str(i) in theirs]
        n_steps, (objective,) = self.settings.n_steps_per_sample, self.objectives
        mine = [values([records[i]], n_steps, self.objectives)[0] for i in places]
        if is_worse_in_pairs(mine, [theirs[str(i)] for i in places], is_cost=objective.is_cost):
            found = values([*records.values()], n_steps, self.objectives)
            self._tell(number, this, [*records.values()], pruned_at=found)

    def _tell(
        self,
        number: int,
        this: Running,
        records: list[Record],
        *,
        pruned_at: Sequence[float] | None = None,
    ) -> None:
        """The trial ended: complete, or early, with what its values could have become."""
        n_steps = self.settings.n_steps_per_sample
        result = outcome(records, n_steps, self.objectives)
        easy = [this.found[i] for i in range(self.n, len(self.samples)) if i in this.found]
        scores = dict(result.scores)
        if easy and pruned_at is None:
            scores[EASY] = convergence_rate(easy)
        attributes = result.attributes() | {
            "scores": scores,
            "easy": [sample_summary(r) for r in easy],
            "elapsed_s": round(sum(r.elapsed_s for r in (*records, *easy)), 3),
            "n_cached": this.n_cached,
            "samples": [sample_summary(r) for r in records],
        }
        for rung in () if pruned_at is not None else self.ladder.rungs:
            part = self.ladder.at(rung, records)  # of what was there already none was asked there
            attributes[rung.name] = values(part, n_steps, self.objectives)
        if self.settings.pruning == "wilcoxon" and pruned_at is None:
            own = {i: values([r], n_steps, self.objectives)[0] for i, r in enumerate(records)}
            attributes["by_sample"] = {str(i): value for i, value in own.items()}
        del self.running[number]
        self.rests.forget(number)
        if pruned_at is not None and len(pruned_at) == 1:  # Optuna keeps no such values of several
            this.trial.report(pruned_at[0], len(records))
        missed = {str(b): b.excess(scores[b.name]) for b in self.constraints if b.name in scores}
        ended = None if pruned_at is not None else result.values
        if self.worker.tell(this.trial, ended, attributes, missed):
            self.reported.append(number)

    def end(self) -> None:
        """What is unfinished is queued again, and the worker has left."""
        with contextlib.suppress(Exception):  # the storage may be what failed
            stalled = [n for n, this in self.running.items() if this.is_stalled]
            self.worker.give_back("interrupted", stalled)
            self.worker.leave()
