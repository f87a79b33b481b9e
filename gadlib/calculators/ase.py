"""Any calculator with an ASE interface, by its import path: tblite, MACE, ORCA, EMT, your own.

The calculator's own Hessian is used where it offers one, else central differences of its forces: 6N
more gradients for N atoms. For each geometry, those of the differences too, the calculator is as it
was when it was made (`unused`). Foreign code: whatever it raises for one molecule is that
molecule's failure alone.

Reference: Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017),
doi:10.1088/1361-648X/aa680e.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ase
import numpy as np

from gadlib.calculators import electrons
from gadlib.calculators.displaced import Displaced
from gadlib.calculators.electrons import NEUTRAL, Electrons, require_told_once
from gadlib.calculators.failures import blanked
from gadlib.calculators.import_paths import KNOWN, built, found, made
from gadlib.calculators.kind import Kind, Options, refusal
from gadlib.calculators.one_by_one import Computed, central_differences, moving, one_by_one
from gadlib.calculators.spread import spread
from gadlib.calculators.unused import Unused
from gadlib.evaluation import Evaluation
from gadlib.settings.calculators import DISPLACEMENT, CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch


class Ase:
    """A calculator made of an ASE calculator; pickled, it is built anew in each process.

    Args:
        calculator: its import path, MODULE:NAME.
        options: what it is constructed with.
        displacement: of the central differences, in A, where it has no Hessian of its own.
        workers: processes that compute the systems of a batch, and the displaced ones of Hessians,
            at once; 1 computes in this one.

    Raises:
        InputError: when it can't be imported or constructed; the message says why.
    """

    def __init__(
        self,
        calculator: str,
        options: Mapping[str, Any] | None = None,
        *,
        displacement: float = DISPLACEMENT,
        workers: int = 1,
    ) -> None:
        self.name = self.calculator = calculator
        self.options = dict(options or {})
        self.displacement = displacement
        self.workers = workers
        self._own: dict[str, Unused] | None = None
        require_told_once(calculator, self.options)
        self._build()

    def __reduce__(self) -> tuple:
        return _again, (self.calculator, self.options, self.displacement, self.workers)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one molecule after the other.

        Or as many at once as there are workers.
        """
        if self.workers > 1 and (len(batch) > 1 or (hessian and not self.has_hessian)):
            return self._at_once(batch, hessian)
        return one_by_one(
            batch, hessian, self.calculator, lambda i: self._compute(batch, i, hessian)
        )

    @property
    def is_hessian_costly(self) -> bool:
        """Whether it takes differences, not having its own."""
        return not self.has_hessian

    @property
    def has_hessian(self) -> bool:
        """Whether it has Hessians of its own."""
        return _has_hessian(self._build().source)

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why molecules of this charge and multiplicity can't be computed; empty where they can."""
        return electrons.refusal(self.calculator, (charge, multiplicity))

    def _compute(self, batch: Batch, i: int, hessian: bool) -> Computed:
        of = int(batch.charges[i]), int(batch.multiplicities[i])
        if reason := self.refuses(*of):
            raise ValueError(reason)
        atoms = electrons.atoms_for(self.calculator, *batch.system(i), of)
        if batch.boundary is not None:
            atoms.cell = batch.boundary.cell[i].cpu().numpy()
            atoms.pbc = batch.boundary.is_periodic[i].cpu().numpy()
        return _computed(self._build(of), atoms, hessian, self.displacement, moving(batch, i))

    def _at_once(self, batch: Batch, hessian: bool) -> Evaluation:
        """The evaluation by several processes; displaced systems are a batch with the others."""
        one = _again(self.calculator, self.options, self.displacement)
        options = {"workers": self.workers, "name": self.name}
        if not hessian or self.has_hessian:
            return spread(one, batch, hessian=hessian, **options)
        displaced = Displaced.of(batch, self.displacement)
        told = spread(one, displaced.with_source(), hessian=False, **options)
        n = len(batch)
        here = {place: reason for place, reason in told.failures.items() if place < n}
        beside = {place - n: reason for place, reason in told.failures.items() if place >= n}
        found = Evaluation(
            told.energy[:n],
            told.forces[:n],
            displaced.hessian(told.forces[n:]),
            displaced.failures(beside) | here,
        )
        return blanked(found, batch)

    def fresh(self) -> Ase:
        """The same, of an object of its own that is made when it is asked, and shared with nobody.

        Other people's code may keep what it likes, wherever it likes; so a saddle is confirmed.
        """
        other = _again(self.calculator, self.options, self.displacement)
        other._own = {}
        return other

    def _build(self, of: Electrons = NEUTRAL) -> Unused:
        options = electrons.options_for(self.calculator, self.options, of)
        about = json.dumps(options, sort_keys=True, default=repr)
        if self._own is None:
            return built(self.calculator, about)
        if about not in self._own:
            self._own[about] = made(self.calculator, about)
        return self._own[about]


