"""Any calculator with an ASE interface, by its import path: tblite, MACE, ORCA, EMT, your own.

The calculator's own Hessian is used where it offers one, else central differences of its forces: 6N
more gradients for N atoms. Foreign code: whatever it raises for one molecule is that molecule's
failure alone. Floor 3.

Reference: Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017),
doi:10.1088/1361-648X/aa680e.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import ase
import numpy as np
import torch
from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import BaseCalculator, FileIOCalculator
from ase.calculators.genericfileio import GenericFileIOCalculator

from gadlib.batch import Batch, Evaluation
from gadlib.calculators.failures import blanked, impossible
from gadlib.input import InputError

KNOWN = {
    "tblite.ase:TBLite": "tblite",
    "mace.calculators:MACECalculator": "mace-torch",
    "ase.calculators.emt:EMT": "ase",
}
"""Some import paths, each with the package that brings it; any other will do as well."""


class Ase:
    """A calculator made of an ASE calculator; pickled, it is built anew in each process.

    Args:
        calculator: its import path, MODULE:NAME.
        options: what it is constructed with.
        displacement: of the central differences, in A, where it has no Hessian of its own.

    Raises:
        InputError: when it can't be imported or constructed; the message says why.
    """

    def __init__(
        self,
        calculator: str,
        options: Mapping[str, Any] | None = None,
        *,
        displacement: float = 0.01,
    ) -> None:
        self.calculator = calculator
        self.options = dict(options or {})
        self.displacement = displacement
        self._build()

    def __reduce__(self) -> tuple:
        return _again, (self.calculator, self.options, self.displacement)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one molecule after the other."""
        return _evaluated(
            batch, hessian, self.calculator, lambda z, r: self._compute(ase.Atoms(z, r), hessian)
        )

    @property
    def is_hessian_dear(self) -> bool | None:
        """True where it takes differences; None, unknown, where the calculator has its own."""
        return None if _has_hessian(self._build()) else True

    def require_working(self) -> None:
        """Nothing, when a hydrogen molecule can be computed.

        Raises:
            InputError: when it can't; the message is the calculator's own.
        """
        try:
            self._compute(ase.Atoms("H2", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]), hessian=False)
        except Exception as error:  # foreign code may raise anything
            raise InputError(
                f"{self.calculator} with ase_options {self.options}:"
                f" can't compute a hydrogen molecule ({_told(error)})"
            ) from None

    def _compute(
        self, atoms: ase.Atoms, hessian: bool
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Energy, forces and Hessian of one molecule; nothing is left from the one before."""
        source = self._build()
        if hasattr(source, "reset"):
            source.reset()
        energy = float(source.get_property(_energy_name(source), atoms))
        forces = np.array(source.get_property("forces", atoms), dtype=float)
        return energy, forces, _hessian(source, atoms, self.displacement) if hessian else None

    def _build(self) -> Any:
        return _built(self.calculator, json.dumps(self.options, sort_keys=True, default=repr))


class Held:
    """A calculator made of the one that an ASE `Atoms` object holds, for that molecule alone.

    Charges, magnetic moments and whatever else the object carries are kept. The last point asked
    for is the last that the calculator computes, so its own cache holds it.

    Args:
        atoms: the molecule with its calculator.
        displacement: of the central differences, in A, where it has no Hessian of its own.
    """

    def __init__(self, atoms: ase.Atoms, *, displacement: float = 0.01) -> None:
        self.atoms = atoms
        self.displacement = displacement

    @property
    def is_hessian_dear(self) -> bool | None:
        """True where it takes differences; None, unknown, where the calculator has its own."""
        return None if _has_hessian(self.atoms.calc) else True

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one geometry after the other."""
        name = type(self.atoms.calc).__name__
        return _evaluated(batch, hessian, name, lambda _, r: self._compute(r, hessian))

    def _compute(
        self, positions: np.ndarray, hessian: bool
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        source: Any = self.atoms.calc
        moved = self.atoms.copy()
        moved.positions = positions
        curvature = _hessian(source, moved, self.displacement) if hessian else None
        energy = float(source.get_property(_energy_name(source), moved))
        return energy, np.array(source.get_property("forces", moved), dtype=float), curvature


def _evaluated(
    batch: Batch,
    hessian: bool,
    name: str,
    compute: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, np.ndarray | None]],
) -> Evaluation:
    """What `compute` says of each molecule; what it raises is that molecule's failure."""
    size, width = batch.positions.shape[:2]
    energy = np.zeros(size)
    forces = np.zeros((size, width, 3))
    second = np.zeros((size, 3 * width, 3 * width)) if hessian else None
    failures = impossible(batch)
    for i in range(size):
        numbers, positions = batch.system(i)
        n = len(numbers)
        if i not in failures:
            try:
                energy[i], forces[i, :n], curvature = compute(numbers, positions)
                if second is not None:
                    second[i, : 3 * n, : 3 * n] = curvature
            except Exception as error:  # foreign code may raise anything; it costs one molecule
                failures[i] = f"{name}: {_told(error)}"
    device = batch.positions.device
    found = Evaluation(
        torch.from_numpy(energy).to(device),
        torch.from_numpy(forces).to(device),
        None if second is None else torch.from_numpy(second).to(device),
        failures,
    )
    return blanked(found, batch)


