"""Jobs on several processes.

A process that the calculator brings down, or that hangs, costs the molecule that did it one search,
and nobody else anything. No process outlives the one that waits for it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from pickle import PicklingError

from loky import ProcessPoolExecutor
from tqdm.auto import tqdm

from gadlib.evaluation import DeviceLostError
from gadlib.files.locks import scratch
from gadlib.files.reading import whole_lines
from gadlib.files.writing import append_line
from gadlib.processes.executors import keep, submit
from gadlib.progress import signs_of_life
from gadlib.progress.signs_of_life import Life, Pulse, Told, Watch
from gadlib.screening.jobs import Job, search_each
from gadlib.screening.portfolios import is_decided, joined
from gadlib.screening.records import Record
from gadlib.solver.state import Status

_TICK_S = 1.0
"""How often progress is reported."""

_START_S = 120.0
"""What a process may take besides, until it begins: imports from a slow network disk take long."""

_ENDING_S = 10.0
"""How long a killed process is waited for, so that its executor learns of it."""

Compute = Callable[[Job], Iterable[tuple[int, Record]]]
"""What a process does with a job: the place of each start and its record, as they come.
`search_each`, or another function of a module's own."""

Tick = Callable[[Life], None]
"""Called every second or so with what has been computed until then."""


def run(
    jobs: Iterable[Job],
    workers: int = 1,
    *,
    compute: Compute = search_each,
    on_tick: Tick | None = None,
    timeout_s: float | None = None,
) -> Generator[tuple[Job, dict[int, Record]], None, None]:
    """Each job with records of it by their places, as they come, so that one comes several times.

    Jobs are taken from the iterable only when a process is free for them, so what a job is may
    depend on results that came before. A broken-off iteration (Ctrl-C, `break`) ends the processes
    at once; what they found in the last seconds is lost with them.

    Args:
        jobs: what to compute.
        workers: processes; 0 computes in this one, where a calculator that ends its process ends
            this one, and nothing can end one that hangs.
        compute: what a process does with a job.
        on_tick: called every second while the processes compute.
        timeout_s: seconds without a step or a call of the calculator after which a process counts
            as hung, and is ended; None: for ever.
    """
    tick = on_tick or (lambda _: None)
    if workers == 0:
        if timeout_s is not None:
            tqdm.write(
                f"search_timeout_s = {timeout_s:g} does nothing with workers = 0: no process can"
                " end its own call of a calculator that hangs; workers = 1 can",
                file=sys.stderr,
            )
        yield from _here(jobs, compute, tick)
        return
    with scratch() as folder:
        yield from _Processes(workers, compute, tick, timeout_s, folder).results(jobs)


def _here(
    jobs: Iterable[Job], compute: Compute, tick: Tick
) -> Iterator[tuple[Job, dict[int, Record]]]:
    told = Told(tick)
    with signs_of_life.listening(told):
        for job in jobs:
            for place, record in compute(job):
                yield job, {place: record}
                tick(told.life)