class Held:
    """A calculator made of the one that an ASE `Atoms` object holds, for that molecule alone.

    Charges, magnetic moments and whatever else the object carries are kept. The last point asked
    for is what the calculator's own cache holds. Before each point the attributes that the
    calculator had at first are put back, but for whole numbers, which may count its calls.

    Args:
        atoms: the molecule with its calculator.
        displacement: of the central differences, in A, where it has no Hessian of its own.
    """

    def __init__(self, atoms: ase.Atoms, *, displacement: float = DISPLACEMENT) -> None:
        self.atoms = atoms
        self.displacement = displacement
        self._held = Unused(atoms.calc)

    @property
    def name(self) -> str:
        """The name of the calculator's class."""
        return type(self.atoms.calc).__name__

    @property
    def is_hessian_costly(self) -> bool:
        """Whether it takes differences, not having its own."""
        return not self.has_hessian

    @property
    def has_hessian(self) -> bool:
        """Whether it has Hessians of its own."""
        return _has_hessian(self.atoms.calc)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one geometry after the other."""
        return one_by_one(batch, hessian, self.name, lambda i: self._compute(batch, i, hessian))

    def _compute(self, batch: Batch, i: int, hessian: bool) -> Computed:
        if self._held.source is not self.atoms.calc:  # another one was attached meanwhile
            self._held = Unused(self.atoms.calc)
        self._held.follow()
        moved = self.atoms.copy()
        moved.positions = batch.system(i)[1]
        return _computed(self._held, moved, hessian, self.displacement, moving(batch, i))


def _computed(
    unused: Unused, atoms: ase.Atoms, hessian: bool, displacement: float, moving: np.ndarray
) -> Computed:
    """Energy, forces and Hessian of one molecule; the differences first, to end where it is."""
    is_own = _has_hessian(unused.source)
    curvature = None
    if hessian and not is_own:
        curvature = _differences(unused, atoms, displacement, moving)
    with unused.taken() as source:
        energy = float(source.get_property(_energy_name(source), atoms))
        forces = _forces(source, atoms)
        if hessian and is_own:
            curvature = _own_hessian(source, atoms)
    return energy, forces, curvature


def _has_hessian(source: Any) -> bool:
    return "hessian" in getattr(source, "implemented_properties", ()) or hasattr(
        source, "get_hessian"
    )


def _own_hessian(source: Any, atoms: ase.Atoms) -> np.ndarray:
    n = 3 * len(atoms)
    if "hessian" in getattr(source, "implemented_properties", ()):
        return np.array(source.get_property("hessian", atoms), dtype=float).reshape(n, n)
    return np.array(source.get_hessian(atoms), dtype=float).reshape(n, n)


def _forces(source: Any, atoms: ase.Atoms) -> np.ndarray:
    return np.array(source.get_property("forces", atoms), dtype=float)


def _again(calculator: str, options: dict[str, Any], displacement: float, workers: int = 1) -> Ase:
    return Ase(calculator, options, displacement=displacement, workers=workers)


def _differences(
    unused: Unused, atoms: ase.Atoms, displacement: float, moving: np.ndarray
) -> np.ndarray:
    """The Hessian in eV/A^2 by central differences, each side by an unused calculator."""

    def forces_at(positions: np.ndarray) -> np.ndarray:
        moved = atoms.copy()
        moved.positions = positions
        with unused.taken() as source:
            return _forces(source, moved)

    return central_differences(forces_at, atoms.positions, displacement, moving)


def _energy_name(source: Any) -> str:
    """The energy whose derivative the forces are: the free energy where electrons are smeared."""
    return "free_energy" if "free_energy" in source.implemented_properties else "energy"


def _build(settings: CalculatorSettings) -> Ase:
    if settings.ase_calculator is None:
        raise InputError(
            f"ase_calculator: not given; expected MODULE:NAME, e.g. {', '.join(KNOWN)}"
        )
    return Ase(
        settings.ase_calculator,
        settings.ase_options,
        displacement=settings.ase_displacement,
        workers=settings.ase_workers,
    )


def _variants(settings: CalculatorSettings) -> list[Options]:
    given: list[Options] = [{}] if settings.ase_calculator else []
    return given + [{"ase_calculator": path, "ase_options": {}} for path in found()]


KIND = Kind(
    name="ase",
    doc="any ASE calculator by its import path, with its own Hessians or by differences; "
    f"found here: {', '.join(found())}",
    needs="its package, e.g. pip install 'gadlib[tblite]'; --ase-calculator, --ase-options",
    build=_build,
    lacks=lambda settings: refusal(_build, settings) if settings.ase_calculator else [],
    detail="ase_calculator",
    packages=("tblite",),
    variants=_variants,
)
