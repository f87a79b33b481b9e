"""Images on the potential: maxima, tangents, and the way down to the valley."""

from dataclasses import replace

import numpy as np
import pytest

from gadlib.calculators import get
from gadlib.molecules import reactions
from gadlib.molecules.interpolation import idpp
from gadlib.molecules.starting_points import starts
from gadlib.paths.band import Band, compute_band, lower_band
from gadlib.paths.ends import within

pytest.importorskip("scine_sparrow")


def band_of(energies):
    """A bent line of images of one atom with these energies."""
    n = len(energies)
    positions = np.zeros((n, 1, 3))
    positions[:, 0, 0] = np.arange(n)
    positions[:, 0, 1] = np.arange(n) ** 2
    return Band(positions, np.array(energies, dtype=float), np.zeros((n, 1, 3)), 0, {})


def test_maxima_are_those_between_the_ends_the_highest_first():
    assert band_of([0, 1, 0.5, 2, 1, 3]).tops == [3, 1]
    assert band_of([0, -np.inf, 1, -np.inf, 5]).tops == [2]
    assert band_of([0, 1, 2, 3, 4]).tops == [3]


def test_tangents_point_to_the_higher_neighbour_and_between_both_at_a_maximum():
    tangents = band_of([0, 1, 3, 2, 0]).tangents[:, 0, :2]
    np.testing.assert_allclose(tangents[1], np.array([1, 3]) / 10**0.5)
    np.testing.assert_allclose(tangents[3], np.array([1, 5]) / 26**0.5)
    assert tangents[2] @ np.array([1, 3]) > 0
    assert tangents[2] @ np.array([1, 5]) > 0
    np.testing.assert_array_equal(tangents[[0, 4]], 0)


def reaction():
    (known,) = [r for r in reactions.read(None) if r.name == "rxn0064"]
    start = within(starts([known], "reactant")[0])
    return start, idpp(start.atomic_numbers, *start.ends, 7)


def test_images_come_down_to_the_saddle_of_the_reaction_and_each_is_paid_for():
    start, images = reaction()
    calculator = get("scine")
    band = compute_band(calculator, start, images, (-1e3, -1e3))
    low = lower_band(calculator, start, band, 12)
    assert band.n_gradient == 7
    assert low.n_gradient == 84
    highest = band.energy[1:-1].max()
    assert low.energy[1:-1].max() < highest - 1.0
    spacing = np.linalg.norm(np.diff(low.positions, axis=0), axis=(1, 2))
    assert spacing.max() < 1.2 * spacing.min()
    np.testing.assert_array_equal(low.positions[[0, -1]], band.positions[[0, -1]])


def test_an_image_that_fails_on_the_way_leaves_the_last_band():
    start, images = reaction()
    calls = []

    def fails(batch, *, hessian=True):
        found = get("scine")(batch, hessian=hessian)
        calls.append(len(batch))
        return replace(found, failures={2: "no"}) if len(calls) > 2 else found

    band = compute_band(fails, start, images, (0.0, 0.0))
    low = lower_band(fails, start, band, 12)
    assert calls == [7, 7, 7]
    assert low.n_gradient == 14
    assert np.isfinite(low.energy).all()
