import math

import pytest

from gadlib import units

# CODATA 2018. ASE's own are of 2014, up to 8e-9 away.
ELEMENTARY_CHARGE = 1.602176634e-19
ATOMIC_MASS = 1.66053906660e-27
RAD_PER_S_PER_CM1 = 2 * math.pi * 299792458 * 100


def test_one_house_eigenvalue_is_521_wavenumbers():
    expected = math.sqrt(ELEMENTARY_CHARGE / (ATOMIC_MASS * 1e-20)) / RAD_PER_S_PER_CM1
    assert pytest.approx(expected, rel=1e-8) == units.CM1_PER_SQRT_EIGENVALUE


def test_hydrogen_chloride_vibrates_at_its_published_wavenumber():
    # Huber, Herzberg, Constants of Diatomic Molecules (1979), doi:10.1007/978-1-4757-0961-2:
    # omega_e of 1H35Cl is 2990.946 cm-1, hence by mu omega^2 a force constant of 516.31 N/m.
    reduced_mass = 1.007825 * 34.968853 / (1.007825 + 34.968853)
    newton_per_m = reduced_mass * ATOMIC_MASS * (2990.946 * RAD_PER_S_PER_CM1) ** 2
    assert newton_per_m == pytest.approx(516.31, abs=5e-3)
    force_constant = newton_per_m / (ELEMENTARY_CHARGE * 1e20)
    assert units.frequency_cm1(force_constant / reduced_mass) == pytest.approx(2990.946, rel=1e-8)


def test_imaginary_frequencies_are_negative_and_zero_stays_zero():
    assert units.frequency_cm1(-4.0) == -units.frequency_cm1(4.0) < 0
    assert units.frequency_cm1(0.0) == 0


def test_hartree_and_bohr_are_codata():
    assert pytest.approx(27.211386245988, rel=1e-8) == units.EV_PER_HARTREE
    assert pytest.approx(0.529177210903, rel=1e-8) == units.ANGSTROM_PER_BOHR
