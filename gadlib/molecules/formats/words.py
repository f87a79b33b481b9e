"""Words of an xyz file: numbers as programs write them, symbols of elements, units of length."""

from __future__ import annotations

import re

import numpy as np
from ase.data import atomic_numbers as known_symbols
from ase.data import chemical_symbols

MAX_DIGITS = 9
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(?:[eEdD]|\*\^)([+-]?\d+)|([+-]\d{3}))?")
LABEL = re.compile(r"([A-Za-z]{1,2})(?:[0-9_(][\w()']*)?", re.ASCII)
_TWO_WAYS = {
    *("CA", "CD", "CE", "HE", "HG", "HO", "NB", "ND", "NE", "NH", "OG", "OS", "SG"),
}  # an element in capitals, or a lighter one with a label as in protein files
_ISOTOPES = {"D": "deuterium", "T": "tritium"}
BOHR = re.compile(r"bohrs?|au|a\.u\.", re.IGNORECASE)


class Wrong(Exception):
    """What makes a frame unreadable, in words."""


def quoted(text: str) -> str:
    """The text in quotation marks, shortened; empty where there is none."""
    return repr(text if len(text) <= 40 else text[:37] + "...") if text else ""


def read_number(token: str) -> float | str:
    """The number, or why it is none, in words; Fortran's and Mathematica's exponents are read."""
    match = NUMBER.fullmatch(token)
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
        z = int(token.partition(".")[0][:MAX_DIGITS])
        if 0 < z < len(chemical_symbols):
            return z
        raise ValueError(f"{quoted(token)} is no atomic number; expected 1 .. 118")
    match = LABEL.fullmatch(token)
    if match is None:
        raise ValueError(f"{quoted(token)} is no element; {expected}")
    letters = match[1]
    if letters.upper() in _ISOTOPES:
        raise ValueError(
            f"{quoted(token)} is {_ISOTOPES[letters.upper()]}, and standard atomic masses are all"
            " that is known here; expected H, whose saddles are the same and frequencies are not"
        )
    if letters in _TWO_WAYS:
        heavy, light = letters.capitalize(), letters[0]
        raise ValueError(f"{quoted(token)} may be {heavy} or {light}; expected one of these")
    z = known_symbols.get(letters.capitalize(), 0)
    if z == 0:
        is_dummy = letters.upper() in ("X", "XX", "DU", "LP", "Q", "BQ")
        kind = "a dummy atom" if is_dummy else "no element"
        raise ValueError(f"{quoted(token)} is {kind}; {expected}")
    return z
