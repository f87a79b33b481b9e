from dataclasses import replace

import numpy as np
import pytest
import torch
from clusters import (
    POTENTIAL,
    SEEDS,
    Recorded,
    alone,
    backwards,
    clusters,
    padded,
    shifted,
    turn,
    turned,
)
from hypothesis import given

from gadlib.calculators.surfaces import SURFACES, Surface
from gadlib.hessians.normal_modes import Spectrum
from gadlib.hessians.rigid_motions import Motions
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver import gad
from gadlib.solver.gad import FIRST_TIME_STEP, GadMemory, init, reflect, step
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

H = GadHyperparameters()
DAMPED = GadHyperparameters(integrator="damped", dt_min=0.1, dt_max=1.0, trust_radius_max=2.0)
HYDROGEN = 1.008


def vectors(seed: int, n: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2 * n, 9, generator=generator, dtype=torch.float64)
    return drawn.unflatten(0, (2, n))


def after(state: State, n_steps: int, calculator=POTENTIAL, h=H) -> State:
    for _ in range(n_steps):
        state = step(calculator, state, h)
    return state


# The direction


@given(SEEDS)
def test_reflecting_twice_is_identity(seed):
    forces, mode = vectors(seed)
    mode = mode / mode.norm(dim=-1, keepdim=True)
    assert torch.allclose(reflect(reflect(forces, mode), mode), forces, atol=1e-12)


@given(SEEDS)
def test_reflecting_turns_the_part_along_the_mode_and_leaves_the_rest(seed):
    forces, mode = vectors(seed)
    mode = mode / mode.norm(dim=-1, keepdim=True)
    turned_ = reflect(forces, mode)
    assert torch.allclose((turned_ * mode).sum(-1), -(forces * mode).sum(-1))
    assert torch.allclose(turned_ - forces, ((turned_ - forces) * mode).sum(-1)[:, None] * mode)
    assert torch.allclose(reflect(forces, -mode), turned_)


@given(SEEDS)
def test_first_step_is_the_first_time_step_along_the_gentlest_ascent_field(seed):
    batch = clusters(seed)
    state = init(POTENTIAL, batch, H)
    forces, lowest = state.forces.flatten(1), state.spectrum.modes[:, :, 0]
    field = forces - 2 * (forces * lowest).sum(-1, keepdim=True) * lowest
    expected = 1e-3 * field.unflatten(1, (-1, 3))
    assert float(expected.norm(dim=-1).max()) < H.trust_radius_max
    moved = step(POTENTIAL, state, H)
    assert torch.allclose(moved.batch.positions - batch.positions, expected, atol=1e-12)


@given(SEEDS)
def test_no_atom_moves_farther_than_the_trust_radius_and_the_direction_stays(seed):
    state = init(POTENTIAL, clusters(seed), H)
    strong = replace(state, forces=1e4 * state.forces)
    moved = step(POTENTIAL, strong, H)
    shift = (moved.batch.positions - state.batch.positions).flatten(1)
    free = (step(POTENTIAL, state, H).batch.positions - state.batch.positions).flatten(1)
    farthest = shift.unflatten(1, (-1, 3)).norm(dim=-1).amax(-1)
    assert farthest.tolist() == pytest.approx([H.trust_radius_max] * 3)
    assert torch.allclose(shift / shift.norm(dim=1)[:, None], free / free.norm(dim=1)[:, None])


# Steps of whole searches


@given(SEEDS, SEEDS)
def test_steps_move_along_with_the_molecule(seed, other):
    batch = clusters(seed)
    expected = after(init(POTENTIAL, batch, H), 3)
    shift = torch.tensor(np.random.default_rng(other).normal(scale=3, size=3))
    where = expected.batch.positions
    for moved, positions in (
        (turned(batch, other), where @ turn(other).mT),
        (shifted(batch, other), where + shift),
        (backwards(batch), backwards(expected.batch).positions),
    ):
        found = after(init(POTENTIAL, moved, H), 3)
        assert torch.allclose(
            found.batch.positions, found.batch.moved_to(positions).positions, atol=1e-7
        )


