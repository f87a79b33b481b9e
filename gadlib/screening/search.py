"""A search of guesses of one's own, or of a set's reactions: what `gadlib.search` does.

Which of many reactions are difficult is for `screen` to say, whose loop this is, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from gadlib.molecules.starting_points import Start, from_atoms, read_geometries
from gadlib.screening.records import Record
from gadlib.screening.screen import screen
from gadlib.screening.setup import named
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings

Guesses = str | Path | Atoms | Sequence[Atoms] | Sequence[Start]


def search(
    guesses: Guesses | None = None,
    settings: SearchSettings | None = None,
    *,
    out: str | Path | None = None,
    **given: Any,
) -> list[Record]:
    """One record for each guess, in their order; a search that fails is a record that says why.

    As in `search("guesses.xyz", solver="trust", criterion="bound")`.

    Args:
        guesses: a file of geometries (xyz, extxyz, or whatever ASE reads), one or several of
            ASE's `Atoms`, or starting points; without them the reactions that the settings name
            are searched.
        settings: what to do and how, by default the defaults.
        out: result file, written as records come; None writes nothing.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when a setting or the file can't be used, or as `screen` does.
    """
    kind, before = (SearchSettings, {}) if settings is None else (type(settings), dict(settings))
    asked = kind.read(before | given)
    starts = _starts(guesses)
    starts = None if starts is None else named(starts, asked.only, "the guesses")
    return screen(asked, starts=starts, out=out)


def _starts(guesses: Guesses | None) -> Sequence[Start] | None:
    if guesses is None:
        return None
    if isinstance(guesses, str | Path):
        return read_geometries(guesses)
    given = [guesses] if isinstance(guesses, Atoms) else list(guesses)
    if not given:
        raise InputError("guesses: none in the list; expected at least one")
    starts = [each for each in given if isinstance(each, Start)]
    atoms = [each for each in given if isinstance(each, Atoms)]
    if len(given) not in (len(starts), len(atoms)):
        kinds = ", ".join(sorted({type(each).__name__ for each in given}))
        raise InputError(f"guesses: a list of {kinds}; expected ASE's Atoms, or Starts, alone")
    return starts or from_atoms(atoms)
