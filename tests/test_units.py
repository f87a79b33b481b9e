import math

import pytest

from gadlib import units


def test_one_house_eigenvalue_is_521_wavenumbers():
    # CODATA 2018: e, atomic mass constant, c
    rad_per_s = math.sqrt(1.602176634e-19 / (1.66053906660e-27 * 1e-20))
    expected = rad_per_s / (2 * math.pi * 299792458 * 100)
    assert pytest.approx(expected, rel=1e-7) == units.CM1_PER_SQRT_EIGENVALUE


def test_hydrogen_chloride_vibrates_at_its_published_wavenumber():
    # Huber, Herzberg, Constants of Diatomic Molecules (1979): omega_e = 2990.946 cm-1, which with
    # the masses of 1H and 35Cl is a force constant of 516.3 N/m.
    force_constant = 516.3 / 16.02176634  # N/m to eV/A^2
    reduced_mass = 1.007825 * 34.968853 / (1.007825 + 34.968853)
    assert units.frequency_cm1(force_constant / reduced_mass) == pytest.approx(2990.946, abs=0.5)


def test_imaginary_frequencies_are_negative_and_zero_stays_zero():
    assert units.frequency_cm1(-4.0) == -units.frequency_cm1(4.0) < 0
    assert units.frequency_cm1(0.0) == 0


def test_hartree_and_bohr_are_codata():
    assert pytest.approx(27.211386, rel=1e-6) == units.EV_PER_HARTREE
    assert pytest.approx(0.529177211, rel=1e-6) == units.ANGSTROM_PER_BOHR
