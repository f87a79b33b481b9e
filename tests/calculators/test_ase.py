"""Any ASE calculator: small ones, EMT, and GFN2-xTB for real."""

import pickle
from pathlib import Path

import pytest
import torch
from ase.build import molecule
from ase.cluster import Icosahedron

from gadlib import calculators
from gadlib.batch import Batch
from gadlib.calculators import ase as adapter
from gadlib.calculators.ase import Ase
from gadlib.input import InputError
from gadlib.settings import CalculatorSettings

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
        (f"{OTHERS}:broken", "no licence"),
        ("fractions:Fraction", "not an ASE calculator"),
    ],
)
def test_calculator_that_can_not_be_had_is_told(path: str, reason: str):
    with pytest.raises(InputError, match=reason):
        Ase(path)


def test_package_to_install_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(adapter.KNOWN, "no.such:Thing", "such-package")
    with pytest.raises(InputError, match="pip install such-package"):
        Ase("no.such:Thing")


def test_misspelt_option_is_told():
    with pytest.raises(InputError, match="did you mean stiffness"):
        Ase(f"{OTHERS}:Spring", {"stifness": 2.0})


def test_calculation_that_never_works_is_told_when_it_is_got():
    pytest.importorskip("tblite")
    with pytest.raises(InputError, match=r"hydrogen molecule.*'GFN9'"):
        calculators.get("ase", calculator=TBLITE, options={"method": "GFN9"})


def test_missing_import_path_is_told():
    with pytest.raises(InputError, match=f"MODULE:NAME.*{TBLITE}"):
        calculators.get("ase")


def test_pickled_it_gives_the_same_numbers():
    spring = Ase(f"{OTHERS}:Differences", {"stiffness": 3.0}, displacement=0.02)
    again = pickle.loads(pickle.dumps(spring))
    told, expected = again(PAIR), spring(PAIR)
    assert told.hessian is not None and expected.hessian is not None
    assert torch.equal(told.hessian, expected.hessian)


def test_files_go_to_a_folder_of_the_process(tmp_path: Path):
    made = adapter._built(f"{OTHERS}:Writes", "{}")
    assert Path(made.directory).is_dir() and Path(made.directory) != Path.cwd()
    chosen = adapter._built(f"{OTHERS}:Writes", f'{{"directory": "{tmp_path}"}}')
    assert Path(chosen.directory) == tmp_path


def test_options_are_read_from_json():
    settings = CalculatorSettings.read({"ase_options": '{"method": "GFN1-xTB"}'})
    assert settings.ase_options == {"method": "GFN1-xTB"}
    with pytest.raises(InputError, match=r"ase_options.*not JSON"):
        CalculatorSettings.read({"ase_options": "{method}"})
