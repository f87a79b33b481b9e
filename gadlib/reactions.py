"""Reactions and starting points: the Transition1x layout, the embedded set, files of geometries.

A file is read lazily: a reaction is touched only when it is taken. Floor 3.

Reference: Schreiner, Bhowmik, Vegge, Busk, Winther, Sci. Data 9, 779 (2022),
doi:10.1038/s41597-022-01870-w.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import h5py
import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from ase.formula import Formula
from jaxtyping import Float, Int

from gadlib.batch import Batch
from gadlib.chemistry import n_fragments
from gadlib.hyperparameters import SOLVERS
from gadlib.input import InputError

EMBEDDED = Path(__file__).parent / "data" / "reactions.h5"
SPLITS = ("train", "val", "test")

MAX_NOISE = 5.0

_ANCHORS = {
    "reactant": (1.0, 0.0, 0.0),
    "ts": (0.0, 1.0, 0.0),
    "product": (0.0, 0.0, 1.0),
    "midpoint_rt": (0.5, 0.5, 0.0),
    "three_quarter_rt": (0.25, 0.75, 0.0),
    "midpoint_rp": (0.5, 0.0, 0.5),
}
_PARTS = ("reactant", "transition_state", "product")


@dataclass(frozen=True)
class Reaction:
    """One elementary reaction; the same atoms in the same order three times, in angstrom."""

    name: str
    formula: str
    split: str
    atomic_numbers: Int[np.ndarray, " n"]
    reactant: Float[np.ndarray, "n 3"]
    transition_state: Float[np.ndarray, "n 3"]
    product: Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Start:
    """A starting point of a search.

    Attributes:
        name: of the reaction, or of the frame in a file of geometries.
        split: that it came from, empty for a file of geometries.
        start: the recipe, as in `midpoint_rt_noise1.0A`.
        noise_seed: that its own noise was drawn with, None without noise.
        max_fragments: pieces that the reference transition state (or, without one, the geometry
            itself) is in.
        ends: reactant and product in A where they are known.
    """

    name: str
    formula: str
    split: str
    start: str
    noise_seed: int | None
    atomic_numbers: Int[np.ndarray, " n"]
    positions: Float[np.ndarray, "n 3"]
    max_fragments: int
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]] | None = None


def read(
    path: str | Path | None = None, *, split: str = "all", max_samples: int | None = None
) -> list[Reaction]:
    """The first `max_samples` reactions of the named splits, in the order of the file.

    Args:
        path: an HDF5 file in the Transition1x layout; None: the embedded set.
        split: `train`, `val`, `test`, several with commas between, or `all`.
        max_samples: how many at most.

    Raises:
        InputError: when the file is not there, not HDF5, not of this layout, or a reaction's parts
            disagree.
    """
    path = EMBEDDED if path is None else Path(path)
    _require_file(path, "an HDF5 file in the Transition1x layout")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file; expected one in the Transition1x layout")
    splits = split_names(split)
    try:
        with h5py.File(path) as file:
            return list(islice(_walk(file, path, splits), max_samples))
    except (OSError, RuntimeError) as error:  # what h5py raises on a damaged file
        raise InputError(f"{path}: damaged, or not readable ({error})") from None


def _require_file(path: Path, expected: str) -> None:
    if not path.is_file():
        wrong = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {wrong}; expected {expected}")


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


def _walk(file: h5py.File, path: Path, splits: Sequence[str]) -> Iterator[Reaction]:
    for split in splits:
        there = ", ".join(file) or "nothing"
        expected = f"expected the Transition1x groups data, train, val, test, found {there}"
        formulas = _group(file, split, f"{path}: no group {split!r}; {expected}")
        for formula in map(str, formulas):
            where = f"{path}: {split}/{formula}"
            expected = f"expected a link to data/{formula}"
            group = _group(formulas, formula, f"{where} leads nowhere; {expected}")
            for name in map(str, group):
                reaction = _group(group, name, f"{where}/{name}: expected a group of {_PARTS}")
                yield _reaction(reaction, name, formula, split, path)


def _group(parent: h5py.Group, name: str, message: str) -> h5py.Group:
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise InputError(message)
    return found


def _reaction(group: h5py.Group, name: str, formula: str, split: str, path: Path) -> Reaction:
    where = f"{path}: reaction {split}/{formula}/{name}"
    numbers, positions = [], []
    for part in _PARTS:
        try:
            geometry = cast(h5py.Group, group[part])
            z = np.asarray(geometry["atomic_numbers"], dtype=np.int64).reshape(-1)
            r = np.asarray(geometry["positions"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{where}: {part} lacks atomic_numbers or positions ({error})"
            ) from None
        if r.shape not in ((1, len(z), 3), (len(z), 3)):
            raise InputError(
                f"{where}: {part} has {len(z)} atomic_numbers and positions of shape {r.shape};"
                f" expected (1, {len(z)}, 3)"
            )
        _require_atoms(f"{where}: {part}", z, r)
        numbers.append(z)
        positions.append(r.reshape(-1, 3))
    for part, z in zip(_PARTS[1:], numbers[1:], strict=True):
        if not np.array_equal(z, numbers[0]):
            raise InputError(
                f"{where}: {part} is {_formula(z)} in its order of atoms, the reactant"
                f" {_formula(numbers[0])}; expected the same atoms"
            )
    return Reaction(name, formula, split, numbers[0], *positions)


def _require_atoms(where: str, numbers: np.ndarray, positions: np.ndarray) -> None:
    if not len(numbers) or not np.isfinite(positions).all():
        raise InputError(f"{where} has no atoms, or positions that are not finite")
    if not ((numbers > 0) & (numbers < len(chemical_symbols))).all():
        raise InputError(
            f"{where} has atomic_numbers {numbers.tolist()};"
            f" expected 1 .. {len(chemical_symbols) - 1}"
        )


def _formula(numbers: np.ndarray) -> str:
    return Atoms(numbers).get_chemical_formula(mode="reduce")


def hill_formula(numbers: np.ndarray) -> str:
    """The formula in Hill's order, as in C2H6O."""
    return Formula(Atoms(numbers).get_chemical_formula()).format("hill")


