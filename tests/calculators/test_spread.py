"""A batch by several processes: the same to the bit, at once, and one that dies costs itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from ase.build import molecule

from gadlib import calculators
from gadlib.calculators.ase import Ase
from gadlib.evaluation import Evaluation
from gadlib.molecules.starting_points import from_atoms
from gadlib.screening.jobs import Job
from gadlib.screening.processes import run
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.systems.batch import Batch

OTHERS = "calculators_of_others"
GFN2 = ("tblite.ase:TBLite", {"method": "GFN2-xTB"})


def pairs(*lengths: float) -> Batch:
    return Batch.pack([[[0.0, 0, 0], [0.1, 0, d]] for d in lengths], [[1, 1]] * len(lengths))


def require_same(one: Evaluation, other: Evaluation) -> None:
    assert one.failures == other.failures
    for name in ("energy", "forces", "hessian"):
        found, expected = getattr(one, name), getattr(other, name)
        assert (found is None) is (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("hessian", [True, False])
@pytest.mark.parametrize("name", ["Spring", "Differences", "Grown"])
def test_it_is_the_same_to_the_bit_and_in_its_failures(name: str, hessian: bool):
    three = [[0.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]
    places = [three, *pairs(0.9, 1.4, 0.01, 1.2, 1.3).positions]
    batch = Batch.pack(places, [[1] * 3] + [[1, 1]] * 5)
    batch.positions[3, 1] = torch.nan
    one, both = (Ase(f"{OTHERS}:{name}", workers=n) for n in (1, 2))
    expected = one(batch, hessian=hessian)
    assert expected.failures.keys() == {0, 3} and "two atoms wanted" in expected.failures[0]
    require_same(both(batch, hessian=hessian), expected)


def test_xtb_is_the_same_to_the_bit_and_keeps_the_contract():
    pytest.importorskip("tblite")
    atoms = [molecule(name) for name in ("H2O", "CH3CHO", "OH")]
    batch = Batch.pack(
        [a.positions for a in atoms], [a.numbers for a in atoms], multiplicities=[1, 1, 2]
    )
    for hessian in (True, False):
        expected = Ase(*GFN2)(batch, hessian=hessian)
        require_same(Ase(*GFN2, workers=2)(batch, hessian=hessian), expected)
    calculators.check(Ase(*GFN2, workers=2), batch.take(torch.tensor([0])))


@pytest.mark.parametrize("hessian", [True, False])
def test_two_compute_at_once(hessian: bool, tmp_path: Path):
    meeting = Ase(f"{OTHERS}:Meeting", {"folder": str(tmp_path)}, workers=2)
    batch = pairs(1.3) if hessian else pairs(1.3, 1.4)
    assert not meeting(batch, hessian=hessian).failures
    assert os.getpid() not in {int(path.name) for path in tmp_path.iterdir()}


@pytest.mark.parametrize("n", [3, 40])
def test_one_that_ends_its_process_costs_itself(n: int):
    batch = pairs(*torch.linspace(0.9, 1.5, n).tolist())
    batch.atomic_numbers[1, 0] = 8
    found = Ase(f"{OTHERS}:Deadly", workers=2)(batch, hessian=False)
    assert list(found.failures) == [1] and "its process ended" in found.failures[1]
    expected = Ase(f"{OTHERS}:Spring")(batch, hessian=False)
    others = [i for i in range(n) if i != 1]
    assert torch.equal(found.forces[others], expected.forces[others])
    assert found.energy[1].isnan()


def test_within_the_process_of_a_search_it_gives_the_same_records():
    starts = from_atoms([molecule("H2O"), molecule("HCN")])
    records = []
    for n in (1, 2):
        calculator = Ase("ase.calculators.lj:LennardJones", {"sigma": 1.0, "rc": 20.0}, workers=n)
        job = Job(calculator, tuple(starts), TrustHyperparameters(), "strict", 3)
        found: dict = {}
        for _, some in run([job], 1):
            found |= some
        records.append([(found[i].status, found[i].positions, found[i].energy) for i in (0, 1)])
    assert records[0] == records[1]


def test_the_setting_says_how_many():
    settings = {"calculator": "ase", "ase_calculator": f"{OTHERS}:Spring", "ase_workers": 3}
    read = CalculatorSettings.read(settings)
    assert calculators.build(read).workers == 3  # type: ignore[attr-defined]
    assert "ase_workers" not in calculators.identity(read)
