"""Calls of a potential that others published, kept in the comments of a file of geometries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase.io import read

from gadlib.molecules.starting_points import read_geometries
from gadlib.settings.reading import InputError

CALLS = "_calls"
"""What a field's name ends in, after the solver's; -1 stands for a search that failed."""


def read_calls(path: str | Path) -> dict[str, dict[str, int | None]]:
    """Of each solver the calls by the molecule's name, None where its search failed.

    Raises:
        InputError: when the file can't be read, or tells of no calls.
    """
    names = [start.name for start in read_geometries(path)]
    frames: Any = read(path, index=":", format="extxyz")
    found: dict[str, dict[str, int | None]] = {}
    for name, atoms in zip(names, frames, strict=True):
        for field, value in atoms.info.items():
            if field.endswith(CALLS):
                calls = int(value)
                known = found.setdefault(field.removesuffix(CALLS), {})
                known[name] = None if calls < 0 else calls
    if not found:
        raise InputError(
            f"{path}: no published calls in its comments; expected fields such as sella{CALLS}"
        )
    return found
