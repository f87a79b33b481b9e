"""A storage that is asked again when its database is in trouble, and its errors without secrets.

Nothing of kinds of storages, which is `storage`'s. No message of this module holds a password.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from tqdm.auto import tqdm


class StorageLostError(RuntimeError):
    """A storage that worked has not answered for too long; what it holds is safe."""


def is_trouble(error: BaseException) -> bool:
    """Whether the storage, not the call, is what failed, so that trying again may help."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, StorageInternalError) and cause is not None:
        return is_trouble(cause)
    if isinstance(
        error,
        sqlalchemy.exc.IntegrityError | sqlalchemy.exc.ProgrammingError | sqlalchemy.exc.DataError,
    ):
        return False
    lost = (  # the second is said of a connection that was lost within a transaction
        sqlalchemy.exc.DBAPIError | sqlalchemy.exc.PendingRollbackError | OSError
    )
    return isinstance(error, lost) or _is_unavailable(error)


def _is_unavailable(error: BaseException) -> bool:
    code = getattr(error, "code", None)  # a gRPC error; its package may not be installed
    return (
        "grpc" in type(error).__module__
        and callable(code)
        and getattr(code(), "name", "") in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN")
    )


def is_race(error: BaseException) -> bool:
    """Whether making the tables failed because another process was making them."""
    text = str(error).lower()
    signs = ("already exists", "duplicate", "unique", "locked", "no such table", "starting up")
    lost = ("more than one", "does not exist", "concurrently")
    return isinstance(error, sqlalchemy.exc.DBAPIError | RuntimeError | AssertionError) and any(
        word in text for word in signs + lost
    )


def reason(error: BaseException) -> str:
    """The error in its own words, without statement, parameters and connection strings."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return reason(error.__cause__)
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        text = str(error.orig)  # pyright: ignore[reportAttributeAccessIssue]
    elif isinstance(error, OSError):
        text = error.strerror or type(error).__name__
    else:
        details = getattr(error, "details", None)
        text = str(details()) if callable(details) else type(error).__name__
    line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return line if "://" not in line else type(error).__name__


def retry(
    call: Callable[[], Any],
    is_worth_it: Callable[[BaseException], bool],
    timeout_s: float,
    on_wait: Callable[[BaseException, float], None],
) -> Any:
    """What the call returns, tried again with growing pauses while its errors are worth it."""
    started, pause = time.monotonic(), 0.05
    while True:
        try:
            return call()
        except Exception as error:
            elapsed = time.monotonic() - started
            if not is_worth_it(error) or elapsed >= timeout_s:
                raise
            on_wait(error, elapsed)
        time.sleep(min(pause * random.uniform(0.5, 1.5), timeout_s))  # not all at once again
        pause = min(2 * pause, 5.0)


class RetryingStorage(BaseStorage):
    """A storage whose every call is tried again with backoff when the database is in trouble.

    Raises:
        StorageLostError: from any call, when that has not helped for `timeout_s`.
    """

    def __init__(
        self,
        storage: BaseStorage,
        shown: str,
        timeout_s: float,
        wal: Path | None = None,
        file: Path | None = None,
    ) -> None:
        self.storage, self.shown, self.timeout_s, self.wal = storage, shown, timeout_s, wal
        self.file, self._opened = file, _which(file)

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> bool:
        """As the storage's; a trial that has ended is on the disk when this returns."""
        answer = self._ask("set_trial_state_values", *args, **kwargs)
        with contextlib.suppress(OSError):  # SQLite's log: of a part of a trial nobody makes sure
            if self.wal is not None:
                with self.wal.open("rb") as file:
                    os.fsync(file.fileno())
        return answer

    def _require_file(self) -> None:
        """Raise StorageLostError unless the file is still the one that was opened."""
        if self._opened is not None and _which(self.file) not in (self._opened, _UNKNOWN):
            raise StorageLostError(
                f"storage {self.shown}: its file was removed or replaced while the study ran,"
                " which can't go on there"
            )

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        was_told = False

        def tell(error: BaseException, elapsed: float) -> None:
            nonlocal was_told
            if elapsed > 2 and not was_told:
                was_told = True
                tqdm.write(  # on a line of its own, where a progress bar stands
                    f"storage {self.shown}: no answer ({reason(error)});"
                    f" trying again for {self.timeout_s:.0f} s",
                    file=sys.stderr,
                )

        def call() -> Any:
            if name.startswith(("set_", "create_", "delete_")):
                self._require_file()
            try:
                return getattr(self.storage, name)(*args, **kwargs)
            except Exception as error:
                if is_trouble(error):
                    self._require_file()
                raise

        try:
            return retry(call, is_trouble, self.timeout_s, tell)
        except Exception as error:
            if not is_trouble(error):
                raise
            raise StorageLostError(
                f"storage {self.shown}: no answer for {self.timeout_s:.0f} s ({reason(error)});"
                " what it holds is safe, --resume goes on"
            ) from None


_UNKNOWN = (-1, -1)


def _which(file: Path | None) -> tuple[int, int] | None:
    """Which file it is, whatever it is called."""
    try:
        found = None if file is None else file.stat()
    except FileNotFoundError:
        return None
    except OSError:  # a disk in trouble; its file may be there again
        return _UNKNOWN
    return found and (found.st_dev, found.st_ino)


def _forward(name: str) -> Callable[..., Any]:
    def call(self: RetryingStorage, *args: Any, **kwargs: Any) -> Any:
        return self._ask(name, *args, **kwargs)

    return call


for _name in [n for n in dir(BaseStorage) if callable(getattr(BaseStorage, n))]:
    if not _name.startswith("_") and _name not in vars(RetryingStorage):
        setattr(RetryingStorage, _name, _forward(_name))
RetryingStorage.__abstractmethods__ = frozenset()
