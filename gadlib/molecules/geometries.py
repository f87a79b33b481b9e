"""Geometries from files of many programs, each with why no search can use it.

What is wrong with one geometry is its `problem` and costs nobody else anything; a file that can't
be read is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from gadlib.molecules.formats import by_ase, kinds
from gadlib.molecules.formats.contents import foreign, printable, read_content
from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.problems import (
    atoms_problem,
    electrons_problem,
    lowest_multiplicity,
    masses_problem,
    unit_problem,
)
from gadlib.settings.reading import InputError
from gadlib.units import ANGSTROM_PER_BOHR


@dataclass(frozen=True)
class Geometry:
    """A molecule of a file, in A.

    Attributes:
        name: without control characters, another one for each geometry of a file.
        charge: in e.
        multiplicity: 2S + 1.
        problem: why no search can use it, in words; empty where one can. What could not be read
            has no atoms.
    """

    name: str
    atomic_numbers: Int[np.ndarray, " n"]
    positions: Float[np.ndarray, "n 3"]
    problem: str = ""
    charge: int = 0
    multiplicity: int = 1


def read(
    path: str | Path, *, charge: int | None = None, multiplicity: int | None = None
) -> list[Geometry]:
    """The geometries of a file, in order; of an output of a program the last one.

    xyz, extxyz, inputs and outputs of ORCA and Gaussian, Turbomole's coord, mol, sdf, and what ASE
    reads. One's name is that which stands with it, else the file's name and the frame's number.

    Args:
        path: of the file.
        charge: of those that don't say theirs, in e; None: 0.
        multiplicity: likewise; None: the lowest that its electrons allow.

    Raises:
        InputError: when the file is missing, too large, unreadable, or has no geometry in it.
    """
    path = Path(path)
    content = read_content(path)
    if kind := foreign(content):
        raise InputError(f"{path}: {kind}; expected starting geometries in xyz or extxyz")
    if not content.strip():
        raise InputError(f"{path}: an empty file; expected starting geometries in xyz or extxyz")
    found = kinds.frames(path, content)
    if not found:
        raise InputError(f"{path}: no geometry in it; expected at least one")
    return _geometries(found, path, charge, multiplicity)


def of_atoms(
    given: Sequence[Atoms], *, charge: int | None = None, multiplicity: int | None = None
) -> list[Geometry]:
    """The geometries of ASE's atoms, in order, with names and problems as if from a file."""
    frames = [by_ase.frame_of(atoms) for atoms in given]
    return _geometries(frames, Path("atoms"), charge, multiplicity)


def only(found: Sequence[Geometry], where: str) -> Geometry:
    """The one geometry that there is.

    Args:
        found: of a file, or of atoms.
        where: what a message begins with.

    Raises:
        InputError: when there are several, or no search can use it.
    """
    if len(found) != 1:
        raise InputError(f"{where}: {len(found)} geometries in it; expected one")
    if found[0].problem:
        raise InputError(f"{where}: {found[0].problem}")
    return found[0]


def _geometries(
    found: Sequence[Frame], path: Path, charge: int | None, multiplicity: int | None
) -> list[Geometry]:
    """The molecules of frames; what these don't say of their electrons is as given."""
    names = _names([frame.name for frame in found], path)
    usual = {"charge": charge or 0, "multiplicity": multiplicity}
    return [
        _geometry(_complete(frame, usual), name, i)
        for i, (frame, name) in enumerate(zip(found, names, strict=True))
    ]


def _complete(frame: Frame, usual: Mapping[str, int | None]) -> Frame:
    return replace(frame, **{k: v for k, v in usual.items() if getattr(frame, k) is None})


def _names(given: Sequence[str], path: Path) -> list[str]:
    """A printable name for each frame, no two alike."""
    found: dict[str, None] = {}
    for i, raw in enumerate(given):
        plain = printable(raw) or f"{printable(path.stem)}-{i}"
        name, k = plain, 2
        while name in found:
            name, k = f"{plain}-{k}", k + 1
        found[name] = None
    return list(found)


def _geometry(frame: Frame, name: str, i: int) -> Geometry:
    """The molecule of a frame; one that can't be written down has no atoms."""
    numbers, positions = frame.atomic_numbers, frame.positions
    problem = frame.problem or atoms_problem(numbers, positions)
    if problem:
        empty = Frame()
        return Geometry(name, empty.atomic_numbers, empty.positions, f"{_place(frame, i)}{problem}")
    problem = unit_problem(frame)
    if not problem and frame.unit == "bohr?":
        positions = positions * ANGSTROM_PER_BOHR
    problem = problem or masses_problem(frame)
    if not problem and frame.is_periodic:
        problem = "a periodic cell; expected a free molecule, without a lattice or with pbc F F F"
    charge, multiplicity = frame.charge or 0, frame.multiplicity
    if multiplicity is None:
        multiplicity = lowest_multiplicity(numbers, charge)
    problem = problem or electrons_problem(numbers, charge, multiplicity)
    problem = problem and f"{_place(frame, i)}{problem}"
    return Geometry(name, numbers, positions, problem, charge, multiplicity)


def _place(frame: Frame, i: int) -> str:
    return "" if frame.problem else f"frame {i} has "
