"""Frames of xyz and extxyz files as people have them: read right, or refused by line and column.

Not what a search can do with a frame: that is judged in `problems`. Where a line of a frame can't
be read but the next frame can be found, the frame carries the reason; where it can't, the file is
refused, so that no frame is ever passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from gadlib.molecules.formats.comments import (
    charge_of,
    is_periodic,
    multiplicity_of,
    unit_of,
    values_of,
)
from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.words import (
    BOHR,
    LABEL,
    MAX_DIGITS,
    NUMBER,
    Wrong,
    quoted,
    read_number,
    symbol_number,
)
from gadlib.settings.reading import InputError
from gadlib.units import ANGSTROM_PER_BOHR

_COUNT = re.compile(r"([+-]?\d+)(?:\s+(atoms?|angstroms?|ang|Å|bohrs?|au|a\.u\.))?", re.IGNORECASE)
_MASS_COLUMNS = ("masses", "mass")
_SUMMED = {"charge": ("charges", "initial_charges"), "unpaired": ("magmoms", "initial_magmoms")}


@dataclass(frozen=True)
class _Columns:
    """Where a line of an atom has what, counted from 0."""

    species: int = 0
    positions: int = 1
    n: int | None = None
    masses: int | None = None
    summed: tuple[tuple[str, int], ...] = ()

    @property
    def least(self) -> int:
        return self.n or 4


def frames(text: str, where: str) -> Iterator[Frame]:
    """The frames of the text, in order; lengths in A.

    Args:
        text: of the file.
        where: the file, for the sentences.

    Raises:
        InputError: when the text is no xyz, or it is not clear where a frame ends.
    """
    lines = re.split(r"\r*\n|\r", text.rstrip().rstrip("\ufeff"))
    i, announced = 0, ""
    while i < len(lines):
        if not _bare(lines[i]):
            i += 1
            continue
        n, unit = _count(lines[i], i, announced, where)
        block = lines[i + 2 : i + 2 + n]
        comment = lines[i + 1] if i + 1 < len(lines) else ""
        _require_block(block, n, i, comment, where)
        yield _frame(block, comment, unit, i)
        announced = f"after the {n} atoms that line {i + 1} announces"
        i += 2 + n
        if comment.startswith("gdb ") and lines[i + 2 : i + 3] and _is_qm9_end(lines[i + 2]):
            i += 3  # frequencies, SMILES, InChI


def _bare(line: str) -> str:
    return line.replace("\ufeff", "").replace("\u200b", "").strip()


def _is_qm9_end(line: str) -> bool:
    return line.startswith("InChI=")


def _count(line: str, i: int, announced: str, where: str) -> tuple[int, str]:
    """The number of atoms that the line announces, and the unit of length where it says one."""
    text = _bare(line)
    match = _COUNT.fullmatch(text)
    if match is None or len(match[1]) > MAX_DIGITS or int(match[1]) < 0:
        expected = "the number of atoms of a frame"
        expected += f", or the end of the file, {announced}" if announced else ""
        _refuse(where, i, line, quoted(text), expected)
    word = (match[2] or "").lower()
    if not word or word.startswith("atom"):
        return int(match[1]), ""
    return int(match[1]), "bohr" if BOHR.fullmatch(word) else "angstrom"


def _require_block(block: Sequence[str], n: int, i: int, comment: str, where: str) -> None:
    """Raise InputError unless there are as many lines of atoms as announced."""
    hint = ""
    if _looks_like_atom(comment):
        hint = f" (line {i + 2} looks like an atom: is the line of the comment missing?)"
    for k, line in enumerate(block):
        if not _bare(line) or _COUNT.fullmatch(_bare(line)):
            expected = f"another of the {n} atoms that line {i + 1} announces{hint}"
            _refuse(where, i + 2 + k, line, quoted(_bare(line)) or "a blank line", expected)
    if len(block) < n:
        expected = f"another of the {n} atoms that line {i + 1} announces{hint}"
        _refuse(where, i + 2 + len(block), "", "the end of the file", expected)


def _looks_like_atom(line: str) -> bool:
    first, *rest = line.split() or [""]
    return len(rest) >= 3 and bool(LABEL.fullmatch(first)) and all(map(NUMBER.fullmatch, rest[:3]))


def _refuse(where: str, i: int, line: str, found: str, expected: str) -> NoReturn:
    column = len(line) - len(line.lstrip()) + 1
    raise InputError(f"{where}: line {i + 1}, column {column}: {found}; expected {expected}")


def _frame(block: Sequence[str], comment: str, unit: str, i: int) -> Frame:
    """The frame of these lines, or one with the reason why they can't be read."""
    values = values_of(comment)
    named = Frame(name=values.get("name", ""))
    try:
        if not block:
            raise Wrong(f"line {i + 1}: 0 atoms; expected at least one")
        columns = _columns(values.get("properties"), i + 1)
        rows = [_atom(line, i + 2 + k, columns) for k, line in enumerate(block)]
        numbers = np.array([row[0] for row in rows], dtype=np.int64)
        _require_no_charges(block, numbers, columns, i + 2)
        unit = unit or unit_of(values, comment)
        positions = np.array([row[1] for row in rows])
        masses = None if columns.masses is None else np.array([row[2] for row in rows])
        charge = charge_of(values, comment, numbers)
        if charge is None:
            charge = _sum(rows, columns, "charge")
        multiplicity = multiplicity_of(values, comment, numbers, charge or 0)
        if multiplicity is None and (unpaired := _sum(rows, columns, "unpaired")) is not None:
            multiplicity = unpaired + 1
        return replace(
            named,
            atomic_numbers=numbers,
            positions=positions * ANGSTROM_PER_BOHR if unit == "bohr" else positions,
            charge=charge,
            multiplicity=multiplicity,
            is_periodic=is_periodic(values),
            masses=masses,
            unit=unit,
        )
    except Wrong as error:
        return replace(named, problem=str(error))


