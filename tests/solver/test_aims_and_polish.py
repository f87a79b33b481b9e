"""Aims of nobody and of many, and the polish where Newton's step would go too far."""

import numpy as np
import pytest
import torch

from gadlib.calculators.surfaces import Surface
from gadlib.solver.image_step import polish
from gadlib.solver.mode_following import read_aim, stack
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch

WATER = np.array([[0.0, 0.0, 0.1], [0.0, 0.76, -0.5], [0.0, -0.76, -0.5]])
NUMBERS = np.array([8, 1, 1])


def test_nobody_has_an_aim():
    assert stack([], 3) is None
    assert stack([None, None], 3) is None


def test_aims_of_many_are_padded_with_nothing():
    both = [read_aim(mode, NUMBERS, WATER, None) for mode in ("atoms:1", "bonds:0-1,1-2")]
    found = stack([both[0], None, both[1]], 5)
    assert found.moves.shape == (3, 15, 3)
    assert found.stretches.shape == (3, 3, 5, 5)
    assert torch.equal(found.moves[0, :9], both[0].moves[0])
    assert torch.equal(found.stretches[2, :2, :3, :3], both[1].stretches[0])
    assert found.moves.count_nonzero() == 3
    assert found.stretches.count_nonzero() == 4
    assert {t.dtype for aim in both for t in (aim.moves, aim.stretches)} == {torch.float64}


def test_an_aim_of_atoms_is_all_their_coordinates_by_the_roots_of_their_masses():
    aim = read_aim("atoms:0", NUMBERS, WATER, None)
    expected = torch.zeros(9, 3).double()
    expected[:3] = torch.eye(3).double() * 15.999**0.5
    torch.testing.assert_close(aim.moves[0], expected, rtol=1e-4, atol=0)


def test_an_aim_of_a_reaction_without_a_bond_that_changes_is_its_one_straight_way():
    atoms = 3.0 * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ends = tuple(atoms * (1 + sign * 0.1) for sign in (1, -1))
    aim = read_aim("reaction", np.array([1, 1, 1, 1]), atoms, ends)
    assert aim.moves.shape == (1, 12, 1)
    assert not aim.stretches.any()
    centred = (atoms - atoms.mean(0)).ravel()
    cosine = aim.moves[0, :, 0].numpy() @ centred / np.linalg.norm(centred)
    assert abs(cosine) == pytest.approx(float(aim.moves.norm()))


def test_a_polish_that_would_raise_the_forces_goes_half_as_far():
    """On E = -(x atan(100 x) - ln(1 + 10^4 x^2) / 200) + (y^2 + z^2) / 2 from x = 0.03.

    Newton's step of -0.125 A is cut to -0.1, where the force would be atan(7) instead of atan(3);
    half of it leads to x = -0.02.
    """

    def energy(positions, numbers):
        x, y, z = positions[0]
        rise = x * torch.atan(100 * x) - torch.log1p((100 * x) ** 2) / 200
        return -rise + (y**2 + z**2) / 2

    place = torch.tensor([[0.03, 0.0, 0.0]]).double()
    surface = Surface(energy, Batch.pack([place], [[1]], is_free=False), (), "by hand")
    before = begin(surface.start, surface)
    found = polish(surface, before)
    assert found.batch.positions[0, 0].tolist() == pytest.approx([-0.02, 0.0, 0.0], abs=1e-6)
    assert int(found.cost.n_gradient - before.cost.n_gradient) == 3
    assert float(found.max_force) == pytest.approx(np.arctan(2.0), rel=1e-4)
