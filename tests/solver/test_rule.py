"""What a trust step learns, claims and remembers, on states made by hand."""

from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, clusters
from hand_made import H, flat, pulled, ring, search_state, wall_of

from gadlib.evaluation import Evaluation
from gadlib.hessians.normal_modes import exact_spectrum, spectrum
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.points import try_hessian
from gadlib.solver.search import search
from gadlib.solver.state import State, Status
from gadlib.solver.trust import rule
from gadlib.solver.trust.claims import certify, is_claim, is_waiting
from gadlib.solver.trust.memory import Origin
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.rule import actual_change, is_back, is_torn, learn, move, remember
from gadlib.systems.batch import Batch
from gadlib.systems.rows import take

ALWAYS = TrustHyperparameters(exact_hessians="often", hessian_every=1)
SPARING = TrustHyperparameters(exact_hessians="proof")


class Calls:
    """A potential whose every answer is its Hessian, given beforehand, and no force; it counts."""

    is_hessian_costly = False

    def __init__(self, curvature: float = 1.0, *, forces: float = 0.0, energy: float = 0.0):
        self.curvature, self.forces, self.energy = curvature, forces, energy
        self.n_gradient = self.n_hessian = 0

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = flat(batch, hessian=hessian)
        self.n_gradient += len(batch) * (not hessian)
        self.n_hessian += len(batch) * hessian
        forces = torch.zeros_like(told.forces)
        forces[:, 0, 0] = self.forces
        second = told.hessian
        if second is not None:
            second = second + self.curvature * torch.eye(second.shape[1]).double()
        return Evaluation(told.energy + self.energy, forces, second)


def torn(away: float = 5.0) -> Batch:
    """Five carbon atoms, one of them so many A away from where it is bonded to the others."""
    batch = ring()
    positions = batch.positions.clone()
    positions[0, 4, 2] += away
    return batch.moved_to(positions)


def states(n: int, **changes) -> State:
    return search_state(ring(n), **changes)


def order_of(state: State, *orders: int) -> State:
    values = torch.arange(15.0).double() + 0.5 - torch.tensor(orders)[:, None]
    return replace(state, spectrum=replace(state.spectrum, eigenvalues=values.double()))


# Claims.


def test_a_climb_at_rest_is_a_claim():
    state = order_of(states(3, age=1), 1, 1, 1)
    found = is_claim(replace(state, forces=pulled(state, 0.0099, 0.01, -0.0099)))
    assert found.tolist() == [True, False, True]


@pytest.mark.parametrize(("phase", "is_one"), [
    (Phase.CLIMBING, True), (Phase.SETTLING, False), (Phase.REBUILT, False),
])  # fmt: skip
def test_only_a_climb_claims(phase, is_one):
    assert is_claim(search_state(phase=phase, age=1)).tolist() == [is_one]


def test_a_point_whose_hessian_is_exact_is_not_claimed_again():
    assert is_claim(states(2, age=[0, 1])).tolist() == [False, True]


def test_no_claim_is_made_while_the_wall_acts():
    state = search_state(age=1)
    assert is_claim(state).tolist() == [True]
    balanced = search_state(age=1, wall=wall_of(state, 1e-6))
    assert is_claim(balanced).tolist() == [False]


def test_at_rest_means_on_the_surface_with_its_wall():
    state = search_state(age=1)
    pull = wall_of(state, 0.0, gradient=pulled(state, 1.0))
    assert is_claim(search_state(age=1, wall=pull)).tolist() == [False]


def test_where_hessians_are_spared_a_model_of_order_zero_claims_nothing():
    state = order_of(states(3, age=1, spares_hessians=[True, True, False]), 0, 1, 0)
    assert is_claim(state).tolist() == [False, True, True]


def test_after_a_refuted_claim_the_model_is_to_tell_order_one_for_some_steps():
    refuted = {"age": [1, 7, 8, 1, 1], "n_certificates": [1, 1, 1, 1, 0]}
    state = order_of(states(5, spares_hessians=True, **refuted), 2, 2, 2, 1, 2)
    assert is_waiting(state).tolist() == [True, True, False, False, False]
    state = order_of(states(1, spares_hessians=False, age=1, n_certificates=1), 2)
    assert is_waiting(state).tolist() == [False]


@pytest.mark.parametrize(("age", "is_asked"), [(7, False), (8, True)])
def test_a_hessian_that_refuted_a_claim_is_not_computed_again_at_once(age, is_asked):
    state = states(1, age=age, n_certificates=1, spares_hessians=True)
    calculator = Calls(-1.0)
    for by_products in (False, True):
        found = certify(calculator, order_of(state, 2), by_products=by_products)
        assert bool(found.cost.n_hessian > state.cost.n_hessian) is is_asked
        assert found.memory.current.n_certificates.item() == 1 + is_asked
        assert found.memory.current.age.item() == (0 if is_asked else age)


