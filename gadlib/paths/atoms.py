"""Paths as ASE's Atoms, and the files of them that stand beside `paths.json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from gadlib.molecules.formats import output
from gadlib.paths.records import PathRecord
from gadlib.screening.atoms import beside

ENDS = "ends.extxyz"
"""The name of the file of the ends, beside `paths.json`."""

POINTS = ("first end", "path", "saddle", "second end")
"""What a point is, as `point` in its frame says."""


def frames_of(path: PathRecord) -> list[Atoms]:
    """The points of a path, from the first end over the saddle to the second.

    In `info`: name, charge, multiplicity, what the `point` is, its `path_length` in amu^1/2 A, 0 at
    the saddle, and `relative_energy` in eV, above the saddle. The energy is the calculator's
    result, where the record knows that of the saddle. Records of older files have ends and saddle
    alone.
    """
    if len(path.ends) != 2 or not path.travelled:
        return []
    places = list(zip(path.travelled, path.energies, path.positions, strict=False))
    if not path.positions:
        first, second = path.ends
        places = [(path.travelled[0], path.energies[0], first), (0.0, 0.0, path.saddle)]
        places += [(path.travelled[-1], path.energies[-1], second)]
    last = len(places) - 1
    return [
        _point(path, _kind(i, last, travelled), travelled, above, positions)
        for i, (travelled, above, positions) in enumerate(places)
    ]


def _kind(i: int, last: int, travelled: float) -> str:
    first, middle, saddle, second = POINTS
    if i in (0, last):
        return second if i else first
    return middle if travelled else saddle


def _point(
    path: PathRecord, kind: str, travelled: float, above: float, positions: Sequence[Sequence]
) -> Atoms:
    atoms = Atoms(path.atomic_numbers, positions)
    atoms.info |= {"name": path.name, "point": kind}
    atoms.info |= {"charge": path.charge, "multiplicity": path.multiplicity}
    atoms.info |= {"path_length": travelled, "relative_energy": above}
    if kind == POINTS[2] and path.imaginary_cm1 is not None:
        atoms.info["imaginary_cm1"] = round(path.imaginary_cm1, 4)
    if path.energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=path.energy + above)
    return atoms


def write_paths(out: str | Path, paths: Sequence[PathRecord]) -> None:
    """Write the paths beside `paths.json`, all points of each, and their ends in a file of theirs.

    Nothing is written where no path has been followed.

    Raises:
        InputError: when a file can't be written.
    """
    points = [frames for path in paths if (frames := frames_of(path))]
    if not points:
        return
    output.write(beside(out), [atoms for frames in points for atoms in frames])
    output.write(Path(out).with_name(ENDS), _ends(points))


def _ends(points: Sequence[list[Atoms]]) -> Iterator[Atoms]:
    for frames in points:
        for atoms in (frames[0], frames[-1]):
            end = atoms.copy()
            end.calc = atoms.calc
            end.info["name"] = f"{atoms.info['name']} {atoms.info['point']}"
            yield end
