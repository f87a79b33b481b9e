"""Jobs on several processes, and how much of a set a process is given at a time.

A process that the calculator brings down costs the molecule that did it one record, and nobody else
anything. Floor 3.75.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from pickle import PicklingError
from typing import Any

import torch
from loky import ProcessPoolExecutor, get_reusable_executor

from gadlib.batch import Calculator
from gadlib.reactions import Start
from gadlib.records import Record, whole_lines
from gadlib.searches import Job, failed, searched
from gadlib.state import Status

_TICK_S = 2.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Compute = Callable[[Job], Iterable[tuple[int, Record]]]
"""What a process does with a job: the place of each start and its record, as they come. `searched`,
or another function of a module's own."""


def run(
    jobs: Iterable[Job],
    workers: int = 1,
    *,
    compute: Compute = searched,
    on_tick: Callable[[], None] | None = None,
) -> Generator[tuple[Job, dict[int, Record]], None, None]:
    """Each job with records of it by their places, as they come, so that one comes several times.

    Jobs are taken from the iterable only when a process is free for them, so what a job is may
    depend on results that came before. A broken-off iteration (Ctrl-C, `break`) ends the processes
    at once; what they found in the last seconds is lost with them.

    Args:
        jobs: what to compute.
        workers: processes; 0 computes in this one, where a calculator that ends its process ends
            this one.
        compute: what a process does with a job.
        on_tick: called every few seconds while the processes compute.
    """
    tick = on_tick or (lambda: None)
    if workers == 0:
        yield from _here(jobs, compute, tick)
        return
    with tempfile.TemporaryDirectory(prefix="gadlib-", ignore_cleanup_errors=True) as folder:
        yield from _elsewhere(jobs, workers, compute, tick, Path(folder))


def _here(
    jobs: Iterable[Job], compute: Compute, tick: Callable[[], None]
) -> Iterator[tuple[Job, dict[int, Record]]]:
    for job in jobs:
        is_plain = compute is searched
        found = searched(job, on_frame=lambda _: tick()) if is_plain else compute(job)
        for place, record in found:
            yield job, {place: record}
            tick()


def _elsewhere(
    jobs: Iterable[Job], workers: int, compute: Compute, tick: Callable[[], None], folder: Path
) -> Iterator[tuple[Job, dict[int, Record]]]:
    numbers = count()
    again: deque[_Running] = deque()
    source = (_Running(job, list(range(len(job.starts)))) for job in jobs)
    running: dict[Future, _Running] = {}
    executor = _executor(workers)
    try:
        while True:
            while len(running) < workers and (this := _next(again, source)) is not None:
                this.path = folder / f"{next(numbers)}.jsonl"
                running[executor.submit(_written, compute, this.part, this.path)] = this
            if not running:
                return
            done, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            tick()
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                done = set(running)  # whichever job it was, all that were running are lost
                executor = _executor(workers)
            for future, this in list(running.items()):
                if news := this.news():
                    yield this.job, news
                if future in done:
                    del running[future]
                    rest, left = this.rest(future, compute)
                    again.extend(left)
                    if rest:
                        yield this.job, rest
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise


def _written(compute: Compute, job: Job, path: Path) -> dict[int, Record]:
    """What is computed of a job, each record written to a file of lines as soon as it is there.

    Where that can't be written, the records still come in the end.
    """
    found = {}
    for place, record in compute(job):
        found[place] = record
        with contextlib.suppress(OSError), path.open("a") as file:
            file.write(json.dumps({"place": place, "record": asdict(record)}) + "\n")
    return found


def _next(again: deque[_Running], source: Iterator[_Running]) -> _Running | None:
    return again.popleft() if again else next(source, None)


