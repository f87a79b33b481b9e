"""A search of guesses of one's own, or of a set's reactions: what `gadlib.search` does.

Which of many reactions are difficult is for `screen` to say, whose loop this is, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from gadlib.molecules.starting_points import Start, from_atoms, read_geometries
from gadlib.screening.atoms import beside
from gadlib.screening.records import Record
from gadlib.screening.screen import screen
from gadlib.screening.setup import named
from gadlib.settings.reading import InputError
from gadlib.settings.searches import GuessSettings, SearchSettings

Guesses = str | Path | Atoms | Sequence[Atoms] | Sequence[Start]


def search(
    guesses: Guesses | None = None,
    settings: SearchSettings | None = None,
    *,
    out: str | Path | None = None,
    **given: Any,
) -> list[Record]:
    """One record for each guess, in their order; a search that fails is a record that says why.

    As in `search("guesses.xyz")`.

    Args:
        guesses: a file of geometries (xyz, extxyz, or whatever ASE reads), one or several of
            ASE's `Atoms`, or starting points; without them the reactions that the settings name
            are searched.
        settings: what to do and how. What they do not set has its default, for guesses that of
            `GuessSettings`.
        out: result file, a name that ends in .json, written as records come, with geometries beside
            it when they are done; None writes nothing.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when a setting or the file can't be used, or as `screen` does.
    """
    is_own = _are_own(guesses)
    if is_own:
        _require_no_set(given | ({} if settings is None else _asked(settings)))
    if out is not None and isinstance(guesses, str | Path):
        _require_apart(Path(guesses), out)
    settings = completed(settings, given, is_own=is_own)
    starts = _starts(guesses, settings)
    starts = None if starts is None else named(starts, settings.only, "the guesses")
    return screen(settings, starts=starts, out=out)


def completed(
    settings: SearchSettings | None, given: dict[str, Any], *, is_own: bool
) -> SearchSettings:
    """The settings with those given by name, and defaults for what neither says.

    Args:
        settings: None: none but the given ones.
        given: by name, over those in `settings`.
        is_own: whether geometries of one's own are searched; then defaults are `GuessSettings`'.

    Raises:
        InputError: when a name is unknown or a value can't be used.
    """
    kind = SearchSettings if settings is None else type(settings)
    kind = GuessSettings if is_own and kind is SearchSettings else kind
    return kind.read(given if settings is None else _asked(settings) | given)


def _asked(settings: SearchSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _are_own(guesses: Guesses | None) -> bool:
    """Whether these are geometries, and not starting points, which some recipe has made."""
    if guesses is None or isinstance(guesses, str | Path | Atoms):
        return guesses is not None
    return not any(isinstance(each, Start) for each in guesses)


def _require_no_set(asked: Mapping[str, Any]) -> None:
    """Raise InputError where something is asked for that only a set of reactions has."""
    if names := [name for name in GuessSettings.of_sets() if name in asked]:
        raise InputError(
            f"{', '.join(names)}: for sets of reactions; expected none, as geometries of one's own"
            " begin where they are"
        )


def _require_apart(guesses: Path, out: str | Path) -> None:
    """Raise InputError where the geometries beside the results would replace the guesses."""
    is_same = False
    with contextlib.suppress(OSError, ValueError):  # no such file, or none that can be
        is_same = guesses.samefile(beside(out))
    if is_same:
        raise InputError(
            f"{out}: geometries are written beside it, to {guesses}, which holds the guesses;"
            " expected another name for the results"
        )


def _starts(guesses: Guesses | None, settings: SearchSettings) -> Sequence[Start] | None:
    if guesses is None:
        return None
    if isinstance(guesses, str | Path):
        return read_geometries(guesses, **settings.electrons)
    given = [guesses] if isinstance(guesses, Atoms) else list(guesses)
    if not given:
        raise InputError("guesses: none in the list; expected at least one")
    starts = [each for each in given if isinstance(each, Start)]
    atoms = [each for each in given if isinstance(each, Atoms)]
    if len(given) not in (len(starts), len(atoms)):
        kinds = ", ".join(sorted({type(each).__name__ for each in given}))
        raise InputError(f"guesses: a list of {kinds}; expected ASE's Atoms, or Starts, alone")
    return starts or from_atoms(atoms, **settings.electrons)
