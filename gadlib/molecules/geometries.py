"""Geometries from files: xyz and extxyz by `xyz`, other formats by ASE, and what no search can use.

What is found wrong with one geometry is told with it and costs nobody else anything; a file that
can't be read is refused. This is the one place that says which molecules can
be searched: free, neutral, without unpaired electrons.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols, covalent_radii
from jaxtyping import Float, Int

from gadlib.molecules import xyz
from gadlib.molecules.bonds import BOND_SCALE
from gadlib.molecules.xyz import Frame
from gadlib.settings.reading import InputError
from gadlib.units import ANGSTROM_PER_BOHR

MAX_ATOMS = 5000
"""Atoms of a molecule at most: its Hessian takes 2 GB."""

MAX_BYTES = 2**28
"""Of a file of geometries."""

_MOST_FAR = 1e5  # A from the origin
_MASS_TOL = 0.05  # amu
_MAX_NAME = 120
_XYZ = (".xyz", ".extxyz", ".exyz", ".txt", ".dat", "")
_OPENED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # UTF-32 before UTF-16, whose mark it begins with
_UNCHARGED = re.compile(rb"^M  (CHG|RAD|ISO)", re.MULTILINE)


@dataclass(frozen=True)
class Geometry:
    """A molecule of a file, in A.

    Attributes:
        name: without control characters, another one for each geometry of a file.
        problem: why no search can use it, in words; empty where one can. What could not be read
            has no atoms.
    """

    name: str
    atomic_numbers: Int[np.ndarray, " n"]
    positions: Float[np.ndarray, "n 3"]
    problem: str = ""


def read(path: str | Path) -> list[Geometry]:
    """The geometries of a file (xyz, extxyz, or whatever ASE reads), in order.

    One's name is the `name` in its comment or info, else the file's name and the frame's number.

    Raises:
        InputError: when the file is missing, too large, unreadable, or has no geometry in it.
    """
    path = Path(path)
    require_file(path, "starting geometries in xyz or extxyz")
    content = _content(path)
    if kind := foreign(content):
        raise InputError(f"{path}: {kind}; expected starting geometries in xyz or extxyz")
    if not content.strip():
        raise InputError(f"{path}: an empty file; expected starting geometries in xyz or extxyz")
    suffix = path.with_suffix("").suffix if path.suffix in _OPENED else path.suffix
    is_xyz = suffix.lower() in _XYZ
    found = list(xyz.frames(_text(content, path), str(path))) if is_xyz else _by_ase(path, content)
    if not found:
        raise InputError(f"{path}: no geometry in it; expected at least one")
    names = _names([frame.name for frame in found], path)
    return [_geometry(*each, i) for i, each in enumerate(zip(found, names, strict=True))]


def require_file(path: Path, expected: str) -> None:
    """Nothing, when there is a regular file, which can be read to its end.

    Raises:
        InputError: when there is none, or a folder, a pipe, a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        raise InputError(f"{path}: no such file; expected {expected}") from None
    if not stat.S_ISREG(mode):
        wrong = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device and no file"
        raise InputError(f"{path}: {wrong}; expected {expected}")


def foreign(content: bytes) -> str:
    """What a file is that is neither geometries nor reactions, in words; empty where unknown."""
    head = content[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "a web page, as a failed download leaves it"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, whose content `git lfs pull` fetches"
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "an HDF5 file, which --h5-path takes"
    return ""


def problem_of(numbers: np.ndarray, positions: np.ndarray) -> str:
    """Why these atoms are no molecule that can be computed, in words; empty where they are one."""
    if not len(numbers):
        return "no atoms; expected at least one"
    if not ((numbers > 0) & (numbers < len(chemical_symbols))).all():
        wrong = next(z for z in numbers.tolist() if not 0 < z < len(chemical_symbols))
        return f"atomic number {wrong}; expected 1 .. {len(chemical_symbols) - 1}"
    if len(numbers) > MAX_ATOMS:
        return f"{len(numbers)} atoms; expected at most {MAX_ATOMS}"
    if not np.isfinite(positions).all():
        return "positions that are not finite; expected numbers in A"
    if np.abs(positions).max() > _MOST_FAR:
        return (
            f"a coordinate of {np.abs(positions).max():.3g} A; expected at most {_MOST_FAR:.0e} A"
        )
    return ""


def electrons_problem(charge: float, unpaired: int) -> str:
    """Why a molecule of this charge (e) and so many unpaired electrons is not searched, in words.

    Empty for a neutral closed shell, which is all that calculators are asked for.
    """
    if charge:
        return (
            f"a charge of {charge:+g}; expected a neutral molecule, as charges are not supported"
            " yet"
        )
    if unpaired:
        return (
            f"a multiplicity of {unpaired + 1}; expected 1, as unpaired electrons are not supported"
            " yet"
        )
    return ""


def _content(path: Path) -> bytes:
    try:
        if path.suffix in _OPENED:
            with _OPENED[path.suffix](path, "rb") as file:
                content = cast(bytes, file.read(MAX_BYTES + 1))
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(f"{path}: can't be read ({error}); expected geometries") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path}: more than {MAX_BYTES} bytes; expected starting geometries in several files"
        )
    return content


