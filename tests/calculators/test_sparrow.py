import pickle
from dataclasses import replace

import measure_history
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from clusters import distorted
from scipy.optimize import minimize

pytest.importorskip("scine_sparrow")

import scine_utilities

from gadlib.calculators import ContractError, check, contract, get
from gadlib.calculators.contract import history
from gadlib.calculators.sparrow import METHODS
from gadlib.systems.batch import Batch
from gadlib.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

FORCE_UNIT = EV_PER_HARTREE / ANGSTROM_PER_BOHR


def one(numbers: list[int], *positions: tuple[float, float, float]) -> Batch:
    return Batch.pack([np.array(positions, dtype=float)], [numbers])


def directly(method: str, atoms: Atoms):
    """Sparrow's own results, in hartree and bohr."""
    calculator = scine_utilities.core.ModuleManager.get_instance().get("calculator", method)
    calculator.log = scine_utilities.core.Log.silent()
    elements = [scine_utilities.ElementInfo.element_from_symbol(s) for s in atoms.symbols]
    positions = atoms.positions / ANGSTROM_PER_BOHR
    calculator.structure = scine_utilities.AtomCollection(elements, positions)
    wanted = scine_utilities.Property
    calculator.set_required_properties([wanted.Energy, wanted.Gradients, wanted.Hessian])
    return calculator.calculate()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "DFTB3"])
def test_methods_keep_the_contract(method):
    check(get("scine", functional=method))


def test_forces_of_dftb3_are_not_the_derivative_of_its_energy():
    """A defect of Sparrow 5.2.0; when this fails, the warning in the documentation can go."""
    calculator, molecules = get("scine", functional="DFTB3"), contract.molecules()
    with pytest.raises(ContractError, match="forces changed after a permutation"):
        check(calculator, molecules)
    with pytest.raises(ContractError, match="forces are not minus the derivative"):
        check(calculator, replace(molecules, is_free=False))


@pytest.mark.parametrize("method", ["PM6", "MNDO"])
@pytest.mark.parametrize("tilt", [0.0, 1e-16])
def test_bonds_along_z_are_as_good_as_any(method, tilt):
    """Sparrow's own NDDO forces are wrong there, by 14 eV/A for a tilt of rounding errors."""
    atoms = molecule("HCN")
    atoms.positions[:, 0] += tilt * np.arange(3)
    check(get("scine", functional=method), Batch.pack([atoms.positions], [atoms.numbers]))


@pytest.mark.parametrize("method", ["DFTB0", "PM6"])
def test_numbers_are_sparrows_own(method):
    batch = distorted(("H2CO", "C2H4"), 0.05)
    told = get("scine", functional=method)(batch)
    for i in range(len(batch)):
        numbers, positions = batch.system(i)
        expected, n = directly(method, Atoms(numbers, positions)), len(numbers)
        energy, forces = expected.energy * EV_PER_HARTREE, -expected.gradients * FORCE_UNIT
        assert float(told.energy[i]) == pytest.approx(energy, abs=1e-6)
        assert told.forces[i, :n].numpy() == pytest.approx(forces, abs=1e-5)
        hessian = expected.hessian * FORCE_UNIT / ANGSTROM_PER_BOHR
        # Sparrow takes differences, which for PM6 are along other axes here
        tolerance = 1e-9 if method == "DFTB0" else 0.05
        assert told.hessian is not None
        assert told.hessian[i, : 3 * n, : 3 * n].numpy() == pytest.approx(hessian, abs=tolerance)


CORNER = 0.6287 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])


@pytest.mark.parametrize(
    ("method", "numbers", "energy", "force", "energy_tol"),
    [
        ("DFTB2", [6, 1, 1, 1, 1], -3.2256725551, -4.131279691e-5, 2e-10),
        # computed with version 2-1 of the 3ob parameters; Sparrow takes 3-1 unless told
        ("DFTB0", [1, 1], -0.6389548092, -3.390660660e-2, 3e-7),
    ],
)
def test_dftb_has_the_energy_and_force_of_dftb_plus(method, numbers, energy, force, energy_tol):
    # DFTB+, in hartree and bohr, as in DFTB2Test.cpp and DFTB0Test.cpp of SCINE Sparrow
    batch = Batch.pack([CORNER[: len(numbers)]], [numbers])
    told = get("scine", functional=method)(batch, hessian=False)
    assert float(told.energy) / EV_PER_HARTREE == pytest.approx(energy, abs=energy_tol)
    assert (told.forces[0, 1] / FORCE_UNIT).tolist() == pytest.approx([force] * 3, abs=2.5e-6)


