"""What is climbed, asked anew at every geometry."""

import torch
from ase.build import molecule

from gadlib.hessians.rigid_motions import rigid_motions
from gadlib.solver.aim import Aim
from gadlib.systems.batch import Batch

WATER = molecule("H2O")
BATCH = Batch.pack([WATER.positions], [WATER.numbers])


def _stretch(i, j):
    weights = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weights[0, 0, i, j] = weights[0, 0, j, i] = 1.0
    return Aim(torch.zeros(1, 9, 1, dtype=torch.float64), weights)


def test_no_aim_has_no_directions():
    none = Aim.none(BATCH)
    assert not none.is_set.any()
    assert none.directions(BATCH).shape == (1, 9, 0)


def test_a_stretch_is_the_gradient_of_the_distance():
    positions = BATCH.positions.clone().requires_grad_()
    distance = (positions[0, 0] - positions[0, 1]).norm()
    (gradient,) = torch.autograd.grad(distance, positions)
    found = _stretch(0, 1).along(BATCH)[0, :, 0]
    expected = BATCH.inverse_sqrt_masses[0] * gradient.flatten()
    assert torch.allclose(found, expected, atol=1e-12)  # a distance has no rigid part


def test_directions_that_are_the_same_are_counted_once():
    both = Aim(
        torch.zeros(1, 9, 2, dtype=torch.float64), _stretch(0, 1).stretches.repeat(1, 2, 1, 1)
    )
    found = both.directions(BATCH)[0]
    squares = (found.mT @ found).diagonal().sort().values
    assert torch.allclose(squares, torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-9)


def test_moves_lose_their_rigid_part():
    moves = torch.randn(1, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    aim = Aim(moves, torch.zeros(1, 2, 3, 3, dtype=torch.float64))
    found = aim.directions(BATCH)[0]
    assert torch.allclose(found.mT @ found, torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert (rigid_motions(BATCH)[0].mT @ found).abs().max() < 1e-10
