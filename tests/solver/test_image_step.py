"""One step on the image surface: its length, what is learned from it, where it may not lead."""

from dataclasses import replace

import pytest
import torch
from hand_made import ring, search_state

from gadlib.calculators.surfaces import quadratic
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.image_step import (
    FLOOR,
    adapt_radius,
    image_move,
    lowest_mode,
    move_above,
    polish,
)
from gadlib.solver.points import begin
from gadlib.solver.state import along_modes
from gadlib.systems.batch import Batch

H = TrustHyperparameters(radius_min=0.01, radius_grow=1.25, radius_shrink=0.5)


def number(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


@pytest.mark.parametrize(("ratio", "length", "radius", "is_poor"), [
    (1.0, 0.08, 0.125, False),  # well predicted: grows
    (0.71, 0.08, 0.125, False),
    (1.39, 0.08, 0.125, False),
    (0.7, 0.08, 0.1, False),  # not so well: stays
    (1.4, 0.08, 0.1, False),
    (1.0, 0.0699, 0.1, False),  # too short to tell
    (0.21, 0.08, 0.1, False),
    (1.99, 0.08, 0.1, False),
    (0.2, 0.08, 0.04, True),  # poorly: half of the step
    (2.0, 0.08, 0.04, True),
    (-1.0, 0.3, 0.05, True),  # half of the radius, where the step was longer
    (float("nan"), 0.08, 0.04, True),
    (0.0, 0.001, 0.01, True),  # never below the least
])  # fmt: skip
def test_the_radius_after_a_step(ratio, length, radius, is_poor):
    found, poor = adapt_radius(number(0.1), number(ratio), number(length), H, number(0.2))
    assert found.item() == pytest.approx(radius)
    assert poor.tolist() == [is_poor]


def test_the_radius_never_exceeds_the_largest():
    found, _ = adapt_radius(number(0.1), number(1.0), number(0.1), H, number(0.11))
    assert found.item() == pytest.approx(0.11)


def pairs(*distances: float, is_free: bool = True) -> Batch:
    """Two carbon atoms each, so many scaled distances apart."""
    places = [
        torch.tensor([[0.0] * 3, [1.52 * d, 0.0, 0.0]], dtype=torch.float64) for d in distances
    ]
    return Batch.pack(places, [[6, 6]] * len(distances), is_free=is_free)


def push(batch: Batch, *moves: float) -> torch.Tensor:
    """Moves of the second atoms along the axis, in scaled distances."""
    found = torch.zeros_like(batch.positions)
    found[:, 1, 0] = 1.52 * torch.tensor(moves, dtype=torch.float64)
    return found


def scaled(batch: Batch) -> list[float]:
    return batch.scaled_distances[:, 0, 1].tolist()


def test_a_step_below_the_floor_is_halved_until_it_is_not():
    batch = pairs(1.0, 1.0, 1.0)
    found = move_above(batch, push(batch, -0.39, -0.41, -0.9))
    assert scaled(found) == pytest.approx([0.61, 1 - 0.205, 1 - 0.225])


def test_atoms_below_the_floor_already_may_part_but_not_approach():
    batch = pairs(0.5, 0.5)
    found = move_above(batch, push(batch, 0.05, -0.05))
    assert scaled(found) == pytest.approx([0.55, 0.5 - 0.05 / 64])


def test_particles_on_a_surface_have_no_floor():
    batch = pairs(1.0, is_free=False)
    batch_moved = move_above(batch, push(batch, -0.9))
    moved = (batch_moved.positions[0, 1, 0] / 1.52).item()
    assert moved == pytest.approx(0.1)
    assert FLOOR == 0.6


def test_the_longest_displacement_of_an_atom_is_the_radius():
    state = search_state(ring(2))
    forces = torch.randn(state.forces.shape, generator=torch.Generator().manual_seed(1)).double()
    eigenvalues = torch.arange(15.0).double().expand(2, -1) - 0.5
    eigenvalues = torch.where(eigenvalues > 9, torch.inf, eigenvalues)
    state = replace(state, spectrum=replace(state.spectrum, eigenvalues=eigenvalues))
    components = along_modes(state, -forces.flatten(1))
    radius = torch.tensor([0.05, 0.1]).double()
    move = image_move(state, components, lowest_mode(state), radius).unflatten(1, (-1, 3))
    farthest = move.norm(dim=-1).amax(-1) / radius
    assert ((farthest > 0.95) & (farthest < 1.05 + 1e-9)).all()
    uphill = (move.flatten(1) * -forces.flatten(1)).sum(-1)
    along = along_modes(state, state.batch.masses.repeat_interleave(3, -1) * move.flatten(1))
    assert (along[:, 0] * components[:, 0] > 0).all()  # up along the lowest mode
    assert (along[:, 1:9] * components[:, 1:9] <= 0).all()  # down along the others
    assert uphill.isfinite().all()


def test_a_polish_ends_on_the_saddle_of_a_quadratic():
    surface = quadratic()
    near = surface.start.moved_to(surface.start.positions * 0.02)
    state = begin(near.take(torch.tensor([0])), surface)
    found = polish(surface, state)
    assert found.max_force.item() < 1e-12
    assert found.steps.tolist() == [1]
    spent = found.cost.n_gradient - state.cost.n_gradient, found.cost.n_hessian
    assert [int(s) for s in spent] == [2, 2]  # a trial, and the point with its Hessian
