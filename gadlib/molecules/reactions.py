"""Reactions in the layout of Transition1x: the embedded set and files of one's own, read lazily.

A reaction is touched only when it is taken; one that can't be used has its `problem` and
costs nobody else anything.

Reference: Schreiner, Bhowmik, Vegge, Busk, Winther, Sci. Data 9, 779 (2022),
doi:10.1038/s41597-022-01870-w.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, cast

import h5py
import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from gadlib.molecules.formats.contents import foreign, printable, require_file
from gadlib.molecules.formats.hdf5 import Unusable, astray, attribute, geometry_of, group_of
from gadlib.molecules.problems import electrons_problem, lowest_multiplicity
from gadlib.settings.reading import InputError, listed

EMBEDDED = Path(__file__).parents[1] / "data" / "reactions.h5"
EMBEDDED_SETS = {
    "embedded": EMBEDDED,
    "embedded-gfn2": EMBEDDED.with_name("reactions_gfn2.h5"),
}
"""The sets that come with the package, by the name that stands for a file: the first made on DFTB0,
the second on GFN2-xTB, where its reactant, saddle and product are stationary points."""
SPLITS = ("train", "val", "test")
SAMPLES = ("seeded", "first")

_PARTS = ("reactant", "transition_state", "product")


@dataclass(frozen=True)
class Reaction:
    """One elementary reaction; the same atoms in the same order three times, in angstrom.

    Attributes:
        charge: in e.
        multiplicity: 2S + 1.
        place: among all reactions of the splits that were read, None where it was not read.
        problem: why it can't be used, in words; then it has no atoms. Empty where it can.
    """

    name: str
    formula: str
    split: str
    atomic_numbers: Int[np.ndarray, " n"]
    reactant: Float[np.ndarray, "n 3"]
    transition_state: Float[np.ndarray, "n 3"]
    product: Float[np.ndarray, "n 3"]
    place: int | None = None
    problem: str = ""
    charge: int = 0
    multiplicity: int = 1


def read(
    path: str | Path | None = None,
    *,
    split: str = "all",
    max_samples: int | None = None,
    sample_seed: int | None = None,
    charge: int | None = None,
    multiplicity: int | None = None,
) -> list[Reaction]:
    """At most `max_samples` reactions of the named splits, in the order of the file.

    A reaction that can't be used is among them, without atoms and with its `problem`.

    Args:
        path: an HDF5 file in the Transition1x layout, or a name of `EMBEDDED_SETS`; None: the
            embedded set.
        split: `train`, `val`, `test`, several with commas between, or `all`.
        max_samples: how many at most.
        sample_seed: which they are: drawn from all with this seed; None: the first ones.
        charge: of reactions without an attribute `charge`, in e; None: 0.
        multiplicity: of reactions without an attribute `multiplicity`; None: the lowest that
            their electrons allow.

    Raises:
        InputError: when the file is not there, not HDF5, not of this layout, or no reaction can be
            used.
    """
    path = located(path)
    with _opened(path) as file:
        places = enumerate(_places(file, path, split_names(split)))
        if sample_seed is not None and max_samples is not None:
            everything = list(places)
            places = (everything[i] for i in drawn(len(everything), max_samples, sample_seed))
        usual = {"charge": charge, "multiplicity": multiplicity}
        found = [_reaction(file, place, i, path, usual) for i, place in islice(places, max_samples)]
    if found and all(reaction.problem for reaction in found):
        problems = [reaction.problem.removeprefix(f"{path.name}: ") for reaction in found]
        raise InputError(f"{path}: no reaction can be used: {listed(problems)}")
    return found


def located(path: str | Path | None) -> Path:
    """The file that a path or the name of an embedded set stands for; None: the first of these."""
    return EMBEDDED if path is None else EMBEDDED_SETS.get(str(path), Path(path))


def count(path: str | Path | None = None, *, split: str = "all") -> int:
    """How many reactions there are in the named splits.

    Raises:
        InputError: when the file can't be read.
    """
    path = located(path)
    with _opened(path) as file:
        return sum(1 for _ in _places(file, path, split_names(split)))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file of reactions, open.

    Raises:
        InputError: when it is none, or damaged.
    """
    expected = "an HDF5 file in the Transition1x layout"
    require_file(path, expected)
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            kind = foreign(file.read(200)) or "not an HDF5 file"
        raise InputError(f"{path}: {kind}; expected one in the Transition1x layout")
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, RuntimeError) as error:  # what h5py raises on a damaged file
        if "unable to lock" in str(error):
            raise InputError(
                f"{path}: locked by another program that writes it; expected it closed there"
            ) from None
        raise InputError(
            f"{path}: damaged, or not readable ({error}); expected a whole HDF5 file"
        ) from None