@given(SEEDS)
def test_steps_of_a_batch_are_those_of_each_system_alone(seed):
    batch = clusters(seed)
    single = [after(init(POTENTIAL, alone(batch, i), H), 3) for i in range(len(batch))]
    for other in (batch, padded(batch)):
        together = after(init(POTENTIAL, other, H), 3)
        for i, n in enumerate(batch.n_atoms.tolist()):
            found = together.batch.positions[i]
            assert torch.allclose(found[:n], single[i].batch.positions[0], atol=1e-9)
            assert together.memory.time_step[i] == single[i].memory.time_step[0]
            assert not found[n:].any()


# Damped steps


@given(SEEDS)
def test_a_damped_step_is_the_explicit_one_divided_by_one_plus_time_step_times_curvature(seed):
    batch = clusters(seed)
    state = init(POTENTIAL, batch, DAMPED)
    field = reflect(state.forces.flatten(1), state.spectrum.modes[:, :, 0])
    moved = step(POTENTIAL, state, DAMPED)
    shift = (moved.batch.positions - batch.positions).flatten(1)
    for i in range(len(batch)):
        is_mode = state.spectrum.eigenvalues[i].isfinite()
        weighted = state.spectrum.modes[i][:, is_mode]
        inverse = batch.inverse_sqrt_masses[i]
        forward = torch.where(inverse > 0, 1 / inverse, 0.0)[:, None] * weighted
        curvature = state.spectrum.eigenvalues[i][is_mode].abs()
        back = shift[i] + DAMPED.dt_min * forward @ (curvature * (forward.mT @ shift[i]))
        assert torch.allclose(back, DAMPED.dt_min * field[i], rtol=1e-8, atol=1e-9)


@given(SEEDS)
def test_damped_steps_of_a_batch_are_those_of_each_system_alone(seed):
    batch = clusters(seed)
    for other in (batch, padded(batch)):
        together = after(init(POTENTIAL, other, DAMPED), 2, h=DAMPED)
        for i, n in enumerate(batch.n_atoms.tolist()):
            single = after(init(POTENTIAL, alone(batch, i), DAMPED), 2, h=DAMPED)
            assert torch.allclose(
                together.batch.positions[i, :n], single.batch.positions[0], atol=1e-8
            )
            assert not together.batch.positions[i, n:].any()


def test_short_damped_steps_are_explicit_ones():
    state = init(POTENTIAL, clusters(3), H)
    move = torch.ones_like(state.forces).flatten(1)
    short = gad._damped(move, state, torch.full((3,), 1e-12, dtype=torch.float64))
    assert torch.allclose(short, move, atol=1e-8)


# The mode


def memory(*, time_step=0.01, best_order=2, stalled=0, mode=(1.0, 0.0, 0.0)) -> GadMemory:
    window = H.escape_window
    return GadMemory(
        time_step=torch.tensor([time_step], dtype=torch.float64),
        best_order=torch.tensor([best_order]),
        stalled=torch.tensor([stalled]),
        mode=torch.tensor([mode], dtype=torch.float64),
        displacements=torch.full((1, window), torch.inf, dtype=torch.float64),
        orders=torch.zeros(1, window, dtype=torch.float64),
    )


def spectrum_of(*modes: tuple[float, ...]) -> Spectrum:
    columns = torch.tensor(modes, dtype=torch.float64).mT[None]
    values = torch.arange(len(modes), dtype=torch.float64)[None] - 1
    rigid = torch.zeros(1, len(modes), 6, dtype=torch.float64)
    return Spectrum(values, columns, Motions(rigid, None, torch.tensor([len(modes)])))


def followed_mode(remembered, modes):
    """What is remembered after the choice of a mode, where none is wanted."""
    nothing = torch.zeros(1, modes.modes.shape[1], 1, dtype=torch.float64)
    return gad._follow(remembered, modes, nothing)


def test_first_the_lowest_mode_is_climbed():
    modes = spectrum_of((0, 1, 0), (1, 0, 0), (0, 0, 1))
    followed = followed_mode(memory(best_order=-1, mode=(1.0, 0, 0)), modes)
    assert followed.mode.tolist() == [[0, 1, 0]]


def test_then_the_mode_most_like_the_previous_one_is_climbed_whatever_its_eigenvalue():
    modes = spectrum_of((0, 0.8, 0.6), (0, 0.6, -0.8), (1, 0, 0))
    assert followed_mode(memory(mode=(0.9, 0.4, 0.1)), modes).mode.tolist() == [[1, 0, 0]]


