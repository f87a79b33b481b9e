"""Sella is run fairly: its calls counted, its failures recorded, its absence told."""

from __future__ import annotations

import numpy as np
import pytest
from faulty import Springs

from gadlib import calculators
from gadlib.benchmarks import sella
from gadlib.benchmarks.sella import PEERS
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch


class Counting:
    """A calculator that counts what it is asked."""

    def __init__(self, calculator) -> None:
        self.calculator = calculator
        self.asked: list[bool] = []

    def __call__(self, batch: Batch, *, hessian: bool = True):
        self.asked.append(hessian)
        return self.calculator(batch, hessian=hessian)


def job_of(name: str, calculator, found: list[Start], n_steps: int = 100) -> Job:
    return Job(calculator, tuple(found), PEERS[name], "bound", n_steps)


def near_saddles(n: int) -> list[Start]:
    return starts(read(max_samples=n), "ts_noise0.1A", 42)


@pytest.mark.parametrize("name", ["sella", "sella-hessian", "sella-internal"])
def test_every_call_is_counted_and_the_end_is_stationary(name):
    pytest.importorskip("sella")
    pytest.importorskip("scine_sparrow")
    counting = Counting(calculators.get("scine"))
    ((_, record),) = sella.search_each(job_of(name, counting, near_saddles(1)))
    assert record.status == Status.STOPPED
    assert record.n_hessian == sum(counting.asked)
    assert len(counting.asked) - record.n_hessian <= record.n_gradient <= len(counting.asked)
    assert (record.n_hessian > 0) == (name == "sella-hessian")
    assert 0 < record.calculator_s < record.elapsed_s
    batch = Batch.pack([np.array(record.positions)], [record.atomic_numbers])
    told = calculators.get("scine")(batch, hessian=False)
    assert float(told.forces[0].norm(dim=-1).max()) < 0.01


def test_steps_are_the_budget():
    pytest.importorskip("sella")
    pytest.importorskip("scine_sparrow")
    ((_, record),) = sella.search_each(
        job_of("sella", calculators.get("scine"), near_saddles(1), n_steps=3)
    )
    assert (record.status, record.steps) == (Status.OUT_OF_STEPS, 3)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "RuntimeError: the nitrogen leaked out"),
        ("nan", "the calculator returned values that are not finite"),
    ],
)
def test_point_that_can_not_be_computed_is_a_record_with_the_reason(fault, reason):
    pytest.importorskip("sella")
    numbers = np.array([7, 1, 1])
    places = np.array([[0.0, 0.0, 0.1], [0.0, 0.8, -0.5], [0.1, -0.8, -0.5]])
    victim = Start("NH2", "H2N", "", "given", None, numbers, places, 1)
    ((_, record),) = sella.search_each(job_of("sella", Springs(fault), [victim]))
    assert record.status == Status.CALCULATOR_FAILED
    assert reason in record.message


def test_atoms_on_each_other_never_reach_sella():
    start = Start("H3", "H3", "", "given", None, np.array([1, 1, 1]), np.zeros((3, 3)), 1)
    counting = Counting(Springs())
    ((_, record),) = sella.search_each(job_of("sella", counting, [start]))
    assert record.status == Status.BAD_START
    assert "0.000 A apart" in record.message
    assert counting.asked == []


def test_absent_sella_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gadlib\[compare\]'"):
        sella.require_installed()
