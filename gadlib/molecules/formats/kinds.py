"""Which reader a file is for, by its ending and by what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gadlib.molecules.formats import by_ase, gaussian, mdl, orca, turbomole, xyz
from gadlib.molecules.formats.contents import PACKED, text_of
from gadlib.molecules.formats.frame import Frame
from gadlib.settings.reading import InputError

_UNTOLD = ("", ".txt", ".dat")
"""Endings that say nothing of what is in a file."""

_OUTPUTS = (".out", ".log", *_UNTOLD)
_LOOKED_AT = 200_000
"""Characters of a file, in which its kind shows."""


class Kind(NamedTuple):
    """A kind of file with a reader of its own.

    Attributes:
        read: the frames of its text.
        endings: of the files that may be of this kind.
        is_one: whether the text is, where the ending alone does not say it.
    """

    read: Callable[[str], Iterator[Frame]]
    endings: tuple[str, ...]
    is_one: Callable[[str], object] | None = None


KINDS = (
    Kind(gaussian.output, _OUTPUTS, gaussian.OUTPUT.search),
    Kind(orca.output, _OUTPUTS, orca.OUTPUT.search),
    Kind(gaussian.inputs, (".gjf", ".com")),
    Kind(orca.inputs, (".inp", ".orca", *_UNTOLD), orca.INPUT.search),
    Kind(turbomole.inputs, (".coord", ".tmol", *_UNTOLD), turbomole.INPUT.search),
    Kind(mdl.frames, (".mol", ".sdf")),
)
"""The first that fits reads a file; xyz is read where none does, and by ASE what ends otherwise."""


def frames(path: Path, content: bytes) -> list[Frame]:
    """The frames of a file of geometries, in order.

    Raises:
        InputError: when it can't be read, or it is not clear where a frame ends.
    """
    packed = path.suffix in PACKED
    suffix = (path.with_suffix("").suffix if packed else path.suffix).lower()
    kinds = [kind for kind in KINDS if suffix in kind.endings]
    is_xyz = suffix in (".xyz", ".extxyz", ".exyz", *_UNTOLD)
    if not kinds and not is_xyz:
        return by_ase.frames(path, content)
    text = text_of(content, path)
    for kind in kinds:
        if kind.is_one is None or kind.is_one(text[:_LOOKED_AT]):
            found = list(kind.read(text))
            if not found:
                raise InputError(f"{path}: no geometry in it; expected at least one")
            return found
    return list(xyz.frames(text, str(path))) if is_xyz else by_ase.frames(path, content)
