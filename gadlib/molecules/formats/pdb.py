"""What ASE's reader of PDB files passes over: formal charges, elements that are guesses."""

from __future__ import annotations

import re

from gadlib.molecules.formats.words import Wrong, quoted, symbol_number

ENDINGS = (".pdb", ".ent")


def charges_of(text: str) -> list[int | None]:
    """The formal charges of each model, summed, in e; None where no atom has one.

    Raises:
        Wrong: where an atom's element is not sure, with line and column.
    """
    found: list[int | None] = [None]
    is_open = False
    for i, line in enumerate(text.splitlines()):
        if line.startswith("END") and is_open:
            found.append(None)
            is_open = False
        if not line.startswith(("ATOM  ", "HETATM")):
            continue
        is_open = True
        _require_element(line, i)
        if (charge := _charge(line, i)) is not None:
            found[-1] = (found[-1] or 0) + charge
    return found if is_open or len(found) == 1 else found[:-1]


def _require_element(line: str, i: int) -> None:
    """Raise Wrong unless columns 77 and 78, or the name of the atom, are sure of its element."""
    element, name = line[76:78].strip(), line[12:16].strip()
    try:
        symbol_number(element.capitalize() or name)
    except ValueError as error:
        column = 77 if element else 13
        raise Wrong(f"line {i + 1}, column {column}: {error} in columns 77 and 78") from None


def _charge(line: str, i: int) -> int | None:
    word = line[78:80].strip()
    if not word:
        return None
    match = re.fullmatch(r"(\d)([+-])|([+-])(\d)", word)
    if match is None:
        where = f"line {i + 1}, column 79"
        raise Wrong(f"{where}: {quoted(word)} is no charge; expected one as 1+ or 2-")
    return int(f"{match[2] or match[3]}{match[1] or match[4]}")
