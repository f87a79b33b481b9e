"""Ctrl-C and SIGTERM: heard alike, held back where work must be done whole, no mere errors."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_RAISING = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
"""Those whose handlers may raise: Ctrl-C, a request to end, a time limit."""


class ForeignExit(Exception):
    """Foreign code raised what would end the program, such as SystemExit, though nobody asked."""


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """SIGTERM is Ctrl-C inside, where nobody else listens to it, as in a notebook's kernel."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block is done, so that nothing is stored by half."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for number in came[:1]:
        signal.raise_signal(number)


@contextlib.contextmanager
def outlived() -> Iterator[None]:
    """Whatever foreign code raises inside is an Exception, but for what a signal's handler raises.

    A library may end the program (SystemExit), or raise KeyboardInterrupt where nobody pressed
    Ctrl-C: that is a failure of what it was asked. What the handler of a signal raises goes on as
    it is, even where the foreign code caught it and raised something else, or nothing.

    Raises:
        ForeignExit: with the name of what was raised in its sentence.
    """
    came: list[BaseException] = []
    before = _listened(came)
    try:
        yield
    except Exception:
        if not came:
            raise
    except BaseException as error:
        if not came:
            raised = f"{type(error).__name__} {error}".strip()
            raise ForeignExit(f"it raised {raised}, which would end the program") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise came[0]


def _listened(came: list[BaseException]) -> dict[int, Callable[[int, FrameType | None], object]]:
    """The handlers that there were, now replaced by ones that note what these raise."""
    if threading.current_thread() is not threading.main_thread():
        return {}  # signals are the main thread's
    before = {}
    for number in _RAISING:
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, _noting(handler, came))
    return before


def _noting(
    handler: Callable[[int, FrameType | None], object], came: list[BaseException]
) -> Callable[[int, FrameType | None], object]:
    def handle(number: int, frame: FrameType | None) -> object:
        try:
            return handler(number, frame)
        except BaseException as error:
            came.append(error)
            raise

    return handle
