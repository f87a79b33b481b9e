"""PySCF: Hartree-Fock and density functional theory with analytic forces, on the CPU.

The density of the last points of a molecule is the first guess of a point near one of them, so that
a search stays on one solution of the SCF. Where there is none near, the solution found is checked
for stability, and left for a lower one where it is none. What `fresh` returns compares that with
the stable solution below the one that was carried, and says the lower one; `adopt` goes on from it.
Singlets are restricted, others unrestricted.

Reference: Sun et al., J. Chem. Phys. 153, 024109 (2020), doi:10.1063/5.0006074.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from gadlib.calculators.kind import Kind
from gadlib.calculators.one_by_one import Computed, central_differences, moving, one_by_one
from gadlib.calculators.pyscf_methods import (
    has_core,
    has_functions,
    is_meta_gga,
    parts,
    program,
)
from gadlib.calculators.pyscf_scf import can_rotate, lower, solved
from gadlib.evaluation import Evaluation
from gadlib.settings.calculators import DISPLACEMENT
from gadlib.systems.batch import Batch
from gadlib.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

NEAR_A = 0.3
"""How far no atom may be from where it was, for the density of then to be the first guess (A).

Steps of a search are shorter; so are those of the differences of a Hessian."""

CONVERGED_HARTREE = 1e-11
"""Change of the energy at which an SCF has converged."""

CONVERGED_GRADIENT = 1e-7
"""Its orbital gradient then. With 1e-6, forces of C4H6 depend on the first guess by 1e-5 eV/A, with
this by less than 1e-6, for two cycles more of 16; a cycle costs a fiftieth of a gradient."""

_KEPT_POINTS = 64
_MAX_CYCLES = 60
_GRADIENT_UNIT = EV_PER_HARTREE / ANGSTROM_PER_BOHR
_HESSIAN_UNIT = EV_PER_HARTREE / ANGSTROM_PER_BOHR**2

_Key = tuple[bytes, int, int]  # atomic numbers, charge, multiplicity


class _Point(NamedTuple):
    key: _Key
    positions: np.ndarray
    density: np.ndarray
    line: int
    """Which points it is one of, each the first guess of the next."""


class Pyscf:
    """A calculator of one method in one basis; pickled, it begins anew in each process.

    Args:
        method: HF or a functional, a slash, and the basis, as in B3LYP/def2-SVP.
        threads: of PySCF; by default one, or what OMP_NUM_THREADS says.
        displacement: of the central differences, in A, where PySCF's own Hessian can't be used.

    Raises:
        ImportError: when PySCF, or what the functional needs beside it, is not installed.
        InputError: when PySCF does not know the functional or the basis.
    """

    is_hessian_costly = True  # some ten gradients

    def __init__(
        self,
        method: str = "HF/3-21G",
        *,
        threads: int | None = None,
        displacement: float = DISPLACEMENT,
    ) -> None:
        self.name = self.method = method
        self.threads = threads
        self.displacement = displacement
        self.functional, self.basis = parts(method)
        self._points: OrderedDict[int, _Point] = OrderedDict()
        self._n_computed = 0
        self._carried: Pyscf | None = None

    @property
    def has_hessian(self) -> bool:
        """Whether PySCF's own Hessian can be trusted, so that there need be no differences.

        That of meta-GGAs is off by 4 eV/A^2 for water in r2SCAN/3-21G, B3LYP's by 0.01.
        """
        return self.functional == "HF" or not is_meta_gga(self.functional)

    def __reduce__(self) -> tuple:
        return _again, (self.method, self.threads, self.displacement)

    def fresh(self) -> Pyscf:
        """The same, without any density: what it finds is stable, and no search led there.

        Unless what this one carries leads to a stable solution that is lower; then it says that.
        """
        other = _again(self.method, self.threads, self.displacement)
        other._carried = self
        return other

    def adopt(self, fresh: Pyscf) -> None:
        """Go on from what a fresh one has computed, in place of what was carried there."""
        for point in fresh._points.values():
            known = self._nearest(point.key, point.positions)
            if known is not None:
                rest = ((n, p) for n, p in self._points.items() if p.line != known.line)
                self._points = OrderedDict(rest)
            self._keep(point.key, point.positions, point.density)

    def carried(self, batch: Batch, i: int) -> np.ndarray | None:
        """The density at the point of a system, in a row; None where none was computed there."""
        key, positions = _key(batch, i), batch.system(i)[1]
        found = self._nearest(key, positions)
        is_there = found is not None and _distance(found, positions) == 0
        return found.density.ravel() if found is not None and is_there else None

    def carry(self, batch: Batch, i: int, positions: np.ndarray, density: np.ndarray) -> None:
        """Have a density, in a row, that was computed at a point of a system's molecule before.

        One of another basis is left.
        """
        numbers, here = batch.system(i)
        electrons = int(batch.charges[i]), int(batch.multiplicities[i])
        if positions.shape != here.shape or not np.isfinite(density).all():
            return
        n = int(_molecule(numbers, here, *electrons, self.basis).nao)
        shape = (n, n) if electrons[1] == 1 else (2, n, n)
        if density.size == np.prod(shape):
            self._keep(_key(batch, i), positions, density.reshape(shape))

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one molecule after the other."""
        is_said = self.threads is None and "OMP_NUM_THREADS" in os.environ
        with program().lib.with_omp_threads(None if is_said else self.threads or 1):
            return one_by_one(batch, hessian, self.name, lambda i: self._compute(batch, i, hessian))

    def unsupported(self, atomic_numbers: set[int]) -> dict[int, str]:
        """The elements that the basis has no functions for."""
        missing = [
            z for z in sorted(atomic_numbers) if not has_functions(self.basis, chemical_symbols[z])
        ]
        return dict.fromkeys(missing, f"the basis {self.basis} has no functions for it")

    def _compute(self, batch: Batch, i: int, hessian: bool) -> Computed:
        numbers, positions = batch.system(i)
        charge, multiplicity = int(batch.charges[i]), int(batch.multiplicities[i])
        key = _key(batch, i)

        def at(place: np.ndarray, density: np.ndarray | None) -> Any:
            molecule = _molecule(numbers, place, charge, multiplicity, self.basis)
            return solved(_mean_field(molecule, self.functional), density)

        near = self._near(key, positions)
        here = at(positions, None if near is None else near.density)
        carried = None if self._carried is None else self._carried._near(key, positions)
        if near is None and carried is not None:
            here = lower(here, at(positions, carried.density))
        density = here.make_rdm1()
        self._keep(key, positions.copy(), density, near)
        curvature = None
        if hessian and self.has_hessian and can_rotate(here):
            curvature = _analytic(here, moving(batch, i))
        elif hessian:
            curvature = central_differences(
                lambda place: _forces(at(place, density)),
                positions,
                self.displacement,
                moving(batch, i),
            )
        return float(here.e_tot) * EV_PER_HARTREE, _forces(here), curvature

    def _near(self, key: _Key, positions: np.ndarray) -> _Point | None:
        """The nearest known point of this molecule, None where none is near."""
        nearest = self._nearest(key, positions)
        is_far = nearest is None or _distance(nearest, positions) > NEAR_A
        return None if is_far else nearest

    def _nearest(self, key: _Key, positions: np.ndarray) -> _Point | None:
        """The nearest known point of this molecule, the last one of several."""
        known = [point for point in reversed(self._points.values()) if point.key == key]
        return min(known, key=lambda point: _distance(point, positions), default=None)

    def _keep(
        self, key: _Key, positions: np.ndarray, density: np.ndarray, before: _Point | None = None
    ) -> None:
        self._n_computed += 1
        line = self._n_computed if before is None else before.line
        self._points[self._n_computed] = _Point(key, positions, density, line)
        if len(self._points) > _KEPT_POINTS:
            self._points.popitem(last=False)


