"""Any ASE calculator: small ones, EMT, and GFN2-xTB for real."""

import pickle
from pathlib import Path

import measure_history
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.cluster import Icosahedron

from gadlib import calculators
from gadlib.calculators import ContractError, import_paths
from gadlib.calculators.ase import Ase, Held
from gadlib.hessians.frames import bent
from gadlib.hessians.normal_modes import spectrum
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

OTHERS = "calculators_of_others"
TBLITE = "tblite.ase:TBLite"
PAIR = Batch.pack([torch.tensor([[0.0, 0, 0], [0.3, 0.4, 1.2]]).double()], [[1, 1]])


@pytest.fixture(autouse=True)
def others_on_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def gfn2() -> Ase:
    pytest.importorskip("tblite")
    return Ase(TBLITE, {"method": "GFN2-xTB", "accuracy": 0.01})


def test_emt_keeps_the_contract():
    cluster = Icosahedron("Cu", 2)
    cluster.rattle(0.05, seed=0)
    some = slice(0, 4)
    batch = Batch.pack([cluster.positions, cluster.positions[some]], [[29] * 13, [29] * 4])
    calculators.check(Ase("ase.calculators.emt:EMT"), batch)


def test_gfn2_keeps_the_contract(gfn2: Ase):
    calculators.check(gfn2)


def test_gfn2_energy_and_forces_of_water_are_the_published_ones(gfn2: Ase):
    """From the documentation of xtb-python, another implementation of the method.

    https://xtb-python.readthedocs.io/en/latest/ase-calculator.html
    """
    water = molecule("H2O")
    told = gfn2(Batch.pack([water.positions], [water.numbers]), hessian=False)
    assert float(told.energy) == pytest.approx(-137.9677758730299, abs=1e-6)
    expected = torch.tensor([[0, 0, -0.749514699], [0, -0.153501989, 0.374757349]])
    torch.testing.assert_close(told.forces[0, :2], expected.double(), rtol=0, atol=1e-6)


def test_gfn2_tells_nothing_on_stdout(gfn2: Ase, capfd: pytest.CaptureFixture):
    water = molecule("H2O")
    gfn2(Batch.pack([water.positions], [water.numbers]), hessian=False)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["Spring", "Differences", "Method"])
def test_hessian_is_its_own_or_by_differences(name: str):
    own = Ase(f"{OTHERS}:Spring", {"stiffness": 2.5})(PAIR).hessian
    other = Ase(f"{OTHERS}:{name}", {"stiffness": 2.5}, displacement=1e-3)(PAIR).hessian
    assert own is not None and other is not None
    torch.testing.assert_close(other, own, rtol=0, atol=1e-6 if name == "Differences" else 0)


def test_displacement_is_the_chosen_one():
    rough = Ase(f"{OTHERS}:Differences", displacement=0.1)(PAIR).hessian
    fine = Ase(f"{OTHERS}:Differences", displacement=0.05)(PAIR).hessian
    exact = Ase(f"{OTHERS}:Spring")(PAIR).hessian
    assert rough is not None and fine is not None and exact is not None
    ratio = (rough - exact).abs().max() / (fine - exact).abs().max()
    assert float(ratio) == pytest.approx(4, rel=0.05)  # of second order


def test_a_methyl_group_turns_freely_by_the_hessian_as_it_does():
    """Straight displacements of 0.01 A stretch its bonds, and show 22i cm-1."""
    pytest.importorskip("tblite")
    butyne = molecule("2-butyne")
    batch = Batch.pack([butyne.positions], [butyne.numbers])
    softest = []
    for given in ({}, {"displacement": 0.01}):
        hessian = Ase(TBLITE, {"method": "GFN2-xTB", "accuracy": 0.1}, **given)(batch).hessian
        assert hessian is not None
        softest.append(spectrum(hessian, batch))
    mode = softest[0].modes[0, :, 0] * batch.inverse_sqrt_masses[0]
    length = mode.norm()
    forces = []
    for side in (0.02, -0.02):
        along = bent(batch, side * (mode / length)[None]).unflatten(1, (-1, 3))
        there = batch.moved_to(batch.positions + along)
        forces.append(Ase(TBLITE, {"method": "GFN2-xTB"})(there, hessian=False).forces.flatten())
    true = float((forces[1] - forces[0]) @ mode * length / 0.04)
    errors = [abs(float(one.eigenvalues[0, 0]) - true) for one in softest]
    assert errors[0] < 3e-4
    assert errors[1] > 1e-3


def test_energy_is_the_one_that_forces_derive_from():
    told = Ase(f"{OTHERS}:Smeared")(PAIR, hessian=False)
    assert float(told.energy) == pytest.approx(0.3**2 / 2)


def test_calculation_that_fails_costs_one_molecule():
    three = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])
    batch = Batch.pack([three, PAIR.positions[0]], [[1, 1, 1], [1, 1]])
    told = Ase(f"{OTHERS}:Spring")(batch)
    assert told.failures == {0: f"{OTHERS}:Spring: RuntimeError: two atoms wanted"}
    assert told.energy[0].isnan() and told.energy[1].isfinite()
    assert told.hessian is not None and told.hessian[0].isnan().all()
    assert not told.hessian[1, 6:].any()


