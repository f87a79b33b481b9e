"""A search in the background, watched by a thread that tells what comes, at most so often.

Shared by the two panels that start work; it knows no widget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gadlib.explore.tasks.background import Background

_POLL_S = 0.1


class Watch:
    """Background work and the thread that listens to it.

    Args:
        begin: starts the work; called in the thread, because a first process takes seconds.
        hear: called with each list of messages, and, between them, with an empty one.
        finish: called once at the end, with whether the work was stopped.
    """

    def __init__(
        self,
        begin: Callable[[], Background],
        hear: Callable[[list[Any]], None],
        finish: Callable[[bool], None],
    ) -> None:
        self._begin, self._hear, self._finish = begin, hear, finish
        self._work: Background | None = None
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the work, whatever it is at; `finish` follows."""
        self._is_stopped.set()
        if self._work is not None:
            self._work.stop()

    def join(self, timeout_s: float) -> bool:
        """Whether the work was over within that time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _listen(self) -> None:
        try:
            self._work = self._begin()
            while not self._work.is_over:
                if self._is_stopped.is_set():  # asked for before there was a process to end
                    self._work.stop()
                    break
                self._hear(self._work.receive(_POLL_S))
        finally:
            self._finish(self._is_stopped.is_set())


class Panel:
    """What starts work in the background, one piece at a time."""

    def __init__(self) -> None:
        self._watch: Watch | None = None
        self._is_running = False

    @property
    def is_running(self) -> bool:
        """Whether work is running, or its end still being drawn."""
        return self._is_running

    def stop(self) -> None:
        """End the running work and keep what it reported."""
        if self._watch is not None:
            self._watch.stop()

    def wait(self, timeout_s: float) -> bool:
        """Whether the work was over within that time; for whoever drives the page by a script."""
        return self._watch is None or self._watch.join(timeout_s)


class Throttle:
    """Says when it is time again: `every_s` after the last time, and longer if that took long."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._next = every_s, 0.0

    def __call__(self, action: Callable[[], None], *, now: bool = False) -> bool:
        """Whether the action was taken, because it was time or has to be `now`."""
        started = time.monotonic()
        if not now and started < self._next:
            return False
        action()
        ended = time.monotonic()
        self._next = ended + max(self._every_s, ended - started)
        return True
