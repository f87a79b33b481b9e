"""TorchSim's models in batches: its own against ASE's one by one, and models as others write them.

In TorchSim 0.3 the forces of Lennard-Jones's and Morse's models are twice the derivative of their
energies; what is told here is the derivative, as ASE's are.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from pathlib import Path

import pytest
import torch
from ase.build import bulk, molecule

from gadlib import calculators
from gadlib.calculators.ase import Ase
from gadlib.calculators.contract import molecules
from gadlib.calculators.torchsim.models import built
from gadlib.calculators.torchsim.potential import TorchSim
from gadlib.screening.setup import identity_of
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.systems.batch import Batch
from gadlib.systems.boundary import Boundary

pytest.importorskip("torch_sim", reason="TorchSim is not installed")

OTHERS = "models_of_others"
LJ = "torch_sim.models.lennard_jones:LennardJonesModel"
LJ_OPTIONS = {"sigma": 0.9, "epsilon": 0.1, "cutoff": 30.0, "dtype": "float64"}
MORSE = "torch_sim.models.morse:MorseModel"
MORSE_OPTIONS = {"sigma": 1.1, "epsilon": 1.0, "alpha": 3.0, "cutoff": 30.0, "dtype": "float64"}


@pytest.fixture(autouse=True)
def others_on_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # what auto is, is the CPU


def batch_of(*names: str) -> Batch:
    atoms = [molecule(name) for name in names]
    for i, one in enumerate(atoms):
        one.rattle(0.05, seed=i)
    return Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])


@pytest.mark.parametrize(
    ("model", "options", "of_ase", "options_of_ase"),
    [
        (LJ, LJ_OPTIONS, "lj:LennardJones", {"sigma": 0.9, "epsilon": 0.1, "rc": 30.0}),
        (
            MORSE,
            MORSE_OPTIONS,
            "morse:MorsePotential",
            {"epsilon": 1.0, "r0": 1.1, "rho0": 3.3, "rcut1": 29.0, "rcut2": 30.0},
        ),
    ],
)
def test_its_own_models_are_those_of_ase(model, options, of_ase, options_of_ase):
    calculator = TorchSim(model, options)
    other = Ase(f"ase.calculators.{of_ase}", options_of_ase, displacement=1e-4)
    found, expected = calculator(molecules()), other(molecules())
    torch.testing.assert_close(found.energy, expected.energy, rtol=0, atol=1e-7)  # a cutoff's shift
    torch.testing.assert_close(found.forces, expected.forces, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.hessian, expected.hessian, rtol=0, atol=1e-5)
    calculators.check(calculator)


@pytest.mark.parametrize(
    ("name", "has_hessian"), [("made", True), ("Wrapper", True), ("Closed", False)]
)
def test_derivatives_are_exact_where_the_graph_of_the_energy_is_at_hand(name, has_hessian):
    calculator = TorchSim(f"{OTHERS}:{name}", displacement=1e-3)
    assert calculator.has_hessian is has_hessian and calculator.is_hessian_costly
    exact = TorchSim(f"{OTHERS}:Wrapper")(molecules())
    found = calculator(molecules())
    torch.testing.assert_close(found.forces, exact.forces, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.hessian, exact.hessian, rtol=0, atol=1e-5)
    calculators.check(calculator)


def test_a_small_mace_of_random_weights_keeps_the_contract():
    if importlib.util.find_spec("mace") is None:
        pytest.skip("mace-torch is not installed")
    calculator = TorchSim(f"{OTHERS}:small_mace")
    assert calculator.has_hessian and calculator.unsupported({1, 7}).keys() == {7}
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
    calculators.check(calculator, batch_of("H2O", "C2H6"))


@pytest.mark.parametrize(
    ("name", "calls"), [("Wrapper", ["4"]), ("Closed", ["4", f"{6 * (3 + 5 + 7 + 8)}"])]
)
def test_a_batch_is_one_call_and_with_a_hessian_by_differences_two(name: str, calls: list[str]):
    import models_of_others

    calculator = TorchSim(f"{OTHERS}:{name}")
    assert calculator.has_hessian is (name == "Wrapper")  # tried on two atoms, once and for all
    models_of_others.CALLED.clear()
    calculator(batch_of("H2O", "CH4", "CH3CHO", "C2H6"))
    assert calls == models_of_others.CALLED


def test_single_precision_is_said():
    calculator = TorchSim(LJ, {"sigma": 0.9, "dtype": "float32"})
    assert calculator.rounding == 1e-3 and TorchSim(LJ, LJ_OPTIONS).rounding == 1e-6
    answer = calculator(molecules())
    assert answer.energy.dtype == answer.forces.dtype == torch.float64
    calculators.check(calculator, tolerance=1e-2, hessian_tolerance=5e-2)


def test_one_that_can_not_be_computed_harms_nobody():
    batch = batch_of("H2O", "CH3Cl", "CH3CHO", "HCN", "C2H6")
    batch.atomic_numbers[1, 1] = 9
    answer = TorchSim(f"{OTHERS}:Choosy")(batch)
    assert answer.failures == {
        1: f"{OTHERS}:Choosy: ValueError: no fluorine here",
        3: f"{OTHERS}:Choosy: it returned values that are not finite",
    }
    good = torch.tensor([0, 2, 4])
    alone = TorchSim(f"{OTHERS}:Wrapper")(batch.take(good))
    torch.testing.assert_close(answer.forces[good], alone.forces, rtol=0, atol=1e-12)
    torch.testing.assert_close(answer.hessian[good], alone.hessian, rtol=0, atol=1e-12)
    assert answer.energy[1].isnan() and answer.forces[3, 0].isnan().all()


def test_what_a_model_keeps_of_the_last_atoms_is_forgotten():
    """MACE's wrapper takes four atoms of hydrogen for two molecules, if the last ones were two."""
    numbers, apart = [1, 1], torch.tensor([[0.0, 0, 0], [0, 0, 0.8]])
    far = apart + torch.tensor([0.0, 1.5, 0])
    one = Batch.pack([torch.cat([apart, far])], [numbers * 2])
    expected = TorchSim(f"{OTHERS}:Wrapper")(one).energy
    calculator = TorchSim(f"{OTHERS}:Keeping")
    calculator(Batch.pack([apart, far], [numbers] * 2))
    assert torch.equal(calculator(one).energy, expected)


