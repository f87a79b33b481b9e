"""Searches in a process of their own, which can be ended at any moment.

The processes are forked from a server that has imported what a search needs, so that one starts
within some hundredths of a second; ending one ends whatever its calculator is at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from gadlib.molecules.starting_points import Start
from gadlib.processes.forks import Forks
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.screening.trajectories import point_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings

_GRACE_S = 0.5


@dataclass(frozen=True)
class Task:
    """A search from one start as settings say; pickled, so that its process builds the rest."""

    settings: SearchSettings
    start: Start


class Ended(NamedTuple):
    """The search that stands at `place` of the tasks has ended, with this record."""

    place: int
    record: Record


class Refused(NamedTuple):
    """Nothing more will come, and why."""

    sentence: str


class Background:
    """Work in a process of its own.

    Args:
        work: a function of a module's own; its first argument takes what it tells.
        arguments: its others.
    """

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        context = Forks()
        self._here, there = context.Pipe(duplex=False)
        self._is_over = False
        self._process = context.Process(target=_do, args=(there, work, arguments), daemon=True)
        self._process.start()
        there.close()

    @property
    def is_over(self) -> bool:
        """Whether all that the work sent was received, or it was stopped."""
        return self._is_over

    def receive(self, timeout_s: float = 0.0) -> list[Any]:
        """What the work sent since the last time; at the first word at the latest at the timeout.

        Where the process ended before its work did, the last is a `Refused` that says so.
        """
        messages: list[Any] = []
        try:
            while not self._is_over and self._here.poll(0.0 if messages else timeout_s):
                message = self._here.recv()
                if message is None:
                    self._close()
                else:
                    messages.append(message)
        except (EOFError, OSError):  # the process ended, or the pipe was closed under us by `stop`
            if not self._is_over:
                messages.append(Refused(self._ending()))
                self._close()
        return messages

    def stop(self) -> None:
        """End the process, whatever it is at."""
        self._is_over = True
        self._process.terminate()
        self._process.join(_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_GRACE_S)

    def _close(self) -> None:
        self._is_over = True
        self._process.join(_GRACE_S)

    def _ending(self) -> str:
        self._process.join(_GRACE_S)
        code = self._process.exitcode
        return f"The process that computed this molecule ended (exit code {code})."


def prepare() -> None:
    """Start the server that searches are forked from, so that the first begins at once."""
    first = Background(_nothing)
    until = time.monotonic() + 60
    while not first.is_over and time.monotonic() < until:
        first.receive(1.0)


def search_tasks(tell: Callable[[Any], None], tasks: Sequence[Task], with_points: bool) -> None:
    """Each task's `Point`s, if asked for, and its `Ended`, given as they come."""
    for place, task in enumerate(tasks):
        job = Job.of(task.settings, [task.start])
        on_frame = (lambda frame: tell(point_of(frame))) if with_points else None
        tell(Ended(place, search_starts(job, on_frame=on_frame)[0]))


def _nothing(tell: Callable[[Any], None]) -> None:
    """What the first process does."""


def _do(pipe: Connection, work: Callable[..., None], arguments: tuple) -> None:
    try:
        work(pipe.send, *arguments)
    except InputError as error:
        pipe.send(Refused(str(error)))
    except BrokenPipeError:  # the page is gone, and nobody listens
        return
    except Exception as error:  # foreign code: whatever it raises is a sentence in the page
        pipe.send(Refused(f"{type(error).__name__}: {error}"))
    pipe.send(None)
    pipe.close()
