"""Large sets: a GPU's batch is kept full, and records stay in the order of the input."""

import math

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib import calculators
from gadlib.evaluation import Evaluation
from gadlib.molecules.starting_points import Start
from gadlib.screening.chunks import job_size
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.systems.batch import Batch


class Somewhere:
    def __init__(self, name: str) -> None:
        self.device = torch.device(name)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        raise NotImplementedError


def test_a_gpu_is_given_several_batches_at_a_time():
    assert job_size(Somewhere("cuda:0"), 64) == 256


@pytest.mark.parametrize("calculator", [Somewhere("cpu"), calculators.get("surface")])
@pytest.mark.parametrize(
    ("n_each", "n_batches"),
    [(0, 1), (5, 1), (100, 1), (384, 2), (900, 4), (4000, 16), (math.inf, 16)],
)
def test_a_process_on_a_cpu_is_given_several_batches_where_it_has_several_jobs(
    calculator, n_each, n_batches
):
    assert job_size(calculator, 64, n_each) == 64 * n_batches


def test_records_come_in_the_order_of_the_starts_however_few_step_together():
    pytest.importorskip("scine_sparrow")
    scine = calculators.get("scine")
    starts = tuple(start_of(name) for name in ("CH4", "H2O", "HCN", "NH3", "CO2"))
    job = Job(scine, starts, GadHyperparameters(), "strict", n_steps=3)
    together = search_starts(job)
    in_turn = search_starts(Job(scine, starts, GadHyperparameters(), "strict", 3, capacity=2))
    assert [r.name for r in in_turn] == [r.name for r in together] == [s.name for s in starts]
    for one, other in zip(in_turn, together, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
        assert (one.steps, one.status) == (other.steps, other.status)


def start_of(name: str) -> Start:
    atoms = molecule(name)
    atoms.rattle(0.1, seed=1)
    return Start(
        name=name,
        formula=name,
        split="test",
        start="given",
        noise_seed=None,
        atomic_numbers=atoms.numbers,
        positions=atoms.positions,
        max_fragments=1,
    )
