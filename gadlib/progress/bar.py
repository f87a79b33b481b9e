"""Bars that live: what is done, and from the first second on how many steps were made for it.

What came of each molecule is told to whoever listens; a notebook has nobody who does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from gadlib.progress.signs_of_life import Life

_SOON_S, _LATE_S, _SHARE = 1.0, 30.0, 0.02


class Ended(NamedTuple):
    """One of many is done.

    Attributes:
        result: what came of it, such as a record.
        desc: what is done with the many, as the bar has it.
        n, total: how many of them are done, this one included, and how many there are.
    """

    result: Any
    desc: str
    n: int
    total: int


_LISTENER: ContextVar[Callable[[Ended], None] | None] = ContextVar("listener", default=None)
_IS_HIDDEN: ContextVar[bool] = ContextVar("is_hidden", default=False)


@contextlib.contextmanager
def listening(listener: Callable[[Ended], None]) -> Iterator[None]:
    """The listener hears of each result of the bars inside, as it comes."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(ended: Ended) -> None:
    """Tell whoever listens what has ended, also where it never came to a bar."""
    if (listener := _LISTENER.get()) is not None:
        listener(ended)


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """The bars inside are not drawn."""
    token = _IS_HIDDEN.set(True)
    try:
        yield
    finally:
        _IS_HIDDEN.reset(token)


class Bar:
    """A progress bar that also shows the steps made and the molecules at work, of a `with` block.

    It is drawn again every second, and when it has been there for long less often: where it is
    written to a file, each drawing is a line.

    Attributes:
        n: how many are done.
        total, desc: as given.
    """

    def __init__(self, total: int, desc: str, unit: str, *, initial: int = 0) -> None:
        is_hidden = _IS_HIDDEN.get()
        self.bar = tqdm(total=total, initial=initial, desc=desc, unit=unit, disable=is_hidden)
        self.n, self.total, self.desc = initial, total, desc
        self._shown: dict[str, Any] = {}
        self._life = Life()
        self._began = time.monotonic()
        self._next_at = self._began

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._life = self._life._replace(at_work=0)
        self._draw()
        self.bar.close()

    def done(self, n: int = 1, **shown: Any) -> None:
        """So many more are done; what else is to be shown."""
        self.n += n
        self._shown |= shown
        self.bar.set_postfix_str(self._line(), refresh=False)
        self.bar.update(n)

    def ended(self, result: Any, **shown: Any) -> None:
        """One more is done: what came of it, for who listens; what else is to be shown."""
        self.done(**shown)
        tell(Ended(result, self.desc, self.n, self.total))

    def live(self, life: Life) -> None:
        """How far the computation is."""
        self._life = life
        if time.monotonic() >= self._next_at:
            self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        self._next_at = now + min(max(_SOON_S, _SHARE * (now - self._began)), _LATE_S)
        self.bar.set_postfix_str(self._line(), refresh=True)

    def _line(self) -> str:
        shown = [f"{name}={value}" for name, value in self._shown.items()]
        steps, at_work = self._life
        life = f"steps={steps}, at work={at_work}" if steps or at_work else "starting"
        return ", ".join([*shown, life])
