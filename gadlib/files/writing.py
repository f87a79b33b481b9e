"""Files that are replaced whole, so that no reader sees a part, and files that grow by lines."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gadlib.settings.reading import InputError


def write_json(path: str | Path, content: Any) -> Path:
    """The path, after the file was replaced: a reader sees the old one or the new, never a part.

    Numbers that are not finite are written as null.

    Raises:
        InputError: when the file can't be written there.
    """
    text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
    return write_bytes(path, text.encode())


def require_json(path: str | Path) -> None:
    """Raise InputError unless the name says that JSON is in the file."""
    if Path(path).suffix != ".json":
        raise InputError(f"{path}: results are JSON; expected a name that ends in .json")


def append_line(path: str | Path, content: Any) -> None:
    """Add a line of JSON to a file of lines, which others may read meanwhile (`whole_lines`).

    Raises:
        OSError: when it can't be written.
    """
    line = json.dumps(content) + "\n"
    with Path(path).open("a") as file:
        file.write(line)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """The path, after the file was replaced: a reader sees the old one or the new, never a part.

    Raises:
        InputError: when the file can't be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{random.SystemRandom().randrange(16**8):08x}")
        try:
            with temporary.open("xb") as file:  # with the permissions that the umask leaves
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from None
    return path


def first_free(path: Path, pattern: str, *, start: int = 1) -> Path:
    """The path beside this one, named by the pattern with the first number that is free.

    Args:
        path: that is taken.
        pattern: of the name: {number}, and the {name}, {stem} and {suffix} of the path.
        start: the first number that is tried.
    """
    parts = {"name": path.name, "stem": path.stem, "suffix": path.suffix}
    names = (path.with_name(pattern.format(number=i, **parts)) for i in itertools.count(start))
    return next(name for name in names if not name.exists())


def require_writable(folder: str | Path) -> Path:
    """The folder, made if need be, after a file could be created in it.

    Raises:
        InputError: when none can be.
    """
    folder = Path(folder)
    try:
        _MADE.extend(p for p in (folder, *folder.parents) if not p.exists())
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"output folder {folder}: can't be written ({error.strerror or error})"
        ) from None


_MADE: list[Path] = []


def leave_no_empty_folder() -> None:
    """Remove the folders that were made for results and are still empty.

    For who is refused: nothing is left of what was asked for.
    """
    for folder in sorted(set(_MADE), key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):  # there are results in it, or it is gone
            folder.rmdir()
    _MADE.clear()


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content
