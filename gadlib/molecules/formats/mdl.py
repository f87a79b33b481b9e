"""Molecules of MDL's mol and sdf files (V2000), with their formal charges and radicals.

Format: Dalby et al., J. Chem. Inf. Comput. Sci. 32, 244 (1992), doi:10.1021/ci00007a012.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.words import Wrong, quoted, read_number, symbol_number

_CHARGES = {1: 3, 2: 2, 3: 1, 5: -1, 6: -2, 7: -3}
"""Of the code in an atom's line, in e; 4 is a radical."""

_UNPAIRED = {1: 0, 2: 1, 3: 2}
"""Of the code in a line M  RAD: a singlet's, a doublet's, a triplet's."""


def frames(text: str) -> Iterator[Frame]:
    """The molecules, in their order, or why one can't be read."""
    lines, first = text.splitlines(), 0
    for i in range(len(lines) + 1):
        is_end = i == len(lines)
        if not is_end and not lines[i].startswith("$$$$"):
            continue
        if any(line.strip() for line in lines[first:i]) or (is_end and not first):
            try:
                yield _molecule(lines, first, i)
            except Wrong as error:
                yield Frame(problem=str(error))
        first = i + 1


def _molecule(lines: Sequence[str], first: int, end: int) -> Frame:
    head = first + 3
    if head >= end or not lines[head][:3].strip().isdecimal():
        found = quoted(lines[head].strip()) if head < end else "the end of the molecule"
        raise Wrong(
            f"line {min(head, end) + 1}, column 1: {found}; expected counts of atoms, bonds"
        )
    if "V3000" in lines[head]:
        raise Wrong(f"line {head + 1}, column 34: V3000; expected V2000, or xyz")
    if lines[first + 1][20:22] == "2D":
        raise Wrong(f"line {first + 2}, column 21: 2D; expected positions in three dimensions")
    n = int(lines[head][:3])
    rows = range(head + 1, head + 1 + n)
    if rows.stop > end:
        raise Wrong(f"line {end + 1}, column 1: the end of the molecule; expected {n} atoms")
    atoms = [_atom(lines[k], k) for k in rows]
    charge, unpaired = _electrons(lines, rows, end)
    return Frame(
        np.array([z for z, _ in atoms], dtype=np.int64),
        np.array([position for _, position in atoms], dtype=float).reshape(-1, 3),
        name=lines[first].strip(),
        charge=charge,
        multiplicity=None if unpaired is None else unpaired + 1,
        unit="angstrom",
    )


def _atom(line: str, i: int) -> tuple[int, list[float]]:
    """Atomic number and position in a line of fixed columns."""
    position = []
    for k, axis in enumerate("xyz"):
        word = line[10 * k : 10 * k + 10].strip()
        value = read_number(word) if word else "is blank"
        if isinstance(value, str):
            where = f"line {i + 1}, column {10 * k + 1}"
            raise Wrong(f"{where}: {quoted(word)} {value}; expected {axis} in A, a number")
        position.append(value)
    try:
        return symbol_number(line[31:34].strip()), position
    except ValueError as error:
        raise Wrong(f"line {i + 1}, column 32: {error}") from None


def _electrons(lines: Sequence[str], rows: range, end: int) -> tuple[int | None, int | None]:
    """Charge and unpaired electrons: of the lines M, else of the atoms' lines; None if unsaid."""
    said: dict[str, list[int]] = {}
    for i in range(rows.stop, end):
        kind = lines[i][3:6]
        if lines[i].startswith("M  ISO"):
            raise Wrong(f"line {i + 1}, column 4: ISO, isotopes; expected standard atomic masses")
        if lines[i].startswith("M  ") and kind in ("CHG", "RAD"):
            values = lines[i][9:].split()[1::2]
            if not all(re.fullmatch(r"[+-]?\d{1,2}", value) for value in values):
                raise Wrong(f"line {i + 1}, column 10: {quoted(lines[i][9:])}; expected integers")
            said.setdefault(kind, []).extend(map(int, values))
    if said:
        charge = sum(said["CHG"]) if "CHG" in said else None
        radicals = [_UNPAIRED.get(code, 0) for code in said.get("RAD", [])]
        return charge, sum(radicals) if "RAD" in said else None
    codes = [int(code) if (code := lines[k][36:39].strip()).isdecimal() else 0 for k in rows]
    unpaired = codes.count(4)
    return (sum(_CHARGES.get(c, 0) for c in codes) if any(codes) else None), unpaired or None
