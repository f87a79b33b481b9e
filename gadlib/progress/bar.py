"""Bars that live: what is done, and from the first second on how many steps were made for it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from gadlib.progress.signs_of_life import Life

_SOON_S, _LATE_S, _SHARE = 1.0, 30.0, 0.02


class Bar:
    """A progress bar that also shows the steps made and the molecules at work, of a `with` block.

    It is drawn again every second, and when it has been there for long less often: where it is
    written to a file, each drawing is a line.
    """

    def __init__(self, total: int, desc: str, unit: str, *, initial: int = 0) -> None:
        self.bar = tqdm(total=total, initial=initial, desc=desc, unit=unit)
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

    @property
    def n(self) -> int:
        """How many are done."""
        return int(self.bar.n)

    def done(self, n: int = 1, **shown: Any) -> None:
        """So many more are done; what else is to be shown."""
        self._shown |= shown
        self.bar.set_postfix_str(self._line(), refresh=False)
        self.bar.update(n)

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
