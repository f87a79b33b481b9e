"""Locks: one run at a time writes an output; folders of processes that have died are removed.

Both rest on a lock on a file, which the kernel gives free when a process ends in whatever way.
Where a file system can't lock, nothing is refused and nothing removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gadlib.settings.reading import InputError

_PREFIX = "gadlib-"
_ALIVE = ".alive"


@contextlib.contextmanager
def sole(output: str | Path) -> Iterator[None]:
    """Inside, this run alone writes the output: a file, or a folder.

    Raises:
        InputError: when another run is at it.
    """
    output = Path(output).resolve()
    path = output.with_name(f".{output.name}.running")
    handle = _held(path, output)
    try:
        yield
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                if _is_at(path, handle):  # else the folder was removed, and another's is there
                    path.unlink()
            os.close(handle)


def _held(path: Path, output: Path) -> int | None:
    """The locked file, None where none can be; again where it was removed meanwhile."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None  # what can't be written is refused when it is written
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(handle, 200).decode(errors="replace").strip()
            os.close(handle)
            raise InputError(
                f"{output}: another run is writing it{who and f' ({who})'}; expected an output of"
                " its own, or that the other has ended"
            ) from None
        except OSError:
            os.close(handle)
            return None
        if _is_at(path, handle):
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            return handle
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        there, here = path.stat(), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


@contextlib.contextmanager
def in_turn(path: str | Path) -> Iterator[None]:
    """One process at a time inside, of those that name the same file, if it can be locked."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(Path(path).open("a")), fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch(name: str = "") -> Iterator[Path]:
    """A temporary folder, removed in the end; those that dead processes left are removed before."""
    sweep()
    prefix = f"{_PREFIX}{name}-" if name else _PREFIX
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        new = Path(folder) / f"{_ALIVE}.new"
        with new.open("w") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
                new.rename(new.with_name(_ALIVE))  # locked before anybody can find it
            yield Path(folder)


def sweep() -> None:
    """Remove the temporary folders of processes that have died."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_ALIVE}"):
        with contextlib.suppress(OSError), path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
