"""Molecules as text for other programs: extxyz, xyz, Molden.

Energies are in eV, lengths in A, forces in eV/A; Molden's own units are Bohr and cm-1. What an
Atoms carries is written as it stands: `info` by its keys, arrays as columns, results of its
calculator.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from gadlib.files.writing import write_bytes
from gadlib.units import ANGSTROM_PER_BOHR

_PLAIN = ("name", "charge", "multiplicity")
"""What the comment of plain xyz says besides the energy."""


def write(path: str | Path, frames: Iterable[Atoms]) -> Path:
    """The path, after an extxyz file of the frames was put there whole.

    Raises:
        InputError: when it can't be written.
    """
    return write_bytes(path, extxyz(frames).encode())


def extxyz(frames: Iterable[Atoms]) -> str:
    """The frames as extended xyz, with all that they carry.

    Columns after the positions come in the order of the arrays, then the forces: viewers that take
    the first three for vectors draw what stands first.
    """
    return _by_ase(frames, plain=False)


def xyz(frames: Iterable[Atoms]) -> str:
    """The frames as plain xyz: four columns, and name, charge, multiplicity, energy in a line."""
    return _by_ase(frames, plain=True)


def _by_ase(frames: Iterable[Atoms], *, plain: bool) -> str:
    from ase.io.extxyz import write_xyz  # not above: most who read files write none

    text = io.StringIO()
    for atoms in frames:
        write_xyz(text, [atoms], plain=plain, comment=_comment(atoms) if plain else "")
    return text.getvalue()


def _comment(atoms: Atoms) -> str:
    from ase.io.extxyz import key_val_dict_to_str

    said = {key: atoms.info[key] for key in _PLAIN if key in atoms.info}
    if (energy := _energy(atoms)) is not None:
        said["energy"] = energy
    return key_val_dict_to_str(said) or "molecule"


def _energy(atoms: Atoms) -> float | None:
    results: dict[str, Any] = getattr(atoms.calc, "results", {})
    return results.get("energy")


def molden(
    atoms: Atoms, frequencies: Sequence[float], modes: Sequence[Float[np.ndarray, "n 3"]]
) -> str:
    """A molecule with normal modes in the Molden format.

    Args:
        atoms: where the modes belong to.
        frequencies: in cm-1, imaginary ones negative.
        modes: Cartesian displacements of the atoms, one for each frequency, of any length.

    Reference: Schaftenaar, Noordik, J. Comput.-Aided Mol. Des. 14, 123 (2000),
    doi:10.1023/A:1008193805436.
    """
    symbols, numbers = atoms.get_chemical_symbols(), atoms.numbers.tolist()
    places = atoms.positions
    title = str(atoms.info.get("name", ""))
    head = [
        f"{symbol:<2} {i:>4} {z:>3} {_row(place)}"
        for i, (symbol, z, place) in enumerate(zip(symbols, numbers, places, strict=True), start=1)
    ]
    in_bohr = places / ANGSTROM_PER_BOHR
    coordinates = [f"{s:<2} {_row(p)}" for s, p in zip(symbols, in_bohr, strict=True)]
    lines = ["[Molden Format]", "[Title]", title, "[Atoms] Angs", *head, "[FREQ]"]
    lines += [f"{frequency:.4f}" for frequency in frequencies]
    lines += ["[FR-COORD]", *coordinates, "[FR-NORM-COORD]"]
    for i, mode in enumerate(modes, start=1):
        lines += [f"vibration {i}", *map(_row, np.asarray(mode))]
    return "\n".join(lines) + "\n"


def molden_series(frames: Sequence[Atoms]) -> str:
    """Points of one molecule, as those of a path, with their energies, in the Molden format."""
    energies = [_energy(atoms) for atoms in frames]
    lines = ["[Molden Format]"]
    if all(energy is not None for energy in energies):
        lines += ["[GEOCONV]", "energy", *(f"{energy:.10f}" for energy in energies)]
    return "\n".join(lines) + "\n[GEOMETRIES] XYZ\n" + xyz(frames)


def _row(vector: Iterable[float]) -> str:
    return " ".join(f"{x:14.8f}" for x in vector)
