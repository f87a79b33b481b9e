"""Frames of files in the formats that ASE reads, where it is not known to leave something out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from gadlib.molecules.formats import pdb
from gadlib.molecules.formats.contents import text_of
from gadlib.molecules.formats.frame import Frame
from gadlib.molecules.formats.words import Wrong, quoted
from gadlib.settings.reading import InputError

_CHARGE = r"(?:total[_ ]|net[_ ])?charge\b[ \t]*[:=]?[ \t]*[+-]?[1-9]"
_MULTIPLICITY = r"mult(?:iplicity|p)?\b[ \t]*[:=]?[ \t]*[2-9]"
_SAYS_CHARGE = re.compile(
    rf"^[^#!\n]*?\b({_CHARGE}|{_MULTIPLICITY})".encode(), re.MULTILINE | re.IGNORECASE
)
"""What ASE's readers of other programs' text pass over."""


def frames(path: Path, content: bytes) -> list[Frame]:
    """The frames of a file in one of ASE's other formats.

    Raises:
        InputError: when ASE can't read it, or reads less than there is.
    """
    import ase.io

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of readers that will move
            form = "proteindatabank" if path.suffix.lower() in pdb.ENDINGS else None
            found = ase.io.read(str(path), ":", form, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing trips over
        raise InputError(
            f"{path}: not readable as geometries ({type(error).__name__}: {error}); expected xyz,"
            " extxyz or another format that ASE knows"
        ) from None
    all_atoms = [found] if isinstance(found, Atoms) else list(found)
    _require_whole(path, content, all_atoms)
    frames = [frame_of(atoms) for atoms in all_atoms]
    if path.suffix.lower() not in pdb.ENDINGS:
        return frames
    try:
        charges = pdb.charges_of(text_of(content, path))
    except Wrong as error:
        raise InputError(f"{path}: {error}") from None
    return [replace(one, charge=charge) for one, charge in zip(frames, charges, strict=True)]


def _require_whole(path: Path, content: bytes, found: Sequence[Atoms]) -> None:
    """Raise InputError where ASE's reader is known to have left something out."""
    is_silent = not any(charge or multiplicity for charge, multiplicity in map(_said, found))
    if b"\0" not in content and is_silent and (match := _SAYS_CHARGE.search(content)):
        line = content.count(b"\n", 0, match.start(1)) + 1
        column = match.start(1) - content.rfind(b"\n", 0, match.start(1))
        raise InputError(
            f"{path}: line {line}, column {column}: {quoted(match[1].decode(errors='replace'))},"
            " which is not read from such files; expected xyz with charge=... and multiplicity=..."
        )
    if path.suffix.lower() in pdb.ENDINGS:
        there = len(re.findall(rb"^(?:ATOM  |HETATM)", content, re.MULTILINE))
        n_read = sum(map(len, found))
        if there != n_read:
            raise InputError(
                f"{path}: {there} atoms, of which {n_read} are read; expected END after the last"
            )


def _said(atoms: Atoms) -> tuple[int | None, int | None]:
    try:
        return electrons_of(atoms)
    except ValueError:  # told with its frame
        return None, None


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
