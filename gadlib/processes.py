"""Jobs on several processes, and how much of a set a process is given at a time.

A process that the calculator brings down costs the molecule that did it one record, and nobody else
anything. Floor 3.75.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pickle import PicklingError
from typing import Any

import torch
from loky import ProcessPoolExecutor, get_reusable_executor

from gadlib.batch import Calculator
from gadlib.reactions import Start
from gadlib.records import Record
from gadlib.searches import Job, failed, search_starts
from gadlib.state import Status

_TICK_S = 2.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Compute = Callable[[Job], list[Record]]
"""What a process does with a job: `search_starts`, or another function of a module's own."""


def run(
    jobs: Iterable[Job],
    workers: int = 1,
    *,
    compute: Compute = search_starts,
    on_tick: Callable[[], None] | None = None,
) -> Generator[tuple[Job, list[Record]], None, None]:
    """Each job with its records, in the order in which they end.

    Jobs are taken from the iterable only when a process is free for them, so what a job is may
    depend on results that came before. A broken-off iteration (Ctrl-C, `break`) ends the processes
    at once.

    Args:
        jobs: what to compute.
        workers: processes; 0 computes in this one, where a calculator that ends its process ends
            this one.
        compute: what a process does with a job.
        on_tick: called every few seconds while the processes compute.
    """
    tick = (lambda *_: None) if on_tick is None else lambda *_: on_tick()
    if workers == 0:
        for job in jobs:
            if compute is search_starts:
                yield job, search_starts(job, on_frame=tick)
            else:
                yield job, compute(job)
                tick()
        return
    source = iter(jobs)
    running: dict[Future, Job] = {}
    executor = _executor(workers)
    try:
        while True:
            while len(running) < workers and (job := next(source, None)) is not None:
                running[executor.submit(compute, job)] = job
            if not running:
                return
            done, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            tick()
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                done = set(running)  # whichever job it was, all that were running are lost
                executor = _executor(workers)
            for future in done:
                yield _outcome(running.pop(future), future, compute)
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise


def _outcome(job: Job, future: Future, compute: Compute) -> tuple[Job, list[Record]]:
    error = future.exception()
    if error is None:
        return job, future.result()
    if isinstance(error, PicklingError):
        raise error
    return job, _search_apart(job, compute)


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
        return alone.submit(compute, job).result()[0]
    except BrokenProcessPool as error:
        status, reason = Status.PROCESS_ENDED, f"({str(error).partition(chr(10))[0]})"
    except Exception as error:  # a failed molecule is a record, whatever failed
        status, reason = Status.SOLVER_FAILED, f"{type(error).__name__}: {error}"
    return failed(job.starts[0], status, f"{status.sentence} {reason}")


_BATCHES_IN_A_JOB = 4


def job_size(calculator: Calculator, batch_size: int) -> int:
    """How many molecules a process is given at a time.

    On a GPU several batches, so that a molecule that ends makes room for one that waits: there a
    half empty batch costs as much as a full one. On a CPU it costs half, and small jobs keep all
    processes busy to the end.
    """
    device = getattr(calculator, "device", None)
    is_gpu = device is not None and device.type != "cpu"
    return batch_size * _BATCHES_IN_A_JOB if is_gpu else batch_size


def chunks(places: Sequence[int], starts: Sequence[Start], size: int) -> list[list[int]]:
    """The places in batches, large molecules first, lest one process end up alone with them."""
    ordered = sorted(places, key=lambda i: -len(starts[i].atomic_numbers))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