def test_the_sign_of_the_previous_mode_is_kept():
    modes = spectrum_of((-1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert followed_mode(memory(mode=(0.9, 0.1, 0)), modes).mode.tolist() == [[1, 0, 0]]
    assert followed_mode(memory(mode=(-0.9, 0.1, 0)), modes).mode.tolist() == [[-1, 0, 0]]


def test_only_the_eight_lowest_modes_can_be_climbed():
    nine = torch.eye(9, dtype=torch.float64)
    modes = spectrum_of(*nine.tolist())
    previous = tuple((0.9 * nine[8] + 0.2 * nine[3]).tolist())
    assert followed_mode(memory(mode=previous), modes).mode.tolist() == [nine[3].tolist()]
    previous = tuple((0.9 * nine[7] + 0.2 * nine[3]).tolist())
    assert followed_mode(memory(mode=previous), modes).mode.tolist() == [nine[7].tolist()]


# The time step: best_order is 2 in the hand-made memory


def adapted(before: GadMemory, order: int, **hyperparameters) -> GadMemory:
    return gad._adapt(before, torch.tensor([order]), GadHyperparameters(**hyperparameters))


def test_the_first_order_is_the_best_and_leaves_the_time_step():
    found = adapted(memory(best_order=-1, time_step=1e-3), 5)
    assert (found.best_order.item(), found.stalled.item(), found.time_step.item()) == (5, 0, 1e-3)


@pytest.mark.parametrize(("before", "expected"), [(0.01, FIRST_TIME_STEP), (1e-4, 1e-4)])
def test_a_better_order_brings_the_time_step_down_to_the_first(before, expected):
    found = adapted(memory(time_step=before, stalled=4), 1)
    assert found.best_order.item() == 1
    assert found.stalled.item() == 0
    assert found.time_step.item() == expected


@pytest.mark.parametrize(("before", "expected"), [(0.01, 0.005), (1.5e-6, 1e-6)])
def test_a_worse_order_shrinks_the_time_step_down_to_its_minimum(before, expected):
    found = adapted(memory(time_step=before, stalled=4), 3)
    assert found.best_order.item() == 2
    assert found.stalled.item() == 0
    assert found.time_step.item() == pytest.approx(expected)


def test_the_same_order_only_counts_until_patience_ends():
    found = adapted(memory(time_step=0.01, stalled=3), 2)
    assert (found.best_order.item(), found.stalled.item(), found.time_step.item()) == (2, 4, 0.01)


@pytest.mark.parametrize(("before", "expected"), [(0.01, 0.02), (0.03, 0.05)])
def test_the_end_of_patience_boosts_the_time_step_up_to_its_maximum(before, expected):
    found = adapted(memory(time_step=before, stalled=4), 2)
    assert found.stalled.item() == 0
    assert found.time_step.item() == pytest.approx(expected)


@pytest.mark.parametrize(("before", "expected"), [(1e-9, 1e-6), (1.0, 0.05)])
def test_the_time_step_stays_in_its_range(before, expected):
    assert adapted(memory(time_step=before), 2).time_step.item() == pytest.approx(expected)


def test_hyperparameters_of_the_time_step_are_used():
    boosted = adapted(memory(stalled=2), 2, plateau_patience=3, plateau_boost=1.5)
    assert boosted.time_step.item() == pytest.approx(0.015)
    shrunk = adapted(memory(), 3, plateau_shrink=0.3)
    assert shrunk.time_step.item() == pytest.approx(0.003)


# Being stuck

LESS, MORE = 0.99 * H.escape_disp_threshold, 1.01 * H.escape_disp_threshold
TOP = SURFACES["double_well"].stationary(2)


def at_the_top(displacements=LESS, orders=2.0) -> State:
    """A search at a point of order 2 with the given history, both last in a window."""
    surface = SURFACES["double_well"]
    state = init(surface, TOP, H)
    window = torch.ones(1, H.escape_window, dtype=torch.float64)
    history = {"displacements": displacements * window, "orders": orders * window}
    return replace(state, memory=replace(state.memory, **history, best_order=torch.tensor([2])))


def is_stuck(state: State) -> bool:
    return bool(gad._is_stuck(state, H))


def test_hardly_moving_at_order_two_is_being_stuck():
    assert is_stuck(at_the_top())
    assert not is_stuck(at_the_top(displacements=MORE))


def test_a_window_not_yet_full_is_not_being_stuck():
    state = at_the_top()
    state.memory.displacements[0, 0] = torch.inf
    assert not is_stuck(state)


@pytest.mark.parametrize(("orders", "expected"), [((2, 3), True), ((1, 3), False)])
def test_an_order_that_changes_much_is_not_being_stuck(orders, expected):
    # the population deviations are 0.5 and 1, the default threshold is 0.5
    half = H.escape_window // 2
    state = at_the_top(orders=torch.tensor(orders).repeat(half).double())
    assert is_stuck(state) is expected


def test_at_order_one_nobody_is_stuck():
    state = at_the_top()
    values = state.spectrum.eigenvalues.clone()
    values[0, 1] = 0.1
    assert not is_stuck(replace(state, spectrum=replace(state.spectrum, eigenvalues=values)))


# Escapes


def two_atoms(distance: float, tilt: float, limit: float = torch.inf) -> Surface:
    """Two hydrogens that are pinned, undefined farther than `limit` from their pins.

    The curvatures are -3 for the first one's y and -2 eV/A^2 for the second one's x, along which
    the energy rises by `tilt` eV/A.
    """
    pins = torch.tensor([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]], dtype=torch.float64)
    curvatures = torch.tensor([[4.0, -3.0, 5.0], [-2.0, 6.0, 7.0]], dtype=torch.float64)

    def energy(positions, numbers):
        shift = positions[:2] - pins
        value = (curvatures * shift**2).sum() / 2 + tilt * shift[1, 0]
        return torch.where((shift.abs() <= limit).all(), value, torch.nan)

    return Surface(energy, Batch.pack([pins], [[1, 1]], is_free=False), (), "by hand")


def escape(surface: Surface, **hyperparameters) -> tuple[State, State, Recorded]:
    """A stuck search on the surface before and after its escape, and what it asked for."""
    h = GadHyperparameters(**hyperparameters)
    state = init(surface, surface.start, h)
    window = torch.zeros(1, h.escape_window, dtype=torch.float64)
    state = replace(state, memory=replace(state.memory, displacements=window, orders=window + 2))
    recorded = Recorded(surface)
    return state, step(recorded, state, h), recorded


def shift_of(before: State, after_: State) -> list[float]:
    return (after_.batch.positions - before.batch.positions).flatten().tolist()


def along_x2(length: float):
    return pytest.approx([0, 0, 0, length, 0, 0], abs=1e-12)


@pytest.mark.parametrize("tilt", [-0.1, 0.1])
def test_an_escape_tries_both_sides_of_the_second_mode_and_takes_the_lower(tilt):
    before, found, recorded = escape(two_atoms(1.0, tilt), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(-0.1 if tilt > 0 else 0.1)
    sides = [b.positions[0, 1, 0].item() - 1.0 for b in recorded.batches[:2]]
    assert sorted(sides) == pytest.approx([-0.1, 0.1])
    assert recorded.hessians == [False, False, True]
    assert found.cost.n_gradient.item() - before.cost.n_gradient.item() == 3
    assert found.steps.item() == found.escapes.item() == 1


def test_a_side_that_brings_two_atoms_closer_than_half_an_angstrom_is_out():
    before, found, _ = escape(two_atoms(0.59, 0.1), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(0.1)
    before, found, _ = escape(two_atoms(0.61, 0.1), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(-0.1)


def test_while_neither_side_is_valid_the_escape_is_halved():
    before, found, recorded = escape(two_atoms(1.0, -0.1, limit=0.03), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(0.025)
    assert recorded.hessians == [False] * 6 + [True]
    assert found.cost.n_gradient.item() == 1 + 6 + 1


def test_after_five_halvings_the_search_stays_where_it_is_and_has_spent_a_step():
    before, found, recorded = escape(two_atoms(1.0, -0.1, limit=1e-3), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(0)
    assert len(recorded.batches) == 2 * 6 + 1
    assert found.steps.item() == found.escapes.item() == 1


def test_the_fifth_halving_still_counts():
    before, found, _ = escape(two_atoms(1.0, -0.1, limit=0.0032), adaptive_delta_scale=0.0)
    assert shift_of(before, found) == along_x2(0.1 / 32)


@pytest.mark.parametrize(
    ("delta", "scale", "expected"),
    [
        (0.2, 0.0, 0.2),
        (0.2, 1.0, 0.2 / (2 / HYDROGEN) ** 0.5),
        (0.2, 0.5, 0.1 / (2 / HYDROGEN) ** 0.5),
    ],
)
def test_the_length_of_an_escape_follows_the_curvature_of_the_second_mode(delta, scale, expected):
    surface = two_atoms(3.0, -0.1)
    before, found, _ = escape(surface, escape_delta=delta, adaptive_delta_scale=scale)
    assert shift_of(before, found) == along_x2(expected)


@pytest.mark.parametrize(
    ("eigenvalue", "expected"),
    [(-0.0101, 0.5 / 0.0101**0.5), (-0.0099, 0.5), (-4.0, 0.25), (-0.25, 1.0), (-0.2, 1.0)],
)
def test_an_adapted_escape_is_at_most_an_angstrom_and_soft_modes_are_not_adapted(
    eigenvalue, expected
):
    h = GadHyperparameters(escape_delta=0.5, adaptive_delta_scale=1.0)
    found = gad._escape_delta(torch.tensor([eigenvalue], dtype=torch.float64), h)
    assert found.item() == pytest.approx(min(expected, 1.0))


def test_an_escape_is_of_unit_direction_in_cartesian_space():
    """Oxygen moves less than hydrogen in a mass-weighted mode; together they move delta."""
    batch = Batch.pack([np.array([[0, 0, 0], [0, 0, 1.0]])], [[8, 1]])
    mode = torch.tensor([[0.6, 0, 0, 0.8, 0, 0]], dtype=torch.float64)
    found = gad._cartesian(mode, batch)[0]
    assert float(found.norm()) == pytest.approx(1)
    assert float(found[0, 0] / found[1, 0]) == pytest.approx(0.75 * (1.008 / 15.999) ** 0.5)


def test_an_escape_forgets_history_best_order_time_step_and_mode():
    _, found, _ = escape(two_atoms(1.0, -0.1))
    memory_ = found.memory
    assert memory_.displacements.isinf().all()
    assert memory_.best_order.item() == -1
    assert memory_.stalled.item() == 0
    assert memory_.time_step.item() == FIRST_TIME_STEP
    assert not memory_.mode.any()


def test_a_stuck_search_escapes_and_the_others_of_its_batch_go_on():
    surface = SURFACES["double_well"]
    top, slope = torch.zeros(1, 3), torch.tensor([[0.2, 0.8, 0.0]])
    batch = Batch.pack([top, slope, top], [[1]] * 3, is_free=False)
    h = GadHyperparameters(escape_window=10)
    state = init(surface, batch, h)
    seen = []
    for _ in range(11):
        state = step(surface, state, h)
        seen.append(state.escapes.tolist())
    # ten steps fill the window, the eleventh escapes
    assert seen[9] == [0, 0, 0]
    assert seen[10] == [1, 0, 1]
    expected = 0.1 / (4 / HYDROGEN) ** 0.5
    assert state.batch.positions[[0, 2]].norm(dim=-1).flatten().tolist() == pytest.approx(
        [expected] * 2
    )
    single = init(surface, batch.take(torch.tensor([1])), h)
    for _ in range(11):
        single = step(surface, single, h)
    assert torch.allclose(single.batch.positions[0], state.batch.positions[1], atol=1e-12)


@pytest.mark.parametrize("n_steps", [7, 23])
def test_history_holds_the_last_steps_newest_last(n_steps):
    batch = clusters(3)
    state, displacements, orders = init(POTENTIAL, batch, H), [], []
    for _ in range(n_steps):
        before = state.batch.positions
        state = step(POTENTIAL, state, H)
        shift = (state.batch.positions - before).norm(dim=-1).sum(-1) / batch.n_atoms
        displacements.append(shift)
        orders.append(state.order.double())
    n = min(n_steps, H.escape_window)
    assert not state.escapes.any()
    expected = torch.stack(displacements[-n:], 1)
    assert torch.allclose(state.memory.displacements[:, -n:], expected, rtol=1e-9)
    assert torch.equal(state.memory.orders[:, -n:], torch.stack(orders[-n:], 1))
    assert state.memory.displacements[:, :-n].isinf().all()
