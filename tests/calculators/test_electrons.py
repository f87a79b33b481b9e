"""Charge and multiplicity: what each calculator is told, and what comes of it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes

from gadlib.calculators import check, get, lacking
from gadlib.calculators.electrons import FAMILIES, atoms_for, options_for, refusal
from gadlib.calculators.hip.potential import Hip
from gadlib.evaluation import evaluate
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch
from gadlib.units import EV_PER_HARTREE

OXYGEN = (np.array([8, 8]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.21]]))
METHYLENE = molecule("CH2_s3B1d").numbers, molecule("CH2_s3B1d").positions
WATER = molecule("H2O").numbers, molecule("H2O").positions
HYDRONIUM = (
    np.array([8, 1, 1, 1]),
    np.array([[0, 0, 0.08], [0.94, 0, -0.21], [-0.47, 0.81, -0.21], [-0.47, -0.81, -0.21]]),
)
SPIN_POLARIZED = {"method": "GFN2-xTB", "spin_polarization": 1.0}


def energies(calculator, molecules):
    """The energies of (numbers, positions), charge, multiplicity."""
    shapes, charges, multiplicities = zip(*molecules, strict=True)
    numbers, positions = zip(*shapes, strict=True)
    batch = Batch.pack(positions, numbers, charges=charges, multiplicities=multiplicities)
    found, _ = evaluate(calculator, batch, hessian=False)
    assert not found.failures, found.failures
    return found.energy.tolist()


def sparrow_itself(method, shape, charge, multiplicity):
    """The energy in eV that Sparrow gives, asked without gadlib."""
    import scine_sparrow  # noqa: F401 - registers its methods
    import scine_utilities as su

    calculator = su.core.ModuleManager.get_instance().get("calculator", method)
    calculator.log = su.core.Log.silent()
    calculator.settings["molecular_charge"] = charge
    calculator.settings["spin_multiplicity"] = multiplicity
    symbols = Atoms(shape[0]).get_chemical_symbols()
    elements = [su.ElementInfo.element_from_symbol(symbol) for symbol in symbols]
    calculator.structure = su.AtomCollection(elements, shape[1] * su.BOHR_PER_ANGSTROM)
    calculator.set_required_properties([su.Property.Energy])
    return calculator.calculate().energy * EV_PER_HARTREE


@pytest.mark.parametrize("method", ["DFTB0", "DFTB2", "PM6"])
def test_sparrow_computes_an_ion_as_it_does_by_itself(method):
    found = energies(get("scine", functional=method), [(HYDRONIUM, 1, 1), (WATER, 0, 1)])
    # Sparrow sees the NDDO molecules turned, which changes their energies by rounding alone.
    expected = [sparrow_itself(method, HYDRONIUM, 1, 1), sparrow_itself(method, WATER, 0, 1)]
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [OXYGEN, METHYLENE], ids=["O2", "CH2"])
@pytest.mark.parametrize(
    "options",
    [
        {"name": "scine", "functional": "PM6"},
        {"name": "ase", "calculator": "tblite.ase:TBLite", "ase_options": SPIN_POLARIZED},
    ],
    ids=["PM6", "GFN2-xTB"],
)
def test_the_triplet_lies_below_the_singlet(options, shape):
    if options["name"] == "ase":
        pytest.importorskip("tblite")
    calculator = get(options["name"], **{k: v for k, v in options.items() if k != "name"})
    singlet, triplet = energies(calculator, [(shape, 0, 1), (shape, 0, 3)])
    assert triplet < singlet - 0.1


def test_dftb0_refuses_unpaired_electrons_instead_of_telling_the_singlet():
    calculator = get("scine", functional="DFTB0")
    batch = Batch.pack([OXYGEN[1]], [OXYGEN[0]], multiplicities=[3])
    found, _ = evaluate(calculator, batch, hessian=False)
    assert "DFTB0 knows no unpaired electrons" in found.failures[0]
    assert calculator.refuses(0, 3) in found.failures[0]
    assert not calculator.refuses(1, 1)


def test_a_kept_sparrow_calculator_is_not_used_for_another_charge():
    calculator = get("scine", functional="DFTB0")
    neutral, cation, again = energies(calculator, [(WATER, 0, 1), (WATER, 2, 1), (WATER, 0, 1)])
    assert neutral == again
    assert abs(cation - neutral) > 1


@pytest.mark.parametrize("functional", ["DFTB0", "PM6"])
def test_the_contract_holds_for_ions(functional):
    shapes = [HYDRONIUM, WATER]
    batch = Batch.pack([p for _, p in shapes], [z for z, _ in shapes], charges=[1, 2])
    check(get("scine", functional=functional), batch)


def test_tblite_computes_an_ion_and_a_radical_as_it_does_by_itself():
    tblite = pytest.importorskip("tblite.ase")
    methyl = molecule("CH3")
    found = energies(
        get("ase", calculator="tblite.ase:TBLite"),
        [(HYDRONIUM, 1, 1), ((methyl.numbers, methyl.positions), 0, 2)],
    )
    ion = Atoms(*HYDRONIUM, calculator=tblite.TBLite(charge=1, verbosity=0))
    methyl.calc = tblite.TBLite(multiplicity=2, verbosity=0)
    expected = [ion.get_potential_energy(), methyl.get_potential_energy()]
    assert found == pytest.approx(expected, abs=1e-6)


class Told(Calculator):
    """An energy of what the atoms say of their electrons, for one of no known family."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        charge = self.atoms.get_initial_charges().sum()
        unpaired = self.atoms.get_initial_magnetic_moments().sum()
        info = [self.atoms.info.get(name, -1) for name in ("charge", "multiplicity", "spin")]
        told = [round(charge), round(unpaired), *info]
        energy = sum(10.0**i * value for i, value in enumerate(told))
        self.results = {"energy": energy, "forces": np.zeros((len(self.atoms), 3))}