@pytest.mark.parametrize("second", [[0.0, 0, 0], [0, 0, float("inf")]])
def test_impossible_positions_are_not_computed(second: list[float]):
    odd = torch.tensor([[0.0, 0, 0], second])
    batch = Batch.pack([odd, PAIR.positions[0]], [[1, 1], [1, 1]])
    told = Ase(f"{OTHERS}:Spring")(batch)
    assert list(told.failures) == [0] and told.energy[1].isfinite()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tblite", "MODULE:NAME"),
        ("no.such:Thing", "No module named 'no'"),
        (f"{OTHERS}:Nobody", "has no Nobody"),
        (f"{OTHERS}:Broken", "no licence"),
        (f"{OTHERS}:Exits", "it raised SystemExit 2"),
        (f"{OTHERS}:called", "not an ASE calculator but <function called.*expected a class"),
        (f"{OTHERS}:CALLED", r"not an ASE calculator but \[\]"),
        ("fractions:Fraction", "not an ASE calculator"),
        ("os:system", "not an ASE calculator but <built-in function system>"),
        ("ase.build:molecule", "not an ASE calculator"),
    ],
)
def test_calculator_that_can_not_be_had_is_told(path: str, reason: str):
    with pytest.raises(InputError, match=reason):
        Ase(path)


def test_what_is_no_calculators_class_is_never_called(tmp_path: Path):
    import calculators_of_others

    with pytest.raises(InputError, match="not an ASE calculator"):
        Ase(f"{OTHERS}:called", {"x": 1})
    assert calculators_of_others.CALLED == []
    with pytest.raises(InputError, match="not an ASE calculator"):
        Ase("os:system", {"command": f"touch {tmp_path}/called"})
    assert not list(tmp_path.iterdir())


def test_package_to_install_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(import_paths.KNOWN, "no.such:Thing", "such-package")
    with pytest.raises(InputError, match="pip install such-package"):
        Ase("no.such:Thing")


def test_misspelt_option_is_told():
    with pytest.raises(InputError, match="did you mean stiffness"):
        Ase(f"{OTHERS}:Spring", {"stifness": 2.0})


def test_missing_import_path_is_told():
    with pytest.raises(InputError, match=f"MODULE:NAME.*{TBLITE}"):
        calculators.get("ase")


def test_pickled_it_gives_the_same_numbers():
    spring = Ase(f"{OTHERS}:Differences", {"stiffness": 3.0}, displacement=0.02)
    again = pickle.loads(pickle.dumps(spring))
    told, expected = again(PAIR), spring(PAIR)
    assert told.hessian is not None and expected.hessian is not None
    assert torch.equal(told.hessian, expected.hessian)


def pairs(*lengths: float) -> list[Batch]:
    return [
        Batch.pack([torch.tensor([[0.0, 0, 0], [0, 0, d]]).double()], [[1, 1]]) for d in lengths
    ]


@pytest.mark.parametrize("name", ["Wave", "Grown", "Opaque", "Files"])
@pytest.mark.parametrize("hessian", [True, False])
def test_each_geometry_is_computed_as_if_it_were_the_first(name: str, hessian: bool):
    calculator = Ase(f"{OTHERS}:{name}")
    for batch in pairs(0.9, 1.4, 0.9, 2.0):
        exact = Ase(f"{OTHERS}:Spring")(batch, hessian=hessian)
        told = calculator(batch, hessian=hessian)
        assert torch.equal(told.energy, exact.energy)


def test_differences_of_xtb_are_those_of_its_gradients():
    """Begun with the last wave function they were off by 0.02 eV/A^2, converged as by default."""
    pytest.importorskip("tblite")
    numbers, positions = measure_history.molecules(2)[1]
    xtb, n = Ase(TBLITE, {"method": "GFN2-xTB"}, displacement=0.01), 3 * len(numbers)
    shifts = 0.01 * np.eye(n).reshape(n, -1, 3)
    moved = [positions + sign * shift for sign in (1, -1) for shift in shifts]
    forces = xtb(Batch.pack(moved, [numbers] * 2 * n), hessian=False).forces.reshape(2, n, n)
    expected = (forces[1] - forces[0]) / 0.02
    found = xtb(Batch.pack([positions], [numbers])).hessian
    torch.testing.assert_close(found[0], (expected + expected.mT) / 2, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["Wave", "Grown", "Files"])
@pytest.mark.parametrize("hessian", [True, False])
def test_a_calculator_at_hand_computes_each_geometry_as_if_it_were_the_first(name, hessian):
    import calculators_of_others

    atoms = Atoms("H2", calculator=getattr(calculators_of_others, name)())
    held = Held(atoms)
    for batch in pairs(0.9, 1.4, 0.9, 2.0):
        exact = Ase(f"{OTHERS}:Spring")(batch)
        assert torch.equal(held(batch, hessian=hessian).energy, exact.energy)
        atoms.positions = batch.positions[0].numpy()
        assert not atoms.calc.calculation_required(atoms, ["energy", "forces"])
        assert atoms.get_potential_energy() == float(exact.energy)


