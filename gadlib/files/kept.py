"""A result file that is written again as results come, so that what was done is kept.

Writing a long file takes a small share of the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from gadlib.files.writing import write_json
from gadlib.settings.reading import InputError

_PAUSE = 10  # times what the last writing took


class Kept:
    """The file, and whether it is time to write it; without a file nothing is written.

    Where it can't be written for the moment (a full disk), that is said once, and tried again.
    """

    def __init__(self, out: str | Path | None, content: Callable[[], Any]) -> None:
        self.out, self.content = out, content
        self._is_behind = self._was_said = False
        self._next_at = 0.0

    def grown(self) -> None:
        """There are new results, which are written now or later."""
        self._is_behind = True
        if time.monotonic() < self._next_at:
            return
        try:
            self.write()
        except InputError as error:
            self._next_at = time.monotonic() + 1.0
            if not self._was_said:
                self._was_said = True
                tqdm.write(f"{error}; going on, it is tried again", file=sys.stderr)

    def write(self) -> None:
        """All results are in the file when this returns.

        Raises:
            InputError: when it can't be written.
        """
        if self.out is None or not self._is_behind:
            return
        started = time.monotonic()
        write_json(self.out, self.content())
        now = time.monotonic()
        self._is_behind, self._next_at = False, now + _PAUSE * (now - started)