def test_a_claim_costs_a_hessian_and_counts_in_its_try():
    state = states(2, age=[3, 0], n_certificates=2)
    calculator = Calls(-1.0)
    found = certify(calculator, state)
    assert (calculator.n_gradient, calculator.n_hessian) == (0, 1)
    assert found.memory.current.n_certificates.tolist() == [3, 2]
    assert found.memory.current.age.tolist() == [0, 0]
    assert found.is_exact.tolist() == [True, False]
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist() == [1, 0]
    assert torch.equal(found.cost.n_gradient, state.cost.n_gradient)
    assert found.order.tolist() == [12, int(state.order[1])]  # rotations that curve down are bends


# What is learned where a step leads.


@pytest.mark.parametrize(("age", "poor", "is_due"), [
    (0, 0, False), (3, 0, False), (4, 0, True), (0, 2, False), (0, 3, True),
])  # fmt: skip
def test_an_exact_hessian_is_due_after_some_steps_or_poor_ones(age, poor, is_due):
    h = TrustHyperparameters(exact_hessians="often", hessian_every=5)
    state = search_state(age=age, poor=poor)
    found = learn(Calls(7.0), state, state.batch, h)
    assert found.is_exact.tolist() == [is_due]
    assert found.memory.current.age.tolist() == [0 if is_due else age + 1]
    assert bool((found.hessian[0].diagonal() == 7.0).all()) is is_due
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist() == [int(is_due)]
    assert (found.cost.n_gradient - state.cost.n_gradient).tolist() == [1]
    assert found.steps.tolist() == [1]


@pytest.mark.parametrize("changes", [{"spares_hessians": True}, {"phase": Phase.SETTLING}])
def test_no_exact_hessian_is_due_where_they_are_spared_or_on_the_way_down(changes):
    state = search_state(age=9, poor=9, **changes)
    calculator = Calls()
    found = learn(calculator, state, state.batch, ALWAYS)
    assert (calculator.n_gradient, calculator.n_hessian) == (1, 0)
    assert found.is_exact.tolist() == [False]


def test_a_spectrum_with_the_wall_in_it_is_never_exact():
    """The Hessian is the potential's, but the spectrum is that of the surface with its wall."""
    state = search_state(torn(), max_fragments=1)
    found = learn(Calls(), state, state.batch, ALWAYS)
    current = found.memory.current
    assert current.wall.is_active.tolist() == [True]
    assert found.is_exact.tolist() == [False]
    assert current.n_pieces.tolist() == [2]
    curved = spectrum(found.hessian + current.wall.hessian, found.batch)
    assert torch.equal(found.spectrum.eigenvalues, curved.eigenvalues)
    bare = spectrum(found.hessian, found.batch)
    assert not torch.allclose(bare.eigenvalues[:, :9], curved.eigenvalues[:, :9])
    assert current.age.tolist() == [0]


def test_an_exact_spectrum_is_the_one_by_which_points_are_judged():
    """A bend of a nearly straight chain stays among the vibrations there."""
    chain = Batch.pack([torch.tensor([[0.0, 0.01, 0], [1.2, 0, 0], [2.4, 0, 0]])], [[6, 6, 6]])
    state = search_state(chain)
    found = learn(Calls(-3.0), state, chain, ALWAYS)
    judged = exact_spectrum(found.hessian, chain, found.forces)
    plain = spectrum(found.hessian, chain)
    assert torch.equal(found.spectrum.eigenvalues, judged.eigenvalues)
    assert judged.order != plain.order


def test_a_rebuilt_molecule_is_computed_where_it_is():
    state = states(2, phase=Phase.REBUILT)
    state = replace(state, forces=pulled(state, 5.0, 5.0))
    state.memory.current.phase[1] = Phase.SETTLING
    there, predicted = move(state)
    assert torch.equal(there.positions[0], state.batch.positions[0])
    assert not torch.equal(there.positions[1], state.batch.positions[1])
    assert predicted[0] == 0 and predicted[1] < 0


