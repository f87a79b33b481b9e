"""Gaps between pieces, and the pushing apart of atoms, by numbers worked out by hand."""

import pytest
import torch

from gadlib.molecules.contacts import gap, is_adrift, push_apart
from gadlib.systems.batch import Batch

FLOOR = 0.65
C2 = 1.52  # the sum of two carbon radii, in A


def line(*places: float, is_free: bool = True) -> Batch:
    """Carbon atoms on a line, their places in scaled distances."""
    positions = torch.tensor([[C2 * x, 0.0, 0.0] for x in places], dtype=torch.float64)
    return Batch.pack([positions], [[6] * len(places)], is_free=is_free)


def test_the_gap_is_the_longest_link_where_it_is_asked_for():
    batch = line(0.0, 1.0, 3.5, 4.4)
    yes = torch.tensor([True])
    assert gap(batch, yes).item() == pytest.approx(2.5)
    assert gap(batch, ~yes).item() == 0.0
    assert gap(line(0.0, 2.5, is_free=False), yes).item() == 0.0
    assert gap(line(0.0), yes).item() == 0.0


def test_the_gap_of_atoms_in_a_row_is_that_of_neighbours():
    assert gap(line(*(1.1 * i for i in range(9))), torch.tensor([True])).item() == pytest.approx(
        1.1
    )


def test_pieces_are_adrift_beyond_binding_and_half_as_far_again_as_at_first():
    now = torch.tensor([3.5, 3.51, 4.5, 4.51], dtype=torch.float64)
    at_first = torch.tensor([0.0, 2.0, 3.0, 3.0], dtype=torch.float64)
    assert is_adrift(now, at_first).tolist() == [False, True, False, True]


def test_atoms_are_pushed_apart_to_the_floor_along_their_axis_both_alike():
    found = push_apart(line(0.0, 0.2), FLOOR)
    assert found.scaled_distances[0, 0, 1].item() == pytest.approx(0.65, abs=2e-6)
    assert found.positions.mean(1)[0].tolist() == pytest.approx([0.1 * C2, 0, 0])


def test_atoms_far_enough_and_particles_on_a_surface_stay():
    far, particles = line(0.0, 0.66), line(0.0, 0.2, is_free=False)
    for batch in (far, particles):
        assert torch.equal(push_apart(batch, FLOOR).positions, batch.positions)
