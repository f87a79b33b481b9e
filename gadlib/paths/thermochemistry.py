"""What a molecule, and a barrier, are at a temperature: zero-point energy, enthalpy, Gibbs energy.

Ideal gas, rigid rotor, harmonic oscillators, as ASE computes them. Vibrations below 100 cm-1 are
taken as 100 cm-1 where entropy is concerned, since harmonic entropies of soft modes have no limit
(Ribeiro, Marenich, Cramer, Truhlar, J. Phys. Chem. B 115, 14556 (2011), doi:10.1021/jp205508z).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.thermochemistry import IdealGasThermo

from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.vibrations import Vibrations, vibrations_of
from gadlib.molecules.symmetry import is_linear, symmetry_number
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

TEMPERATURE_K = 298.15
PRESSURE_PA = 101325.0
SOFT_CM1 = 100.0
"""Vibrations below count as so much in the entropy (see above)."""


@dataclass(frozen=True)
class Conditions:
    """Where thermochemistry is asked for.

    Attributes:
        temperature_k: in K.
        pressure_pa: in Pa.
        symmetry: the rotational symmetry number; None: counted from each geometry.
    """

    temperature_k: float = TEMPERATURE_K
    pressure_pa: float = PRESSURE_PA
    symmetry: int | None = None


@dataclass(frozen=True)
class Thermochemistry:
    """A molecule as an ideal gas; energies in eV, absolute as the potential's.

    Attributes:
        energy: of the potential.
        zero_point: half a quantum in each vibration.
        enthalpy, gibbs: at the temperature and pressure.
        entropy: in eV/K, with soft vibrations stiffened.
        temperature_k, pressure_pa: where.
        symmetry_number: by which rotational entropy was divided.
        n_imaginary: vibrations left out, since they are imaginary: one at a saddle.
        n_stiffened: vibrations that count as `SOFT_CM1` in the entropy.
        multiplicity: of the electrons, whose entropy is k ln of it.
        is_symmetry_given: whether the symmetry number was given, not counted from the geometry.
        wavenumbers_cm1: of all vibrations; imaginary ones are negative.
        reduced_masses: of these in amu, as far as they are known.
    """

    energy: float
    zero_point: float
    enthalpy: float
    gibbs: float
    entropy: float
    temperature_k: float
    pressure_pa: float
    symmetry_number: int
    n_imaginary: int
    n_stiffened: int
    multiplicity: int = 1
    is_symmetry_given: bool = False
    wavenumbers_cm1: list[float] = field(default_factory=list)
    reduced_masses: list[float] = field(default_factory=list)


def thermochemistry(
    atomic_numbers: Sequence[int] | np.ndarray,
    positions: Sequence[Sequence[float]] | np.ndarray,
    calculator: Calculator,
    *,
    temperature_k: float = TEMPERATURE_K,
    pressure_pa: float = PRESSURE_PA,
    symmetry: int | None = None,
    charge: int = 0,
    multiplicity: int = 1,
) -> Thermochemistry:
    """The thermochemistry of a stationary point, from one exact Hessian computed there.

    `n_imaginary` tells what it is: 0 of a minimum, 1 of a saddle.

    Args:
        atomic_numbers: (N,), as in a `Record`.
        positions: (N, 3), in A.
        calculator: the potential.
        temperature_k: in K.
        pressure_pa: in Pa.
        symmetry: the rotational symmetry number; None: counted from the geometry.
        charge: in e.
        multiplicity: 2S + 1.

    Raises:
        InputError: when the point can't be computed, or temperature or pressure is not above 0.
    """
    batch = Batch.pack(
        [np.asarray(positions)],
        [np.asarray(atomic_numbers)],
        charges=[charge],
        multiplicities=[multiplicity],
    )
    evaluation, _ = evaluate(calculator, batch, hessian=True)
    if evaluation.failures or evaluation.hessian is None:
        raise InputError(
            "no thermochemistry of a point that can't be computed"
            f" ({evaluation.failures.get(0, 'the calculator gave no Hessian')})"
        )
    (vibrations,) = vibrations_of(batch, evaluation.hessian, evaluation.forces)
    return gas_of(
        atomic_numbers,
        positions,
        float(evaluation.energy[0]),
        vibrations,
        Conditions(temperature_k, pressure_pa, symmetry),
        multiplicity=multiplicity,
    )


def gas_of(
    atomic_numbers: Sequence[int] | np.ndarray,
    positions: Sequence[Sequence[float]] | np.ndarray,
    energy: float,
    vibrations: Vibrations,
    conditions: Conditions,
    *,
    multiplicity: int = 1,
) -> Thermochemistry:
    """The thermochemistry of a stationary point whose vibrations are known, as `ideal_gas`."""
    found = ideal_gas(
        atomic_numbers,
        positions,
        energy,
        vibrations.wavenumbers_cm1,
        temperature_k=conditions.temperature_k,
        pressure_pa=conditions.pressure_pa,
        multiplicity=multiplicity,
        symmetry=conditions.symmetry,
    )
    return replace(found, reduced_masses=vibrations.reduced_masses)


def ideal_gas(
    atomic_numbers: Sequence[int] | np.ndarray,
    positions: Sequence[Sequence[float]] | np.ndarray,
    energy: float,
    wavenumbers_cm1: Sequence[float],
    *,
    temperature_k: float = TEMPERATURE_K,
    pressure_pa: float = PRESSURE_PA,
    multiplicity: int = 1,
    symmetry: int | None = None,
    soft_cm1: float = SOFT_CM1,
) -> Thermochemistry:
    """The thermochemistry of a minimum, or of a saddle, whose imaginary mode is left out.

    Args:
        atomic_numbers: (N,).
        positions: (N, 3), in A.
        energy: of the potential, in eV.
        wavenumbers_cm1: of all vibrations; imaginary ones are negative.
        temperature_k: in K.
        pressure_pa: in Pa.
        multiplicity: 2S + 1 of the electrons; their entropy is k ln(2S + 1).
        symmetry: the rotational symmetry number; None: counted from the geometry.
        soft_cm1: vibrations below count as so much in the entropy; 0 leaves all as they are.

    Raises:
        InputError: when temperature or pressure is not above 0, or the vibrations are fewer or more
            than the molecule has.
    """
    atoms = Atoms(numbers=np.asarray(atomic_numbers), positions=np.asarray(positions))
    geometry = _require_gas(atoms, wavenumbers_cm1, temperature_k, pressure_pa)
    is_given = symmetry is not None
    if symmetry is None:
        symmetry = symmetry_number(atoms.numbers, atoms.positions)
    real = [x for x in wavenumbers_cm1 if x > 0]
    gas: dict[str, Any] = {
        "geometry": geometry,
        "atoms": atoms,
        "symmetrynumber": symmetry,
        "spin": (multiplicity - 1) / 2,
        "vib_selection": "all",
    }
    quanta = [x * units.invcm for x in real]
    thermo = IdealGasThermo(quanta, potentialenergy=energy, **gas)
    stiff = IdealGasThermo([max(x, soft_cm1) * units.invcm for x in real], **gas)
    enthalpy = thermo.get_enthalpy(temperature_k, verbose=False)
    entropy = stiff.get_entropy(temperature_k, pressure_pa, verbose=False)
    return Thermochemistry(
        energy=energy,
        zero_point=sum(quanta) / 2,
        enthalpy=enthalpy,
        gibbs=enthalpy - temperature_k * entropy,
        entropy=entropy,
        temperature_k=temperature_k,
        pressure_pa=pressure_pa,
        symmetry_number=symmetry,
        n_imaginary=len(wavenumbers_cm1) - len(real),
        n_stiffened=sum(x < soft_cm1 for x in real),
        multiplicity=multiplicity,
        is_symmetry_given=is_given,
        wavenumbers_cm1=list(wavenumbers_cm1),
    )


def _require_gas(
    atoms: Atoms, wavenumbers_cm1: Sequence[float], temperature_k: float, pressure_pa: float
) -> str:
    """What ASE calls the shape of the molecule.

    Where a chain is all but straight, the number of its vibrations says which it was taken for.

    Raises:
        InputError: when temperature or pressure is not above 0, or vibrations lack or are too many.
    """
    for name, value in (("temperature", temperature_k), ("pressure", pressure_pa)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} = {value:g}: expected more than 0")
    n, found = len(atoms), len(wavenumbers_cm1)
    if n == 1:
        geometry, wanted = "monatomic", 0
    elif n == 2 or found == 3 * n - 5 or is_linear(atoms.positions):
        geometry, wanted = "linear", 3 * n - 5
    else:
        geometry, wanted = "nonlinear", 3 * n - 6
    if found != wanted:
        raise InputError(
            f"{found} vibrations of a {geometry} molecule of {n} atoms: expected {wanted}"
        )
    return geometry