def test_the_predicted_change_is_that_of_the_quadratic_model_with_the_wall():
    state = search_state(torn(1.0), phase=Phase.SETTLING, max_fragments=1)
    state = learn(Calls(), state, state.batch, H)
    state = replace(state, hessian=state.hessian + 2 * torch.eye(15).double())
    there, predicted = move(state)
    step = (there.positions - state.batch.positions).flatten(1)
    barrier = state.memory.current.wall
    slope = (barrier.gradient - state.forces.flatten(1)) * step
    curved = ((state.hessian + barrier.hessian) @ step[0]) * step / 2
    assert predicted.item() == pytest.approx((slope + curved).sum().item(), rel=0.02)  # it is bent
    assert (barrier.gradient * step).sum() < 0  # the wall draws the pieces together
    assert curved.abs().sum() > 1e-6


def test_a_settling_molecule_goes_down_and_a_climbing_one_up_its_lowest_mode():
    settling, climbing = (search_state(phase=p) for p in (Phase.SETTLING, Phase.CLIMBING))
    assert not rule.climbed_mode(settling).any()
    assert rule.climbed_mode(climbing).tolist() == [[1.0] + [0.0] * 14]


# What is remembered.


def remembered(state: State, *, h=H, predicted: float = -1.0, **there) -> State:
    """The state after a step to a point whose fields are as given."""
    moved = replace(state, **there)
    return remember(state, moved, torch.full_like(state.energy, predicted), h)


def shifted(state: State, distance: float) -> Batch:
    positions = state.batch.positions.clone()
    positions[:, 0, 0] += distance
    return state.batch.moved_to(positions)


def test_the_actual_change_of_the_energy_counts_the_wall():
    before = search_state(wall=wall_of(search_state(), 0.25))
    after = search_state(wall=wall_of(before, 2.0))
    after = replace(after, energy=before.energy + 1.0)
    assert actual_change(before, after).item() == pytest.approx(1.0 + 2.0 - 0.25)


def test_a_poorly_predicted_step_shrinks_the_radius_and_counts():
    state = states(1, radius=0.1, age=3, poor=1)
    moved = {"batch": shifted(state, 0.08), "energy": state.energy + 3.0}
    current = remembered(state, **moved).memory.current
    assert current.radius.item() == pytest.approx(0.04)
    assert current.poor.item() == 2
    assert current.steps.item() == 1


def test_a_well_predicted_step_grows_the_radius_and_ends_the_row():
    state = states(1, radius=0.06, age=3, poor=2)
    moved = {"batch": shifted(state, 0.05), "energy": state.energy - 1.0}
    current = remembered(state, **moved).memory.current
    assert current.radius.item() == pytest.approx(0.075)
    assert current.poor.item() == 0


def test_an_exact_hessian_ends_the_row_of_poor_steps():
    state = states(1, radius=0.1, age=0, poor=2)
    moved = {"batch": shifted(state, 0.08), "energy": state.energy + 3.0}
    current = remembered(state, **moved).memory.current
    assert current.poor.item() == 0
    assert current.radius.item() == pytest.approx(0.04)


@pytest.mark.parametrize(("n_tries", "largest"), [(0, 0.2), (1, 0.6)])
def test_later_tries_may_step_three_times_as_far(n_tries, largest):
    state = states(1, radius=0.55, age=1, n_tries=n_tries)
    moved = {"batch": shifted(state, 0.55), "energy": state.energy - 1.0}
    assert remembered(state, **moved).memory.current.radius.item() == pytest.approx(largest)


def test_a_rebuilt_molecule_settles_next_and_has_made_no_step():
    state = states(1, phase=Phase.REBUILT, radius=0.05, age=1, poor=0, anchor=9.0)
    found = remembered(state, energy=state.energy + 50.0, predicted=0.0).memory.current
    assert found.phase.tolist() == [Phase.SETTLING]
    assert found.radius.item() == 0.05
    assert found.poor.item() == 0
    assert torch.equal(found.anchor, state.batch.positions)
    assert found.steps.item() == 1


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.CLIMBING])
def test_other_phases_stay_as_they_are(phase):
    state = search_state(phase=phase)
    assert remembered(state).memory.current.phase.tolist() == [phase]


@pytest.mark.parametrize(("steps", "is_mark"), [(6, False), (7, True), (8, False), (15, True)])
def test_every_eighth_step_the_place_is_noted(steps, is_mark):
    state = states(1, steps=steps, anchor=9.0)
    state = replace(state, steps=torch.tensor([0]))
    anchor = remembered(state).memory.current.anchor
    assert bool((anchor == state.batch.positions).all()) is is_mark


