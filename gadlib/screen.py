"""Many molecules: one Record each, on several processes, resumable; which ones are difficult.

A process that the calculator brings down costs the molecule that did it one record, and nobody else
anything. Floor 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import PicklingError
from typing import Any

import torch
from loky import ProcessPoolExecutor, get_reusable_executor
from tqdm.auto import tqdm

from gadlib.batch import Batch, Calculator
from gadlib.criteria import Criterion
from gadlib.directions import stack, wanted
from gadlib.hyperparameters import Hyperparameters
from gadlib.input import InputError
from gadlib.outset import calculator_of, hyperparameters_of, starts_of
from gadlib.reactions import Start, too_close
from gadlib.records import Record, payload, read_records, write_json
from gadlib.settings import ScreenSettings, SearchSettings
from gadlib.solver import Frame, search
from gadlib.state import Status

NOT_CONVERGED = 1000
"""The difficulty of a reaction whose search did not converge."""

_TICK_S = 2.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """Searches that run together in one process; `tag` comes back with their records.

    At most `capacity` of them step together, all where it is None; as one ends, the next enters.
    `mode` tells which mode is climbed first (`directions`).
    """

    calculator: Calculator
    starts: tuple[Start, ...]
    hyperparameters: Hyperparameters
    criterion: Criterion
    n_steps: int
    tag: Any = None
    capacity: int | None = None
    mode: str = "lowest"


def search_starts(job: Job, *, on_frame: Callable[[Frame], None] | None = None) -> list[Record]:
    """One record per start, in their order, computed in this process.

    A start with atoms on each other is a record at once; the calculator never sees it.

    Args:
        job: what to search.
        on_frame: called with every frame, for plots and logs.
    """
    reasons = [too_close(start) for start in job.starts]
    sane = tuple(s for s, reason in zip(job.starts, reasons, strict=True) if not reason)
    searched = iter(_search(replace(job, starts=sane), on_frame) if sane else ())
    return [
        failed(start, Status.BAD_START, f"{Status.BAD_START.sentence} {reason}")
        if reason
        else next(searched)
        for start, reason in zip(job.starts, reasons, strict=True)
    ]


def _search(job: Job, on_frame: Callable[[Frame], None] | None) -> list[Record]:
    batch = Batch.pack([s.positions for s in job.starts], [s.atomic_numbers for s in job.starts])
    batch = batch.to(getattr(job.calculator, "device", batch.positions.device))
    aims = [wanted(job.mode, s.atomic_numbers, s.positions, s.ends) for s in job.starts]
    directions = stack(aims, batch.positions.shape[1])
    frames = search(
        job.calculator,
        batch,
        job.hyperparameters,
        criterion=job.criterion,
        n_steps=job.n_steps,
        max_fragments=torch.tensor([s.max_fragments for s in job.starts]),
        wanted=None if directions is None else directions.to(batch.positions.device),
        capacity=job.capacity or len(job.starts),
    )
    found: dict[int, Record] = {}
    for frame in frames:
        if on_frame is not None:
            on_frame(frame)
        for row in frame.is_done:
            which = int(frame.state.index[row])
            found[which] = _record(job.starts[which], frame, row, job.criterion)
    return [found[i] for i in range(len(job.starts))]


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
            if on_tick is None:
                yield job, compute(job)
            else:
                yield job, search_starts(job, on_frame=tick)
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


def failed(start: Start, status: Status, message: str) -> Record:
    """The record of a start of which nothing is known but why."""
    return Record(
        name=start.name,
        formula=start.formula,
        split=start.split,
        start=start.start,
        noise_seed=start.noise_seed,
        status=str(status),
        message=message,
        converged=False,
        index1=False,
        strict=False,
        bound=False,
        imaginary_cm1=None,
        n_fragments=None,
        steps=0,
        escapes=0,
        order=None,
        fmax=None,
        energy=None,
        eigenvalues=[None, None],
        n_energy=0,
        n_gradient=0,
        n_hessian=0,
        elapsed_s=0.0,
        calculator_s=0.0,
        atomic_numbers=start.atomic_numbers.tolist(),
        positions=start.positions.tolist(),
    )


def _record(start: Start, frame: Frame, row: int, criterion: Criterion) -> Record:
    state, verdict, status = frame.state, frame.verdict, frame.status[row]
    reason = state.message[row]
    message = f"{status.sentence} {reason}".strip()
    known = {} if reason else _measured(frame, row)
    return replace(
        failed(start, status, message),
        converged=bool(verdict.meets(criterion)[row]),
        index1=bool(verdict.index1[row]),
        strict=bool(verdict.strict[row]),
        bound=bool(verdict.bound[row]),
        steps=int(state.steps[row]),
        escapes=int(state.escapes[row]),
        n_energy=int(state.n_gradient[row]),
        n_gradient=int(state.n_gradient[row]),
        n_hessian=int(state.n_hessian[row]),
        elapsed_s=round(float(state.elapsed_s[row]), 6),
        calculator_s=round(float(state.calculator_s[row]), 6),
        positions=state.batch.system(row)[1].tolist(),
        **known,
    )


def _measured(frame: Frame, row: int) -> dict[str, Any]:
    state = frame.state
    return {
        "imaginary_cm1": float(frame.verdict.imaginary_cm1[row]),
        "n_fragments": int(frame.verdict.n_fragments[row]),
        "order": int(state.order[row]),
        "fmax": float(state.max_force[row]),
        "energy": float(state.energy[row]),
        "eigenvalues": state.spectrum.eigenvalues[row, :2].tolist(),
    }


def screen(
    settings: SearchSettings,
    *,
    starts: Sequence[Start] | None = None,
    calculator: Calculator | None = None,
    out: str | Path | None = None,
    hyperparameters: Hyperparameters | None = None,
    compute: Compute = search_starts,
) -> list[Record]:
    """One record per start, in their order, with a progress bar; written to `out` as they come.

    Interrupted, it leaves in `out` what was done; with `settings.resume` it goes on from there.

    Args:
        settings: what to do and how.
        starts: starting points, by default those that the settings name.
        calculator: by default the one that the settings name.
        out: result file; None writes nothing.
        hyperparameters: by default those that the settings name.
        compute: what a process does with a job.

    Raises:
        InputError: when the settings can't be followed, `out` exists and `resume` is not set, or it
            was made with other settings.
    """
    starts = starts_of(settings) if starts is None else list(starts)
    knobs = hyperparameters_of(settings) if hyperparameters is None else hyperparameters
    calculator = calculator_of(settings, starts) if calculator is None else calculator
    done = {} if out is None else _place(earlier_records(out, settings), starts, out)
    todo = [i for i in range(len(starts)) if i not in done]
    jobs = [
        Job(
            calculator,
            tuple(starts[i] for i in chunk),
            knobs,
            settings.criterion,  # type: ignore[arg-type]
            settings.n_steps_per_sample,
            tag=chunk,
            capacity=settings.batch_size,
            mode=settings.mode,
        )
        for chunk in chunks(todo, starts, job_size(calculator, settings.batch_size))
    ]
    with (
        tqdm(total=len(starts), initial=len(done), desc="searching", unit="molecule") as bar,
        contextlib.closing(run(jobs, settings.workers, compute=compute)) as results,
    ):
        for job, records in results:
            done.update(zip(job.tag, records, strict=True))
            bar.update(len(records))
            bar.set_postfix(converged=f"{sum(r.converged for r in done.values())}/{len(done)}")
            if out is not None:
                write_json(out, payload(settings, [done[i] for i in sorted(done)]))
    return [done[i] for i in sorted(done)]


def key(of: Start | Record) -> tuple[Any, ...]:
    """What a start and its record have in common, and two starts of a set have not."""
    return of.name, of.formula, of.split, of.start, of.noise_seed


def _place(
    records: Sequence[Record], starts: Sequence[Start], out: str | Path
) -> dict[int, Record]:
    """Earlier records by the place of their start; of equal keys each start takes one."""
    waiting = list(records)
    placed = {}
    for i, start in enumerate(starts):
        like = (r for r in waiting if key(r) == key(start))
        if (record := next(like, None)) is not None:
            placed[i] = record
            waiting.remove(record)
    if waiting:
        raise InputError(
            f"{out} has {len(waiting)} records of other starts than these {len(starts)}, such as"
            f" {waiting[0].name}: choose another output, nothing is overwritten"
        )
    return placed


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


_IRRELEVANT = ("workers", "batch_size", "resume", "out_dir", "max_samples")


def earlier_records(out: str | Path, settings: SearchSettings) -> list[Record]:
    """What an earlier run left in `out`; empty where there is no such file.

    Raises:
        InputError: when there is one and `resume` is not set, or it was made with other settings.
    """
    path = Path(out)
    if path.is_dir():
        raise InputError(f"{path}: a folder; expected the name of a result file")
    if not path.exists() or not path.stat().st_size:
        return []
    if not settings.resume:
        raise InputError(
            f"{path} exists; resume it (--resume) or choose another output, nothing is overwritten"
        )
    before, records = read_records(path)
    require_same(before, settings, str(path))
    return records


def require_same(before: dict[str, Any], settings: SearchSettings, where: str) -> None:
    """Nothing, when results made with the earlier settings may stand beside new ones.

    Raises:
        InputError: naming the settings that differ.
    """
    now = settings.model_dump()
    irrelevant = {*_IRRELEVANT, *settings.irrelevant()}
    differing = [
        name
        for name in now
        if name not in irrelevant and name in before and before[name] != now[name]
    ]
    if differing:
        told = "; ".join(f"{name} was {before[name]!r}, now {now[name]!r}" for name in differing)
        raise InputError(f"{where} was made with other settings: {told}")


def difficulty(record: Record) -> int:
    """How difficult a reaction is: its steps, or 1000 where the search did not converge."""
    return record.steps if record.converged else NOT_CONVERGED


def difficult(
    records: Sequence[Record], settings: ScreenSettings, n_samples: int = 1
) -> list[Record]:
    """The difficult records, hardest first: the top fraction, at least twice `n_samples`."""
    hardest_first = sorted(records, key=lambda record: -difficulty(record))
    kept = max(int(len(records) * settings.difficulty_threshold), 2 * n_samples)
    return hardest_first[:kept]
