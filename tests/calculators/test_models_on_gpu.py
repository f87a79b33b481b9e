"""Models on a GPU: the numbers of the CPU, and halves of a batch that does not fit."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from ase.build import molecule
from small_hip import small_checkpoint

from gadlib import calculators
from gadlib.calculators.hip.potential import Hip
from gadlib.calculators.torchsim.potential import TorchSim
from gadlib.systems.batch import Batch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

DEVICE = "cuda"
LJ = ("torch_sim.models.lennard_jones:LennardJonesModel", {"sigma": 0.9, "cutoff": 30.0})
MORSE = ("torch_sim.models.morse:MorseModel", {"sigma": 1.1, "alpha": 3.0, "cutoff": 30.0})
OWN = ("models_of_others:Wrapper", {})
FORCES_ALONE = ("models_of_others:Closed", {})
MACE = ("models_of_others:small_mace", {})


@pytest.fixture(autouse=True)
def others_on_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


def batch_of(*names: str) -> Batch:
    atoms = [molecule(name) for name in names]
    for i, one in enumerate(atoms):
        one.rattle(0.05, seed=i)
    return Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])


SOME = ("H2O", "CH4", "CH3CHO", "C2H6")


def made(model: tuple[str, dict], device: str) -> TorchSim:
    pytest.importorskip("torch_sim", reason="TorchSim is not installed")
    if model is MACE and importlib.util.find_spec("mace") is None:
        pytest.skip("mace-torch is not installed")
    path, options = model
    doubles = {"dtype": "float64"} if options else {}
    return TorchSim(path, options | doubles, device=device)


@pytest.mark.parametrize("model", [LJ, MORSE, OWN, FORCES_ALONE, MACE], ids=lambda model: model[0])
def test_numbers_are_those_of_the_cpu(model):
    here, there = (made(model, device) for device in ("cpu", DEVICE))
    assert there.has_hessian is here.has_hessian
    expected, found = here(batch_of(*SOME)), there(batch_of(*SOME).to(DEVICE))
    for name in ("energy", "forces", "hessian"):
        value = getattr(found, name)
        assert value.device.type == DEVICE and value.dtype == torch.float64
        torch.testing.assert_close(value.cpu(), getattr(expected, name), rtol=1e-8, atol=1e-6)


def test_the_contract_is_kept_by_a_model_on_the_gpu():
    calculators.check(made(OWN, DEVICE), batch_of(*SOME).to(DEVICE))


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    calculator = made(OWN, DEVICE)
    many = batch_of(*SOME * 100).to(DEVICE)
    whole = calculator(many, hessian=False)
    _, total = torch.cuda.mem_get_info()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 20e6) / total)
    try:
        halved = calculator(many, hessian=False)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 <= calculator._in_halves.capacity < len(many)
    assert not halved.failures
    torch.testing.assert_close(halved.forces, whole.forces, rtol=0, atol=1e-10)


def test_hip_on_the_gpu_gives_the_numbers_of_the_cpu(tmp_path: Path):
    checkpoint = small_checkpoint(tmp_path / "small.ckpt")
    here, there = (Hip(checkpoint, device=device) for device in ("cpu", DEVICE))
    expected, found = here(batch_of(*SOME)), there(batch_of(*SOME).to(DEVICE))
    for name in ("energy", "forces", "hessian"):
        value = getattr(found, name)
        assert value.device.type == DEVICE and value.dtype == torch.float64
        torch.testing.assert_close(value.cpu(), getattr(expected, name), rtol=1e-4, atol=1e-4)
