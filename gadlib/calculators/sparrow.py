"""SCINE Sparrow: semi-empirical energies, forces and Hessians on one CPU core.

Sparrow holds the interpreter's lock while it computes and ends the whole process on NaN
coordinates; so positions are checked here, before every call, and parallelism is by process,
elsewhere. A Sparrow object that is used again begins its SCF with the density of the last geometry,
and may end in another solution, eV away; so where there is an SCF each geometry gets an object of
its own.

References: Husch, Vaucher, Reiher, Int. J. Quantum Chem. 118, e25799 (2018), doi:10.1002/qua.25799;
Bosia et al., J. Chem. Phys. 158, 054118 (2023), doi:10.1063/5.0136404.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from scipy.spatial.transform import Rotation

from gadlib.calculators.failures import blanked, impossible
from gadlib.calculators.kind import Kind
from gadlib.evaluation import Evaluation
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch
from gadlib.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

METHODS = ("DFTB0", "DFTB2", "DFTB3", "PM6", "AM1", "RM1", "MNDO")

_KEPT_MOLECULES = 256
_NDDO = ("PM6", "AM1", "RM1", "MNDO")
_WITHOUT_SCF = ("DFTB0",)
_Electrons = tuple[int, int]  # charge and multiplicity
_NEUTRAL = (0, 1)
_APART = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
_GRADIENT_UNIT = EV_PER_HARTREE / ANGSTROM_PER_BOHR
_HESSIAN_UNIT = EV_PER_HARTREE / ANGSTROM_PER_BOHR**2


class Sparrow:
    """A calculator of one semi-empirical method; pickled, it is built anew in each process.

    Raises:
        ImportError: when scine-sparrow is not installed.
        InputError: when the method is not one of `METHODS`.
    """

    is_hessian_costly = True  # about a gradient for each coordinate

    def __init__(self, functional: str = "DFTB0") -> None:
        if functional not in METHODS:
            raise InputError(
                f"scine functional {functional!r}: expected one of {', '.join(METHODS)}"
            )
        _import_scine()
        self.name = self.functional = functional
        # Bonds parallel to z have wrong forces in the NDDO methods: these see the molecule turned.
        self._turn = _turn_off_axes() if functional in _NDDO else np.eye(3)
        self._calculators: OrderedDict[tuple[bytes, _Electrons], Any] = OrderedDict()

    def __reduce__(self) -> tuple:
        return Sparrow, (self.functional,)

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why molecules of this charge and multiplicity can't be computed; empty where they can.

        A method without self-consistency has no spin: it would give a triplet the energy of the
        singlet, without a word.
        """
        if multiplicity == 1 or self.functional not in _WITHOUT_SCF:
            return ""
        others = ", ".join(method for method in METHODS if method not in _WITHOUT_SCF)
        return (
            f"{self.functional} knows no unpaired electrons and the multiplicity is {multiplicity};"
            f" expected 1 (is a charge missing?), or one of {others}"
        )

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one molecule after the other."""
        size, width = batch.positions.shape[:2]
        energy = np.zeros(size)
        forces = np.zeros((size, width, 3))
        second = np.zeros((size, 3 * width, 3 * width)) if hessian else None
        failures = {i: f"{self.functional}: {reason}" for i, reason in impossible(batch).items()}
        all_numbers, all_positions = (
            batch.atomic_numbers.cpu().numpy(),
            batch.positions.cpu().numpy(),
        )
        electrons = list(zip(batch.charges.tolist(), batch.multiplicities.tolist(), strict=True))
        failures |= {i: reason for i, of in enumerate(electrons) if (reason := self.refuses(*of))}
        for i, n in enumerate(batch.n_atoms.tolist()):
            if i in failures:
                continue
            numbers, positions = all_numbers[i, :n], all_positions[i, :n]
            try:
                result = self._compute(numbers, electrons[i], positions, hessian)
            except (RuntimeError, ValueError) as error:  # Sparrow's own errors are RuntimeErrors
                failures[i] = f"{self.functional}: {error}"
                continue
            energy[i] = result.energy * EV_PER_HARTREE
            forces[i, :n] = result.gradients @ self._turn.T * -_GRADIENT_UNIT
            if second is not None:
                turn = np.kron(np.eye(n), self._turn)
                second[i, : 3 * n, : 3 * n] = turn @ result.hessian @ turn.T * _HESSIAN_UNIT
        device = batch.positions.device
        found = Evaluation(
            torch.from_numpy(energy).to(device),
            torch.from_numpy(forces).to(device),
            None if second is None else torch.from_numpy(second).to(device),
            failures,
        )
        return blanked(found, batch)

    def unsupported(self, atomic_numbers: set[int]) -> dict[int, str]:
        """The elements that the method has no parameters for, each with Sparrow's own reason."""
        reasons = {}
        for z in sorted(atomic_numbers):
            try:
                self._compute(np.array([z, z]), _NEUTRAL, _APART, hessian=False)
            except RuntimeError as error:
                reasons[z] = str(error)
        return reasons

    def _compute(
        self, numbers: np.ndarray, electrons: _Electrons, positions: np.ndarray, hessian: bool
    ) -> Any:
        utilities = _import_scine()
        reused = self.functional in _WITHOUT_SCF
        calculator = (self._kept if reused else self._made)(numbers, electrons)
        wanted = [utilities.Property.Energy, utilities.Property.Gradients]
        calculator.set_required_properties(wanted + [utilities.Property.Hessian] * hessian)
        calculator.positions = positions @ self._turn / ANGSTROM_PER_BOHR
        return calculator.calculate()

    def _kept(self, numbers: np.ndarray, electrons: _Electrons) -> Any:
        """One Sparrow calculator per molecule, used again: building one costs two gradients."""
        key = numbers.tobytes(), electrons
        if key in self._calculators:
            self._calculators.move_to_end(key)
            return self._calculators[key]
        calculator = self._calculators[key] = self._made(numbers, electrons)
        if len(self._calculators) > _KEPT_MOLECULES:
            self._calculators.popitem(last=False)
        return calculator

    def _made(self, numbers: np.ndarray, electrons: _Electrons) -> Any:
        """A Sparrow calculator that has computed nothing yet, its atoms anywhere.

        Electrons are told before the atoms, whose setting begins the calculation. Where they are
        unpaired, Sparrow's own choice is the unrestricted calculation.
        """
        utilities = _import_scine()
        calculator = utilities.core.ModuleManager.get_instance().get("calculator", self.functional)
        calculator.log = utilities.core.Log.silent()
        charge, multiplicity = electrons
        calculator.settings["molecular_charge"] = charge
        calculator.settings["spin_multiplicity"] = multiplicity
        elements = [_element(z) for z in numbers.tolist()]
        apart = np.arange(3 * len(numbers), dtype=float).reshape(-1, 3)
        calculator.structure = utilities.AtomCollection(elements, apart)
        return calculator


def _turn_off_axes() -> np.ndarray:
    return Rotation.from_rotvec([0.7, -0.4, 0.2]).as_matrix()


@lru_cache(maxsize=128)
def _element(atomic_number: int) -> Any:
    return _import_scine().ElementInfo.element_from_symbol(chemical_symbols[atomic_number])


def _import_scine() -> Any:
    try:
        import scine_sparrow  # noqa: F401 - registers its methods with scine_utilities
        import scine_utilities
    except ImportError as error:
        raise ImportError(
            "the scine calculator needs scine-sparrow"
            " (pip install scine-sparrow; Python 3.10-3.12 on Linux x86-64)"
        ) from error
    return scine_utilities


KIND = Kind(
    name="scine",
    doc=f"SCINE Sparrow, semi-empirical, CPU: {', '.join(METHODS)} (--scine-functional)",
    needs="pip install scine-sparrow (Python 3.10-3.12, Linux x86-64)",
    build=lambda settings: Sparrow(settings.scine_functional),
    is_quick=True,
    detail="scine_functional",
    packages=("scine-sparrow", "scine-utilities"),
    variants=lambda _: [{"scine_functional": method} for method in METHODS],
)
