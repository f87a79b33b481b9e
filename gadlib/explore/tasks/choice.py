"""What can be chosen (reactions or geometries, starts, potentials), and the task that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gadlib import calculators
from gadlib.explore.tasks.background import Task
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.problems import electrons_problem
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.recipes import RECIPES, is_portfolio, parse_start, parse_starts
from gadlib.molecules.starting_points import Start
from gadlib.screening.setup import hyperparameters_of, named, reactions_of
from gadlib.settings.as_command import search_command
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings, SearchSettings
from gadlib.solver.mode_following import read_aim

ANCHORS = tuple(RECIPES)

_SETS = (".h5", ".hdf5")

FILES = (*_SETS, ".xyz", ".extxyz", ".traj", ".gen", ".pdb", ".mol", ".sdf", ".inp", ".gjf", ".com")
"""How names end of files that are likely to hold molecules; others are read as well."""


class Molecule(NamedTuple):
    """One entry of the list of what can be searched: a reaction of a set, or a geometry of a file.

    Attributes:
        label: what the list shows.
        name: of the reaction or geometry, with the formula.
        reaction: of a set, else None.
        start: of a file, else None.
        source: where it is from, as the list of sources has it.
        path: of the file of geometries or of the set; None: the embedded set.
        split: that the reactions of the set were read from.
    """

    label: str
    name: str
    reaction: Reaction | None = None
    start: Start | None = None
    source: str = ""
    path: str | None = None
    split: str = "all"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Where a reaction is from, as settings say it."""
        return {} if self.is_fixed else {"h5_path": self.path, "split": self.split}

    @property
    def is_fixed(self) -> bool:
        """Whether it has one starting point, instead of one for each recipe."""
        return self.start is not None

    @property
    def atomic_numbers(self) -> Int[np.ndarray, " n"]:
        """Of its atoms."""
        of = self.reaction or self.start
        assert of is not None
        return of.atomic_numbers

    @property
    def electrons(self) -> tuple[int, int]:
        """Its charge and multiplicity, as its file says them or a molecule usually has them."""
        of = self.reaction or self.start
        assert of is not None
        return of.charge, of.multiplicity

    def start_at(
        self, start_from: str, noise_seed: int, electrons: tuple[int, int] | None = None
    ) -> Start:
        """The starting point, the same as a screening of the whole set has.

        Args:
            start_from: the recipe.
            noise_seed: of the noise of the first of the set.
            electrons: charge and multiplicity; None: its own.

        Raises:
            InputError: when the recipe is unknown, or the molecule can't be searched.
        """
        found = self.start
        if found is None:
            assert self.reaction is not None
            found = starting_points.starts([self.reaction], start_from, noise_seed)[0]
        found = _with_electrons(found, *(electrons or self.electrons))
        if found.problem:
            raise InputError(f"{found.name}: {found.problem}")
        return found


def _with_electrons(start: Start, charge: int, multiplicity: int) -> Start:
    """The start with other electrons, and what is wrong with these, instead of with its own."""
    numbers = start.atomic_numbers
    own = electrons_problem(numbers, start.charge, start.multiplicity)
    problem = "" if own and start.problem.endswith(own) else start.problem
    problem = problem or electrons_problem(numbers, charge, multiplicity)
    return replace(start, charge=charge, multiplicity=multiplicity, problem=problem)


def molecules_of(settings: ExploreSettings) -> list[Molecule]:
    """What the settings let one choose from.

    Raises:
        InputError: when a file is missing, unreadable or has nothing in it.
    """
    if settings.geometries:
        electrons = settings.electrons
        return read_file(settings.geometries, only=settings.only, **electrons)
    return _reactions(reactions_of(settings), settings.h5_path, settings.split)


