"""Frames of xyz and extxyz files as people have them: read right, or refused by line and column.

Not what a search can do with a frame: that is judged in `geometries`. Where a line of a frame can't
be read but the next frame can be found, the frame carries the reason; where it can't, the file is
refused, so that no frame is ever passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from ase.data import atomic_numbers as known_symbols
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from gadlib.settings.reading import InputError
from gadlib.units import ANGSTROM_PER_BOHR

_MAX_DIGITS = 9
_COUNT = re.compile(r"([+-]?\d+)(?:\s+(atoms?|angstroms?|ang|Å|bohrs?|au|a\.u\.))?", re.IGNORECASE)
_BOHR = re.compile(r"bohrs?|au|a\.u\.", re.IGNORECASE)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(?:[eEdD]|\*\^)([+-]?\d+)|([+-]\d{3}))?")
_LABEL = re.compile(r"([A-Za-z]{1,2})(?:[0-9_(][\w()']*)?", re.ASCII)
_TWO_WAYS = {
    *("CA", "CD", "CE", "HE", "HG", "HO", "NB", "ND", "NE", "NH", "OG", "OS", "SG"),
}  # an element in capitals, or a lighter one with a label as in protein files
_ISOTOPES = {"D": "deuterium", "T": "tritium"}
_VALUE = r"""\s*[:=]\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\{([^}]*)\}|([^\s"'{]\S*))"""
_MASS_COLUMNS = ("masses", "mass")
_SUMMED = {"charge": ("charges", "initial_charges"), "unpaired": ("magmoms", "initial_magmoms")}


@dataclass(frozen=True)
class Frame:
    """One frame of a file, in A, as it stands there.

    Attributes:
        name: that it has in the file, empty without one.
        charge: of the molecule, in e.
        unpaired: electrons that are said to be unpaired.
        is_periodic: whether it is in a cell that repeats.
        masses: of the atoms in amu where the file has them.
        unit: of length, where the file says so: `angstrom`, `bohr`, or `bohr?` where only the
            comment has the word; the positions are as they stand then.
        problem: why it can't be read, in words; empty where it can.
    """

    atomic_numbers: Int[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))
    positions: Float[np.ndarray, "n 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    name: str = ""
    charge: float = 0.0
    unpaired: int = 0
    is_periodic: bool = False
    masses: Float[np.ndarray, " n"] | None = None
    unit: str = ""
    problem: str = ""


class _Wrong(Exception):
    """What makes a frame unreadable, in words."""


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
        InputError: when the text is no xyz, or it can't be told where a frame ends.
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
    told = _bare(line)
    match = _COUNT.fullmatch(told)
    if match is None or len(match[1]) > _MAX_DIGITS or int(match[1]) < 0:
        expected = "the number of atoms of a frame"
        expected += f", or the end of the file, {announced}" if announced else ""
        _refuse(where, i, line, _short(told), expected)
    word = (match[2] or "").lower()
    if not word or word.startswith("atom"):
        return int(match[1]), ""
    return int(match[1]), "bohr" if _BOHR.fullmatch(word) else "angstrom"


def _require_block(block: Sequence[str], n: int, i: int, comment: str, where: str) -> None:
    """Nothing, when there are as many lines of atoms as announced."""
    hint = ""
    if _looks_like_atom(comment):
        hint = f" (line {i + 2} looks like an atom: is the line of the comment missing?)"
    for k, line in enumerate(block):
        if not _bare(line) or _COUNT.fullmatch(_bare(line)):
            expected = f"atom {k + 1} of the {n} that line {i + 1} announces{hint}"
            _refuse(where, i + 2 + k, line, _short(_bare(line)) or "a blank line", expected)
    if len(block) < n:
        expected = f"atom {len(block) + 1} of the {n} that line {i + 1} announces{hint}"
        _refuse(where, i + 2 + len(block), "", "the end of the file", expected)


def _looks_like_atom(line: str) -> bool:
    first, *rest = line.split() or [""]
    return (
        len(rest) >= 3 and bool(_LABEL.fullmatch(first)) and all(map(_NUMBER.fullmatch, rest[:3]))
    )


def _refuse(where: str, i: int, line: str, found: str, expected: str) -> NoReturn:
    column = len(line) - len(line.lstrip()) + 1
    raise InputError(f"{where}: line {i + 1}, column {column}: {found}; expected {expected}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...") if text else ""


def _frame(block: Sequence[str], comment: str, unit: str, i: int) -> Frame:
    """The frame of these lines, or one with the reason why they can't be read."""
    values = _values(comment)
    named = Frame(name=values.get("name", ""))
    try:
        if not block:
            raise _Wrong(f"line {i + 1}: 0 atoms; expected at least one")
        columns = _columns(values.get("properties"), i + 1)
        rows = [_atom(line, i + 2 + k, columns) for k, line in enumerate(block)]
        numbers = np.array([row[0] for row in rows], dtype=np.int64)
        _require_no_charges(block, numbers, columns, i + 2)
        unit = unit or _unit(values, comment)
        positions = np.array([row[1] for row in rows])
        masses = None if columns.masses is None else np.array([row[2] for row in rows])
        return replace(
            named,
            atomic_numbers=numbers,
            positions=positions * ANGSTROM_PER_BOHR if unit == "bohr" else positions,
            charge=_charge(values, comment, numbers) or _sum(rows, columns, "charge"),
            unpaired=_unpaired(values, comment, numbers) or round(_sum(rows, columns, "unpaired")),
            is_periodic=_is_periodic(values),
            masses=masses,
            unit=unit,
        )
    except _Wrong as error:
        return replace(named, problem=str(error))


def _values(comment: str) -> dict[str, str]:
    """What a comment tells in the form key=value or key: value; keys in small letters."""
    found = {}
    for match in re.finditer(rf"([A-Za-z_][\w]*){_VALUE}", comment):
        value = next(group for group in match.groups()[1:] if group is not None).rstrip(",;")
        found.setdefault(match[1].lower(), re.sub(r"\\(.)", _unescaped, value))
    return found


def _unescaped(match: re.Match) -> str:
    return " " if match[1] == "n" else match[1]


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
        raise _Wrong(
            f"line {i + 1}: Properties={_short(properties)[1:-1]};"
            " expected name:kind:columns of each, species:S:1 and pos:R:3 among them"
        )
    masses = next((at[name][0] for name in _MASS_COLUMNS if name in at), None)
    summed = tuple(
        (kind, at[name][0]) for kind, names in _SUMMED.items() for name in names if name in at
    )
    if "move_mask" in at:
        raise _Wrong(f"line {i + 1}: a move_mask; expected none, as all atoms move in a search")
    return _Columns(species[0], positions[0], n, masses, summed)


def _atom(line: str, i: int, columns: _Columns) -> tuple[int, list[float], float, dict[str, float]]:
    """Atomic number, position, mass and what is summed over atoms, of the line of an atom."""
    tokens = line.split()
    if len(tokens) < columns.least or (columns.n is not None and len(tokens) > columns.n):
        least = "" if columns.n else "at least "
        raise _Wrong(
            f"line {i + 1}, column {len(line.rstrip()) + 1}: {len(tokens)} columns"
            f" ({_short(line.strip())}); expected {least}{columns.least},"
            " the symbol and x, y, z among them"
        )

    def number(k: int, what: str) -> float:
        value = _number(tokens[k])
        if isinstance(value, str):
            raise _Wrong(
                f"line {i + 1}, column {_column(line, k)}: {_short(tokens[k])} {value};"
                f" expected {what}"
            )
        return value

    try:
        z = symbol_number(tokens[columns.species])
    except ValueError as error:
        column = _column(line, columns.species)
        raise _Wrong(f"line {i + 1}, column {column}: {error}") from None
    first = columns.positions
    place = [number(first + k, f"{axis} in A, a number") for k, axis in enumerate("xyz")]
    mass = 0.0 if columns.masses is None else number(columns.masses, "a mass in amu")
    return z, place, mass, {kind: number(k, "a number") for kind, k in columns.summed}


def _column(line: str, k: int) -> int:
    """The column, from 1 on, in which a word of a line begins."""
    return [match.start() for match in re.finditer(r"\S+", line)][k] + 1


def _number(token: str) -> float | str:
    """The number, or why it is none, in words; Fortran's and Mathematica's exponents are read."""
    match = _NUMBER.fullmatch(token)
    if match is not None:
        value = float(f"{match[1]}e{match[2] or match[3] or 0}")
        return value if np.isfinite(value) else "is beyond all numbers"
    if set(token) <= {"*"}:
        return "is a number that did not fit its columns"
    if re.fullmatch(r"[+-]?\d*,\d+", token):
        return "has a comma for the decimal point"
    if re.fullmatch(r"[+-]?(nan|inf|infinity)\S*", token, re.IGNORECASE):
        return "is not finite"
    return "is no number"


def symbol_number(token: str) -> int:
    """The atomic number that a symbol, a symbol with a label (C1, H_a) or a number stands for.

    Raises:
        ValueError: when it is none, a dummy atom, an isotope or may be read in two ways.
    """
    expected = "expected the symbol or number of an element"
    if re.fullmatch(r"\d+(\.0*)?", token):
        z = int(token.partition(".")[0][:_MAX_DIGITS])
        if 0 < z < len(chemical_symbols):
            return z
        raise ValueError(f"{_short(token)} is no atomic number; expected 1 .. 118")
    match = _LABEL.fullmatch(token)
    if match is None:
        raise ValueError(f"{_short(token)} is no element; {expected}")
    letters = match[1]
    if letters.upper() in _ISOTOPES:
        raise ValueError(
            f"{_short(token)} is {_ISOTOPES[letters.upper()]}, and standard atomic masses are all"
            " that is known here; expected H, whose saddles are the same and frequencies are not"
        )
    if letters in _TWO_WAYS:
        heavy, light = letters.capitalize(), letters[0]
        raise ValueError(f"{_short(token)} may be {heavy} or {light}; expected one of these")
    z = known_symbols.get(letters.capitalize(), 0)
    if z == 0:
        is_dummy = letters.upper() in ("X", "XX", "DU", "LP", "Q", "BQ")
        kind = "a dummy atom" if is_dummy else "no element"
        raise ValueError(f"{_short(token)} is {kind}; {expected}")
    return z


def _require_no_charges(
    block: Sequence[str], numbers: np.ndarray, columns: _Columns, i: int
) -> None:
    """Nothing, unless the column after the symbols holds nuclear charges instead of x."""
    words = [line.split() for line in block]
    if columns.n is not None or len(words) < 2 or any(len(row) < 5 for row in words):
        return
    if all(_number(row[1]) == z for row, z in zip(words, numbers, strict=True)):
        raise _Wrong(
            f"line {i + 1}, column {_column(block[0], 1)}: column 2 has the nuclear charges;"
            " expected x, y and z after the symbol"
        )


def _unit(values: dict[str, str], comment: str) -> str:
    """The unit of length that a comment names."""
    word = values.get("units", values.get("unit", "")).lower()
    if _BOHR.fullmatch(word):
        return "bohr"
    if word.startswith("ang"):
        return "angstrom"
    if "properties" in values:  # extxyz is in A
        return "angstrom"
    return "bohr?" if re.search(r"\bbohrs?\b", comment, re.IGNORECASE) else ""


def _charge(values: dict[str, str], comment: str, numbers: np.ndarray) -> float:
    """The charge that a comment tells, in e, 0 where it tells none."""
    for key in ("charge", "total_charge", "net_charge", "chrg", "totalcharge"):
        if key in values:
            return _told(values[key], "charge")
    if match := re.search(r"\bcharge\s+([+-]?\d+)\b", comment, re.IGNORECASE):
        return float(match[1])
    return _pair(comment, numbers)[0]


def _unpaired(values: dict[str, str], comment: str, numbers: np.ndarray) -> int:
    """The unpaired electrons that a comment tells, 0 where it tells none.

    `spin` is taken for their number, or for the multiplicity where only that is possible.
    """
    for key in ("multiplicity", "spin_multiplicity", "mult", "spinmult"):
        if key in values:
            return round(_told(values[key], "multiplicity")) - 1
    for key in ("uhf", "spin"):
        if key in values:
            value = round(_told(values[key], key))
            is_even = (int(numbers.sum()) - round(_charge(values, comment, numbers))) % 2 == 0
            return value - 1 if is_even and value % 2 else value
    if match := re.search(r"\bmult(?:iplicity)?\s+(\d+)\b", comment, re.IGNORECASE):
        return int(match[1]) - 1
    return max(_pair(comment, numbers)[1] - 1, 0)


def _told(value: str, what: str) -> float:
    number = _number(value)
    if isinstance(number, str) or number != round(number):
        raise _Wrong(f"{what} {_short(value)} in the comment; expected an integer")
    return number


def _pair(comment: str, numbers: np.ndarray) -> tuple[int, int]:
    """Charge and multiplicity where a comment is these two alone and they fit the electrons."""
    match = re.fullmatch(r"\s*([+-]?\d)\s+([1-9])\s*", comment)
    if match is None:
        return 0, 0
    charge, multiplicity = int(match[1]), int(match[2])
    is_fitting = (int(numbers.sum()) - charge - multiplicity + 1) % 2 == 0
    return (charge, multiplicity) if is_fitting else (0, 0)


def _sum(rows: Sequence[tuple], columns: _Columns, kind: str) -> float:
    """The sum over atoms of a column of that kind, rounded to an integer."""
    if kind not in dict(columns.summed):
        return 0.0
    return float(round(sum(row[3][kind] for row in rows)))


def _is_periodic(values: dict[str, str]) -> bool:
    """Whether a comment tells of a cell that repeats: a lattice, unless `pbc` says F."""
    if "pbc" in values:
        return any(word.lower() in ("t", "true", "1") for word in re.findall(r"\w+", values["pbc"]))
    lattice = re.findall(r"[^\s,\[\]]+", values.get("lattice", ""))
    return any(_number(word) != 0.0 for word in lattice)