def _columns(properties: str | None, i: int) -> _Columns:
    """Where the atoms' lines have what, as `Properties` of an extxyz comment says."""
    if properties is None:
        return _Columns()
    parts = properties.split(":")
    at, n = {}, 0
    for name, kind, width in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        if not re.fullmatch(r"[1-9]\d{0,3}", width) or kind not in ("S", "R", "I", "L"):
            break
        at[name.lower()] = (n, int(width), kind)
        n += int(width)
    species = at.get("species") or at.get("element") or at.get("z") or at.get("numbers")
    positions = at.get("pos") or at.get("positions")
    is_whole = len(parts) % 3 == 0 and len(at) == len(parts) // 3
    if not is_whole or species is None or positions is None or positions[1:] != (3, "R"):
        raise Wrong(
            f"line {i + 1}: Properties={quoted(properties)[1:-1]};"
            " expected name:kind:columns of each, species:S:1 and pos:R:3 among them"
        )
    masses = next((at[name][0] for name in _MASS_COLUMNS if name in at), None)
    summed = tuple(
        (kind, at[name][0]) for kind, names in _SUMMED.items() for name in names if name in at
    )
    if "move_mask" in at:
        raise Wrong(f"line {i + 1}: a move_mask; expected none, as all atoms move in a search")
    return _Columns(species[0], positions[0], n, masses, summed)


def _atom(line: str, i: int, columns: _Columns) -> tuple[int, list[float], float, dict[str, float]]:
    """Atomic number, position, mass and what is summed over atoms, of the line of an atom."""
    tokens = line.split()
    if len(tokens) < columns.least or (columns.n is not None and len(tokens) > columns.n):
        least = "" if columns.n else "at least "
        raise Wrong(
            f"line {i + 1}, column {len(line.rstrip()) + 1}: {len(tokens)} columns"
            f" ({quoted(line.strip())}); expected {least}{columns.least},"
            " the symbol and x, y, z among them"
        )

    def number(k: int, what: str) -> float:
        value = read_number(tokens[k])
        if isinstance(value, str):
            raise Wrong(
                f"line {i + 1}, column {_column(line, k)}: {quoted(tokens[k])} {value};"
                f" expected {what}"
            )
        return value

    try:
        z = symbol_number(tokens[columns.species])
    except ValueError as error:
        column = _column(line, columns.species)
        raise Wrong(f"line {i + 1}, column {column}: {error}") from None
    first = columns.positions
    place = [number(first + k, f"{axis} in A, a number") for k, axis in enumerate("xyz")]
    mass = 0.0 if columns.masses is None else number(columns.masses, "a mass in amu")
    return z, place, mass, {kind: number(k, "a number") for kind, k in columns.summed}


def _column(line: str, k: int) -> int:
    """The column, from 1 on, in which a word of a line begins."""
    return [match.start() for match in re.finditer(r"\S+", line)][k] + 1


def _require_no_charges(
    block: Sequence[str], numbers: np.ndarray, columns: _Columns, i: int
) -> None:
    """Raise Wrong where the column after the symbols holds nuclear charges instead of x."""
    words = [line.split() for line in block]
    if columns.n is not None or len(words) < 2 or any(len(row) < 5 for row in words):
        return
    if all(read_number(row[1]) == z for row, z in zip(words, numbers, strict=True)):
        raise Wrong(
            f"line {i + 1}, column {_column(block[0], 1)}: column 2 has the nuclear charges;"
            " expected x, y and z after the symbol"
        )


def _sum(rows: Sequence[tuple], columns: _Columns, kind: str) -> int | None:
    """The sum over atoms of a column of that kind, rounded; None where that is 0 or unknown.

    Partial charges of a neutral molecule sum to 0, and so do those that nobody has set.
    """
    if kind not in dict(columns.summed):
        return None
    return round(sum(row[3][kind] for row in rows)) or None
