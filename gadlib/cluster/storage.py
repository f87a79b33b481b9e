"""The storage of a study by its URL: opened safely by many processes at once.

SQLite (local disks), PostgreSQL, a journal file (network disks too) or Optuna's gRPC proxy. Knows
nothing of what a study is about. No message of this module, and of errors that pass through it,
holds a password.
"""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
import weakref
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
import sqlalchemy.event
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileSymlinkLock

from gadlib.cluster.journal import TidyJournal
from gadlib.cluster.retries import RetryingStorage, is_race, is_trouble, reason, retry
from gadlib.cluster.urls import (
    EXAMPLES,
    file_of,
    network_filesystem,
    require_regular,
    require_url,
    without_password,
)
from gadlib.files.writing import require_writable
from gadlib.settings.reading import InputError, without_secrets

TIMEOUT_S = 300.0
"""How long a database that does not answer is asked again."""

_LOCKED_S = 60
"""How long SQLite waits for its lock, which many workers may want at once."""

_JOURNAL_LOCK_S = 10
"""After which a journal's lock counts as left by a process that died: it is held for one write."""


def open_storage(
    url: str, *, must_exist: bool = False, timeout_s: float = TIMEOUT_S
) -> RetryingStorage:
    """The storage, its tables made if need be; any number of processes may do so at once.

    Args:
        url: as in `EXAMPLES`.
        must_exist: whether a missing file is an error; else it is made.
        timeout_s: how long calls are tried again when the storage is in trouble.

    Raises:
        InputError: when there can be no storage there.
    """
    shown, path = without_password(url), file_of(url)
    if path is None and url.count("@") > 1:
        raise InputError(
            f"storage {shown}: an @ within a user's name or password is expected to be written %40"
        )
    require_url(url)
    if path is not None:
        _require_file(path, url, must_exist, timeout_s)
    try:
        storage = retry(
            lambda: _connect(url, is_read=must_exist),
            is_race,
            min(timeout_s, _LOCKED_S),
            lambda *_: None,
        )
    except (sqlalchemy.exc.ArgumentError, ModuleNotFoundError, ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        text = f"{type(error).__name__}: " + ("" if "://" in str(error) else str(error))
        raise InputError(
            f"storage {shown}: not a usable storage URL ({text.rstrip(': ')});"
            f" expected e.g. {EXAMPLES}"
        ) from None
    except Exception as error:
        if not is_trouble(error) and path is None and not isinstance(error, RuntimeError):
            raise
        # what a damaged file raises is without end, and so is what an older Optuna left
        why = reason(error) if is_trouble(error) else without_secrets(str(error).split("\n")[0])
        raise InputError(f"storage {shown}: {_unusable(why or type(error).__name__)}") from None
    wal = Path(f"{path}-wal") if url.startswith("sqlite") else None
    retrying = RetryingStorage(storage, shown, timeout_s, wal, path)  # pyright: ignore[reportAbstractUsage]
    if (engine := getattr(getattr(storage, "_backend", None), "engine", None)) is not None:
        weakref.finalize(retrying, engine.dispose)  # else connections are left to the collector
    return retrying


def _require_file(path: Path, url: str, must_exist: bool, timeout_s: float) -> None:
    shown = without_password(url)
    require_regular(path, shown)
    if must_exist and not path.is_file():
        raise InputError(f"storage {shown}: no such file {path}")
    if url.startswith("sqlite"):
        _require_optuna(path, shown, timeout_s)
    kind = network_filesystem(path)
    if kind and url.startswith("sqlite"):
        raise InputError(
            f"storage {shown}: {path} is on a network file system ({kind}),"
            f" where SQLite loses data; expected journal:///{path.with_suffix('.log')},"
            " PostgreSQL, or a folder on a local disk"
        )
    require_writable(path.parent)


def _unusable(reason: str) -> str:
    if "locked" in reason:
        return f"locked by another program for too long ({reason}); expected it free, try again"
    return f"not a usable database ({reason})"


def _require_optuna(path: Path, shown: str, timeout_s: float) -> None:
    """Raise InputError when an SQLite file is another program's: nothing is made there."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        timeout = min(timeout_s, _LOCKED_S)
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
    except sqlite3.Error as error:
        raise InputError(f"storage {shown}: {_unusable(str(error))}") from None
    if tables and "studies" not in tables:
        there = ", ".join(sorted(tables)[:3])
        raise InputError(
            f"storage {shown}: a database of another program (it has {there});"
            " expected one of Optuna, or a new name"
        )


def _connect(url: str, *, is_read: bool) -> BaseStorage:
    if url.startswith("grpc://"):
        return _connect_grpc(url)
    if url.startswith("journal:"):
        path = file_of(url)
        if path is None or not path.name:
            raise ValueError("expected journal:///path")
        lock = JournalFileSymlinkLock(str(path), grace_period=_JOURNAL_LOCK_S)
        return JournalStorage(TidyJournal(str(path), lock_obj=lock))
    if url.startswith("sqlite"):
        return optuna.storages.get_storage(_connect_sqlite(url, is_read=is_read))
    pool = {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 3}
    if url.startswith("postgresql"):
        pool["connect_args"] = {"connect_timeout": 10}  # type: ignore[assignment]
    return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=pool))


def _connect_grpc(url: str) -> BaseStorage:
    from optuna.storages import GrpcStorageProxy

    where = sa.make_url(url)
    if not where.host or not where.port:
        raise ValueError("expected grpc://host:port")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = GrpcStorageProxy(host=where.host, port=where.port)
    proxy.get_all_studies()
    return proxy


def _connect_sqlite(url: str, *, is_read: bool) -> RDBStorage:
    """SQLite with a write-ahead log, waiting for its lock, every transaction serial.

    Left alone, Python opens a transaction at the first write only; two processes that read a
    trial's state, and then write it, would both believe that they claimed it.
    """
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _LOCKED_S}})

    @sqlalchemy.event.listens_for(storage.engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        if not is_read:  # a database of others stays as it is when it is looked at
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # see RetryingStorage

    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    storage.engine.dispose()  # the connections that were made before these lines
    return storage
