"""Which storage a URL means, as far as its text and the file system tell; shown without secrets."""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.exc

from gadlib.settings.reading import InputError

EXAMPLES = "sqlite:///study.db, journal:///study.log, postgresql+psycopg://user@host/db or grpc://host:port"

_SCHEMES = ("sqlite", "journal", "postgresql", "mysql", "grpc")
_NETWORK = (
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs",
    "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "pvfs2", "orangefs", "panfs", "wekafs", "9p",
)  # fmt: skip


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
    """Raise InputError unless the URL is one of a kind of storage that there is."""
    shown = without_password(url)
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme not in _SCHEMES or not _is_url(url):
        raise InputError(f"storage {shown}: not a usable storage URL; expected e.g. {EXAMPLES}")
    if (path := file_of(url)) is not None:
        require_regular(path, shown)


def _is_url(url: str) -> bool:
    try:
        sa.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # whose message may hold the password
        return False
    return True


def require_regular(path: Path, shown: str) -> None:
    """Raise InputError unless there is a file, or nothing; a pipe would be waited for for ever."""
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