def seed_of(sample: str, sample_seed: int) -> int | None:
    """The seed that a sample is drawn with; None where the first ones are taken.

    Raises:
        InputError: when `sample` is neither seeded nor first.
    """
    if sample not in SAMPLES:
        raise InputError(f"sample {sample!r}: expected one of {', '.join(SAMPLES)}")
    return sample_seed if sample == "seeded" else None


def drawn(n: int, most: int, seed: int | None) -> list[int]:
    """At most so many of the numbers below n, ascending: a sample, or the first without a seed.

    A larger sample with the same seed holds the smaller one.
    """
    order = list(range(n))
    if seed is not None:
        random.Random(seed).shuffle(order)
    return sorted(order[:most])


def split_names(split: str) -> list[str]:
    """The splits that a setting such as `val,test` or `all` names.

    Raises:
        InputError: when one is unknown.
    """
    names = list(SPLITS) if split == "all" else [name.strip() for name in split.split(",")]
    for name in names:
        if name not in SPLITS:
            raise InputError(
                f"split {name!r}: expected one of {', '.join(SPLITS)},"
                " several with commas between, or all"
            )
    return list(dict.fromkeys(names))


class _Place(NamedTuple):
    """Where a reaction is in a file, or what keeps one from looking there."""

    split: str
    formula: str
    name: str
    problem: str = ""


def _places(file: h5py.File, path: Path, splits: Sequence[str]) -> Iterator[_Place]:
    for split in splits:
        formulas = group_of(file, split)
        if formulas is None:
            there = ", ".join(map(printable, file)) or "nothing"
            raise InputError(
                f"{path}: no group {split!r}; expected the Transition1x groups data, train, val,"
                f" test, found {there}"
            )
        for formula in map(str, formulas):
            group = group_of(formulas, formula)
            if group is None:
                problem = f"{split}/{formula} {astray(formulas, formula)} a link to data/{formula}"
                yield _Place(split, formula, formula, problem)
            else:
                yield from (_Place(split, formula, name) for name in map(str, group))


def _reaction(
    file: h5py.File, place: _Place, i: int, path: Path, usual: Mapping[str, int | None]
) -> Reaction:
    """The reaction at that place, or one without atoms and with the reason."""
    split, formula, name, problem = place
    shown = printable
    about = (shown(name), shown(formula), split)
    where = f"{path.name}: {shown(problem) if problem else f'reaction {split}/{formula}/{name}'}"
    try:
        if problem:
            raise Unusable("")
        parent = cast(h5py.Group, cast(h5py.Group, file[split])[formula])
        group = group_of(parent, name)
        if group is None:
            raise Unusable(f"{astray(parent, name)} a group of {', '.join(_PARTS)}")
        numbers, positions = zip(*(geometry_of(group, part) for part in _PARTS), strict=True)
        for part, z in zip(_PARTS[1:], numbers[1:], strict=True):
            if not np.array_equal(z, numbers[0]):
                raise Unusable(
                    f"{part} is {_formula(z)} in its order of atoms, the reactant"
                    f" {_formula(numbers[0])}; expected the same atoms"
                )
        charge = attribute(group, "charge", usual, 0)
        lowest = lowest_multiplicity(numbers[0], charge)
        multiplicity = attribute(group, "multiplicity", usual, lowest)
        if reason := electrons_problem(numbers[0], charge, multiplicity):
            raise Unusable(reason)
    except Unusable as error:
        nothing = np.zeros((0, 3))
        reason = f"{where}: {error}".removesuffix(": ")
        return Reaction(*about, np.zeros(0, np.int64), *[nothing] * 3, place=i, problem=reason)
    electrons = {"charge": charge, "multiplicity": multiplicity}
    return Reaction(*about, numbers[0], *positions, place=i, **electrons)


def _formula(numbers: np.ndarray) -> str:
    return Atoms(numbers).get_chemical_formula(mode="reduce")
