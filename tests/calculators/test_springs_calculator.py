"""What stands below a costly potential without chemistry: nothing, or springs."""

from __future__ import annotations

import pickle

import pytest

from gadlib.calculators import check, get, pair
from gadlib.calculators.contract import molecules
from gadlib.calculators.paired import Paired
from gadlib.calculators.springs import WITHOUT_CHEMISTRY, Nothing, Springs
from gadlib.hessians.springs import bond_hessian
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.searches import SearchSettings
from gadlib.systems.batch import Batch


@pytest.mark.parametrize("cheap", WITHOUT_CHEMISTRY)
def test_both_keep_the_contract(cheap: str):
    check(WITHOUT_CHEMISTRY[cheap])


def test_nothing_is_zero_everywhere():
    answer = Nothing()(molecules())
    assert not any(part.any() for part in (answer.energy, answer.forces, answer.hessian))
    assert Nothing()(molecules(), hessian=False).hessian is None


@pytest.mark.parametrize("length", [0.9, 1.1, 1.6])
def test_along_a_pair_springs_are_as_stiff_as_a_bond_of_its_length(length: float):
    batch = Batch.pack([[[0.0, 0, 0], [0, 0, length]]], [[6, 1]])
    found, expected = Springs()(batch).hessian[0], bond_hessian(batch)[0]
    assert float(found[2, 2]) == pytest.approx(float(expected[2, 2]), rel=1e-9)


def test_springs_vanish_at_infinity_and_repel():
    near, far = (Batch.pack([[[0.0, 0, 0], [0, 0, d]]], [[6, 6]]) for d in (1.4, 8.0))
    assert float(Springs()(near).forces[0, 1, 2]) > 0
    assert abs(float(Springs()(far).energy)) < 1e-9


@pytest.mark.parametrize("cheap", WITHOUT_CHEMISTRY)
def test_a_search_on_a_process_alone_finds_a_saddle_and_is_told_what_is_below(cheap: str):
    pytest.importorskip("scine_sparrow")
    settings = SearchSettings.read(
        {"solver": "delta", "cheap": cheap, "criterion": "strict", "n_steps_per_sample": 60}
    )
    start = starts(read(split="all", max_samples=1), "ts_noise0.05A")
    job = Job.of(settings, start, get("scine"))
    assert isinstance(job.calculator, Paired)
    assert job.calculator.cheap is WITHOUT_CHEMISTRY[cheap]
    (record,) = search_starts(job)
    assert record.converged and record.n_gradient < 60


def test_they_can_be_sent_to_another_process():
    for cheap, calculator in WITHOUT_CHEMISTRY.items():
        made = pair(get("surface", name="leps"), cheap, (), None)
        again = pickle.loads(pickle.dumps(made))
        assert again.cheap == calculator
