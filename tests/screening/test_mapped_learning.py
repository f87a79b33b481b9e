"""What `delta` has learned of HCN, as it is mapped: real searches on PM6 with DFTB0 below."""

import numpy as np
import pytest

from gadlib.calculators.sparrow import Sparrow
from gadlib.screening.learned import map_learned
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.search import search
from gadlib.systems.batch import Batch

PAIR = SearchSettings.read({"solver": "delta", "scine_functional": "PM6", "cheap": "scine:DFTB0"})


@pytest.fixture(scope="module")
def learned():
    return map_learned(PAIR, n=15)


def nearest(learned, place) -> tuple[int, int]:
    """The row and the column of the grid that are nearest to a place."""
    x, y = place
    return int(np.abs(learned.y - y).argmin()), int(np.abs(learned.x - x).argmin())


def saddle_on(functional: str, bond: float, place) -> np.ndarray:
    """Where `trust` ends from that place of the hydrogen, along the bond and across it."""
    positions = np.array([[-bond / 2, 0, 0], [bond / 2, 0, 0], [*place, 0]])
    frames = search(
        Sparrow(functional), Batch.pack([positions], [[6, 7, 1]]), TrustHyperparameters()
    )
    *_, last = frames
    carbon, nitrogen, hydrogen = last.state.batch.positions[0].numpy()
    axis = (nitrogen - carbon) / np.linalg.norm(nitrogen - carbon)
    way = hydrogen - (carbon + nitrogen) / 2
    return np.array([way @ axis, np.linalg.norm(way - way @ axis * axis)])


def test_saddles_are_those_of_their_potentials(learned):
    assert learned.saddle == pytest.approx(saddle_on("PM6", 1.2, (-0.2, 1.2)), abs=0.02)
    assert learned.cheap_saddle == pytest.approx(saddle_on("DFTB0", 1.2, (-0.2, 1.2)), abs=0.02)


def test_saddle_of_the_surrogate_is_the_costly_one_s_and_that_of_the_cheap_one_is_not(learned):
    assert np.linalg.norm(learned.surrogate_saddle - learned.saddle) < 0.01
    assert np.linalg.norm(learned.cheap_saddle - learned.saddle) > 0.1


def test_calls_go_from_the_guess_to_the_saddle(learned):
    assert learned.calls[0] == pytest.approx((0.5, 1.3))
    assert learned.calls[-1] == pytest.approx(learned.saddle)
    assert 3 <= len(learned.calls) <= 8


def test_difference_is_learned_where_the_costly_potential_was_asked_and_not_elsewhere(learned):
    missed = np.abs(learned.correction - learned.difference)
    assert all(missed[nearest(learned, place)] < 0.1 for place in learned.calls)
    far_away = (-1.6, 0.3)
    assert missed[nearest(learned, far_away)] > 0.3


def test_energies_are_above_the_saddle_and_the_surrogate_is_cheap_with_what_was_learned(learned):
    here = nearest(learned, learned.saddle)
    for energy in (learned.costly, learned.cheap, learned.surrogate):
        assert abs(energy[here]) < 0.5  # the grid's point lies 0.13 A away
    np.testing.assert_allclose(learned.surrogate - learned.cheap, learned.correction, atol=1e-9)


def test_another_solver_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"solver 'trust': expected delta"):
        map_learned(PAIR.model_copy(update={"solver": "trust"}))


def test_guess_that_leads_to_no_saddle_is_named():
    with pytest.raises(InputError, match=r"no saddle from the guess .* between HCN and HNC"):
        map_learned(PAIR, guess=(3.0, 0.0), n=3)