def test_ions_are_refused_unless_the_model_is_said_to_know_them():
    batch = Batch.pack([[[0.0, 0, 0], [0, 0, 1.0]]] * 2, [[8, 1]] * 2, charges=[0, -1])
    answer = TorchSim(f"{OTHERS}:Charged")(batch)
    assert list(answer.failures) == [1] and "charge of -1" in answer.failures[1]
    told = TorchSim(f"{OTHERS}:Charged", takes_ions=True)(batch)
    assert not told.failures and float(told.energy[1] - told.energy[0]) == pytest.approx(-10)


def test_cells_repeat_along_all_directions_or_none():
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=0)
    fcc = {"positions": [crystal.positions] * 3, "atomic_numbers": [crystal.numbers] * 3}
    cell = torch.tensor(crystal.cell.array).expand(3, 3, 3).contiguous()
    periodic = torch.tensor([[True] * 3, [False] * 3, [True, True, False]])
    frozen = torch.zeros(3, 4, dtype=torch.bool)
    frozen[0, 1] = True
    batch = Batch.pack(**fcc, is_free=True, boundary=Boundary(frozen, cell, periodic))
    options = {"sigma": 2.3, "epsilon": 0.4, "cutoff": 6.0, "dtype": "float64"}
    answer = TorchSim(LJ, options)(batch)
    assert list(answer.failures) == [2] and "all directions or none" in answer.failures[2]
    other = Ase("ase.calculators.lj:LennardJones", {"sigma": 2.3, "epsilon": 0.4, "rc": 6.0})
    expected = other(batch.take(torch.tensor([0, 1])))
    torch.testing.assert_close(answer.forces[:2], expected.forces, rtol=0, atol=1e-9)
    torch.testing.assert_close(answer.hessian[:2], expected.hessian, rtol=0, atol=0.05)
    assert not answer.hessian[0, 3:6].any()


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ("nowhere", {}, "expected MODULE:NAME"),
        ("no.such:Model", {}, "can't be imported"),
        (f"{OTHERS}:Nobody", {}, "has no Nobody"),
        (f"{OTHERS}:Network", {}, "not a model of TorchSim"),
        (f"{OTHERS}:not_declared", {}, "declares"),
        ("os:system", {"command": "true"}, "not a model of TorchSim"),
        (LJ, {"sigmma": 1.0}, "can't be made with them .*sigmma"),
        (f"{OTHERS}:elsewhere", {}, "device 'cpu': .*elsewhere made a model .* on 'meta'"),
        (LJ, {"dtype": "half"}, "dtype is 'half'; expected one of float32, float64"),
    ],
)
def test_a_model_that_can_not_be_made_is_told(model: str, options: dict, reason: str):
    import models_of_others

    models_of_others.CALLED.clear()
    with pytest.raises(InputError, match=reason):
        TorchSim(model, options)
    assert models_of_others.CALLED == []


def test_a_file_is_loaded_only_where_it_is_trusted(tmp_path: Path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"1")
    with pytest.raises(InputError, match=r"seed is a file .*torchsim_trust"):
        TorchSim(f"{OTHERS}:made", {"seed": str(path)})
    with pytest.raises(InputError, match=r"more is a file .*torchsim_trust"):
        TorchSim(f"{OTHERS}:made", {"more": [{"weights": str(path)}]})
    with pytest.raises(InputError, match="can't be made with them"):  # by the function itself
        TorchSim(f"{OTHERS}:made", {"seed": str(path)}, trust=True)


def test_a_file_among_its_options_is_known_by_its_content(tmp_path: Path):
    path = tmp_path / "weights.pt"
    found = []
    for content in (b"1", b"2"):
        path.write_bytes(content)
        settings = {"calculator": "torchsim", "torchsim_model": LJ}
        settings |= {"torchsim_options": {"sigma": 1.0, "file": str(path)}}
        found.append(identity_of(SearchSettings.read(settings))["torchsim_options"])
    assert found[0] != found[1] and found[0]["sigma"] == 1.0


def test_pickled_it_gives_the_same_bits_in_another_process_or_this():
    calculator = TorchSim(MORSE, MORSE_OPTIONS, takes_ions=True, displacement=0.02)
    text = pickle.dumps(calculator)
    built.cache_clear()
    again = pickle.loads(text)
    assert again.takes_ions and again.displacement == 0.02
    assert torch.equal(again(molecules()).hessian, calculator(molecules()).hessian)


def test_settings_make_it():
    settings = {"calculator": "torchsim", "torchsim_model": LJ, "torchsim_ions": True}
    settings |= {"torchsim_options": '{"sigma": 2.0}', "device": "cpu", "threads": 1}
    calculator = calculators.build(CalculatorSettings.read(settings))
    assert isinstance(calculator, TorchSim) and calculator.takes_ions
    assert calculator.options == {"sigma": 2.0} and calculator.threads == 1
    with pytest.raises(InputError, match="torchsim_model: not given"):
        calculators.get("torchsim")
