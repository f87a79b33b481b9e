"""Molecules of Gaussian's inputs and outputs, with charge and multiplicity.

Z-matrices are turned into positions by ASE, which drops the line of the charge.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.lines import (
    electrons_at,
    element_at,
    integer_at,
    number_at,
    place,
    position_at,
)
from gadlib.molecules.formats.words import Wrong, quoted
from gadlib.units import ANGSTROM_PER_BOHR

OUTPUT = re.compile(r"Entering Gaussian System|^ Gaussian \d\d, ", re.MULTILINE)

_LINK = re.compile(r"\s*--link1--\s*", re.IGNORECASE)
_CHECK = re.compile(r"geom\s*[=(][^\s]*check", re.IGNORECASE)
_IN_BOHR = re.compile(r"units?\s*[=(][^\s]*\b(au|bohr)", re.IGNORECASE)
_ELEMENT = re.compile(r"([A-Za-z]{1,2}\d*|\d+)(?![A-Za-z])[^\s,]*")
_ORIENTATION = re.compile(r"\s*(Standard|Input|Z-Matrix) orientation:\s*")
_CHARGE = re.compile(r"Charge\s*=\s*(-?\d+)\s+Multiplicity\s*=\s*(\d+)")


def inputs(text: str) -> Iterator[Frame]:
    """The molecules of an input's jobs, in their order, or why one can't be read.

    A job that takes its molecule from a checkpoint has none of its own.
    """
    lines = [line.partition("!")[0] for line in text.splitlines()]
    first = 0
    for i in range(len(lines) + 1):
        if i == len(lines) or _LINK.fullmatch(lines[i]):
            try:
                yield from _job(lines, first, i)
            except Wrong as error:
                yield Frame(problem=str(error))
            first = i + 1


def _job(lines: Sequence[str], first: int, end: int) -> Iterator[Frame]:
    """The molecule of the job in these lines, if it has one."""
    sections = _sections(lines, first, end)
    if not sections:
        return
    route = " ".join(lines[k] for k in sections[0])
    if "#" not in route:
        head = lines[sections[0][0]]
        found = quoted(head.strip())
        raise Wrong(f"{place(head, 0, sections[0][0])}: {found}; expected a route, which begins #")
    if _CHECK.search(route):
        return
    if len(sections) < 3:
        raise Wrong(f"line {end}: the end of the job; expected title, charge and atoms")
    head, *rows = sections[2]
    charge, multiplicity = electrons_at(lines[head].replace(",", " "), 0, head)
    frame = Frame(charge=charge, multiplicity=multiplicity, unit="angstrom")
    if rows and len(lines[rows[0]].replace(",", " ").split()) == 1 and len(rows) > 1:
        yield replace(frame, **_internal(lines[first:end]))
        return
    atoms = [_atom(lines[k], k) for k in rows]
    positions = np.array([place for _, place in atoms], dtype=float).reshape(-1, 3)
    scale = ANGSTROM_PER_BOHR if _IN_BOHR.search(route) else 1.0
    numbers = np.array([z for z, _ in atoms], dtype=np.int64)
    yield replace(frame, atomic_numbers=numbers, positions=scale * positions)


def _sections(lines: Sequence[str], first: int, end: int) -> list[list[int]]:
    """The places of the lines between blank ones."""
    found: list[list[int]] = [[]]
    for k in range(first, end):
        if lines[k].strip():
            found[-1].append(k)
        elif found[-1]:
            found.append([])
    return [section for section in found if section]


def _atom(line: str, i: int) -> tuple[int, list[float]]:
    """Atomic number and position in a line: symbol, perhaps 0 for free, x, y, z."""
    line = line.replace(",", " ")
    word = (line.split() or [""])[0]
    if re.search(r"\(.*iso", word, re.IGNORECASE):
        raise Wrong(f"{place(line, 0, i)}: an isotope; expected standard atomic masses")
    match = _ELEMENT.fullmatch(word)
    plain = line if match is None else line.replace(word, match[1].ljust(len(word)), 1)
    z = element_at(plain, 0, i)
    words = line.split()
    if len(words) > 4 and re.fullmatch(r"-?\d+", words[1]) and "." in words[2]:
        if integer_at(line, 1, i, "0") != 0:
            raise Wrong(f"{place(line, 1, i)}: a frozen atom; expected 0, as all atoms move")
        return z, position_at(line, 2, i)
    return z, position_at(line, 1, i)


def _internal(lines: Sequence[str]) -> dict[str, np.ndarray]:
    """The atoms of a Z-matrix, from ASE."""
    from ase.io.gaussian import read_gaussian_in

    try:
        atoms = read_gaussian_in(io.StringIO("\n".join(lines) + "\n\n"))
    except Exception as error:  # ASE's readers raise whatever their parsing trips over
        raise Wrong(
            f"a Z-matrix that can't be read ({type(error).__name__}: {error}); expected x, y and z"
        ) from None
    return {"atomic_numbers": atoms.numbers.astype(np.int64), "positions": atoms.positions}


def output(text: str) -> Iterator[Frame]:
    """The last geometry of an output, where the calculation arrived."""
    lines = text.splitlines()
    heads = [k for k, line in enumerate(lines) if _ORIENTATION.fullmatch(line)]
    if not heads:
        return
    said = _CHARGE.findall(text)
    charge, multiplicity = map(int, said[-1]) if said else (None, None)
    try:
        atoms = [_center(lines[k], k) for k in _rows(lines, heads[-1])]
    except Wrong as error:
        yield Frame(problem=str(error))
        return
    yield Frame(
        np.array([z for z, _ in atoms], dtype=np.int64),
        np.array([place for _, place in atoms], dtype=float).reshape(-1, 3),
        charge=charge,
        multiplicity=multiplicity,
        unit="angstrom",
    )


def _rows(lines: Sequence[str], head: int) -> Iterator[int]:
    """The places of the lines of the table of atoms below a head, up to its last rule."""
    for k in range(head + 5, len(lines)):
        if lines[k].strip().startswith("----"):
            return
        yield k
    raise Wrong(f"line {len(lines)}: the end of the file; expected the end of the table of atoms")


def _center(line: str, i: int) -> tuple[int, list[float]]:
    z = integer_at(line, 1, i, "an atomic number")
    if z < 1:
        raise Wrong(f"{place(line, 1, i)}: atomic number {z}; expected atoms alone")
    number_at(line, 2, i, "the type of the atom")
    return z, position_at(line, 3, i)