@dataclass
class _Running:
    """The places of a job that a process computes, and how much of its file has been read."""

    job: Job
    places: list[int]
    path: Path = Path()
    n_read: int = 0
    told: set[int] = field(default_factory=set)

    @property
    def part(self) -> Job:
        """The job with these places alone."""
        return replace(self.job, starts=tuple(self.job.starts[i] for i in self.places))

    def news(self) -> dict[int, Record]:
        """The records that were written since this was last asked."""
        if not self.path.exists():
            return {}
        lines, self.n_read = whole_lines(self.path, self.n_read)
        contents = [json.loads(line) for line in lines]
        found = {
            self.places[content["place"]]: Record.read(content["record"]) for content in contents
        }
        self.told |= set(found)
        return found

    def rest(self, future: Future, compute: Compute) -> tuple[dict[int, Record], list[_Running]]:
        """The records not told yet when the job or its process has ended, and what is left to run.

        Where it was the process, the molecules that it may have been at are computed apart; they
        are the first ones that lack a record. Those that were waiting are left.
        """
        error = future.exception()
        if isinstance(error, PicklingError):
            raise error
        found = {} if error else {self.places[i]: r for i, r in future.result().items()}
        found = {place: record for place, record in found.items() if place not in self.told}
        missing = [i for i in self.places if i not in self.told and i not in found]
        n_apart = self.job.capacity or len(missing)
        starts = tuple(self.job.starts[i] for i in missing[:n_apart])
        apart = _search_apart(replace(self.job, starts=starts), compute)
        left = missing[n_apart:]
        records = found | dict(zip(missing, apart, strict=False))
        return records, [_Running(self.job, left)] if left else []


def _executor(workers: int) -> Any:
    return get_reusable_executor(
        max_workers=workers, timeout=600, initializer=_quiet_worker, env=_THREADS
    )


def _quiet_worker() -> None:
    """One thread, and deaf to Ctrl-C, which is the parent's to answer."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _search_apart(job: Job, compute: Compute) -> list[Record]:
    """The records of the job's starts, one by one in a process of their own, or what befell it."""
    single = [replace(job, starts=(start,)) for start in job.starts]
    found: list[Record] = []
    while len(found) < len(single):
        with ProcessPoolExecutor(max_workers=1, initializer=_quiet_worker, env=_THREADS) as alone:
            for one in single[len(found) :]:
                found.append(_search_in(alone, one, compute))
                if found[-1].status == Status.PROCESS_ENDED:
                    break
    return found


def _search_in(alone: ProcessPoolExecutor, job: Job, compute: Compute) -> Record:
    try:
        return alone.submit(_only, compute, job).result()
    except BrokenProcessPool as error:
        status, reason = Status.PROCESS_ENDED, f"({str(error).partition(chr(10))[0]})"
    except Exception as error:  # a failed molecule is a record, whatever failed
        status, reason = Status.SOLVER_FAILED, f"{type(error).__name__}: {error}"
    return failed(job.starts[0], status, f"{status.sentence} {reason}")


def _only(compute: Compute, job: Job) -> Record:
    return next(iter(compute(job)))[1]


_BATCHES_ON_GPU, _MOST_BATCHES = 4, 16
_JOBS_EACH = 3


def job_size(calculator: Calculator, batch_size: int, n_each: float = 0) -> int:
    """How many molecules a process is given at a time.

    Several batches, so that a molecule that ends makes room for one that waits: on a GPU a half
    empty batch costs as much as a full one, and on a CPU some of it. There small jobs are the way
    to keep all processes busy to the end, so that each is to have several.

    Args:
        calculator: it tells the device.
        batch_size: molecules that step together.
        n_each: molecules that wait for each process, infinite where there is but one.
    """
    device = getattr(calculator, "device", None)
    is_gpu = device is not None and device.type != "cpu"
    n_batches = _BATCHES_ON_GPU if is_gpu else n_each / (batch_size * _JOBS_EACH)
    return batch_size * int(min(max(n_batches, 1), _MOST_BATCHES))


def chunks(places: Sequence[int], starts: Sequence[Start], size: int) -> list[list[int]]:
    """The places in batches, large molecules first, lest one process end up alone with them."""
    ordered = sorted(places, key=lambda i: -len(starts[i].atomic_numbers))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
