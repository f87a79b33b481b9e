"""The molecule of Turbomole's coord, as xtb writes it, too, with charge and unpaired electrons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.lines import element_at, integer_at, place, position_at
from gadlib.molecules.formats.words import Wrong
from gadlib.units import ANGSTROM_PER_BOHR

INPUT = re.compile(r"^\s*\$coord\b", re.MULTILINE)
_KEYS = re.compile(r"(charge|unpaired)\s*=\s*([+-]?\d+)")
_CELLS = ("$periodic", "$cell", "$lattice")


def inputs(text: str) -> Iterator[Frame]:
    """The molecule, or why it can't be read."""
    try:
        yield _molecule(text.splitlines())
    except Wrong as error:
        yield Frame(problem=str(error))


def _molecule(lines: Sequence[str]) -> Frame:
    head = next(k for k, line in enumerate(lines) if INPUT.match(line))
    options = lines[head].lower().split()[1:]
    if "frac" in options:
        raise Wrong(f"{place(lines[head], 1, head)}: fractions of a cell; expected Bohr or angs")
    unit = "angstrom" if "angs" in options else "bohr"
    atoms = [_atom(lines[k], k) for k in _rows(lines, head)]
    positions = np.array([position for _, position in atoms], dtype=float).reshape(-1, 3)
    said = _said(lines)
    unpaired = said.get("unpaired")
    return Frame(
        np.array([z for z, _ in atoms], dtype=np.int64),
        positions * (ANGSTROM_PER_BOHR if unit == "bohr" else 1.0),
        charge=said.get("charge"),
        multiplicity=None if unpaired is None else unpaired + 1,
        is_periodic=any(line.lower().startswith(_CELLS) for line in lines),
        unit=unit,
    )


def _rows(lines: Sequence[str], head: int) -> Iterator[int]:
    for k in range(head + 1, len(lines)):
        if lines[k].lstrip().startswith("$"):
            return
        if lines[k].strip() and not lines[k].lstrip().startswith("#"):
            yield k
    raise Wrong(f"line {len(lines)}: the end of the file; expected $end after the atoms")


def _atom(line: str, i: int) -> tuple[int, list[float]]:
    """Atomic number and position in a line: x, y, z, symbol."""
    position, z = position_at(line, 0, i), element_at(line, 3, i)
    if line.split()[4:5] == ["f"]:
        raise Wrong(f"{place(line, 4, i)}: a frozen atom; expected none, as all atoms move")
    return z, position


def _said(lines: Sequence[str]) -> dict[str, int]:
    """Charge and unpaired electrons, in `$eht` or, as xtb has them, `$chrg` and `$spin`."""
    found: dict[str, int] = {}
    for i, line in enumerate(lines):
        word = (line.lower().split() or [""])[0]
        if word == "$eht":
            found |= {key: int(value) for key, value in _KEYS.findall(line.lower())}
        for key, name in (("$chrg", "charge"), ("$spin", "unpaired")):
            if word == key:
                found[name] = integer_at(line, 1, i, f"the number of {key}")
    return found