@pytest.mark.parametrize(
    ("method", "length", "angle"),
    [("MNDO", 0.943197, 106.8026), ("AM1", 0.961286, 103.5316), ("RM1", 0.956370, 103.5989)],
)
def test_water_has_the_shape_that_mopac_gives_it(method, length, angle):
    # computed with MOPAC 22.0.6, keywords PRECISE GNORM=0.0001
    calculator, atoms = get("scine", functional=method), molecule("H2O")

    def energy_and_gradient(x):
        told = calculator(Batch.pack([x.reshape(-1, 3)], [atoms.numbers]), hessian=False)
        return float(told.energy), -told.forces.flatten().numpy()

    found = minimize(energy_and_gradient, atoms.positions.ravel(), jac=True, options={"gtol": 1e-4})
    atoms.positions = found.x.reshape(-1, 3)
    lengths = [atoms.get_distance(0, hydrogen) for hydrogen in (1, 2)]
    assert lengths == pytest.approx([length] * 2, abs=1e-4)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(angle, abs=5e-3)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: p.fill_(torch.nan), "not finite"),
        (lambda p: p[0].fill_(torch.inf), "not finite"),
        (lambda p: p[1].copy_(p[0]), "two atoms are 0.000 A apart"),
    ],
)
def test_impossible_positions_fail_alone_and_do_not_end_the_process(spoil, reason):
    batch, calculator = contract.molecules(), get("scine", functional="DFTB0")
    expected = calculator(batch)
    spoil(batch.positions[1])
    told = calculator(Batch(batch.positions, batch.atomic_numbers))
    assert list(told.failures) == [1]
    assert reason in told.failures[1]
    assert told.hessian is not None and expected.hessian is not None
    for found, before in ((told.forces, expected.forces), (told.hessian, expected.hessian)):
        assert torch.equal(found[[0, 2]], before[[0, 2]])
        assert found[1, :3, :3].isnan().all()


def test_an_odd_number_of_electrons_fails_with_sparrows_reason():
    told = get("scine", functional="DFTB0")(one([8, 1], (0, 0, 0), (0, 0, 1)), hessian=False)
    assert "spin multiplicity" in told.failures[0]


def test_elements_without_parameters_are_told():
    calculator = get("scine", functional="DFTB0")
    assert set(calculator.unsupported({1, 6, 8, 79})) == {79}  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", METHODS)
def test_results_do_not_depend_on_what_was_computed_before(method):
    """On real reactions, whose points lead an SCF that begins with old densities astray."""
    known = measure_history.molecules(90)
    expected = measure_history.alone(method, known)
    used = get("scine", functional=method)
    off = np.concatenate([*measure_history.deviations(used, known, expected, n_orders=2)])
    assert len(off) == 180
    assert off.max() == 0


@pytest.mark.parametrize("method", ["PM6", "AM1", "MNDO", "DFTB2", "DFTB3"])
def test_an_object_that_is_used_again_would_break_the_contract(method, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.sparrow._WITHOUT_SCF", METHODS)
    calculator, molecules = get("scine", functional=method), contract.molecules()
    with pytest.raises(ContractError, match="depend on what was computed before"):
        history.require_no_memory(calculator, molecules, history.HISTORY)


@pytest.mark.parametrize("method", ["DFTB0", "DFTB2", "PM6"])
def test_hessians_do_not_depend_on_what_was_computed_before(method):
    batch = contract.molecules()
    used = get("scine", functional=method)
    used(batch.moved_to(1.3 * batch.positions))
    found, expected = used(batch), get("scine", functional=method)(batch)
    assert found.hessian is not None and expected.hessian is not None
    assert torch.equal(found.hessian, expected.hessian)
    assert torch.equal(found.energy, used(batch, hessian=False).energy)
    assert torch.equal(found.forces, used(batch, hessian=False).forces)


def test_the_hessian_that_sparrow_can_not_take_is_a_failure_of_the_molecule():
    """Where the SCF of a displaced geometry does not converge, Sparrow raises."""
    known = measure_history.molecules(60)
    numbers = [numbers for numbers, _ in known]
    told = get("scine", functional="DFTB2")(Batch.pack([p for _, p in known], numbers))
    assert told.failures
    assert all("semi-numerical Hessian" in reason for reason in told.failures.values())
    assert int(told.energy.isnan().sum()) == len(told.failures) < 6


def test_it_is_pickled_for_worker_processes():
    calculator, batch = get("scine", functional="PM6"), contract.molecules()
    expected = calculator(batch).energy
    copy = pickle.loads(pickle.dumps(calculator))
    assert torch.allclose(copy(batch).energy, expected, atol=1e-6)


def test_nothing_is_printed(capfd):
    calculator = get("scine", functional="PM6")
    calculator(contract.molecules())
    calculator.unsupported({1, 79})  # type: ignore[attr-defined]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_unknown_functionals_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="scine functional 'B3LYP': expected one of DFTB0"):
        get("scine", functional="B3LYP")
