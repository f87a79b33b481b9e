"""Frames of files in the formats that ASE reads, where it is not known to leave something out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from gadlib.molecules.formats.frame import Frame
from gadlib.settings.reading import InputError

_UNCHARGED = re.compile(rb"^M  (CHG|RAD|ISO)", re.MULTILINE)


def frames(path: Path, content: bytes) -> list[Frame]:
    """The frames of a file in one of ASE's other formats.

    Raises:
        InputError: when ASE can't read it, or reads less than there is.
    """
    import ase.io

    try:
        found = ase.io.read(str(path), index=":", do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing trips over
        raise InputError(
            f"{path}: not readable as geometries ({type(error).__name__}: {error}); expected xyz,"
            " extxyz or another format that ASE knows"
        ) from None
    all_atoms = [found] if isinstance(found, Atoms) else list(found)
    _require_whole(path, content, all_atoms)
    return [frame_of(atoms) for atoms in all_atoms]


def _require_whole(path: Path, content: bytes, found: Sequence[Atoms]) -> None:
    """Raise InputError where ASE's reader is known to have left something out."""
    suffix = path.suffix.lower()
    if suffix in (".mol", ".sdf"):
        there = len([part for part in content.split(b"$$$$") if part.strip()])
        if there != len(found):
            raise InputError(
                f"{path}: {there} molecules, of which {len(found)} is read; expected one, or xyz"
            )
        if match := _UNCHARGED.search(content):
            raise InputError(
                f"{path}: a line {match[0].decode()}; expected a neutral molecule without unpaired"
                " electrons or isotopes, as others are not supported yet"
            )
    if suffix in (".pdb", ".ent"):
        there = len(re.findall(rb"^(?:ATOM  |HETATM)", content, re.MULTILINE))
        n_read = sum(map(len, found))
        if there != n_read:
            raise InputError(
                f"{path}: {there} atoms, of which {n_read} are read; expected END after the last"
            )


def frame_of(atoms: Atoms) -> Frame:
    """What gadlib takes from ASE's atoms."""
    numbers, positions = np.asarray(atoms.numbers), np.asarray(atoms.positions, dtype=float)
    frame = Frame(
        numbers.astype(np.int64),
        positions,
        str(atoms.info.get("name", "")),
        is_periodic=bool(atoms.pbc.any()) and not _is_placeholder(atoms),
        masses=atoms.get_masses() if atoms.has("masses") else None,
        unit="angstrom",
    )
    if atoms.constraints:
        return replace(frame, problem="it has constraints; expected none, as all atoms move")
    try:
        charge, multiplicity = electrons_of(atoms)
    except ValueError as error:
        return replace(frame, problem=str(error))
    return replace(frame, charge=charge, multiplicity=multiplicity)


_SAID = {
    "charge": ("charge", "total_charge"),
    "multiplicity": ("multiplicity", "mult", "spin_multiplicity", "spin"),
}
"""What `info` and calculators call them; `spin` in `info` is 2S + 1, as FairChem has it."""


def electrons_of(atoms: Atoms) -> tuple[int | None, int | None]:
    """Charge (e) and multiplicity that ASE's atoms say they have, None where they say nothing.

    By their `info`, else by their calculator's parameters, else by the sums of initial charges and
    magnetic moments.

    Raises:
        ValueError: when one is no integer.
    """
    given = {**(getattr(atoms.calc, "parameters", None) or {}), **atoms.info}
    found: dict[str, int | None] = {}
    for name, keys in _SAID.items():
        value = next((given[key] for key in keys if given.get(key) is not None), None)
        try:
            found[name] = None if value is None else int(value)
        except (TypeError, ValueError, OverflowError):
            found[name] = None
        if value is not None and (isinstance(value, bool) or found[name] != value):
            raise ValueError(f"{name} {value!r}; expected an integer")
    charge, multiplicity = found["charge"], found["multiplicity"]
    if charge is None and atoms.has("initial_charges"):
        charge = round(float(atoms.get_initial_charges().sum())) or None
    if multiplicity is None and atoms.has("initial_magmoms"):
        unpaired = round(float(np.sum(atoms.get_initial_magnetic_moments())))
        multiplicity = unpaired + 1 if unpaired else None
    return charge, multiplicity


def _is_placeholder(atoms: Atoms) -> bool:
    """Whether the cell is the cube of 1 A that stands in PDB files for no cell."""
    return bool(np.allclose(atoms.cell.lengths(), 1.0))
