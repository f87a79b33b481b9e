"""The house units, and the few factors that lead out of them.

Lengths in angstrom, energies in eV, masses in amu; hence forces in eV/A, Hessians in eV/A^2,
eigenvalues of a mass-weighted Hessian in eV/(A^2 amu).
"""

import math

from ase import units

EV_PER_HARTREE: float = units.Hartree
ANGSTROM_PER_BOHR: float = units.Bohr

_RAD_PER_S = math.sqrt(units._e / (units._amu * 1e-20))
CM1_PER_SQRT_EIGENVALUE: float = _RAD_PER_S / (2 * math.pi * units._c * 100)
"""Wavenumber in cm-1 of an eigenvalue of 1 eV/(A^2 amu), about 521.47."""


def frequency_cm1(eigenvalue: float) -> float:
    """The wavenumber in cm-1 of an eigenvalue in eV/(A^2 amu); an imaginary one is negative."""
    return math.copysign(CM1_PER_SQRT_EIGENVALUE * math.sqrt(abs(eigenvalue)), eigenvalue)
