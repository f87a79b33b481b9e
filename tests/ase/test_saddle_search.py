"""SaddleSearch is an ASE optimizer that ends at the saddles that gadlib's own loop finds."""

import io

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize.optimize import Optimizer

from gadlib import calculators
from gadlib.ase.saddle_search import Potential, SaddleSearch
from gadlib.calculators.ase import Held
from gadlib.molecules.alignment import rmsd
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.criteria import judge
from gadlib.solver.points import begin
from gadlib.solver.search import search
from gadlib.systems.batch import Batch


def cluster() -> Atoms:
    """Four copper atoms near a flat rhombus, the saddle between two tetrahedra."""
    places = [[1.15, 0, 0], [-1.15, 0, 0], [0, 2.0, 0.15], [0, -2.0, 0.1]]
    atoms = Atoms("Cu4", places)
    atoms.positions += 0.05 * np.sin(np.arange(12)).reshape(4, 3)
    atoms.calc = EMT()
    return atoms


def bent_hcn() -> Atoms:
    """Hydrogen cyanide with its hydrogen half way round to the nitrogen."""
    return Atoms("HCN", [[0.35, 1.15, 0.05], [0.0, 0.0, 0.0], [1.18, 0.0, 0.0]])


def order_and_force(atoms: Atoms, potential) -> tuple[int, float]:
    state = begin(Batch.pack([atoms.positions], [atoms.numbers]), potential)
    return int(state.order[0]), float(state.max_force[0])


def saddle_of_the_loop(atoms: Atoms, potential) -> np.ndarray:
    """Where `gadlib.solver.search.search` ends from the same start."""
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    frames = search(potential, batch, TrustHyperparameters(), criterion="strict", n_steps=300)
    *_, last = frames
    assert last.verdict.meets("strict").all()
    return last.state.batch.system(0)[1]


def test_saddle_of_a_metal_cluster_with_emt_is_that_of_the_loop():
    atoms = cluster()
    expected = saddle_of_the_loop(atoms, Held(cluster()))
    assert SaddleSearch(atoms, logfile=None).run(fmax=0.01, steps=300)
    assert np.abs(atoms.positions - expected).max() < 1e-8
    assert order_and_force(atoms, Held(cluster()))[0] == 1
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.01


def test_saddle_with_sparrow_is_that_of_the_loop():
    pytest.importorskip("scine_sparrow")
    potential, atoms = calculators.get("scine"), bent_hcn()
    expected = saddle_of_the_loop(atoms, potential)
    atoms.calc = potential
    search = SaddleSearch(atoms, logfile=None)
    assert search.run(fmax=0.01, steps=300)
    assert np.abs(atoms.positions - expected).max() < 1e-8
    told = potential(Batch.pack([atoms.positions], [atoms.numbers]), hessian=False)
    assert atoms.get_potential_energy() == pytest.approx(float(told.energy[0]), abs=1e-12)
    assert atoms.get_forces() == pytest.approx(told.forces[0].numpy(), abs=1e-12)


def test_saddle_with_tblite_is_that_of_gadlibs_adapter():
    TBLite = pytest.importorskip("tblite.ase").TBLite
    options = {"method": "GFN2-xTB", "accuracy": 0.01, "verbosity": 0}
    adapter = calculators.get("ase", calculator="tblite.ase:TBLite", options=options)
    atoms = bent_hcn()
    expected = saddle_of_the_loop(atoms, adapter)
    atoms.calc = TBLite(**options)
    assert SaddleSearch(atoms, logfile=None).run(fmax=0.01, steps=300)
    assert rmsd(atoms.numbers, atoms.positions, expected) < 1e-3
    assert order_and_force(atoms, adapter)[0] == 1


def test_both_solvers_end_at_the_same_saddle():
    pytest.importorskip("scine_sparrow")
    found = {}
    for solver in ("trust", "gad"):
        found[solver] = atoms = bent_hcn()
        atoms.calc = calculators.get("scine")
        assert SaddleSearch(atoms, logfile=None, solver=solver).run(fmax=0.05, steps=500)
        assert order_and_force(atoms, calculators.get("scine"))[0] == 1
    trust, gad = found.values()
    assert rmsd(trust.numbers, trust.positions, gad.positions, with_mirror=True) < 0.02


