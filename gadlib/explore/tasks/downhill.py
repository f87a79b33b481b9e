"""A saddle followed downhill in a process of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, NamedTuple

from gadlib.explore.tasks.background import Refused, Task
from gadlib.explore.tasks.series import Run
from gadlib.molecules.reactions import Reaction
from gadlib.paths import intended
from gadlib.paths.records import PathRecord
from gadlib.screening.records import Record
from gadlib.screening.setup import calculator_of
from gadlib.settings.reading import InputError


class Followed(NamedTuple):
    """Where a saddle leads."""

    path: PathRecord


def require_saddle(run: Run | None) -> Record:
    """The record of a run that ended at a saddle.

    Raises:
        InputError: when there is none; from elsewhere no path begins.
    """
    if run is None or run.record is None:
        raise InputError("no run that has ended is shown: expected one that ended at a saddle")
    if not run.record.strict:
        raise InputError(
            f"run {run.number} did not end at a strict saddle, so no path begins there: expected"
            " one whose forces vanish and whose order is one"
        )
    return run.record


def follow_saddle(
    tell: Callable[[Any], None], task: Task, record: Record, reaction: Reaction | None
) -> None:
    """Tell where the saddle of a search leads, beside the reaction where one is known.

    Args:
        tell: takes a `Followed`, or a `Refused`.
        task: the search.
        record: what came of it.
        reaction: whose saddle was looked for.
    """
    calculator = calculator_of(task.settings, [task.start])
    known = [] if reaction is None else [reaction]
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar is for terminals
        (path,) = intended.follow_all(calculator, [record], known)
    tell(Followed(path) if path.travelled else Refused(path.message))