def read_file(
    path: str | Path, *, only: str | None = None, **electrons: int | None
) -> list[Molecule]:
    """What a file has to choose from: geometries, or the reactions of an HDF5 file.

    Args:
        path: of the file.
        only: the name of the one geometry to take; None: all.
        electrons: charge and multiplicity of those that don't say theirs.

    Raises:
        InputError: when it is missing, unreadable or has nothing in it.
    """
    path = Path(path)
    if path.suffix.lower() in _SETS:
        return _reactions(reactions.read(path), str(path))
    found = named(starting_points.read_geometries(path, **electrons), only, str(path))
    return [_molecule(start, path.name, str(path), start=start) for start in found]


def read_upload(name: str, content: bytes) -> list[Molecule]:
    """The geometries of a file that a browser sent; its name tells the format.

    Raises:
        InputError: when it is unreadable or has nothing in it.
    """
    name = Path(name).name or "uploaded.xyz"
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            found = read_file(path)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from None
    return [each._replace(path=name) for each in found]


def _reactions(found: Sequence[Reaction], path: str | None, split: str = "all") -> list[Molecule]:
    source = "embedded set" if path is None else Path(path).name
    return [_molecule(each, source, path, reaction=each, split=split) for each in found]


def _molecule(of: Reaction | Start, source: str, path: str | None, **kind: Any) -> Molecule:
    name = f"{of.name} {of.formula}"
    label = f"{name}, {len(of.atomic_numbers)} atoms"
    return Molecule(label, name, source=source, path=path, **kind)


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
    labelled: dict[str, Mapping[str, Any]] = {potential_label(first): first}
    for other in others:
        labelled.setdefault(potential_label(other), other)
    return labelled


def potential_label(potential: Mapping[str, Any]) -> str:
    """A potential in a word or two, from its settings, as in `scine PM6`."""
    kind = str(potential["calculator"])
    detail = calculators.KINDS[kind].detail if kind in calculators.KINDS else ""
    return f"{kind} {potential.get(detail) or ''}".strip() if detail else kind


def potential_of(settings: SearchSettings) -> Mapping[str, Any]:
    """The potential of a search, as settings."""
    own = {name: getattr(settings, name) for name in settings.options_of(settings.calculator)}
    return {"calculator": settings.calculator} | own


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
    parse_starts(settings.start_from)


def recipe(anchor: str, noise: float) -> str:
    """The start in the form that settings have it, as in `midpoint_rt_noise0.3A`.

    A portfolio, whose starts have noise of their own, is shown and searched from as it is.
    """
    return f"{anchor}_noise{noise:g}A" if noise and not is_portfolio(anchor) else anchor


def shown_as(start_from: str) -> tuple[str, float]:
    """The anchor and the noise in A that show a start; of a portfolio itself, and none.

    Raises:
        InputError: when there is no such recipe.
    """
    if is_portfolio(start_from):
        parse_starts(start_from)
        return start_from, 0.0
    return parse_start(start_from)


def task_of(
    molecule: Molecule, values: Mapping[str, Any], electrons: tuple[int, int] | None = None
) -> Task:
    """The search of a molecule with the chosen settings, and charge and multiplicity.

    Raises:
        InputError: when the settings can't be followed.
    """
    settings = SearchSettings.read({**values, **molecule.settings})
    hyperparameters_of(settings)
    start = molecule.start_at(settings.start_from, settings.noise_seed, electrons)
    read_aim(settings.mode, start.atomic_numbers, start.positions, start.ends)
    return Task(settings, start)


def command_of(task: Task, molecule: Molecule) -> str:
    """The command that searches the same from the same starting point, for a terminal."""
    named = molecule.reaction or molecule.start
    assert named is not None
    settings = task.settings.model_copy(update={"only": named.name})
    return search_command(settings, molecule.path if molecule.is_fixed else None)


def with_hyperparameters(task: Task, values: Mapping[str, float]) -> Task:
    """The same search with other values of some hyperparameters."""
    changed = dict(task.settings.hyperparameters) | dict(values)
    settings = task.settings.model_copy(update={"hyperparameters": changed})
    hyperparameters_of(settings)
    return replace(task, settings=settings)