@dataclass
class _Processes:
    """Processes at work on jobs, each with one, and a folder for what they tell meanwhile."""

    workers: int
    compute: Compute
    tick: Tick
    timeout_s: float | None
    folder: Path
    again: deque[_Running] = field(default_factory=deque)
    running: dict[Future, _Running] = field(default_factory=dict)
    n_steps: int = 0  # of jobs that have ended

    def results(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, dict[int, Record]]]:
        """As `run`."""
        source = iter(jobs)
        numbers = count()
        self.tick(self._life())  # the first process takes seconds to begin
        try:
            while True:
                while len(self.running) < self.workers and (this := self._next(source)) is not None:
                    this.begin(self.compute, self.folder / str(next(numbers)))
                    self.running[this.future] = this
                if not self.running:
                    return
                done, _ = wait(self.running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                self.tick(self._life())
                for future, this in list(self.running.items()):
                    is_over = future in done or self._is_hung(this)
                    if news := this.news():
                        yield this.job, news
                    if is_over:
                        del self.running[future]
                        self.n_steps += this.watch.look().steps
                        rest, left = this.rest(self.timeout_s)
                        self.again.extend(left)
                        if rest:
                            yield this.job, rest
        except BaseException:
            for this in self.running.values():
                this.end()
            raise

    def _next(self, source: Iterator[Job]) -> _Running | None:
        """What to compute next; a source that has nothing now is asked again later."""
        if self.again:
            return self.again.popleft()
        job = next(source, None)
        return None if job is None else _Running(job, list(range(len(job.starts))))

    def _life(self) -> Life:
        lives = [this.watch.look() for this in self.running.values()]
        steps = self.n_steps + sum(life.steps for life in lives)
        return Life(steps, sum(life.at_work for life in lives))

    def _is_hung(self, this: _Running) -> bool:
        """Whether nothing came of a process for too long; it has been ended then."""
        if self.timeout_s is None:
            return False
        allowed = self.timeout_s + (0.0 if this.watch.is_begun else _START_S)
        if this.watch.silent_s <= allowed or this.future.done():
            return False
        this.end()
        wait([this.future], timeout=_ENDING_S)
        this.is_hung = True
        return True


def _written(compute: Compute, job: Job, path: Path) -> dict[int, Record]:
    """What is computed of a job, each record written to a file of lines as soon as it is there.

    Where that can't be written, the records still come in the end. A pulse beside tells the steps.
    """
    found = {}
    alive = Pulse(path.with_suffix(".pulse"))
    try:
        with signs_of_life.listening(alive):
            for place, record in compute(job):
                found[place] = record
                with contextlib.suppress(OSError):
                    append_line(path, {"place": place, "record": asdict(record)})
    finally:
        alive.close()
    return found


@dataclass
class _Running:
    """The places of a job that a process computes, and how much of its file has been read.

    Attributes:
        is_alone: whether this is one molecule, computed apart since a process failed with it; of a
            portfolio from one start at a time.
        earlier: the records of its searches before.
        is_hung: whether the process was ended since nothing came of it.
    """

    job: Job
    places: list[int]
    is_alone: bool = False
    earlier: tuple[Record, ...] = ()
    is_hung: bool = False
    n_read: int = 0
    given: set[int] = field(default_factory=set)
    path: Path = field(init=False)
    watch: Watch = field(init=False)
    future: Future = field(init=False)
    executor: ProcessPoolExecutor = field(init=False)

    def begin(self, compute: Compute, path: Path) -> None:
        """Give it to a process, which writes to files of that name."""
        job = self.job.part(self.places)
        if self.is_alone:
            job = replace(job, starts=(job.starts[0].each[len(self.earlier)],))
        self.path, self.watch = path.with_suffix(".jsonl"), Watch(path.with_suffix(".pulse"))
        self.executor, self.future = submit(_written, compute, job, self.path)

    def end(self) -> None:
        """Kill the process, and what it has started."""
        self.executor.shutdown(wait=False, kill_workers=True)

    def news(self) -> dict[int, Record]:
        """The records that were written since this was last asked."""
        if not self.path.exists() or self._is_turn:  # of which the last one tells
            return {}
        lines, self.n_read = whole_lines(self.path, self.n_read)
        contents = [json.loads(line) for line in lines]
        found = {
            self.places[content["place"]]: Record.read(content["record"]) for content in contents
        }
        self.given |= set(found)
        if found:
            self.watch.stir()
        return found

    def rest(self, timeout_s: float | None) -> tuple[dict[int, Record], list[_Running]]:
        """The records not given yet when the job or its process has ended, and what is left to run.

        Where it was the process, the molecules that it may have been at are computed apart, each
        in a process of its own; they are the first ones that lack a record. Those that were
        waiting are left.
        """
        error = self._error()
        if isinstance(error, PicklingError):
            raise error
        found = {} if error else {self.places[i]: r for i, r in self.future.result().items()}
        found = {place: record for place, record in found.items() if place not in self.given}
        missing = [i for i in self.places if i not in self.given and i not in found]
        is_one = self.is_hung and len(missing) == 1 and not self.job.starts[missing[0]].further
        if missing and (self.is_alone or is_one):
            found[missing[0]] = self._failed(missing[0], error, timeout_s)
            missing = []
        if self._is_turn:
            return self._after(found)
        n_apart = self.job.capacity or len(missing)
        left = [_Running(self.job, [i], is_alone=True) for i in missing[:n_apart]]
        rest = missing[n_apart:]
        return found, left + ([_Running(self.job, rest)] if rest else [])

    @property
    def _is_turn(self) -> bool:
        """Whether it is one of several searches of one molecule."""
        return self.is_alone and bool(self.job.starts[self.places[0]].further)

    def _after(self, found: dict[int, Record]) -> tuple[dict[int, Record], list[_Running]]:
        """What `rest` gives after one of several searches: the record of all, or the next one."""
        (place,) = self.places
        start, records = self.job.starts[place], (*self.earlier, found[place])
        if is_decided(start, records):
            return {place: joined(start, records)}, []
        return {}, [_Running(self.job, [place], is_alone=True, earlier=records)]

    def _error(self) -> BaseException | None:
        """What the process failed with; it is given back to those that wait, where it is of use."""
        if self.is_hung:
            return TimeoutError()
        error = self.future.exception()
        if isinstance(error, DeviceLostError):
            self.end()
        elif not isinstance(error, BrokenProcessPool):
            keep(self.executor)
        return error

    def _failed(self, place: int, error: BaseException | None, timeout_s: float | None) -> Record:
        if self.is_hung:
            status, reason = Status.TIMED_OUT, f"(No step for {timeout_s:g} s.)"
        elif isinstance(error, BrokenProcessPool):
            status, reason = Status.PROCESS_ENDED, f"({str(error).partition(chr(10))[0]})"
        elif isinstance(error, DeviceLostError):
            status, reason = Status.PROCESS_ENDED, f"({error}.)"
        else:  # a failed molecule is a record, whatever failed
            status = Status.SOLVER_FAILED
            reason = f"{type(error).__name__}: {error}" if error else "It gave no record."
        start = self.job.starts[place].each[len(self.earlier)]
        return Record.blank(start, status, f"{status.sentence} {reason}")
