"""What a result file holds for other programs, whatever command wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from gadlib.files.reading import read_json
from gadlib.paths.atoms import frames_of
from gadlib.paths.frequencies import FrequencyRecord, read_frequencies
from gadlib.paths.records import read_paths
from gadlib.screening.atoms import atoms_of, is_point
from gadlib.screening.records import read_records
from gadlib.settings.reading import InputError, shown
from gadlib.units import frequency_cm1


@dataclass(frozen=True)
class Result:
    """One result of a file.

    Attributes:
        name: of what was searched or followed.
        fields: all that is known of it, by the names in the file.
        frames: its geometries: of a search where it ended, of a path its points.
        frequencies, modes: those that are known, in cm-1, imaginary ones negative, and Cartesian
            displacements.
        criteria: whether it meets each.
    """

    name: str
    fields: Mapping[str, Any]
    frames: Sequence[Atoms]
    frequencies: Sequence[float] = ()
    modes: Sequence[Float[np.ndarray, "n 3"]] = ()
    criteria: Mapping[str, bool | None] | None = None


def read(path: str | Path) -> list[Result]:
    """The results of a file of searches, paths or frequencies.

    Raises:
        InputError: when it is missing, not JSON, or no such file.
    """
    content = read_json(path)
    kinds = [key for key in _READERS if isinstance(content, Mapping) and key in content]
    if not kinds:
        raise InputError(
            f"{path}: expected a result file with {' or '.join(_READERS)}, found {shown(content)}"
        )
    return _READERS[kinds[0]](path)


def _searches(path: str | Path) -> list[Result]:
    found = []
    for record in read_records(path)[1]:
        frames = [atoms_of(record)] if is_point(record) else []
        is_known = bool(frames and record.mode)
        found.append(
            Result(
                record.name,
                asdict(record),
                frames,
                [frequency_cm1(record.eigenvalues[0] or 0.0)] if is_known else [],
                [np.array(record.mode)] if is_known else [],
                record.criteria,
            )
        )
    return found


def _paths(path: str | Path) -> list[Result]:
    return [Result(one.name, asdict(one), frames_of(one)) for one in read_paths(path)]


def _frequencies(path: str | Path) -> list[Result]:
    return [_of_frequencies(one) for one in read_frequencies(path)]


def _of_frequencies(one: FrequencyRecord) -> Result:
    """A stationary point with all its modes; one that could not be computed has no frame."""
    fields = asdict(one) | {"kind": one.kind}
    if not one.thermochemistry:
        return Result(one.name, fields, [])
    gas = one.thermochemistry[0]
    atoms = Atoms(one.atomic_numbers, one.positions)
    atoms.info |= {"name": one.name, "charge": one.charge, "multiplicity": one.multiplicity}
    atoms.calc = SinglePointCalculator(atoms, energy=gas.energy)
    modes = [np.array(mode) for mode in one.modes]
    return Result(one.name, fields | asdict(gas), [atoms], gas.wavenumbers_cm1, modes)


_READERS: dict[str, Callable[[str | Path], list[Result]]] = {
    "records": _searches,
    "paths": _paths,
    "frequencies": _frequencies,
}
"""How each kind of result file is read, by the key that such a file has."""
