"""A calculator of others tried on the first molecules, before a long run is made of its failures.

Options that can't be used, a missing program or licence often show in the first calculation only.
It is tried in a process of its own, on the user's own molecules: what hangs there, or ends the
process, is for the records to tell.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gadlib.calculators.ase import Ase
from gadlib.calculators.failures import CLOSEST_PAIR_MIN
from gadlib.evaluation import Calculator, evaluate
from gadlib.molecules.starting_points import Start, too_close
from gadlib.progress.interrupts import ForeignExit
from gadlib.screening.jobs import Job
from gadlib.screening.processes import run
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

N_TRIED = 3
"""Molecules of different formulas that are tried at most: the first may be at fault itself."""

_ANSWER_S = 20.0
_WORKING: set[bytes] = set()


class _Unanswered(Exception):
    """The calculator takes its time."""


def require_working(calculator: Calculator, starts: Sequence[Start]) -> None:
    """Raise InputError when an ASE calculator can compute none of the first molecules.

    The message is the calculator's own. One that does not answer in time, or ends its process, is
    for the records to tell. Other calculators are not tried, nor is one twice. What a try costs is
    said on stderr, as it is in no record.
    """
    if not isinstance(calculator, Ase):
        return
    about = pickle.dumps(calculator)
    sane = {s.formula: s for s in reversed(starts) if not too_close(s, CLOSEST_PAIR_MIN)}
    if about in _WORKING or not sane:
        return
    started, tried, reason = time.monotonic(), [], ""
    for start in [*reversed(sane.values())][:N_TRIED]:
        record = _tried(calculator, start)
        if record is None:
            return
        tried.append(f"{start.name} ({start.formula})")
        reason = record.message
        if record.status == Status.RUNNING:
            _WORKING.add(about)
            seconds = time.monotonic() - started
            print(
                f"{calculator.name}: tried on {', '.join(tried)}; {len(tried)} of its calls,"
                f" {seconds:.1f} s, are in no record",
                file=sys.stderr,
                flush=True,
            )
            return
        if record.status == Status.PROCESS_ENDED or ForeignExit.__name__ in reason:
            return
    raise InputError(
        f"{calculator.name} with ase_options {calculator.options}: can't compute"
        f" {', '.join(tried)} ({reason})"
    )


def _tried(calculator: Calculator, start: Start) -> Record | None:
    """The record of one evaluation in another process; None where there is none in time."""
    until = time.monotonic() + _ANSWER_S

    def look_at_the_clock(*_: Any) -> None:
        if time.monotonic() > until:
            raise _Unanswered

    job = Job(calculator, (start,), SOLVERS["gad"](), "index1", 1)
    with (
        contextlib.suppress(_Unanswered),
        contextlib.closing(run([job], 1, compute=_evaluated, on_tick=look_at_the_clock)) as found,
    ):
        for _, records in found:
            return records[0]
    return None


def _evaluated(job: Job) -> Iterator[tuple[int, Record]]:
    """A record of each start that tells whether its gradient can be computed."""
    for place, start in enumerate(job.starts):
        evaluation, _ = evaluate(job.calculator, Batch.of([start]), hessian=False)
        status = Status.BAD_START if evaluation.failures else Status.RUNNING
        yield place, Record.blank(start, status, evaluation.failures.get(0, ""))