def starts(reactions: Sequence[Reaction], start_from: str, noise_seed: int = 42) -> list[Start]:
    """One starting point per reaction; sample i draws its noise with seed `noise_seed + i`.

    Raises:
        InputError: when the recipe is unknown, or the geometries of all reactions have atoms on
            each other.
    """
    anchor, noise = parse_start(start_from)
    r, t, p = _ANCHORS[anchor]
    found = []
    for i, reaction in enumerate(reactions):
        positions = r * reaction.reactant + t * reaction.transition_state + p * reaction.product
        if noise:
            generator = torch.Generator().manual_seed(noise_seed + i)
            drawn = torch.randn(positions.shape, generator=generator, dtype=torch.float32)
            positions = positions + (noise * drawn).double().numpy()
        reference = Batch.pack([reaction.transition_state], [reaction.atomic_numbers])
        found.append(
            Start(
                name=reaction.name,
                formula=reaction.formula,
                split=reaction.split,
                start=start_from,
                noise_seed=noise_seed + i if noise else None,
                atomic_numbers=reaction.atomic_numbers,
                positions=positions,
                max_fragments=int(n_fragments(reference)[0]),
                ends=(reaction.reactant, reaction.product),
            )
        )
    require_some_apart(found)
    return found


def parse_start(start_from: str) -> tuple[str, float]:
    """The anchor and the noise in angstrom of a recipe such as `midpoint_rt_noise1.0A`.

    Raises:
        InputError: when it is not such a recipe.
    """
    match = re.fullmatch(r"([a-z_]+?)(?:_noise(\d+(?:\.\d+)?)A)?", start_from)
    if match is None or match[1] not in _ANCHORS:
        raise InputError(
            f"start {start_from!r}: expected one of {', '.join(_ANCHORS)},"
            " with an optional _noise<A>A, as in midpoint_rt_noise1.0A"
        )
    noise = float(match[2] or 0.0)
    if noise > MAX_NOISE:
        raise InputError(
            f"start {start_from!r}: expected noise of at most {MAX_NOISE} A,"
            " else nothing of the molecule is left"
        )
    return match[1], noise


def read_geometries(path: str | Path) -> list[Start]:
    """Starting points from the frames of a file (xyz, extxyz, or whatever ASE reads), in order.

    A frame's name is the `name` in its info, else the file's name and the frame's number.

    Raises:
        InputError: when the file is missing or unreadable, has no frame, or all frames have atoms
            on each other.
    """
    import ase.io

    path = Path(path)
    _require_file(path, "starting geometries in xyz or extxyz")
    try:
        frames = cast(list[Atoms], ase.io.read(path, index=":"))
    except Exception as error:  # ASE's readers raise whatever their parsing trips over
        raise InputError(
            f"{path}: not readable as geometries ({type(error).__name__}: {error})"
        ) from None
    found = []
    for i, atoms in enumerate(frames):
        name = str(atoms.info.get("name", f"{path.stem}-{i}"))
        numbers = atoms.numbers.astype(np.int64)
        _require_atoms(f"{path}: frame {i} ({name})", numbers, atoms.positions)
        pieces = int(n_fragments(Batch.pack([atoms.positions], [numbers]))[0])
        start = Start(
            name, hill_formula(numbers), "", path.name, None, numbers, atoms.positions, pieces
        )
        found.append(start)
    if not found:
        raise InputError(f"{path}: no geometry in it")
    require_some_apart(found)
    return found


def too_close(start: Start, least: float) -> str:
    """Which two atoms are closer than `least` (A), in words; empty where none are."""
    distance = np.linalg.norm(start.positions[:, None] - start.positions[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    if len(distance) < 2 or distance.min() >= least:
        return ""
    i, j = sorted(np.unravel_index(distance.argmin(), distance.shape))
    symbols = Atoms(start.atomic_numbers).get_chemical_symbols()
    return (
        f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) of {start.name} are"
        f" {distance.min():.3f} A apart at {start.start}; expected at least {least} A"
    )


def require_some_apart(found: Sequence[Start]) -> None:
    """Nothing, when one geometry can be computed; those that can't become records, not errors.

    Raises:
        InputError: when all starting geometries have atoms closer than any solver takes.
    """
    least = min(kind.closest_pair for kind in SOLVERS.values())
    reasons = [too_close(start, least) for start in found]
    if reasons and all(reasons):
        raise InputError(f"no start can be computed: {reasons[0]}")
