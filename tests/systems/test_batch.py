import dataclasses

import numpy as np
import pytest
import torch
from clusters import NUMBERS, SEEDS, clusters, padded
from hypothesis import given

from gadlib.systems.batch import Batch


@given(SEEDS)
def test_a_system_comes_out_as_it_went_in(seed):
    generator = np.random.default_rng(seed)
    places = [generator.normal(size=(len(z), 3)) for z in NUMBERS]
    batch = Batch.pack(places, NUMBERS)
    for i in range(len(batch)):
        numbers, positions = batch.system(i)
        assert numbers.tolist() == NUMBERS[i]
        assert np.array_equal(positions, places[i])


def test_padding_has_no_mass_no_number_and_sits_at_the_origin():
    batch = clusters(0)
    assert batch.n_atoms.tolist() == [3, 5, 4]
    assert batch.positions.shape == (3, 5, 3)
    assert not batch.masses[~batch.mask].any()
    assert not batch.positions[~batch.mask].any()
    assert not batch.atomic_numbers[~batch.mask].any()


def test_masses_are_standard_atomic_masses():
    # conventional: Meija et al., Pure Appl. Chem. 88, 265 (2016), doi:10.1515/pac-2015-0305
    assert clusters(0).masses[0, :3].tolist() == [12.011, 1.008, 15.999]


def test_padding_stays_at_the_origin_when_atoms_move():
    batch = padded(clusters(0))
    moved = batch.moved_to(batch.positions + 1.0)
    assert not moved.positions[~batch.mask].any()
    assert torch.equal(moved.positions[batch.mask], batch.positions[batch.mask] + 1)


def test_unequal_lengths_are_refused_with_the_place():
    with pytest.raises(ValueError, match="molecule 1 has 2 positions and 3 atomic_numbers"):
        Batch.pack([np.zeros((1, 3)), np.zeros((2, 3))], [[1], [1, 1, 1]])


@pytest.mark.parametrize("numbers", [[], [[1], [1]]])
def test_as_many_numbers_as_positions_are_expected(numbers):
    with pytest.raises(ValueError, match="expected as many"):
        Batch.pack([np.zeros((1, 3))][: max(1, len(numbers)) if numbers else 0], numbers)


def test_positions_become_float64():
    batch = Batch.pack([np.zeros((1, 3), dtype=np.float32)], [[1]])
    assert batch.positions.dtype == torch.float64


def test_taking_systems_keeps_their_width_and_their_freedom():
    batch = dataclasses.replace(clusters(0), is_free=False)
    some = batch.take(torch.tensor([2, 0]))
    assert torch.equal(some.positions, batch.positions[[2, 0]])
    assert some.n_atoms.tolist() == [4, 3]
    assert not some.is_free


def test_what_a_batch_knows_follows_its_systems():
    batch = clusters(0)
    names = ("mask", "n_atoms", "masses", "closest_pair", "inverse_sqrt_masses", "radii_sum")
    before = [getattr(batch, name) for name in names]
    some = batch.take(torch.tensor([1, 0]))
    assert {"mask", "masses", "radii_sum"} <= set(some.known)
    for value, name in zip(before, names, strict=True):
        assert torch.equal(getattr(some, name), value[[1, 0]])
    assert torch.allclose(some.moved_to(2 * some.positions).closest_pair, 2 * before[3][[1, 0]])


def test_closest_pair_is_the_smallest_distance_and_ignores_padding():
    places = [[[0.0, 0, 9], [0, 3, 9], [0, 4, 9]], [[0.0, 0, 0.1]]]
    batch = Batch.pack([torch.tensor(p) for p in places], [[1, 1, 1], [1]])
    assert batch.closest_pair.tolist() == [1.0, torch.inf]


def test_a_batch_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        clusters(0).is_free = False  # type: ignore[misc]
