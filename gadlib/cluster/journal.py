"""A journal file that a full disk or a lost machine can't spoil."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file


class TidyJournal(JournalFileBackend):
    """A journal file that loses its last line when a full disk or a lost machine cut it off.

    Optuna would append the next line to the cut-off one, and never read the file again.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """As the backend's, after a cut-off last line was removed."""
        path = Path(self._file_path)
        with get_lock_file(self._lock):
            size = _end_of_last_line(path)
            if size != path.stat().st_size:
                os.truncate(path, size)
        try:
            super().append_logs(logs)
        except OSError:
            with get_lock_file(self._lock):
                os.truncate(path, _end_of_last_line(path))
            raise


def _end_of_last_line(path: Path) -> int:
    size = path.stat().st_size
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
