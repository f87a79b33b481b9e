from __future__ import annotations

import numpy as np
import pytest
from faulty import Springs
from little_searches import STARTS, start_of

from gadlib.calculators.sparrow import Sparrow
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.starting_points import Start, too_close
from gadlib.molecules.unshaken import unshaken
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


def test_search_with_the_reaction_for_its_aim_begins_where_the_ends_say():
    found = reactions.read(max_samples=2)
    starts = tuple(starting_points.starts(found, "ts_noise0.2A"))
    for mode in ("lowest", "reaction"):
        job = Job(Springs(), starts, GadHyperparameters(), "bound", 0, mode=mode)
        for start, record in zip(starts, search_starts(job), strict=True):
            place = start.positions
            if mode == "reaction":
                place = unshaken(start.atomic_numbers, place, start.ends)
            np.testing.assert_allclose(np.array(record.positions), place, atol=1e-9)


def test_search_that_knows_the_ends_finds_the_saddle_from_where_it_is_lost_without_them():
    pytest.importorskip("scine_sparrow")
    found = reactions.read(max_samples=6)
    starts = tuple(starting_points.starts(found, "ts_noise0.2A"))
    n_own = {}
    for mode in ("lowest", "reaction"):
        job = Job(Sparrow(), starts, TrustHyperparameters(), "bound", 200, mode=mode)
        n_own[mode] = sum(
            rmsd(one.atomic_numbers, np.array(record.positions), one.transition_state) < 0.1
            for one, record in zip(found, search_starts(job), strict=True)
        )
    assert n_own["reaction"] >= 5
    assert n_own["reaction"] > n_own["lowest"]
