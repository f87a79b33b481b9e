"""Words of a line of an atom, read or refused with their line and column."""

from __future__ import annotations

import re

from gadlib.molecules.formats.words import Wrong, quoted, read_number, symbol_number

_WORD = re.compile(r"\S+")


def column_of(line: str, k: int) -> int:
    """The column, from 1 on, in which a word of a line begins; behind the last, the end of it."""
    starts = [match.start() for match in _WORD.finditer(line)]
    return (starts[k] if k < len(starts) else len(line.rstrip())) + 1


def number_at(line: str, k: int, i: int, what: str) -> float:
    """The number that word k of a line is, which is the i-th of its file, from 0.

    Raises:
        Wrong: when it is none; `what` says in words what was expected.
    """
    word = _word(line, k, i, what)
    value = read_number(word)
    if isinstance(value, str):
        raise Wrong(f"{place(line, k, i)}: {quoted(word)} {value}; expected {what}")
    return value


def integer_at(line: str, k: int, i: int, what: str) -> int:
    """The integer likewise."""
    word = _word(line, k, i, what)
    if not re.fullmatch(r"[+-]?\d{1,4}", word):
        raise Wrong(f"{place(line, k, i)}: {quoted(word)} is no integer; expected {what}")
    return int(word)


def element_at(line: str, k: int, i: int) -> int:
    """The atomic number of the element likewise."""
    try:
        return symbol_number(_word(line, k, i, "the symbol or number of an element"))
    except ValueError as error:
        raise Wrong(f"{place(line, k, i)}: {error}") from None


def position_at(line: str, k: int, i: int) -> list[float]:
    """The three coordinates from word k on, likewise."""
    return [number_at(line, k + n, i, f"{axis}, a number") for n, axis in enumerate("xyz")]


def electrons_at(line: str, k: int, i: int) -> tuple[int, int]:
    """Charge and multiplicity in the words from k on, likewise."""
    charge = integer_at(line, k, i, "the charge")
    multiplicity = integer_at(line, k + 1, i, "the multiplicity")
    if multiplicity < 1:
        raise Wrong(f"{place(line, k + 1, i)}: multiplicity {multiplicity}; expected at least 1")
    return charge, multiplicity


def place(line: str, k: int, i: int) -> str:
    """The line and the column of a word, as sentences begin."""
    return f"line {i + 1}, column {column_of(line, k)}"


def _word(line: str, k: int, i: int, what: str) -> str:
    words = line.split()
    if k >= len(words):
        raise Wrong(f"{place(line, k, i)}: the end of the line; expected {what}")
    return words[k]