def test_looser_fmax_stops_earlier_and_tighter_goes_on_both_at_first_order():
    steps, n_hessian = [], []
    for fmax in (0.3, 0.01, 1e-5):
        atoms = cluster()
        search = SaddleSearch(atoms, logfile=None)
        assert search.run(fmax=fmax, steps=300)
        order, force = order_and_force(atoms, Held(cluster()))
        assert (order, force < fmax) == (1, True)
        steps.append(search.nsteps)
        n_hessian.append(search.n_hessian)
    assert steps[0] < steps[1] < steps[2]
    assert n_hessian[0] < n_hessian[2]


def test_run_again_with_a_tighter_fmax_goes_on_from_where_it_is():
    atoms = cluster()
    search = SaddleSearch(atoms, logfile=None)
    assert search.run(fmax=0.3)
    before = search.nsteps
    assert search.run(fmax=1e-4)
    assert search.get_number_of_steps() == search.nsteps > before
    assert order_and_force(atoms, Held(cluster()))[1] < 1e-4


def test_minimum_is_never_called_converged():
    pytest.importorskip("scine_sparrow")
    atoms = molecule("H2O")
    atoms.calc = potential = calculators.get("scine")
    search = SaddleSearch(atoms, logfile=None)
    for is_converged in search.irun(fmax=0.5, steps=30):
        assert is_converged == search.converged()
        assert not is_converged or order_and_force(atoms, potential)[0] == 1
    assert search.nsteps > 0


def test_bound_goes_on_from_a_flat_saddle():
    atoms = cluster()
    assert SaddleSearch(atoms, logfile=None).run(fmax=0.01)
    here = begin(Batch.pack([atoms.positions], [atoms.numbers]), Held(cluster()))
    assert float(judge(here, torch.tensor([1])).imaginary_cm1[0]) < 50
    search = SaddleSearch(atoms, logfile=None, criterion="bound")
    assert next(iter(search.irun(fmax=0.01, steps=0))) is False


def test_log_trajectory_observers_and_irun_are_those_of_ase(tmp_path):
    atoms, log, seen = cluster(), io.StringIO(), []
    search = SaddleSearch(atoms, logfile=log, trajectory=tmp_path / "ts.traj")
    assert isinstance(search, Optimizer)
    search.attach(lambda: seen.append(search.nsteps), interval=2)
    told = list(search.irun(fmax=0.01, steps=300))
    assert told == [False] * search.nsteps + [True]
    assert seen == list(range(0, search.nsteps + 1, 2))
    assert log.getvalue().count("SaddleSearch:") == search.nsteps + 1
    frames = read(tmp_path / "ts.traj", ":")
    assert len(frames) == search.nsteps + 1
    assert frames[-1].positions == pytest.approx(atoms.positions)
    assert frames[-1].get_potential_energy() == pytest.approx(atoms.get_potential_energy())


def test_steps_are_a_budget_that_a_later_run_adds_to():
    atoms = cluster()
    search = SaddleSearch(atoms, logfile=None)
    assert not search.run(fmax=1e-6, steps=2)
    assert search.nsteps == 2
    assert not search.run(fmax=1e-6, steps=1)
    assert search.nsteps == 3


def test_moved_atoms_are_searched_from_where_they_are():
    atoms = cluster()
    search = SaddleSearch(atoms, logfile=None)
    search.run(fmax=0.01)
    spent = search.n_gradient
    atoms.positions = cluster().positions
    assert not search.converged()
    assert search.run(fmax=0.01)
    assert search.n_gradient > spent + 3


def test_calculator_keeps_what_the_atoms_carry():
    TBLite = pytest.importorskip("tblite.ase").TBLite
    ion = Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], charges=[-1, 0])
    ion.calc = TBLite(method="GFN2-xTB", verbosity=0)
    told = Held(ion)(Batch.pack([ion.positions], [ion.numbers]), hessian=False)
    assert float(told.energy[0]) == pytest.approx(ion.get_potential_energy(), abs=1e-8)


