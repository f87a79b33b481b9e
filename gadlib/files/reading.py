"""JSON as people have it, and the whole lines of files that others still write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gadlib.settings.reading import InputError, read_text, shown


def whole_lines(path: Path, start: int) -> tuple[list[bytes], int]:
    """The lines of a growing file from a place on, and the place after them.

    A last one that is not ended yet, or was torn, is left.

    Raises:
        OSError: when the file can't be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        lines = [line for line in file if line.endswith(b"\n")]
    return lines, start + sum(map(len, lines))


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
