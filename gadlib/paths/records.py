"""What is kept of a saddle that was followed: one PathRecord each, as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from gadlib.files.reading import read_json
from gadlib.files.shapes import PathsFile, fit, fit_all
from gadlib.molecules.endpoints import Connection
from gadlib.paths.barriers import Barrier
from gadlib.paths.thermochemistry import Thermochemistry
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError

FORMAT = 2
"""Of `paths.json`. Format 1, which files without a number have, keeps of the points between the
ends no positions, and counts atoms from 1 in its words, where all else counts from 0."""

SHARED = ("name", "formula", "split", "start", "charge", "multiplicity")
"""What a path has of the record of the search that ended at its saddle."""


@dataclass(frozen=True)
class PathRecord:
    """One saddle and what it joins; energies in eV, from the end that is more like the reactant.

    Where no reaction is known, from the end of the lower energy.

    Attributes:
        name, formula, split, start: of the search that ended at the saddle.
        charge, multiplicity: of the molecule, in e and 2S + 1.
        verdict: a `Connection`, and `message` the same in a sentence.
        change: what happens to the bonds; `mode` what the climbed mode does.
        barrier, reaction_energy: from the end like the reactant; `imaginary_cm1` of the saddle.
        reference_change, reference_barrier, reference_reaction_energy, reference_cm1: the same of
            the reference geometries, as they are, with the same potential.
        saddle_rmsd, reactant_rmsd, product_rmsd: distances in A from the references, superposed,
            like atoms exchangeable, mirror images the same.
        energy: of the saddle.
        travelled, energies, positions: the K points of the path from the reactant's end over the
            saddle to the product's: arc in amu^1/2 A, 0 at the saddle, the energy above the
            saddle's, and the atoms in A. Files of format 1 have no positions.
        thermochemistry: of the reactant's end, the saddle and the product's end, each by its exact
            Hessian; empty where it is not known.
        barriers: from the reactant's end and from the product's.
        atomic_numbers, ends: the two minima, in A; `saddle` as it was sharpened.
        n_gradient, n_hessian: calculator calls at the saddle and on the way down; in format 1
            without those at the saddle.
        elapsed_s: wall time.
    """

    name: str
    formula: str
    split: str
    start: str
    verdict: str
    message: str
    change: str = ""
    mode: str = ""
    barrier: float | None = None
    reaction_energy: float | None = None
    imaginary_cm1: float | None = None
    reference_change: str = ""
    reference_barrier: float | None = None
    reference_reaction_energy: float | None = None
    reference_cm1: float | None = None
    saddle_rmsd: float | None = None
    reactant_rmsd: float | None = None
    product_rmsd: float | None = None
    energy: float | None = None
    travelled: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    positions: list[list[list[float]]] = field(default_factory=list)
    thermochemistry: list[Thermochemistry] = field(default_factory=list)
    barriers: list[Barrier] = field(default_factory=list)
    atomic_numbers: list[int] = field(default_factory=list)
    saddle: list[list[float]] = field(default_factory=list)
    ends: list[list[list[float]]] = field(default_factory=list)
    n_gradient: int = 0
    n_hessian: int = 0
    elapsed_s: float = 0.0
    charge: int = field(default=0, metadata={"is_signed": True})
    multiplicity: int = 1

    @classmethod
    def failed(
        cls, record: Record, message: str, seconds: float = 0.0, calls: tuple[int, int] = (0, 0)
    ) -> PathRecord:
        """That of a saddle which could not be followed, why, and the calls it took to know."""
        own = {name: getattr(record, name) for name in SHARED}
        own |= dict(zip(("n_gradient", "n_hessian"), calls, strict=True))
        return cls(**own, verdict=Connection.FAILED, message=message, elapsed_s=seconds)


def read_paths(path: str | Path) -> list[PathRecord]:
    """What an earlier run wrote, in whose words atoms count from 0 whichever version wrote it.

    Raises:
        InputError: when it is missing, or no such file.
    """
    expected = "an object with paths, as `gadlib irc` writes it"
    content = fit(PathsFile, read_json(path), path, expected=expected)
    if not 1 <= content.format <= FORMAT:
        raise InputError(
            f"{path}: format {content.format}; expected 1 .. {FORMAT}, or a newer gadlib to read it"
        )
    paths = fit_all(PathRecord, content.paths, path, "paths")
    return [_from_0(each) for each in paths] if content.format == 1 else paths


_WORDS = ("change", "mode", "reference_change")
_ATOM = re.compile(r"(?<!the )\b([A-Z][a-z]?)(\d+)\b")  # C1, but not the group in "the O2 group"


def _from_0(path: PathRecord) -> PathRecord:
    """The path with the atoms in its words counted from 0, where they counted from 1."""
    words = {
        name: _ATOM.sub(lambda m: f"{m[1]}{int(m[2]) - 1}", getattr(path, name)) for name in _WORDS
    }
    return replace(path, **words)
