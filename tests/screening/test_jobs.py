from __future__ import annotations

import numpy as np
import pytest
from faulty import Springs
from little_searches import STARTS, start_of

from gadlib.calculators.sparrow import Sparrow
from gadlib.molecules.starting_points import Start, too_close
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters


def test_batch_of_bad_starts_alone_is_only_records():
    flat = start_of("NH3", positions=np.zeros((4, 3)))
    job = Job(Springs(), (flat, flat), GadHyperparameters(), "index1", 2)
    assert [r.status for r in search_starts(job)] == ["bad_start"] * 2


def test_frames_are_shown_to_the_caller_as_they_come():
    seen = []
    job = Job(Springs(), tuple(STARTS[:2]), GadHyperparameters(), "index1", 3)
    search_starts(job, on_frame=seen.append)
    assert [int(f.state.steps[0]) for f in seen] == [0, 1, 2, 3]


def test_trust_pushes_atoms_apart_that_a_straight_path_leads_through_each_other():
    pytest.importorskip("scine_sparrow")
    numbers, places = np.array([6, 7, 1]), np.array([[0, 0, 0], [0, 0, 1.15], [0, 0.02, 0.03]])
    start = Start("HCN", "CHN", "", "midpoint_rt", None, numbers, places, 1)
    assert too_close(start, GadHyperparameters.closest_pair)
    for knobs, status in ((GadHyperparameters(), "bad_start"), (TrustHyperparameters(), "saddle")):
        (record,) = search_starts(Job(Sparrow(), (start,), knobs, "bound", 200))
        assert record.status == status
    assert record.imaginary_cm1 == pytest.approx(1180, abs=150)


@pytest.mark.parametrize("hyperparameters", [GadHyperparameters(), TrustHyperparameters()])
def test_energy_of_the_start_is_kept_for_those_that_wait_too(hyperparameters):
    starts = tuple(STARTS[:3])
    still, moved = (
        search_starts(Job(Springs(), starts, hyperparameters, "bound", n, capacity=1))
        for n in (0, 3)
    )
    begun = [record.energy for record in still]
    assert None not in begun
    assert [record.energy_start for record in still] == begun
    assert [record.energy_start for record in moved] == begun
    assert all(a.energy != b.energy for a, b in zip(still, moved, strict=True))
