"""What can be chosen (reactions or geometries, starts, potentials), and the task that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gadlib import calculators
from gadlib.explore.tasks.background import Task
from gadlib.molecules import starting_points
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.recipes import RECIPES, parse_start
from gadlib.molecules.starting_points import Start
from gadlib.screening.setup import hyperparameters_of, reactions_of
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings, SearchSettings

ANCHORS = tuple(RECIPES)


class Molecule(NamedTuple):
    """One entry of the list of what can be searched: a reaction of a set, or a geometry of a file.

    Attributes:
        label: what the list shows.
        name: of the reaction or geometry, with the formula.
        place: its place in the set, which its noise depends on.
        reaction: of a set, else None.
        start: of a file, else None.
    """

    label: str
    name: str
    place: int
    reaction: Reaction | None = None
    start: Start | None = None

    def start_at(self, start_from: str, noise_seed: int) -> Start:
        """The starting point, the same as a screening of the whole set has.

        Raises:
            InputError: when the recipe is unknown, or the molecule can't be searched.
        """
        found = self.start
        if found is None:
            assert self.reaction is not None
            found = starting_points.starts([self.reaction], start_from, noise_seed)[0]
        if found.problem:
            raise InputError(f"{found.name}: {found.problem}")
        return found


def molecules_of(settings: ExploreSettings) -> list[Molecule]:
    """What the settings let one choose from.

    Raises:
        InputError: when a file is missing, unreadable or has nothing in it.
    """
    if settings.geometries:
        found = starting_points.read_geometries(
            settings.geometries, charge=settings.charge, multiplicity=settings.multiplicity
        )
        return [_molecule(start, i, start=start) for i, start in enumerate(found)]
    return [_molecule(each, each.place or 0, reaction=each) for each in reactions_of(settings)]


def _molecule(of: Reaction | Start, place: int, **kind: Any) -> Molecule:
    name = f"{of.name} {of.formula}"
    return Molecule(f"{name}, {len(of.atomic_numbers)} atoms", name, place, **kind)


def potentials(settings: ExploreSettings) -> dict[str, Mapping[str, Any]]:
    """The potentials to choose from, by label, as settings; the one that is set comes first.

    Options that were given stay those of the potential that they were given for.
    """

    def own(calculator: str) -> Mapping[str, Any]:
        names = settings.options_of(calculator)
        return {"calculator": calculator} | {name: getattr(settings, name) for name in names}

    first = own(settings.calculator)
    others: list[Mapping[str, Any]] = [
        {**own(name), **variant}
        for name, kind in calculators.KINDS.items()
        for variant in kind.variants(settings)
    ]
    labelled: dict[str, Mapping[str, Any]] = {_label(first): first}
    for other in others:
        labelled.setdefault(_label(other), other)
    return labelled


def _label(potential: Mapping[str, Any]) -> str:
    kind = str(potential["calculator"])
    detail = calculators.KINDS[kind].detail if kind in calculators.KINDS else ""
    return f"{kind} {potential.get(detail) or ''}".strip() if detail else kind


def require_usable(settings: ExploreSettings) -> None:
    """Refuse settings whose calculator, solver or criterion does not exist.

    Raises:
        InputError: when one is unknown, or a hyperparameter that is set is not the solver's.
    """
    if settings.calculator not in calculators.NAMES:
        raise InputError(
            f"calculator {settings.calculator!r}: expected one of {', '.join(calculators.NAMES)}"
        )
    if settings.solver not in SOLVERS:
        raise InputError(f"solver {settings.solver!r}: expected one of {', '.join(SOLVERS)}")
    if settings.criterion not in CRITERIA:
        raise InputError(f"criterion {settings.criterion!r}: expected one of {', '.join(CRITERIA)}")
    hyperparameters_of(settings)
    parse_start(settings.start_from)


def recipe(anchor: str, noise: float) -> str:
    """The start in the form that settings have it, as in `midpoint_rt_noise0.3A`."""
    return f"{anchor}_noise{noise:g}A" if noise else anchor


def task_of(molecule: Molecule, values: Mapping[str, Any]) -> Task:
    """The search of a molecule with the chosen settings.

    Raises:
        InputError: when the settings can't be followed.
    """
    settings = SearchSettings.read(values)
    hyperparameters_of(settings)
    start = molecule.start_at(settings.start_from, settings.noise_seed)
    return Task(settings, start)


def with_hyperparameters(task: Task, values: Mapping[str, float]) -> Task:
    """The same search with other values of some hyperparameters."""
    changed = dict(task.settings.hyperparameters) | dict(values)
    settings = task.settings.model_copy(update={"hyperparameters": changed})
    hyperparameters_of(settings)
    return replace(task, settings=settings)