def test_potential_counts_gradients_and_hessians_once_for_a_point():
    pytest.importorskip("scine_sparrow")
    atoms = bent_hcn()
    atoms.calc = calc = Potential(calculators.get("scine"))
    forces = atoms.get_forces()
    second = calc.get_property("hessian", atoms)
    atoms.get_potential_energy()
    assert (calc.n_gradient, calc.n_hessian) == (1, 1)
    atoms.positions[0, 0] += 1e-4
    change = atoms.get_forces() - forces
    assert (calc.n_gradient, calc.n_hessian) == (2, 1)
    assert change.ravel() / 1e-4 == pytest.approx(-second[0], abs=0.02)


def with_calc(atoms: Atoms, calc=None) -> Atoms:
    atoms.calc = EMT() if calc is None else calc
    return atoms


@pytest.mark.parametrize(
    ("make", "options", "told"),
    [
        (lambda: molecule("H2O"), {}, "no calculator"),
        (
            lambda: with_calc(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]])),
            {},
            "have 1 vibrations; expected at least two",
        ),
        (lambda: FrechetCellFilter(with_calc(bulk("Cu"))), {}, "filters are not supported"),
        (lambda: with_calc(molecule("H2O"), 7), {}, "expected a calculator"),
        (cluster, {"solver": "newton"}, "solver 'newton': expected one of gad, trust"),
        (cluster, {"criterion": "index1"}, "expected strict or bound"),
        (cluster, {"radius_max": 9}, "radius_max = 9: expected 0.001 .. 2 A"),
        (cluster, {"hyperparameters": {"radius_macks": 0.2}}, "did you mean radius_max"),
        (cluster, {"internal": True}, "internal: unknown hyperparameter"),
        (cluster, {"restart": "ts.json"}, "no restart files"),
        (
            cluster,
            {"solver": "gad", "hyperparameters": TrustHyperparameters()},
            "hyperparameters of 'trust'",
        ),
    ],
)
def test_what_can_not_be_searched_is_refused_in_a_sentence(make, options, told):
    with pytest.raises(InputError, match=told):
        SaddleSearch(make(), **options)


def test_hyperparameters_come_by_name_as_a_mapping_or_as_their_class():
    for given in (
        {"radius_max": 0.2, "exact_hessians": "proof"},
        {"hyperparameters": {"radius_max": 0.2}, "exact_hessians": "proof"},
        {"hyperparameters": TrustHyperparameters(radius_max=0.2, exact_hessians="proof")},
    ):
        found = SaddleSearch(cluster(), logfile=None, **given).hyperparameters
        assert found == TrustHyperparameters(radius_max=0.2, exact_hessians="proof")


def test_point_that_can_not_be_computed_is_raised_as_ase_raises_it():
    atoms = with_calc(Atoms("Xe3", [[0, 0, 0], [0, 0, 3.0], [0, 3.0, 0]]))
    with pytest.raises(CalculationFailed, match=r"^EMT: "):
        SaddleSearch(atoms, logfile=None).run()


def test_search_on_a_cheap_potential_ends_at_a_saddle_of_the_calculator():
    pytest.importorskip("scine_sparrow")
    costly, atoms = calculators.get("scine", functional="PM6"), bent_hcn()
    atoms.calc = costly
    search = SaddleSearch(atoms, logfile=None, solver="delta", cheap="scine:DFTB0")
    assert search.run(fmax=0.01, steps=100)
    order, force = order_and_force(atoms, costly)
    assert order == 1
    assert force < 0.01


@pytest.mark.parametrize(
    ("is_periodic", "cheap", "told"),
    [(True, "auto", "expected a free molecule"), (False, "DFTB0", "cheap 'DFTB0': expected auto")],
)
def test_what_has_no_cheap_potential_is_refused(is_periodic, cheap, told):
    atoms = cluster()
    atoms.pbc, atoms.cell = is_periodic, [20.0, 20.0, 20.0]
    with pytest.raises(InputError, match=told):
        SaddleSearch(atoms, logfile=None, solver="delta", cheap=cheap)