def _has_hessian(source: Any) -> bool:
    return "hessian" in getattr(source, "implemented_properties", ()) or hasattr(
        source, "get_hessian"
    )


def _hessian(source: Any, atoms: ase.Atoms, displacement: float) -> np.ndarray:
    n = 3 * len(atoms)
    if "hessian" in getattr(source, "implemented_properties", ()):
        return np.array(source.get_property("hessian", atoms), dtype=float).reshape(n, n)
    if hasattr(source, "get_hessian"):
        return np.array(source.get_hessian(atoms), dtype=float).reshape(n, n)
    return _central_differences(source, atoms, displacement)


def _again(calculator: str, options: dict[str, Any], displacement: float) -> Ase:
    return Ase(calculator, options, displacement=displacement)


def _central_differences(source: Any, atoms: ase.Atoms, displacement: float) -> np.ndarray:
    """The Hessian in eV/A^2, -(F(x + h) - F(x - h)) / 2h, symmetrised; its error is O(h^2)."""
    shape = atoms.positions.shape
    rows = np.empty((atoms.positions.size, atoms.positions.size))
    for k in range(len(rows)):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[np.unravel_index(k, shape)] += sign * displacement
            sides.append(np.array(source.get_property("forces", moved), dtype=float).ravel())
        rows[k] = (sides[1] - sides[0]) / (2 * displacement)
    return (rows + rows.T) / 2


def _energy_name(source: Any) -> str:
    """The energy whose derivative the forces are: the free energy where electrons are smeared."""
    return "free_energy" if "free_energy" in source.implemented_properties else "energy"


@lru_cache(maxsize=4)
def _built(path: str, options: str) -> Any:
    """The ASE calculator, one per process: building one may mean to load a large model."""
    kind, values = _imported(path), json.loads(options)
    known = getattr(kind, "default_parameters", {})
    for name in values:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in known:
            raise InputError(f"ase_options: {path} has no {name}; did you mean {near[0]}?")
    if "verbosity" in known:
        values.setdefault("verbosity", 0)  # else it prints every iteration
    try:
        calculator = kind(**values)
    except Exception as error:  # foreign code may raise anything
        raise InputError(
            f"ase_options {values}: {path} can't be made with them ({_told(error)})"
        ) from None
    if not isinstance(calculator, BaseCalculator | GetPropertiesMixin):
        raise InputError(f"ase_calculator {path!r}: not an ASE calculator but {kind!r}")
    writes_files = isinstance(calculator, FileIOCalculator | GenericFileIOCalculator)
    if writes_files and "directory" not in values:  # so that processes do not share their files
        folder = tempfile.TemporaryDirectory(prefix="gadlib-ase-")
        _FOLDERS.append(folder)
        calculator.directory = folder.name  # type: ignore[attr-defined]
    return calculator


_FOLDERS: list[tempfile.TemporaryDirectory] = []
"""Kept until the process ends, which removes them."""


def found() -> list[str]:
    """Those of the known import paths whose package is installed."""
    return [path for path in KNOWN if importlib.util.find_spec(path.split(".")[0]) is not None]


def _imported(path: str) -> Any:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise InputError(f"ase_calculator {path!r}: expected MODULE:NAME, e.g. {', '.join(KNOWN)}")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError:
        raise InputError(f"ase_calculator {path!r}: {module} has no {name}") from None
    except Exception as error:  # a package that is there may still fail to load
        hint = f"; pip install {KNOWN[path]}" if path in KNOWN else ""
        raise InputError(
            f"ase_calculator {path!r}: can't be imported ({_told(error)}){hint}"
        ) from None


def _told(error: Exception) -> str:
    """The error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
