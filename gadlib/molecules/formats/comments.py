"""What the comment of an xyz frame says: unit, charge, multiplicity, cell."""

from __future__ import annotations

import re

import numpy as np

from gadlib.molecules.formats.words import BOHR, Wrong, quoted, read_number

_VALUE = r"""\s*[:=]\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\{([^}]*)\}|([^\s"'{]\S*))"""


def values_of(comment: str) -> dict[str, str]:
    """What a comment says in the form key=value or key: value; keys in small letters."""
    found = {}
    for match in re.finditer(rf"([A-Za-z_][\w]*){_VALUE}", comment):
        value = next(group for group in match.groups()[1:] if group is not None).rstrip(",;")
        found.setdefault(match[1].lower(), re.sub(r"\\(.)", _unescaped, value))
    return found


def _unescaped(match: re.Match) -> str:
    return " " if match[1] == "n" else match[1]


def unit_of(values: dict[str, str], comment: str) -> str:
    """The unit of length that a comment names."""
    word = values.get("units", values.get("unit", "")).lower()
    if BOHR.fullmatch(word):
        return "bohr"
    if word.startswith("ang"):
        return "angstrom"
    if "properties" in values:  # extxyz is in A
        return "angstrom"
    return "bohr?" if re.search(r"\bbohrs?\b", comment, re.IGNORECASE) else ""


def charge_of(values: dict[str, str], comment: str, numbers: np.ndarray) -> int | None:
    """The charge that a comment gives, in e, None where it gives none."""
    for key in ("charge", "total_charge", "net_charge", "chrg", "totalcharge"):
        if key in values:
            return _integer(values[key], "charge")
    if match := re.search(r"\bcharge\s+([+-]?\d{1,4})\b", comment, re.IGNORECASE):
        return int(match[1])
    return _pair(comment, numbers)[0]


def multiplicity_of(
    values: dict[str, str], comment: str, numbers: np.ndarray, charge: int
) -> int | None:
    """The multiplicity that a comment gives, None where it gives none.

    `uhf` is the number of unpaired electrons; `spin` is taken for that, or for the multiplicity
    where only this fits the electrons.
    """
    for key in ("multiplicity", "spin_multiplicity", "mult", "spinmult"):
        if key in values:
            return _integer(values[key], "multiplicity")
    for key in ("uhf", "spin"):
        if key in values:
            value = _integer(values[key], key)
            is_even = (int(numbers.sum()) - charge) % 2 == 0
            return value if is_even == bool(value % 2) and key == "spin" else value + 1
    if match := re.search(r"\bmult(?:iplicity)?\s+(\d{1,4})\b", comment, re.IGNORECASE):
        return int(match[1])
    return _pair(comment, numbers)[1]


def _integer(value: str, what: str) -> int:
    number = read_number(value)
    if isinstance(number, str) or number != round(number):
        raise Wrong(f"{what} {quoted(value)} in the comment; expected an integer")
    return round(number)


def _pair(comment: str, numbers: np.ndarray) -> tuple[int | None, int | None]:
    """Charge and multiplicity where a comment is these two alone and they fit the electrons."""
    match = re.fullmatch(r"\s*([+-]?\d)\s+([1-9])\s*", comment)
    if match is None:
        return None, None
    charge, multiplicity = int(match[1]), int(match[2])
    is_fitting = (int(numbers.sum()) - charge - multiplicity + 1) % 2 == 0
    return (charge, multiplicity) if is_fitting else (None, None)


def is_periodic(values: dict[str, str]) -> bool:
    """Whether a comment has a cell that repeats: a lattice, unless `pbc` says F."""
    if "pbc" in values:
        return any(word.lower() in ("t", "true", "1") for word in re.findall(r"\w+", values["pbc"]))
    lattice = re.findall(r"[^\s,\[\]]+", values.get("lattice", ""))
    return any(read_number(word) != 0.0 for word in lattice)
