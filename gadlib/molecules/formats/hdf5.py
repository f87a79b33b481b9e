"""What one reaction of an HDF5 file has: groups, geometries and attributes, whatever their form.

Files are other people's: links that lead nowhere, datasets of strange kinds and sizes are refused
in words, before their content is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from gadlib.molecules.formats.contents import printable
from gadlib.molecules.problems import MAX_ATOMS, atoms_problem

_WANTED = "expected datasets of both"


class Unusable(Exception):
    """What is wrong with a reaction, in words."""


def group_of(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group of that name; None where there is none, or a link leads nowhere."""
    link = parent.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        target = Path(parent.file.filename).parent / link.filename
        if not target.is_file():  # opening a pipe would wait for ever
            return None
    try:
        found = parent.get(name)
    except (KeyError, OSError, RuntimeError):  # a damaged part of the file, or of another one
        return None
    return found if isinstance(found, h5py.Group) else None


def astray(parent: h5py.Group, name: str) -> str:
    """What is there instead of a group, in words, up to what was expected."""
    link = parent.get(name, getlink=True)
    to = ""
    if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
        to = f" to {getattr(link, 'filename', '')}:{link.path}".replace(" to :", " to ")
        to = f" (a link{to})"
    return f"leads nowhere{to}; expected"


def attribute(group: h5py.Group, name: str, usual: Mapping[str, int | None], default: int) -> int:
    """The integer that an attribute of a reaction has, else the usual one, else the default."""
    if name not in group.attrs:
        given = usual[name]
        return default if given is None else given
    try:
        value = np.asarray(group.attrs[name])
        if value.dtype.kind in "iuf" and value.size == 1 and float(value.item()).is_integer():
            return int(value.item())
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise Unusable(f"its attribute {name} can't be read ({error})") from None
    raise Unusable(f"its attribute {name} is {printable(str(value))}; expected an integer")


def geometry_of(group: h5py.Group, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions (A) of one of the three geometries."""
    geometry = group_of(group, part)
    if geometry is None:
        raise Unusable(f"{part} lacks atomic_numbers or positions (no group {part}); {_WANTED}")
    numbers = _numbers(geometry, part, "atomic_numbers")
    positions = _numbers(geometry, part, "positions")
    z = numbers.reshape(-1)
    if positions.shape not in ((1, len(z), 3), (len(z), 3)):
        raise Unusable(
            f"{part} has {len(z)} atomic_numbers and positions of shape {positions.shape};"
            f" expected (1, {len(z)}, 3)"
        )
    whole = np.rint(np.nan_to_num(z, nan=-1.0, posinf=-1.0, neginf=-1.0)).astype(np.int64)
    if not np.array_equal(whole, z):
        wrong = z[whole != z][0]
        raise Unusable(f"{part} has an atomic number {wrong:g}; expected integers")
    positions = positions.reshape(-1, 3).astype(np.float64)
    if problem := atoms_problem(whole, positions):
        raise Unusable(f"{part} has {problem}")
    return whole, positions


def _numbers(geometry: h5py.Group, part: str, name: str) -> np.ndarray:
    """The numbers of a dataset, after its declared kind and shape were looked at."""
    expected = f"expected at most {MAX_ATOMS} atoms"
    try:
        dataset = geometry[name]
        if not isinstance(dataset, h5py.Dataset):
            raise Unusable(f"{part} lacks {name} (there is a group); expected a dataset")
        if dataset.dtype.kind not in "iuf" or dataset.shape is None:
            raise Unusable(f"{part}: {name} of kind {dataset.dtype}; expected numbers")
        if (dataset.size or 0) > 3 * MAX_ATOMS:
            raise Unusable(f"{part}: {name} of shape {dataset.shape}; {expected}")
        return np.asarray(dataset)
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise Unusable(f"{part} lacks atomic_numbers or positions ({error}); {_WANTED}") from None
