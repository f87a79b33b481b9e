"""The storage of a study by its URL: opened safely by many processes at once, patient with trouble.

SQLite (local disks), PostgreSQL, a journal file (network disks too) or Optuna's gRPC proxy. Knows
nothing of what a study is about. No message of this module, and of errors that pass through it,
holds a password. Floor 4.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
import sqlalchemy.event
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.storages.journal._file import get_lock_file

from gadlib.cluster.retries import Patient, is_race, is_trouble, persist, reason
from gadlib.files.writing import require_writable
from gadlib.settings.reading import InputError, without_secrets

EXAMPLES = "sqlite:///study.db, journal:///study.log, postgresql+psycopg://user@host/db or grpc://host:port"

PATIENCE_S = 300.0
"""How long a database that does not answer is asked again."""

_NETWORK = (
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs",
    "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "pvfs2", "orangefs", "panfs", "wekafs", "9p",
)  # fmt: skip
_LOCKED_S = 60
_JOURNAL_LOCK_S = 10


def without_password(url: str) -> str:
    """The storage URL as it may be shown: no password, and nothing after `?`."""
    try:
        read = sa.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return _hidden(url)
    host = (read.host or "").rpartition("@")[2]  # before it stands the rest of a password
    return read.set(query={}, host=host or None).render_as_string(hide_password=True)


def _hidden(url: str) -> str:
    """What may be shown of a text that is no URL: nothing between its scheme and its host."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        return url.split("@")[-1].split("?")[0]
    host = rest.split("@")[-1].split("?")[0]
    if "@" in rest:
        return f"{scheme}://***@{host}"
    return f"{scheme}:***" if ":" in host or "?" in rest else f"{scheme}:{host}"


def require_url(url: str) -> None:
    """Nothing, when the URL is one of a kind of storage that there is, as far as the text tells.

    Raises:
        InputError: when it is not.
    """
    shown = without_password(url)
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme not in _SCHEMES or not _is_url(url):
        raise InputError(f"storage {shown}: not a usable storage URL; expected e.g. {EXAMPLES}")
    if (path := file_of(url)) is not None:
        _require_regular(path, shown)


def _is_url(url: str) -> bool:
    try:
        sa.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # whose message may hold the password
        return False
    return True


_SCHEMES = ("sqlite", "journal", "postgresql", "mysql", "grpc")


def _require_regular(path: Path, shown: str) -> None:
    """Nothing, when there is a file, or nothing; a pipe would be waited for for ever."""
    if "\0" in str(path):
        raise InputError(f"storage {shown!r}: a NUL character in it, expected e.g. {EXAMPLES}")
    if path.is_dir():
        raise InputError(f"storage {shown}: {path} is a folder; expected e.g. {EXAMPLES}")
    if path.exists() and not path.is_file():
        raise InputError(f"storage {shown}: {path} is a pipe or a device; expected a file")


def file_of(url: str) -> Path | None:
    """The file of an SQLite or journal storage, None for another kind."""
    for scheme in ("sqlite:///", "journal:///"):
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme).split("?")[0])
    return None


def network_filesystem(path: str | Path) -> str:
    """The kind of network file system that the path is on, empty for a local one."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    best, kind = "", ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, fstype = line.split(" ")[:3]
            mount = mount.replace("\\040", " ")
            if len(mount) >= len(best) and path.resolve().is_relative_to(mount):
                best, kind = mount, fstype
    return kind if kind in _NETWORK else ""


def open_storage(url: str, *, must_exist: bool = False, patience_s: float = PATIENCE_S) -> Patient:
    """The storage, its tables made if need be; any number of processes may do so at once.

    Args:
        url: as in `EXAMPLES`.
        must_exist: whether a missing file is an error; else it is made.
        patience_s: how long calls are tried again when the storage is in trouble.

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
        _require_file(path, url, must_exist, patience_s)
    try:
        storage = persist(
            lambda: _connect(url, is_read=must_exist),
            is_race,
            min(patience_s, _LOCKED_S),
            lambda *_: None,
        )
    except (sqlalchemy.exc.ArgumentError, ModuleNotFoundError, ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        told = f"{type(error).__name__}: " + ("" if "://" in str(error) else str(error))
        raise InputError(
            f"storage {shown}: not a usable storage URL ({told.rstrip(': ')});"
            f" expected e.g. {EXAMPLES}"
        ) from None
    except Exception as error:
        if not is_trouble(error) and path is None and not isinstance(error, RuntimeError):
            raise
        # what a damaged file raises is without end, and so is what an older Optuna left
        told = reason(error) if is_trouble(error) else without_secrets(str(error).split("\n")[0])
        raise InputError(f"storage {shown}: {_unusable(told or type(error).__name__)}") from None
    wal = Path(f"{path}-wal") if url.startswith("sqlite") else None
    patient = Patient(storage, shown, patience_s, wal, path)  # pyright: ignore[reportAbstractUsage]
    if (engine := getattr(getattr(storage, "_backend", None), "engine", None)) is not None:
        weakref.finalize(patient, engine.dispose)  # else connections are left to the collector
    return patient


def _require_file(path: Path, url: str, must_exist: bool, patience_s: float) -> None:
    shown = without_password(url)
    _require_regular(path, shown)
    if must_exist and not path.is_file():
        raise InputError(f"storage {shown}: no such file {path}")
    if url.startswith("sqlite"):
        _require_optuna(path, shown, patience_s)
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


def _require_optuna(path: Path, shown: str, patience_s: float) -> None:
    """Nothing, when an SQLite file is Optuna's, or empty; in another program's nothing is made."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        timeout = min(patience_s, _LOCKED_S)
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
        return JournalStorage(_TidyJournal(str(path), lock_obj=lock))
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
        connection.execute("PRAGMA synchronous=NORMAL")  # see Patient.set_trial_state_values

    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    storage.engine.dispose()  # the connections that were made before these lines
    return storage


class _TidyJournal(JournalFileBackend):
    """A journal file that loses its last line when that was torn by a full disk or a lost machine.

    Optuna would append the next line to the torn one, and never read the file again.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
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


@contextlib.contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """One process at a time inside, of those that name the same file, if it can be locked."""
    import fcntl

    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(Path(path).open("a")), fcntl.LOCK_EX)
        yield