def test_a_calculator_at_hand_keeps_count_of_its_calls_and_what_it_is_set_to():
    import calculators_of_others

    atoms = Atoms("H2", calculator=calculators_of_others.Grown(stiffness=2.0))
    held = Held(atoms)
    (pair,) = pairs(2.0)
    assert float(held(pair, hessian=False).energy) == 1.0
    held(pair, hessian=False)
    assert atoms.calc.n_calls == 2
    atoms.calc.set(stiffness=4.0)
    assert float(held(pair, hessian=False).energy) == 2.0
    atoms.calc = calculators_of_others.Spring()
    assert float(held(pair, hessian=False).energy) == 0.5


def test_what_remembers_where_nobody_finds_it_breaks_the_contract():
    batch = Batch.pack([b.positions[0] for b in pairs(0.9, 1.4)], [[1, 1]] * 2)
    calculators.check(Ase(f"{OTHERS}:Wave", displacement=1e-3), batch)
    with pytest.raises(ContractError, match="energy"):
        calculators.check(Ase(f"{OTHERS}:Everywhere"), batch)


def test_networks_are_not_copied_and_what_can_be_copied_is_not_built_anew():
    neural = Ase(f"{OTHERS}:Neural")
    told = {float(neural(batch, hessian=False).energy) for batch in pairs(1.0, 1.1, 1.2)}
    (network,) = import_paths.built(f"{OTHERS}:Neural", "{}").source.parts["models"]
    assert told == {float(id(network))}


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
def test_xtb_does_not_depend_on_what_was_computed_before(method: str):
    pytest.importorskip("tblite")
    known = measure_history.molecules(24)
    options = {"method": method, "accuracy": 1.0}
    one = Ase(TBLITE, options)
    expected = np.array([float(one(b, hessian=False).energy) for b in map(alone, known)])
    import_paths.built.cache_clear()
    used = Ase(TBLITE, options)
    off = np.concatenate([*measure_history.deviations(used, known, expected, n_orders=2)])
    assert off.max() < 1e-9
    numbers, positions = known[1]
    held = Held(Atoms(numbers, positions, calculator=_xtb(options)))
    held.atoms.get_potential_energy()
    for turned in (known[0], known[2], known[1]):
        found = float(held(alone(turned), hessian=False).energy)
    assert found == pytest.approx(expected[1], abs=1e-9)


def alone(one) -> Batch:
    return Batch.pack([one[1]], [one[0]])


def _xtb(options):
    from tblite.ase import TBLite

    return TBLite(verbosity=0, **options)


def test_files_go_to_a_folder_that_is_empty_for_each_geometry(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = Batch.pack([PAIR.positions[0]] * 2, [[1, 1]] * 2)
    Ase(f"{OTHERS}:Files")(batch)
    assert not list(tmp_path.iterdir())
    chosen = tmp_path / "chosen" / "here"
    files = Ase(f"{OTHERS}:Files", {"directory": str(chosen)})
    files(batch)
    assert chosen.is_dir() and not list(chosen.iterdir())


@pytest.mark.parametrize(("name", "is_costly"), [("Spring", False), ("Differences", True)])
def test_a_hessian_by_differences_is_costly(name: str, is_costly: bool):
    import calculators_of_others

    assert Ase(f"{OTHERS}:{name}").is_hessian_costly is is_costly
    atoms = Atoms("H2", calculator=getattr(calculators_of_others, name)())
    assert Held(atoms).is_hessian_costly is is_costly


def test_a_calculation_that_ends_the_program_costs_one_molecule():
    water = molecule("H2O")
    batch = Batch.pack([water.positions[:2], PAIR.positions[0]], [[8, 1], [1, 1]])
    told = Ase(f"{OTHERS}:Leaving")(batch, hessian=False)
    assert list(told.failures) == [0]
    assert "it raised SystemExit out of licences" in told.failures[0]
    assert told.energy[1].isfinite()


def test_options_are_read_from_json():
    settings = CalculatorSettings.read({"ase_options": '{"method": "GFN1-xTB"}'})
    assert settings.ase_options == {"method": "GFN1-xTB"}
    with pytest.raises(InputError, match=r"ase_options.*not JSON"):
        CalculatorSettings.read({"ase_options": "{method}"})


def test_a_fresh_one_is_another_object_that_tells_the_same():
    calculator = Ase("ase.calculators.emt:EMT")
    other = calculator.fresh()
    assert other._build().source is not calculator._build().source
    assert other._build().source is other._build().source
    batch = Batch.pack([1.1 * np.eye(3)], [[6, 8, 1]])
    assert torch.equal(other(batch, hessian=False).energy, calculator(batch, hessian=False).energy)