def _key(batch: Batch, i: int) -> _Key:
    return batch.system(i)[0].tobytes(), int(batch.charges[i]), int(batch.multiplicities[i])


def _distance(point: _Point, positions: np.ndarray) -> float:
    """How far the atom is that is farthest from where it was, in A."""
    return float(np.linalg.norm(point.positions - positions, axis=1).max())


def _forces(mean_field: Any) -> np.ndarray:
    """Forces in eV/A; of a functional those of its grid too, else their sum is off by 1e-3."""
    gradient = mean_field.nuc_grad_method()
    if hasattr(gradient, "grid_response"):
        gradient.grid_response = True
    return -_GRADIENT_UNIT * gradient.kernel()


def _analytic(mean_field: Any, moves: np.ndarray) -> np.ndarray:
    """The Hessian in eV/A^2; zero where an atom does not move."""
    found = mean_field.Hessian().kernel().transpose(0, 2, 1, 3) * _HESSIAN_UNIT
    n = len(found)
    is_moving = np.repeat(np.isin(np.arange(n), moves), 3)
    whole = found.reshape(3 * n, 3 * n)
    return np.where(is_moving[:, None] & is_moving, (whole + whole.T) / 2, 0.0)


def _mean_field(molecule: Any, functional: str) -> Any:
    is_restricted = molecule.spin == 0
    if functional == "HF":
        found = (program().scf.RHF if is_restricted else program().scf.UHF)(molecule)
    else:
        found = (program().dft.RKS if is_restricted else program().dft.UKS)(molecule, xc=functional)
    found.conv_tol, found.conv_tol_grad = CONVERGED_HARTREE, CONVERGED_GRADIENT
    found.max_cycle = _MAX_CYCLES
    found.chkfile = None  # nothing to the disk
    return found


def _molecule(
    numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int, basis: str
) -> Any:
    symbols = [chemical_symbols[z] for z in numbers.tolist()]
    return program().gto.M(
        atom=list(zip(symbols, positions.tolist(), strict=True)),
        unit="Angstrom",
        charge=charge,
        spin=multiplicity - 1,
        basis=basis,
        ecp={symbol: basis for symbol in set(symbols) if has_core(basis, symbol)},
        verbose=0,
    )


def _again(method: str, threads: int | None, displacement: float) -> Pyscf:
    return Pyscf(method, threads=threads, displacement=displacement)


KIND = Kind(
    name="pyscf",
    doc="PySCF, Hartree-Fock and density functionals, CPU (--method HF/3-21G, B3LYP/def2-SVP, ...)",
    needs="pip install 'gadlib[pyscf]'",
    build=lambda settings: Pyscf(settings.method, threads=settings.threads),
    detail="method",
    packages=("pyscf",),
)
