"""Reactions in the layout of Transition1x: the embedded set and files of one's own, read lazily.

A reaction is touched only when it is taken; one that can't be used has its `problem` and
costs nobody else anything.

Reference: Schreiner, Bhowmik, Vegge, Busk, Winther, Sci. Data 9, 779 (2022),
doi:10.1038/s41597-022-01870-w.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
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
from gadlib.molecules.problems import MAX_ATOMS, atoms_problem
from gadlib.settings.reading import InputError, listed

EMBEDDED = Path(__file__).parents[1] / "data" / "reactions.h5"
SPLITS = ("train", "val", "test")
SAMPLES = ("seeded", "first")

_PARTS = ("reactant", "transition_state", "product")
_WANTED = "expected datasets of both"


@dataclass(frozen=True)
class Reaction:
    """One elementary reaction; the same atoms in the same order three times, in angstrom.

    Attributes:
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


def read(
    path: str | Path | None = None,
    *,
    split: str = "all",
    max_samples: int | None = None,
    sample_seed: int | None = None,
) -> list[Reaction]:
    """At most `max_samples` reactions of the named splits, in the order of the file.

    A reaction that can't be used is among them, without atoms and with its `problem`.

    Args:
        path: an HDF5 file in the Transition1x layout; None: the embedded set.
        split: `train`, `val`, `test`, several with commas between, or `all`.
        max_samples: how many at most.
        sample_seed: which they are: drawn from all with this seed; None: the first ones.

    Raises:
        InputError: when the file is not there, not HDF5, not of this layout, or no reaction can be
            used.
    """
    path = EMBEDDED if path is None else Path(path)
    with _opened(path) as file:
        places = enumerate(_places(file, path, split_names(split)))
        if sample_seed is not None and max_samples is not None:
            everything = list(places)
            places = (everything[i] for i in drawn(len(everything), max_samples, sample_seed))
        found = [_reaction(file, place, i, path) for i, place in islice(places, max_samples)]
    if found and all(reaction.problem for reaction in found):
        problems = [reaction.problem.removeprefix(f"{path.name}: ") for reaction in found]
        raise InputError(f"{path}: no reaction can be used: {listed(problems)}")
    return found


def count(path: str | Path | None = None, *, split: str = "all") -> int:
    """How many reactions there are in the named splits.

    Raises:
        InputError: when the file can't be read.
    """
    path = EMBEDDED if path is None else Path(path)
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
        formulas = _group(file, split)
        if formulas is None:
            there = ", ".join(map(printable, file)) or "nothing"
            raise InputError(
                f"{path}: no group {split!r}; expected the Transition1x groups data, train, val,"
                f" test, found {there}"
            )
        for formula in map(str, formulas):
            group = _group(formulas, formula)
            if group is None:
                problem = f"{split}/{formula} {_astray(formulas, formula)} a link to data/{formula}"
                yield _Place(split, formula, formula, problem)
            else:
                yield from (_Place(split, formula, name) for name in map(str, group))


def _group(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group of that name; None where there is none, or a link leads nowhere."""
    link = parent.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        target = Path(parent.file.filename).parent / link.filename
        if not target.is_file():  # opening a pipe would wait for ever
            return None
    try:
        found = parent.get(name)
    except (KeyError, OSError, RuntimeError):  # a damaged part of the file, or of another one
        return None
    return found if isinstance(found, h5py.Group) else None


def _astray(parent: h5py.Group, name: str) -> str:
    """What is there instead of a group, in words, up to what was expected."""
    link = parent.get(name, getlink=True)
    to = ""
    if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
        to = f" to {getattr(link, 'filename', '')}:{link.path}".replace(" to :", " to ")
        to = f" (a link{to})"
    return f"leads nowhere{to}; expected"


def _reaction(file: h5py.File, place: _Place, i: int, path: Path) -> Reaction:
    """The reaction at that place, or one without atoms and with the reason."""
    split, formula, name, problem = place
    shown = printable
    about = (shown(name), shown(formula), split)
    where = f"{path.name}: {shown(problem) if problem else f'reaction {split}/{formula}/{name}'}"
    try:
        if problem:
            raise _Unusable("")
        parent = cast(h5py.Group, cast(h5py.Group, file[split])[formula])
        group = _group(parent, name)
        if group is None:
            raise _Unusable(f"{_astray(parent, name)} a group of {', '.join(_PARTS)}")
        numbers, positions = zip(*(_part(group, part) for part in _PARTS), strict=True)
        for part, z in zip(_PARTS[1:], numbers[1:], strict=True):
            if not np.array_equal(z, numbers[0]):
                raise _Unusable(
                    f"{part} is {_formula(z)} in its order of atoms, the reactant"
                    f" {_formula(numbers[0])}; expected the same atoms"
                )
    except _Unusable as error:
        nothing = np.zeros((0, 3))
        reason = f"{where}: {error}".removesuffix(": ")
        return Reaction(*about, np.zeros(0, np.int64), *[nothing] * 3, place=i, problem=reason)
    return Reaction(*about, numbers[0], *positions, place=i)


class _Unusable(Exception):
    """What is wrong with a reaction, in words."""


def _part(group: h5py.Group, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions (A) of one of the three geometries."""
    geometry = _group(group, part)
    if geometry is None:
        raise _Unusable(f"{part} lacks atomic_numbers or positions (no group {part}); {_WANTED}")
    numbers = _numbers(geometry, part, "atomic_numbers")
    positions = _numbers(geometry, part, "positions")
    z = numbers.reshape(-1)
    if positions.shape not in ((1, len(z), 3), (len(z), 3)):
        raise _Unusable(
            f"{part} has {len(z)} atomic_numbers and positions of shape {positions.shape};"
            f" expected (1, {len(z)}, 3)"
        )
    whole = np.rint(np.nan_to_num(z, nan=-1.0, posinf=-1.0, neginf=-1.0)).astype(np.int64)
    if not np.array_equal(whole, z):
        wrong = z[whole != z][0]
        raise _Unusable(f"{part} has an atomic number {wrong:g}; expected integers")
    positions = positions.reshape(-1, 3).astype(np.float64)
    if problem := atoms_problem(whole, positions):
        raise _Unusable(f"{part} has {problem}")
    return whole, positions


def _numbers(geometry: h5py.Group, part: str, name: str) -> np.ndarray:
    """The numbers of a dataset, after its declared kind and shape were looked at."""
    expected = f"expected at most {MAX_ATOMS} atoms"
    try:
        dataset = geometry[name]
        if not isinstance(dataset, h5py.Dataset):
            raise _Unusable(f"{part} lacks {name} (there is a group); expected a dataset")
        if dataset.dtype.kind not in "iuf" or dataset.shape is None:
            raise _Unusable(f"{part}: {name} of kind {dataset.dtype}; expected numbers")
        if (dataset.size or 0) > 3 * MAX_ATOMS:
            raise _Unusable(f"{part}: {name} of shape {dataset.shape}; {expected}")
        return np.asarray(dataset)
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise _Unusable(f"{part} lacks atomic_numbers or positions ({error}); {_WANTED}") from None


def _formula(numbers: np.ndarray) -> str:
    return Atoms(numbers).get_chemical_formula(mode="reduce")
