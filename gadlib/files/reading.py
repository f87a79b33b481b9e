"""Text and JSON as people have them, and the whole lines of files that others still write."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

from gadlib.settings.reading import InputError, shown

MAX_BYTES = 1 << 30
"""Files of text that are larger than this are not read."""


def whole_lines(path: Path, start: int) -> tuple[list[bytes], int]:
    """The lines of a growing file from a place on, and the place after them.

    A last one that is not ended yet is left.

    Raises:
        OSError: when the file can't be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        lines = [line for line in file if line.endswith(b"\n")]
    return lines, start + sum(map(len, lines))


def read_text(path: str | Path, expected: str = "text") -> str:
    """What a file of text holds.

    Raises:
        InputError: when it is missing, no regular file, too large, or not UTF-8.
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path}: a folder; can't be read, expected a file")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise InputError(f"{path}: a pipe or a device; expected a file")
        if status.st_size > MAX_BYTES:
            raise InputError(
                f"{path}: {status.st_size} bytes; expected a file of at most {MAX_BYTES}"
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not {expected} (no text in UTF-8)") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from None
    except ValueError as error:  # a NUL in the name
        if isinstance(error, InputError):
            raise
        raise InputError(f"{shown(str(path))}: can't be read ({error})") from None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: when it is missing or not JSON, or names the same thing twice.
    """
    text = read_text(path, "JSON")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_float, parse_float=_float)
    except RecursionError:
        raise InputError(f"{path}: not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shown(twice)} twice in one object")
    return found


def _float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text}, expected a finite number or null")
    return number
