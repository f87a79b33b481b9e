"""Many molecules: one Record each, on several processes, resumable; which ones are difficult.

What is searched is for `setup` to say, how a search becomes a record for `jobs`, how processes
share the work for `processes`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gadlib.evaluation import Calculator
from gadlib.files.kept import Kept
from gadlib.files.locks import sole
from gadlib.files.shapes import ResultFile
from gadlib.molecules import starting_points
from gadlib.molecules.starting_points import Start
from gadlib.progress.bar import Bar
from gadlib.screening.atoms import require_room, write_points
from gadlib.screening.calculator_check import require_working
from gadlib.screening.chunks import chunks, job_size
from gadlib.screening.jobs import Job, search_each
from gadlib.screening.processes import Compute, run
from gadlib.screening.records import Record, payload, read_results
from gadlib.screening.references import keep_intended, reference_plan
from gadlib.screening.setup import (
    calculator_of,
    describe_sample,
    differences,
    hyperparameters_of,
    identity_of,
    mark_unknown,
    paired,
    reactions_of,
    starts_of,
)
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.solver.state import Status

NOT_CONVERGED = 1000
"""The difficulty of a reaction whose search did not converge."""


def screen(
    settings: SearchSettings,
    *,
    starts: Sequence[Start] | None = None,
    calculator: Calculator | None = None,
    out: str | Path | None = None,
    hyperparameters: Hyperparameters | None = None,
    compute: Compute = search_each,
    notes: Mapping[str, Any] | None = None,
    desc: str = "searching",
) -> list[Record]:
    """One record per start, in their order, with a progress bar; written to `out` as they come.

    Their last points stand in an extxyz file of the same name when it is done (`atoms`).
    Interrupted, it leaves in `out` what was done; with `settings.resume` it goes on from there.

    Args:
        settings: what to do and how.
        starts: starting points, by default those that the settings name.
        calculator: by default the one that the settings name.
        out: result file, a name that ends in .json; None writes nothing.
        hyperparameters: by default those that the settings name.
        compute: what a process does with a job.
        notes: what else `out` is to say, by name.
        desc: what the bar says is done.

    Raises:
        InputError: when the settings can't be followed, `out` exists and `resume` is not set, or it
            was made with other settings, or another run is writing it.
    """
    if out is not None:
        require_room(out)
        read_earlier(out, settings)  # refused before anything is computed
    if starts is None:
        starts = starts_of(settings)
        if note := describe_sample(settings):
            print(note, flush=True)
        starts = intended_starts(settings, starts, out, calculator)
    if hyperparameters is None:
        hyperparameters = hyperparameters_of(settings)
    if calculator is None:
        calculator = calculator_of(settings, starts)
    else:
        calculator = paired(settings, starts, calculator)
    starts = mark_unknown(calculator, starts)
    with contextlib.nullcontext() if out is None else sole(out):
        done = {} if out is None else _place(read_earlier(out, settings), starts, out)
        _compute(
            settings, starts, calculator, hyperparameters, compute, done, out, notes or {}, desc
        )
    return [done[i] for i in sorted(done)]


def intended_starts(
    settings: SearchSettings,
    starts: Sequence[Start],
    out: str | Path | None,
    calculator: Calculator | None = None,
) -> list[Start]:
    """The starts of a set, where the criterion is `intended` of reactions that can be judged by it.

    Those are the ones whose own saddle on this potential is intended, which is searched first. The
    records of that are beside `out`, in a file that ends in _reference.json.

    Raises:
        InputError: as `screen` does, or when no reaction is left.
    """
    if settings.criterion not in CRITERIA or not CRITERIA[settings.criterion].is_asked:
        return [*starts]
    beside = None if out is None else Path(out).with_name(f"{Path(out).stem}_reference.json")
    records = screen(
        reference_plan(settings, check_ends=True),
        starts=starting_points.starts(reactions_of(settings), "ts"),
        calculator=calculator,
        out=beside,
        desc="searching, reference",
    )
    return keep_intended(starts, records)


def _compute(
    settings: SearchSettings,
    starts: Sequence[Start],
    calculator: Calculator,
    hyperparameters: Hyperparameters,
    compute: Compute,
    done: dict[int, Record],
    out: str | Path | None,
    notes: Mapping[str, Any],
    desc: str,
) -> None:
    """Add the records that are missing to those that are done, and write them."""
    todo = [i for i in range(len(starts)) if i not in done]
    require_working(calculator, [starts[i] for i in todo])
    n_each = math.inf if settings.workers < 2 else len(todo) / settings.workers
    jobs = [
        Job.of(settings, [starts[i] for i in chunk], calculator, hyperparameters, tag=chunk)
        for chunk in chunks(todo, starts, job_size(calculator, settings.batch_size, n_each))
    ]
    about = identity_of(settings)
    kept = Kept(
        out, lambda: payload(settings, [done[i] for i in sorted(done)], about=about, **notes)
    )
    timeout_s = settings.search_timeout_s
    n_converged = sum(r.converged for r in done.values())
    with (
        Bar(len(starts), desc, "molecule", initial=len(done)) as bar,
        contextlib.closing(
            run(
                jobs,
                min(settings.workers, len(jobs)),  # none idle
                compute=compute,
                on_tick=bar.live,
                timeout_s=timeout_s,
            )
        ) as results,
    ):
        try:
            for job, records in results:
                for place, record in records.items():
                    record = replace(record, given=starts[job.tag[place]].digest)
                    done[job.tag[place]] = record
                    n_converged += record.converged
                    bar.ended(record, converged=f"{n_converged}/{len(done)}")
                kept.grown()
        finally:
            kept.write()
            if out is not None:
                write_points(out, [done[i] for i in sorted(done)])


def key(of: Start | Record) -> tuple[Any, ...]:
    """What a start and its record have in common, and two starts of a set have not."""
    return of.name, of.formula, of.split, of.start, of.noise_seed, of.charge, of.multiplicity


def _place(
    records: Sequence[Record], starts: Sequence[Start], out: str | Path
) -> dict[int, Record]:
    """Earlier records by the place of their start; of equal keys each start takes one."""
    waiting = list(records)
    placed = {}
    for i, start in enumerate(starts):
        like = (r for r in waiting if key(r) == key(start) and r.given in ("", start.digest))
        if (record := next(like, None)) is not None:
            placed[i] = record
            waiting.remove(record)
    if waiting:
        raise InputError(
            f"{out} has {len(waiting)} records of other starts than these {len(starts)}, such as"
            f" {waiting[0].name}: expected the same split, sample and sample_seed and not fewer"
            " max_samples, of files the same geometries, or another output, as nothing is"
            " overwritten"
        )
    return placed


def read_earlier(out: str | Path, settings: SearchSettings) -> list[Record]:
    """What an earlier run left in `out`; empty where there is no such file.

    Raises:
        InputError: when there is one and `resume` is not set, or it was made with other settings.
    """
    path = Path(out)
    if not path.exists() or not path.stat().st_size:
        return []
    if not settings.resume:
        raise InputError(
            f"{path} exists; resume it (--resume) or choose another output, nothing is overwritten"
        )
    before, records = read_results(path)
    require_same(before, settings, str(path))
    return records


def require_same(before: ResultFile, settings: SearchSettings, where: str) -> None:
    """Raise InputError, with what differs, unless earlier results may stand beside new ones."""
    earlier = before.settings | (before.about or {})  # older files have settings alone
    if changes := differences(_with_defaults(earlier), identity_of(settings), settings):
        raise InputError(f"{where} was made with other settings: {'; '.join(changes)}")


def _with_defaults(earlier: dict[str, Any]) -> dict[str, Any]:
    """The earlier identity, with all its hyperparameters, those that it left to their defaults."""
    kind = SOLVERS.get(str(earlier.get("solver", SearchSettings.model_fields["solver"].default)))
    hyperparameters = earlier.get("hyperparameters", {})
    if kind is None or not isinstance(hyperparameters, dict):
        return earlier
    with contextlib.suppress(ValidationError):
        return earlier | {"hyperparameters": kind(**hyperparameters).model_dump()}
    return earlier


def difficulty(record: Record) -> int:
    """How difficult a reaction is: its steps, or 1000 where the search did not converge.

    Several searches of a portfolio may take more steps, which are not more difficult than that.
    """
    return min(record.steps, NOT_CONVERGED - 1) if record.converged else NOT_CONVERGED


def select_difficult(
    records: Sequence[Record], settings: ScreenSettings, n_samples: int = 1
) -> list[Record]:
    """The difficult records, hardest first: the top fraction, at least twice `n_samples`.

    Starts that the calculator never saw, as no search can begin there, are none of them.
    """
    seen = [r for r in records if r.status != Status.BAD_START or r.n_gradient]
    hardest_first = sorted(seen, key=lambda record: -difficulty(record))
    kept = max(int(len(seen) * settings.difficulty_threshold), 2 * n_samples)
    return hardest_first[:kept]
