"""Barriers between the ends of a path and its saddle, and the rates across them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ase import units

from gadlib.paths.thermochemistry import TEMPERATURE_K, Thermochemistry

_KELVIN_PER_CM1 = units._hplanck * units._c * 100 / units._k


@dataclass(frozen=True)
class Barrier:
    """What lies between an end of a path and its saddle, in eV.

    Attributes:
        energy: of the potential alone; `zero_point` with the zero-point energies.
        enthalpy, gibbs: at the temperature and pressure.
        tunnelling: Wigner's factor in the rate.
        rate: Eyring's in 1/s, for one molecule that rearranges: an estimate. None where the Gibbs
            energy does not rise.
    """

    energy: float
    zero_point: float
    enthalpy: float
    gibbs: float
    tunnelling: float
    rate: float | None


def barrier_between(end: Thermochemistry, saddle: Thermochemistry) -> Barrier:
    """The barrier from an end of a path to its saddle, both at the same conditions."""
    gibbs, temperature_k = saddle.gibbs - end.gibbs, end.temperature_k
    imaginary = -min(saddle.wavenumbers_cm1, default=0.0)
    return Barrier(
        energy=saddle.energy - end.energy,
        zero_point=saddle.energy + saddle.zero_point - end.energy - end.zero_point,
        enthalpy=saddle.enthalpy - end.enthalpy,
        gibbs=gibbs,
        tunnelling=wigner_factor(imaginary, temperature_k),
        rate=eyring_rate(gibbs, imaginary, temperature_k) if gibbs > 0 else None,
    )


def wigner_factor(imaginary_cm1: float, temperature_k: float = TEMPERATURE_K) -> float:
    """By how much tunnelling speeds a reaction up: 1 + (h c nu / k_B T)^2 / 24.

    Wigner, Z. Phys. Chem. B 19, 203 (1932). It holds where it is near 1.
    """
    return 1 + (_KELVIN_PER_CM1 * imaginary_cm1 / temperature_k) ** 2 / 24


def eyring_rate(
    gibbs_barrier: float, imaginary_cm1: float, temperature_k: float = TEMPERATURE_K
) -> float:
    """The rate constant over a barrier, in 1/s: an estimate, for one molecule that rearranges.

    k = kappa (k_B T / h) exp(-dG / k_B T) with `wigner_factor` kappa: Eyring, J. Chem. Phys. 3, 107
    (1935), doi:10.1063/1.1749604.

    Args:
        gibbs_barrier: in eV.
        imaginary_cm1: the wavenumber of the imaginary mode, whatever its sign.
        temperature_k: in K.
    """
    attempts = units._k * temperature_k / units._hplanck
    slowed = math.exp(-gibbs_barrier / (units.kB * temperature_k))
    return wigner_factor(imaginary_cm1, temperature_k) * attempts * slowed
