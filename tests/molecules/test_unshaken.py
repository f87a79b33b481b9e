"""Guesses that are shaken come nearer to their saddles by what the ends say; quiet ones stay."""

from __future__ import annotations

import numpy as np
import pytest

from gadlib.molecules import reactions, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.unshaken import QUIET, shaking, unshaken


@pytest.fixture(scope="module")
def found():
    return reactions.read(max_samples=20)


def starts_of(found, recipe):
    return starting_points.starts(found, recipe, 7)


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2])
def test_noise_is_told_from_the_bonds_that_both_ends_have(found, size):
    told = [
        shaking(s.atomic_numbers, s.positions, s.ends) for s in starts_of(found, f"ts_noise{size}A")
    ]
    assert np.median(told) == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(("size", "share"), [(0.1, 0.9), (0.2, 0.75)])
def test_shaken_guess_comes_nearer_to_its_saddle(found, size, share):
    before, after = [], []
    for one, start in zip(found, starts_of(found, f"ts_noise{size}A"), strict=True):
        numbers = start.atomic_numbers
        place = unshaken(numbers, start.positions, start.ends)
        before.append(rmsd(numbers, start.positions, one.transition_state))
        after.append(rmsd(numbers, place, one.transition_state))
    assert np.mean(after) < share * np.mean(before)
    assert np.mean(np.array(after) < np.array(before)) > 0.8


def test_end_itself_and_quiet_guesses_are_left_as_they_are(found):
    for recipe in ("reactant", "ts"):
        for start in starts_of(found, recipe):
            args = (start.atomic_numbers, start.positions, start.ends)
            place = unshaken(*args)
            assert (shaking(*args) < QUIET) == (place is start.positions)
        assert (
            sum(
                shaking(s.atomic_numbers, s.positions, s.ends) < QUIET
                for s in starts_of(found, recipe)
            )
            > 15
        )


def test_it_stays_where_the_guess_lies_and_does_not_depend_on_how_the_ends_do(found):
    (start,) = starts_of(found[:1], "ts_noise0.2A")
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    here = unshaken(start.atomic_numbers, start.positions, start.ends)
    moved = tuple(place @ turn + 3.0 for place in start.ends)
    np.testing.assert_allclose(
        unshaken(start.atomic_numbers, start.positions, moved), here, atol=1e-9
    )
    np.testing.assert_allclose(here.mean(0), start.positions.mean(0), atol=1e-9)
    elsewhere = unshaken(start.atomic_numbers, start.positions @ turn - 1.0, start.ends)
    np.testing.assert_allclose(elsewhere, here @ turn - 1.0, atol=1e-6)


def test_without_a_bond_that_both_ends_have_nothing_is_known():
    numbers, ends = np.array([1, 1]), (np.zeros((2, 3)), np.ones((2, 3)) * [[0], [5]])
    place = np.array([[0.0, 0, 0], [0, 0, 2.0]])
    assert shaking(numbers, place, ends) == 0
    assert unshaken(numbers, place, ends) is place


def test_hydrogen_on_its_way_is_drawn_to_neither_end():
    numbers = np.array([8, 1, 8, 1, 1])
    heavy = np.array([[0.0, 0, 0], [0, 0, 0], [2.5, 0, 0], [-0.3, 0.92, 0], [2.8, 0.92, 0]])
    first, last, middle = (heavy.copy() for _ in range(3))
    first[1, 0], last[1, 0], middle[1, 0] = 0.97, 1.53, 1.25
    places, off = [], []
    for seed in range(20):
        shaken = middle + np.random.default_rng(seed).normal(scale=0.1, size=middle.shape)
        places.append(unshaken(numbers, shaken, (first, last)))
        off.append([rmsd(numbers, place, middle) for place in (places[-1], shaken)])
    lengths = [[np.linalg.norm(place[1] - place[k]) for k in (0, 2)] for place in places]
    assert np.mean(lengths, axis=0) == pytest.approx([1.25, 1.25], abs=0.08)
    assert np.std(lengths) > 0.03  # each guess keeps what it says itself
    assert np.mean(off, axis=0)[0] < 0.8 * np.mean(off, axis=0)[1]
