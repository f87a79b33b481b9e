"""Down to minima, and not over ridges: each step and each end, on surfaces where they are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from clusters import spoiled

from gadlib.calculators.surfaces import double_well, muller_brown
from gadlib.hessians.normal_modes import spectrum
from gadlib.solver.downhill import relaxation
from gadlib.solver.downhill.relaxation import (
    RELAXED_FORCE,
    can_go_on,
    keep,
    make_exact,
    move,
    relax,
)
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch

SURFACE = double_well()


def state_at(*places: tuple[float, float, float], surface=SURFACE):
    numbers = [[1]] * len(places)
    positions = [torch.tensor([place], dtype=torch.float64) for place in places]
    return begin(Batch.pack(positions, numbers, is_free=False), surface)


def minima(surface) -> torch.Tensor:
    return surface.stationary(0).positions[:, 0]


@pytest.mark.parametrize("surface", [double_well(), muller_brown()], ids=["wells", "muller-brown"])
def test_relaxing_from_beside_a_minimum_ends_at_it_with_an_exact_hessian(surface):
    known = minima(surface)
    begun = state_at(*(known + 0.05 * torch.tensor([1.0, -1.0, 0.0])).tolist(), surface=surface)
    found = relax(surface, begun)
    assert (found.batch.positions[:, 0] - known).norm(dim=-1).max() < 2e-3
    assert found.is_exact.all()
    assert (found.order == 0).all()
    assert (found.max_force < RELAXED_FORCE).all()


def test_a_minimum_is_left_as_it_is_and_costs_nothing():
    begun = state_at(*minima(SURFACE).tolist())
    found = relax(SURFACE, begun)
    assert torch.equal(found.batch.positions, begun.batch.positions)
    assert torch.equal(found.cost.n_gradient, begun.cost.n_gradient)
    assert found.steps.tolist() == [0] * len(begun.batch)


def test_no_step_goes_up_and_each_counts_as_one_gradient():
    state = state_at(*(minima(SURFACE) + 0.2).tolist())
    radius = torch.full_like(state.energy, relaxation.RADIUS)
    for n in range(1, 6):
        after, radius = relaxation.relax_step(SURFACE, state, radius)
        assert (after.energy <= state.energy + relaxation.RISE_TOL).all()
        assert (after.cost.n_gradient == state.cost.n_gradient + 1).all()
        assert after.steps.tolist() == [n] * len(state.batch)
        state = after


def test_a_step_that_leads_up_is_taken_back_learned_from_and_followed_by_a_shorter_one():
    # A model that curves down far too little leads over the minimum and up the other side.
    state = state_at(*(minima(SURFACE) + 0.1 * torch.tensor([1.0, 0.0, 0.0])).tolist())
    flat = 0.01 * state.hessian
    state = replace(state, hessian=flat, spectrum=spectrum(flat, state.batch))
    radius = torch.full_like(state.energy, 3.0)
    after, shorter = relaxation.relax_step(SURFACE, state, radius)
    assert torch.equal(after.batch.positions, state.batch.positions)
    assert torch.equal(after.energy, state.energy)
    assert (after.cost.n_gradient == state.cost.n_gradient + 1).all()
    assert not torch.allclose(after.hessian, state.hessian)
    assert not after.is_exact.any()
    assert shorter.tolist() == pytest.approx([1.0] * len(radius))  # a third


def test_a_well_predicted_long_step_doubles_the_radius_up_to_its_limit():
    state = state_at(*(minima(SURFACE) + 0.3 * torch.tensor([0.0, 1.0, 0.0])).tolist())
    small = torch.full_like(state.energy, 0.01)
    _, radius = relaxation.relax_step(SURFACE, state, small)
    assert radius.tolist() == pytest.approx([0.02] * len(small))
    assert relaxation._RADIUS_MAX == 0.5


def test_a_failure_on_the_way_is_taken_back_and_the_descent_ends_where_it_hems_it_in():
    start = minima(SURFACE)[:1] + 0.3 * torch.tensor([0.0, 1.0, 0.0])
    begun = state_at(*start.tolist())

    def is_elsewhere(asked: Batch):
        return (asked.positions[:, 0] - start).norm(dim=-1) > 1e-6

    found = relax(spoiled(SURFACE, is_elsewhere, how="raises"), begun)
    assert "cursed" in found.message[0]
    assert torch.equal(found.batch.positions, begun.batch.positions)
    assert not can_go_on(found).any()


def test_one_that_failed_before_is_left_alone_beside_one_that_goes_on():
    begun = state_at(*(minima(SURFACE) + 0.1).tolist())
    begun = replace(begun, message=("broken", *begun.message[1:]))
    found = relax(SURFACE, begun)
    assert found.message[0] == "broken"
    assert torch.equal(found.batch.positions[0], begun.batch.positions[0])
    assert found.max_force[1] < RELAXED_FORCE


def test_steps_that_run_out_leave_an_exact_hessian_where_they_ended():
    begun = state_at(*(minima(SURFACE) + 0.3).tolist())
    found = relax(SURFACE, begun, n_steps=1)
    assert found.steps.tolist() == [1] * len(begun.batch)
    assert found.is_exact.all()
    exact = SURFACE(found.batch).hessian
    assert torch.allclose(found.hessian, exact)


def test_what_is_moved_keeps_its_hessian_which_is_exact_no_more():
    begun = state_at(*minima(SURFACE).tolist())
    step = torch.full_like(begun.forces.flatten(1), 0.01)
    found = move(SURFACE, begun, step)
    assert torch.allclose(found.batch.positions, begun.batch.positions + 0.01)
    assert torch.equal(found.hessian, begun.hessian)
    assert not found.is_exact.any()
    assert torch.equal(found.energy, SURFACE(found.batch, hessian=False).energy)


def test_keeping_takes_each_system_from_where_it_is_accepted_and_both_costs_from_there():
    here = state_at(*minima(SURFACE).tolist())
    there = move(SURFACE, here, torch.full_like(here.forces.flatten(1), 0.01))
    chosen = torch.arange(len(here.batch)) == 0
    found = keep(chosen, there, here)
    assert torch.equal(found.batch.positions[0], there.batch.positions[0])
    assert torch.equal(found.batch.positions[1:], here.batch.positions[1:])
    assert torch.equal(found.cost.n_gradient, there.cost.n_gradient)
    assert torch.equal(found.steps, there.steps)
    assert found.is_exact.tolist() == [False] + [True] * (len(here.batch) - 1)


def test_only_the_chosen_get_an_exact_hessian_and_pay_for_it():
    state = state_at(*minima(SURFACE).tolist())
    wrong = 2 * state.hessian
    state = replace(state, hessian=wrong, is_exact=torch.zeros_like(state.is_exact))
    found = make_exact(SURFACE, state, torch.arange(len(state.batch)) == 1)
    assert found.is_exact.tolist()[:2] == [False, True]
    assert torch.equal(found.hessian[0], wrong[0])
    assert torch.allclose(found.hessian[1], wrong[1] / 2)
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist()[:2] == [0, 1]