def _text(content: bytes, path: Path) -> str:
    """The content as text: UTF-8, UTF-16 and UTF-32 by their marks, else Latin-1."""
    coding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if (at := text.find("\0")) >= 0:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise InputError(
            f"{path}: line {line}, column {column}: a NUL byte; expected geometries as text"
        )
    return text


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


def printable(name: str) -> str:
    """The name in one line, without what a terminal can't show, of bearable length."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return shown if len(shown) <= _MAX_NAME else shown[: _MAX_NAME - 3] + "..."


def _geometry(frame: Frame, name: str, i: int) -> Geometry:
    """The molecule of a frame; one that can't be written down has no atoms."""
    numbers, positions = frame.atomic_numbers, frame.positions
    problem = frame.problem or problem_of(numbers, positions)
    if problem:
        empty = Frame()
        return Geometry(name, empty.atomic_numbers, empty.positions, f"{_place(frame, i)}{problem}")
    problem = _unit_problem(frame)
    if not problem and frame.unit == "bohr?":
        positions = positions * ANGSTROM_PER_BOHR
    problem = problem or _masses_problem(frame)
    if not problem and frame.is_periodic:
        problem = "a periodic cell; expected a free molecule, without a lattice or with pbc F F F"
    problem = problem or electrons_problem(frame.charge, frame.unpaired)
    return Geometry(name, numbers, positions, problem and f"{_place(frame, i)}{problem}")


def _place(frame: Frame, i: int) -> str:
    return "" if frame.problem else f"frame {i} has "


def _masses_problem(frame: Frame) -> str:
    if frame.masses is None:
        return ""
    usual = atomic_masses[frame.atomic_numbers]
    k = int(np.abs(frame.masses - usual).argmax())
    if abs(frame.masses[k] - usual[k]) < _MASS_TOL:
        return ""
    symbol = chemical_symbols[frame.atomic_numbers[k]]
    return (
        f"a mass of {frame.masses[k]:g} amu at atom {k} ({symbol}); expected {usual[k]:g}, as"
        " standard atomic masses are all that is known here"
    )


def _unit_problem(frame: Frame) -> str:
    """Why it is not clear whether lengths are in A or in Bohr, in words; empty where it is."""
    if frame.unit in ("bohr", "angstrom") or not 1 < len(frame.atomic_numbers) <= 1000:
        return ""
    radii = covalent_radii[frame.atomic_numbers]
    apart = np.linalg.norm(frame.positions[:, None] - frame.positions[None], axis=-1)
    scaled = apart / (radii[:, None] + radii[None])
    np.fill_diagonal(scaled, np.inf)
    nearest = scaled.min(1)
    if frame.unit == "bohr?":
        if np.median(nearest) > BOND_SCALE:
            return ""
        return (
            "the word Bohr in its comment and distances of angstrom; expected units=angstrom or"
            " units=bohr in the comment"
        )
    in_bohr = nearest * ANGSTROM_PER_BOHR
    if len(nearest) < 3 or frame.atomic_numbers.max() == 1 or nearest.min() < BOND_SCALE:
        return ""
    if in_bohr.max() > BOND_SCALE or in_bohr.min() < 0.7:
        return ""
    return (
        "no two atoms at the distance of a bond, and all of them in Bohr; expected A, or"
        " units=bohr, or units=angstrom in the comment if they are"
    )


def _by_ase(path: Path, content: bytes) -> list[Frame]:
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
    return [_frame(atoms) for atoms in all_atoms]


def _require_whole(path: Path, content: bytes, found: Sequence[Atoms]) -> None:
    """Nothing, unless ASE's reader is known to have left something out."""
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


def _frame(atoms: Atoms) -> Frame:
    """What gadlib takes from ASE's atoms."""
    info = atoms.info
    given = getattr(atoms.calc, "parameters", None) or {}
    numbers, positions = np.asarray(atoms.numbers), np.asarray(atoms.positions, dtype=float)
    told = {key: given.get(key, info.get(key)) for key in ("charge", "total_charge", "mult")}
    told["mult"] = info.get("multiplicity", told["mult"])
    frame = Frame(
        numbers.astype(np.int64),
        positions,
        str(info.get("name", "")),
        is_periodic=bool(atoms.pbc.any()) and not _is_placeholder(atoms),
        masses=atoms.get_masses() if atoms.has("masses") else None,
        unit="angstrom",
    )
    if atoms.constraints:
        return replace(frame, problem="it has constraints; expected none, as all atoms move")
    charge, multiplicity = (told["charge"] or told["total_charge"] or 0), (told["mult"] or 1)
    try:
        charge = float(charge) or round(float(atoms.get_initial_charges().sum()))
        unpaired = int(multiplicity) - 1 or round(float(atoms.get_initial_magnetic_moments().sum()))
    except (TypeError, ValueError):
        problem = f"charge {charge!r}, multiplicity {multiplicity!r}; expected integers"
        return replace(frame, problem=problem)
    return replace(frame, charge=charge, unpaired=unpaired)


def _is_placeholder(atoms: Atoms) -> bool:
    """Whether the cell is the cube of 1 A that stands in PDB files for no cell."""
    return bool(np.allclose(atoms.cell.lengths(), 1.0))
