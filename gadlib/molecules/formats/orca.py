"""Molecules of ORCA's inputs (`* xyz`, `%coords`) and outputs, with charge and multiplicity.

Internal coordinates are refused, and molecules in other files are those files' to give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.lines import (
    electrons_at,
    element_at,
    integer_at,
    place,
    position_at,
)
from gadlib.molecules.formats.words import Wrong
from gadlib.units import ANGSTROM_PER_BOHR

OUTPUT = re.compile(r"\* O\s+R\s+C\s+A \*")
INPUT = re.compile(
    r"^[ \t]*(\*[ \t]*(xyz|int|internal|gzmt|[a-z]+file)\b|%coords\b)", re.IGNORECASE | re.MULTILINE
)

_COMMENT = re.compile(r"#[^#\n]*(#|$)")
_BLOCK = re.compile(r"\s*\*\s*([a-z]+)\b", re.IGNORECASE)
_BOHR = re.compile(r"^\s*!.*\bbohrs?\b", re.IGNORECASE | re.MULTILINE)
_COORDINATES = "CARTESIAN COORDINATES (ANGSTROEM)"
_CHARGE = re.compile(r"Total Charge\s+Charge\s+\.+\s+(-?\d+)")
_MULTIPLICITY = re.compile(r"Multiplicity\s+Mult\s+\.+\s+(\d+)")


def inputs(text: str) -> Iterator[Frame]:
    """The molecules of an input, in their order, or why one can't be read."""
    lines = [_COMMENT.sub(lambda m: " " * len(m[0]), line) for line in text.splitlines()]
    unit = "bohr" if _BOHR.search(text) else "angstrom"
    i = 0
    while i < len(lines):
        match = _BLOCK.match(lines[i])
        is_coords = lines[i].lower().split()[:1] == ["%coords"]
        if match is None and not is_coords:
            i += 1
            continue
        end = _end(lines, i, is_coords)
        try:
            yield _coords(lines, i, end, unit) if is_coords else _star(lines, i, end, unit)
        except Wrong as error:
            yield Frame(problem=str(error))
        i = end + 1


def _end(lines: Sequence[str], first: int, is_coords: bool) -> int:
    """The line that ends the block which begins at that one, or the place after the last."""
    if not is_coords:
        if _BLOCK.match(lines[first])[1].lower().endswith("file"):  # type: ignore[index]
            return first
        return next(
            (k for k in range(first + 1, len(lines)) if lines[k].strip() == "*"), len(lines)
        )
    n_open = 1
    for k in range(first + 1, len(lines)):
        word = (lines[k].lower().split() or [""])[0]
        n_open += (word == "coords") - (word == "end")
        if not n_open:
            return k
    return len(lines)


def _star(lines: Sequence[str], first: int, end: int, unit: str) -> Frame:
    """The molecule of a block `* xyz charge multiplicity`."""
    head = lines[first].replace("*", " ", 1)
    kind = head.split()[0].lower()
    if kind.endswith("file"):
        raise Wrong(
            f"{place(head, 0, first)}: * {kind}, so that the atoms are in another file; expected"
            " that one, with --charge and --multiplicity"
        )
    if kind != "xyz":
        raise Wrong(f"{place(head, 0, first)}: * {kind}; expected the atoms, after * xyz")
    if end == len(lines):
        raise Wrong(f"line {end}: the end of the file; expected * after the atoms")
    charge, multiplicity = electrons_at(head, 1, first)
    rows = [k for k in range(first + 1, end) if lines[k].strip()]
    return _molecule(lines, rows, charge, multiplicity, unit)


def _coords(lines: Sequence[str], first: int, end: int, unit: str) -> Frame:
    """The molecule of a block `%coords`."""
    if end == len(lines):
        raise Wrong(f"line {end}: the end of the file; expected end after %coords")
    said, rows, is_in_atoms = {"charge": 0, "mult": 1}, [], False
    for k in range(first + 1, end):
        words = lines[k].lower().replace("=", " ").split()
        if not words:
            continue
        if words[0] in ("coords", "end"):
            is_in_atoms = words[0] == "coords"
        elif is_in_atoms:
            rows.append(k)
        elif words[0] in said:
            said[words[0]] = integer_at(lines[k].replace("=", " "), 1, k, f"the {words[0]}")
        elif words[0] == "units" and len(words) > 1:
            unit = "bohr" if words[1].startswith("bohr") else "angstrom"
        elif words[0] == "ctyp" and words[1:2] != ["xyz"]:
            raise Wrong(f"{place(lines[k], 1, k)}: {' '.join(words)}; expected CTyp xyz")
    return _molecule(lines, rows, said["charge"], said["mult"], unit)


def _molecule(
    lines: Sequence[str],
    rows: Sequence[int],
    charge: int | None,
    multiplicity: int | None,
    unit: str,
) -> Frame:
    numbers, positions = [], []
    for i in rows:
        numbers.append(element_at(lines[i], 0, i))
        positions.append(position_at(lines[i], 1, i))
        if re.search(r"\bM\s*=", lines[i]):
            raise Wrong(f"{place(lines[i], 4, i)}: an isotope; expected standard atomic masses")
    found = np.array(positions, dtype=float).reshape(-1, 3)
    frame = Frame(
        np.array(numbers, dtype=np.int64),
        found,
        charge=charge,
        multiplicity=multiplicity,
        unit=unit,
    )
    return replace(frame, positions=found * ANGSTROM_PER_BOHR) if unit == "bohr" else frame


def output(text: str) -> Iterator[Frame]:
    """The last geometry of an output, where the calculation arrived."""
    lines = text.splitlines()
    heads = [k for k, line in enumerate(lines) if _COORDINATES in line]
    if not heads:
        return
    rows = []
    for k in range(heads[-1] + 2, len(lines)):
        if len(lines[k].split()) < 4:
            break
        rows.append(k)
    charge, multiplicity = _CHARGE.findall(text), _MULTIPLICITY.findall(text)
    try:
        yield _molecule(
            lines,
            rows,
            int(charge[-1]) if charge else None,
            int(multiplicity[-1]) if multiplicity else None,
            "angstrom",
        )
    except Wrong as error:
        yield Frame(problem=str(error))