@pytest.mark.parametrize(("distance", "length", "is_there"), [
    (0.0049, 0.1, True), (0.0051, 0.1, False), (0.0, 0.0201, True), (0.0, 0.0199, False),
])  # fmt: skip
def test_a_step_of_some_length_that_ends_near_the_noted_place_led_back(distance, length, is_there):
    there = ring()
    anchor = there.positions.clone()
    anchor[0, 2, 1] += distance
    assert is_back(anchor, there, torch.tensor([length]).double()).tolist() == [is_there]


def test_a_search_that_circles_is_told_by_the_place_noted_before_the_step():
    state = states(1, steps=7, radius=0.1)
    there = shifted(state, 0.08)
    back = search_state(steps=7, radius=0.1, anchor=there.positions)
    assert remembered(back, batch=there).memory.current.is_circling.tolist() == [True]
    away = search_state(steps=7, radius=0.1, anchor=state.batch.positions)
    assert remembered(away, batch=there).memory.current.is_circling.tolist() == [False]


@pytest.mark.parametrize(("order", "force", "phase", "is_there"), [
    (1, 0.29, Phase.CLIMBING, True),
    (1, 0.3, Phase.CLIMBING, False),
    (2, 0.29, Phase.CLIMBING, False),
    (0, 0.29, Phase.CLIMBING, False),
    (1, 0.29, Phase.SETTLING, False),
])  # fmt: skip
def test_a_climb_has_arrived_near_a_point_of_order_one(order, force, phase, is_there):
    state = order_of(search_state(phase=phase), order)
    found = remembered(state, forces=pulled(state, force))
    assert found.memory.current.is_arrived.tolist() == [is_there]


def test_a_climb_that_has_arrived_stays_arrived():
    state = order_of(search_state(is_arrived=True), 3)
    assert remembered(state).memory.current.is_arrived.tolist() == [True]


def test_the_lowest_energy_is_kept():
    state = states(2, lowest=-1.0)
    energy = torch.tensor([-2.0, 0.0]).double()
    assert remembered(state, energy=energy).memory.lowest.tolist() == [-2.0, -1.0]


def test_steps_in_pieces_count_only_in_a_row():
    whole = search_state(torn_steps=5)
    assert remembered(whole).memory.current.torn_steps.tolist() == [0]
    held = search_state(torn_steps=5, wall=wall_of(whole, 0.1))
    assert remembered(held).memory.current.torn_steps.tolist() == [6]


def test_pieces_that_may_be_apart_are_torn_once_they_have_gone_from_one_another():
    state = search_state(torn(), max_fragments=2)
    link = float(Origin.at(state).gap[0])
    assert link > 3.5
    assert not is_torn(state).any()  # as far as at first
    near = replace(state.memory.origin, gap=torch.zeros(1).double())
    assert is_torn(replace(state, memory=replace(state.memory, origin=near))).all()


# A Hessian that is not finite.


class Blind(Calls):
    """Its Hessians are NaN."""

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = super().__call__(batch, hessian=hessian)
        second = None if told.hessian is None else told.hessian * torch.nan
        return replace(told, hessian=second)


def test_a_hessian_that_is_not_finite_proves_nothing():
    state = search_state(age=3)
    found = certify(Blind(), state)
    assert "not finite (hessian)" in found.message[0]
    same, (reason,) = try_hessian(Blind(), state)
    assert "not finite (hessian)" in reason
    assert same.is_exact.tolist() == [False]
    assert torch.equal(same.hessian, state.hessian)
    assert (same.cost.n_hessian - state.cost.n_hessian).tolist() == [1]


def test_a_search_whose_hessians_are_not_finite_ends_with_that_reason():
    h = TrustHyperparameters(exact_hessians="proof")
    surface = POTENTIAL

    def blind(batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = surface(batch, hessian=hessian)
        return told if not hessian else replace(told, hessian=told.hessian * torch.nan)

    batch = clusters(1, numbers=([1, 1, 1],))
    *_, last = search(blind, batch, h, criterion="strict", n_steps=60)
    assert last.status[0] is not Status.SADDLE
    assert "not finite (hessian)" in last.state.message[0] + last.state.doubt[0]


def test_systems_of_a_batch_step_as_each_would_alone():
    batch = clusters(3)
    state = rule.init(POTENTIAL, batch, SPARING)
    for _ in range(4):
        together = rule.step(POTENTIAL, state, SPARING)
        for i in range(len(batch)):
            row = torch.tensor([i])
            alone = rule.step(POTENTIAL, take(state, row), SPARING)
            torch.testing.assert_close(alone.batch.positions, together.batch.positions[row])
            assert alone.memory.radius.item() == pytest.approx(together.memory.radius[i].item())
            assert alone.cost.n_gradient.item() == together.cost.n_gradient[i].item()
        state = together
