"""Signs of life: what computes tells of its steps, and who waits for it sees that it goes on.

Where nobody listens, telling costs nothing. It knows neither searches nor processes.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

_PAUSE_S = 0.2  # between two signs in a file, so that many small steps cost nothing
_FORM = struct.Struct("=qqq")
_LOCAL = threading.local()


class Life(NamedTuple):
    """How far a computation is: moves of molecules made, and how many molecules move now."""

    steps: int = 0
    at_work: int = 0


@runtime_checkable
class Listener(Protocol):
    """What hears of steps and answers."""

    def stepped(self, n: int, at_work: int) -> None:
        """So many molecules were moved, and so many are at work."""
        ...

    def called(self) -> None:
        """A calculator has answered."""
        ...


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """The listener hears of what this thread computes inside."""
    before = getattr(_LOCAL, "listener", None)
    _LOCAL.listener = listener
    try:
        yield
    finally:
        _LOCAL.listener = before


def stepped(n: int, at_work: int) -> None:
    """Tell that so many molecules were moved, and that so many are at work."""
    if (listener := getattr(_LOCAL, "listener", None)) is not None:
        listener.stepped(n, at_work)


def called() -> None:
    """Tell that a calculator has answered."""
    if (listener := getattr(_LOCAL, "listener", None)) is not None:
        listener.called()


class Told:
    """A listener in the same process, which passes on every step at once."""

    def __init__(self, tell: Callable[[Life], None]) -> None:
        self.tell, self.life = tell, Life()

    def stepped(self, n: int, at_work: int) -> None:
        """As `Listener`."""
        self.life = Life(self.life.steps + n, at_work)
        self.tell(self.life)

    def called(self) -> None:
        """As `Listener`."""


class Pulse:
    """A listener that keeps a file in which another process sees it; a disk that is full is borne.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._steps = self._at_work = self._calls = 0
        self._next_at = 0.0
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self.write()

    def stepped(self, n: int, at_work: int) -> None:
        """As `Listener`."""
        self._steps += n
        self._at_work = at_work
        self.called()

    def called(self) -> None:
        """As `Listener`."""
        self._calls += 1
        if time.monotonic() >= self._next_at:
            self.write()

    def write(self) -> None:
        """What was counted until now, into the file."""
        self._next_at = time.monotonic() + _PAUSE_S
        if self._file is not None:
            with contextlib.suppress(OSError):
                content = _FORM.pack(self._steps, self._at_work, self._calls)
                os.pwrite(self._file, content, 0)

    def close(self) -> None:
        """The last sign, and no more."""
        self._at_work = 0
        self.write()
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Watch:
    """What another process sees of a pulse, and for how long it has not changed.

    Attributes:
        path: its file.
        life: how far the computation was when it was last looked at.
        is_begun: whether there has been a sign at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.life = Life()
        self.is_begun = False
        self._seen, self._since = b"", time.monotonic()

    def look(self) -> Life:
        """How far the computation is now."""
        content = b""
        with contextlib.suppress(OSError):
            content = self.path.read_bytes()
        if len(content) == _FORM.size and content != self._seen:
            self._seen, self._since, self.is_begun = content, time.monotonic(), True
            self.life = Life(*_FORM.unpack(content)[:2])
        return self.life

    def stir(self) -> None:
        """Something else was seen of it, such as a result."""
        self._since = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the last change that was seen."""
        return time.monotonic() - self._since
