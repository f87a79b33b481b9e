"""Entropies and enthalpies of gases against published ones."""

import math

import pytest
from ase import units
from ase.build import molecule
from faulty import Springs

from gadlib import calculators
from gadlib.molecules.reactions import read
from gadlib.paths.barriers import eyring_rate
from gadlib.paths.thermochemistry import ideal_gas, thermochemistry
from gadlib.settings.reading import InputError

J_PER_MOL_K = units.kJ / units.mol / 1000
# Fundamentals in cm-1 (Shimanouchi, NSRDS-NBS 39 (1972)); standard entropies at 298.15 K and 1 bar
# in J/(mol K) (Cox, Wagman, Medvedev, CODATA Key Values for Thermodynamics (1989), and for CH4
# Chase, NIST-JANAF Thermochemical Tables (1998)).
KNOWN = {
    "H2O": ([1595, 3657, 3756], 188.835),
    "N2": ([2359], 191.609),
    "CO2": ([667, 667, 1333, 2349], 213.785),
    "NH3": ([950, 1627, 1627, 3337, 3444, 3444], 192.77),
    "CH4": ([1306] * 3 + [1534] * 2 + [2917] + [3019] * 3, 186.25),
    "CO": ([2143], 197.660),
}


def of(name, wavenumbers, **changes):
    atoms = molecule(name)
    return ideal_gas(atoms.numbers, atoms.positions, -1.5, wavenumbers, **changes)


@pytest.mark.parametrize("name", KNOWN)
def test_entropy_of_a_gas_is_the_published_one(name):
    wavenumbers, entropy = KNOWN[name]
    found = of(name, wavenumbers, pressure_pa=1e5)
    assert found.entropy / J_PER_MOL_K == pytest.approx(entropy, abs=0.5)


def test_triplet_oxygen_has_the_entropy_of_its_spin():
    # CODATA: 205.152 J/(mol K); fundamental 1556 cm-1.
    found = of("O2", [1556], pressure_pa=1e5, multiplicity=3)
    assert found.entropy / J_PER_MOL_K == pytest.approx(205.152, abs=0.5)


def test_enthalpy_is_energy_and_zero_point_and_what_heats_the_gas():
    wavenumbers, _ = KNOWN["H2O"]
    found = of("H2O", wavenumbers)
    assert found.zero_point == pytest.approx(sum(wavenumbers) / 2 * units.invcm)
    # H(298.15 K) - H(0) of water vapour: 9.905 kJ/mol (CODATA).
    heat = (found.enthalpy - found.energy - found.zero_point) / (units.kJ / units.mol)
    assert heat == pytest.approx(9.905, abs=0.02)
    assert found.gibbs == pytest.approx(found.enthalpy - 298.15 * found.entropy)


def test_imaginary_mode_is_left_out_and_counted():
    wavenumbers, _ = KNOWN["NH3"]
    saddle = of("NH3", [-950.0, *wavenumbers[1:]])
    assert saddle.n_imaginary == 1
    assert saddle.zero_point == pytest.approx(sum(wavenumbers[1:]) / 2 * units.invcm)


def test_soft_vibrations_are_stiffened_in_the_entropy_alone():
    plain = of("H2O", [20.0, 3657, 3756], soft_cm1=0.0)
    stiff = of("H2O", [20.0, 3657, 3756])
    same = of("H2O", [100.0, 3657, 3756], soft_cm1=0.0)
    assert (plain.n_stiffened, stiff.n_stiffened) == (0, 1)
    assert stiff.entropy == pytest.approx(same.entropy)
    assert stiff.enthalpy == pytest.approx(plain.enthalpy)


def test_symmetry_number_is_counted_or_given():
    wavenumbers, _ = KNOWN["NH3"]
    assert of("NH3", wavenumbers).symmetry_number == 3
    given = of("NH3", wavenumbers, symmetry=1)
    gained = units.kB * math.log(3)
    assert given.entropy - of("NH3", wavenumbers).entropy == pytest.approx(gained)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"temperature_k": 0.0}, "temperature = 0: expected more than 0"),
        ({"temperature_k": math.nan}, "temperature = nan: expected more than 0"),
        ({"pressure_pa": -1.0}, "pressure = -1: expected more than 0"),
        ({"wavenumbers": [1595.0]}, "1 vibrations of a nonlinear molecule of 3 atoms: expected 3"),
    ],
    ids=str,
)
def test_what_has_no_thermochemistry_is_refused(changes, expected):
    wavenumbers = changes.pop("wavenumbers", KNOWN["H2O"][0])
    with pytest.raises(InputError, match=expected):
        of("H2O", wavenumbers, **changes)


def test_rate_over_a_barrier_is_eyrings_with_wigners_factor():
    # k_B T / h at 298.15 K is 6.2124e12 1/s; 1 kcal/mol slows by 5.41.
    assert eyring_rate(0.0, 0.0) == pytest.approx(6.2124e12, rel=1e-4)
    ratio = eyring_rate(0.0, 0.0) / eyring_rate(units.kcal / units.mol, 0.0)
    assert ratio == pytest.approx(5.407, abs=0.01)
    # h c nu / k_B T of 1000 cm-1 is 4.8257, so kappa is 1.9703.
    assert eyring_rate(0.0, -1000.0) / eyring_rate(0.0, 0.0) == pytest.approx(1.9703, abs=1e-3)


def test_barrier_of_a_reaction_at_a_temperature():
    pytest.importorskip("scine_sparrow")
    (reaction,) = read(split="test", max_samples=1)
    calculator = calculators.get("scine")
    saddle, start = (
        thermochemistry(reaction.atomic_numbers, positions, calculator)
        for positions in (reaction.transition_state, reaction.reactant)
    )
    assert (saddle.n_imaginary, start.n_imaginary) == (1, 0)
    # What breaks at a saddle has lost most of its zero-point energy.
    assert 0.0 < start.zero_point - saddle.zero_point < 0.3
    barrier = saddle.energy - start.energy
    assert saddle.gibbs - start.gibbs == pytest.approx(barrier, abs=0.4)


def test_point_that_can_not_be_computed_is_refused_with_the_reason():
    atoms = molecule("NH3")
    with pytest.raises(InputError, match=r"a point that can't be computed \(.*nitrogen"):
        thermochemistry(atoms.numbers, atoms.positions, Springs("raises"))
