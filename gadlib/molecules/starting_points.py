"""Starting points: from reactions by a recipe, from files of geometries; which can be searched.

How files are read is said in `reactions` and `geometries`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.formula import Formula
from jaxtyping import Float, Int

from gadlib.molecules import geometries
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.formats.contents import printable
from gadlib.molecules.geometries import Geometry
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.recipes import in_turn, parse_starts, places
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError, listed
from gadlib.systems.batch import Batch, atom_label


@dataclass(frozen=True)
class Start:
    """A starting point of a search.

    Attributes:
        name: of the reaction, or of the frame in a file of geometries.
        split: that it came from, empty for a file of geometries.
        start: the recipe, as in `midpoint_rt_noise1.0A`, or a portfolio of some.
        noise_seed: that its own noise was drawn with, None without noise.
        max_fragments: pieces that the reference transition state (or, without one, the geometry
            itself) is in.
        ends: reactant and product in A where they are known.
        charge: in e.
        multiplicity: 2S + 1.
        problem: why no search can begin here, in words; empty where one can.
        further: of a portfolio where searches begin in turn after the first, in A.
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
    problem: str = ""
    charge: int = 0
    multiplicity: int = 1
    further: tuple[Float[np.ndarray, "n 3"], ...] = ()

    @property
    def each(self) -> tuple[Start, ...]:
        """The starts of a portfolio by themselves, in order; of another one itself."""
        if not self.further:
            return (self,)
        return tuple(
            replace(self, start=recipe, positions=positions, further=())
            for recipe, positions in zip(
                in_turn(self.start), (self.positions, *self.further), strict=True
            )
        )

    @property
    def digest(self) -> str:
        """What tells a geometry of one's own, and its ends, from others; empty of a set's reaction.

        To 1e-5 A.
        """
        if self.split:
            return ""
        points = np.concatenate([self.positions, *self.further, *(self.ends or ())])
        rounded = np.round(points, 5) + 0.0  # without negative zeros
        return hashlib.sha256(self.atomic_numbers.tobytes() + rounded.tobytes()).hexdigest()[:16]


def hill_formula(numbers: np.ndarray) -> str:
    """The formula in Hill's order, as in C2H6O."""
    return Formula(Atoms(numbers).get_chemical_formula()).format("hill")


def starts(reactions: Sequence[Reaction], start_from: str, noise_seed: int = 42) -> list[Start]:
    """One starting point per reaction; sample i draws its noise with seed `noise_seed + i`.

    That i is the place in the splits that were read, so that a reaction starts from the same
    point in every sample; of reactions that were not read it is the place among those given.
    Of a portfolio a starting point has all its starts (`recipes.places`).

    Raises:
        InputError: when the recipe is unknown, or no reaction can be searched.
    """
    is_noisy = any(noise for _, noise in parse_starts(start_from))
    found = []
    for i, reaction in enumerate(reactions):
        seed = noise_seed + (i if reaction.place is None else reaction.place)
        nowhere = [np.zeros((0, 3))] * len(in_turn(start_from))
        first, *further = nowhere if reaction.problem else places(reaction, start_from, seed)
        found.append(
            Start(
                name=reaction.name,
                formula=reaction.formula,
                split=reaction.split,
                start=start_from,
                noise_seed=seed if is_noisy else None,
                atomic_numbers=reaction.atomic_numbers,
                positions=first,
                max_fragments=_pieces(reaction.atomic_numbers, reaction.transition_state),
                ends=(reaction.reactant, reaction.product),
                problem=reaction.problem,
                charge=reaction.charge,
                multiplicity=reaction.multiplicity,
                further=tuple(further),
            )
        )
    require_some(found, start_from)
    return found


def read_geometries(
    path: str | Path, *, charge: int | None = None, multiplicity: int | None = None
) -> list[Start]:
    """Starting points from the frames of a file (xyz, extxyz, or whatever ASE reads), in order.

    A frame that no search can use has its `problem`. A frame's name is the `name` in its comment,
    else the file's name and the frame's number. Frames that don't say their charge or multiplicity
    have the given one, else 0 and the lowest that their electrons allow.

    Raises:
        InputError: when the file is missing or unreadable, or no frame can be used.
    """
    path = Path(path)
    found = geometries.read(path, charge=charge, multiplicity=multiplicity)
    return _starts(found, printable(path.name), str(path))


def from_atoms(
    given: Sequence[Atoms], *, charge: int | None = None, multiplicity: int | None = None
) -> list[Start]:
    """Starting points from ASE's atoms, in order, as `read_geometries` takes them from a file.

    Raises:
        InputError: when none of them can be used.
    """
    found = geometries.of_atoms(given, charge=charge, multiplicity=multiplicity)
    return _starts(found, "atoms", "atoms")


def _starts(given: Sequence[Geometry], recipe: str, where: str) -> list[Start]:
    found = [at_geometry(geometry, recipe) for geometry in given]
    require_some(found, where)
    return found


def at_geometry(geometry: Geometry, recipe: str) -> Start:
    """The starting point at a geometry of one's own; `recipe` says where that is from."""
    numbers, positions = geometry.atomic_numbers, geometry.positions
    return Start(
        name=geometry.name,
        formula=hill_formula(numbers),
        split="",
        start=recipe,
        noise_seed=None,
        atomic_numbers=numbers,
        positions=positions,
        max_fragments=_pieces(numbers, positions),
        problem=geometry.problem,
        charge=geometry.charge,
        multiplicity=geometry.multiplicity,
    )


def _pieces(numbers: np.ndarray, positions: np.ndarray) -> int:
    return int(n_fragments(Batch.pack([positions], [numbers]))[0]) if len(numbers) else 0


def too_close(start: Start, least: float) -> str:
    """Which two atoms are closer than `least` (A), in words; empty where none are."""
    distance = np.linalg.norm(start.positions[:, None] - start.positions[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    if len(distance) < 2 or distance.min() >= least:
        return ""
    i, j = sorted(np.unravel_index(distance.argmin(), distance.shape))
    one, other = (atom_label(start.atomic_numbers, int(k)) for k in (i, j))
    return (
        f"atoms {one} and {other} of {start.name} are {distance.min():.3f} A apart at"
        f" {start.start}; expected at least {least} A"
    )


def problem_of(start: Start, least: float) -> str:
    """Why no search can begin there, in words; empty where one can, of a portfolio from any start.

    Args:
        start: where to begin.
        least: how close two atoms may be (A).
    """
    return start.problem or _no_saddle(start) or _too_close_everywhere(start, least)


def _too_close_everywhere(start: Start, least: float) -> str:
    close = [too_close(one, least) for one in start.each]
    return close[0] if all(close) else ""


def _no_saddle(start: Start) -> str:
    """Why a free molecule of one or two atoms has no saddle, in words."""
    n = len(start.atomic_numbers)
    if n > 2:
        return ""
    vibrations = ("no vibrations", "1 vibration")[max(n - 1, 0)]
    return f"{start.name} has {vibrations}; expected two, so three atoms, as a saddle needs them"


def require_some(found: Sequence[Start], where: str) -> None:
    """Raise InputError unless a start can be searched; it names what is wrong with each.

    Where one can, those that can't become records, not errors.
    """
    least = min(kind.closest_pair for kind in SOLVERS.values())
    reasons = [problem_of(start, least) for start in found]
    if not reasons or not all(reasons):
        return
    problems = [
        reason if start.name in reason else f"{start.name}: {reason}"
        for start, reason in zip(found, reasons, strict=True)
    ]
    raise InputError(f"{where}: no start can be searched: {listed(problems)}")
