"""Records as ASE's Atoms, and the file of them that stands beside a result file.

Other programs read where searches ended: energy, forces, charge, multiplicity, the lowest mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from gadlib.files.writing import require_json
from gadlib.molecules.formats import output
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError

SUFFIX = ".extxyz"


def atoms_of(record: Record) -> Atoms:
    """The last point of a search, with what is known of it.

    In `info`, by the names of the record: name, status, charge, multiplicity, the criteria that
    were judged, `order` and `imaginary_cm1`. The lowest mode is the array `mode`, a Cartesian
    displacement of length 1; energy (eV) and forces (eV/A) are results of the calculator.
    """
    atoms = Atoms(record.atomic_numbers, record.positions)
    atoms.info |= {"name": record.name, "status": record.status}
    atoms.info |= {"charge": record.charge, "multiplicity": record.multiplicity}
    atoms.info |= {name: met for name, met in record.criteria.items() if met is not None}
    if record.order is not None:
        atoms.info["order"] = record.order
    if record.imaginary_cm1 is not None:
        atoms.info["imaginary_cm1"] = round(record.imaginary_cm1, 4)
    if record.mode:
        atoms.set_array("mode", np.array(record.mode))
    results: dict[str, Any] = {} if record.energy is None else {"energy": record.energy}
    if record.forces:
        results["forces"] = np.array(record.forces)
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def is_point(record: Record) -> bool:
    """Whether the record has a point that was computed, so that there is something to write."""
    is_placed = all(math.isfinite(x) for row in record.positions for x in row)
    return bool(record.atomic_numbers) and record.energy is not None and is_placed


def beside(out: str | Path) -> Path:
    """The file of geometries that stands beside a result file."""
    return Path(out).with_suffix(SUFFIX)


def require_room(out: str | Path, *more: Path) -> None:
    """Raise InputError unless a result file may be written there, and geometries beside it.

    What is there without the result file that it belongs to is somebody's own, perhaps the guesses.

    Args:
        out: the result file.
        more: files of geometries that go there besides.
    """
    out = Path(out)
    if out.is_dir():
        raise InputError(f"{out}: a folder; expected the name of a result file")
    require_json(out)
    if there := [path for path in (beside(out), *more) if path.exists() and not out.exists()]:
        raise InputError(
            f"{there[0]} exists, where the geometries of {out.name} go; choose another output,"
            " nothing is overwritten"
        )


def write_points(out: str | Path, records: Sequence[Record]) -> Path | None:
    """The extxyz beside a result file, with the last points of its searches, in their order.

    None, and nothing is written, where no search has one.

    Raises:
        InputError: when it can't be written.
    """
    points = [atoms_of(record) for record in records if is_point(record)]
    return output.write(beside(out), points) if points else None