def test_atoms_carry_electrons_for_a_calculator_of_no_known_family():
    calculator = get("ase", calculator=f"{__name__}:Told")
    neutral, radical = energies(calculator, [(WATER, 0, 1), (WATER, 1, 2)])
    assert neutral == sum(-(10.0**i) for i in (2, 3, 4))
    assert radical == 1 + 10 + 100 + 2000 + 20000


@pytest.mark.parametrize("path", [f"{name}:X" for name in FAMILIES])
def test_a_family_is_told_by_its_options_and_a_neutral_closed_shell_by_nothing(path):
    family = FAMILIES[path.removesuffix(":X")]
    given = {"method": "m"}
    assert options_for(path, given, (0, 1)) == given
    told = options_for(path, given, (-1, 2))
    assert told == given | {family.charge: -1, family.multiplicity: 2} | dict(family.more)
    assert not atoms_for(path, *WATER, (-1, 2)).has("initial_charges")


def test_words_in_braces_stand_for_the_electrons_of_each_molecule():
    path = "ase.calculators.nwchem:NWChem"
    options = {"charge": "{charge}", "dft": {"mult": "{multiplicity}"}, "note": ["q {charge}"]}
    told = options_for(path, options, (1, 2))
    assert told == {"charge": 1, "dft": {"mult": 2}, "note": ["q 1"]}
    assert options_for("tblite.ase:TBLite", {"charge": "{charge}"}, (1, 2)) == {
        "charge": 1,
        "multiplicity": 2,
    }
    assert options_for("x:Y", {"task": "UHF={unpaired}"}, (0, 3)) == {"task": "UHF=2"}


def test_a_charge_fixed_in_the_options_is_refused():
    with pytest.raises(InputError, match=r"ase_options: charge is 1; expected it from the mole"):
        get("ase", calculator="tblite.ase:TBLite", ase_options={"charge": 1})


def test_calculators_without_electrons_refuse_ions():
    calculator = get("ase", calculator="ase.calculators.emt:EMT")
    batch = Batch.pack([WATER[1]], [WATER[0]], charges=[1])
    found, _ = evaluate(calculator, batch, hessian=False)
    assert "has no electrons" in found.failures[0]
    assert not refusal("ase.calculators.emt:EMT", (0, 1))


class _Molecule:
    atomic_numbers = np.array([8, 1, 1])
    positions = np.zeros((3, 3))

    def __init__(self, charge, multiplicity):
        self.charge, self.multiplicity = charge, multiplicity


def test_what_a_calculator_refuses_is_told_of_each_molecule_before_it_is_asked():
    molecules = [_Molecule(0, 1), _Molecule(0, 3), _Molecule(1, 2)]
    reasons = lacking(get("scine", functional="DFTB0"), molecules)
    assert [bool(reason) for reason in reasons] == [False, True, True]


def test_hip_refuses_all_that_is_not_a_neutral_closed_shell():
    assert not Hip.refuses(None, 0, 1)  # type: ignore[arg-type]
    for electrons in ((1, 1), (0, 3), (-1, 2)):
        assert "neutral closed shells" in Hip.refuses(None, *electrons)  # type: ignore[arg-type]
