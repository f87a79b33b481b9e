"""The saddle between two ends, looked for in a process of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, NamedTuple

from ase import Atoms

from gadlib.explore.tasks.background import Task
from gadlib.explore.tasks.choice import Molecule
from gadlib.paths.find import End, find
from gadlib.screening.records import Record
from gadlib.settings.calculators import MoleculeSettings
from gadlib.settings.reading import InputError
from gadlib.settings.searches import FindSettings


class Found(NamedTuple):
    """What came of it."""

    record: Record


def ends_of(reactant: str, product: str, molecule: Molecule) -> tuple[End, End]:
    """The two files, or the ends of the chosen reaction where none is named.

    Raises:
        InputError: when one of the files is named alone, or there is neither file nor reaction.
    """
    if reactant and product:
        return reactant, product
    if reactant or product:
        lacking = "product" if reactant else "reactant"
        raise InputError(f"the {lacking} is not given: expected two files, or neither")
    reaction = molecule.reaction
    if reaction is None:
        raise InputError(
            f"{molecule.name} is a geometry of which no reactant and product are known: expected"
            " two files, or a reaction of a set"
        )
    electrons = {"charge": reaction.charge, "multiplicity": reaction.multiplicity}
    numbers, info = reaction.atomic_numbers, {"name": reaction.name, **electrons}
    return Atoms(numbers, reaction.reactant, info=info), Atoms(numbers, reaction.product, info=info)


def settings_of(task: Task, relax_ends: str, guess: str) -> FindSettings:
    """How it is looked for, on the potential of a task, from a file's guess if one is named.

    Raises:
        InputError: when that can't be.
    """
    asked = task.settings
    names = [n for n in MoleculeSettings.model_fields if n in asked.model_fields_set]
    given = {name: getattr(asked, name) for name in names}
    more = {"relax_ends": relax_ends, "guess": guess or None, "workers": 0}
    return FindSettings.read(given | more)


def find_between(
    tell: Callable[[Any], None], settings: FindSettings, reactant: End, product: End
) -> None:
    """Tell what was found between two ends, as a `Found`."""
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar is for terminals
        (record,) = find(reactant, product, settings)
    tell(Found(record))
