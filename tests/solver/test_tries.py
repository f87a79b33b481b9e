"""When a try is over and where the next one begins, on states made by hand."""

from dataclasses import replace

import pytest
import torch
from hand_made import H, flat, pulled, ring, search_state, wall_of

from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.repair import mended
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver import gad
from gadlib.solver.aim import Aim
from gadlib.solver.state import PastTry
from gadlib.solver.trust import tries
from gadlib.solver.trust.disturbances import along_soft_modes, draw_noise, is_gentle
from gadlib.solver.trust.phases import Ending, Phase
from gadlib.solver.trust.rule import move
from gadlib.solver.trust.settling import beside_aim, is_settled, keeps_aim
from gadlib.solver.trust.tries import REASONS, find_endings, next_try, tell_tries
from gadlib.systems.batch import Batch
from gadlib.systems.rows import take

GOES_ON = Ending.GOES_ON


def ends(phase: Phase, n: int, *, forces: list[float] | None = None, h=H, **changes) -> list[int]:
    """The endings of systems in a phase whose fields are as given."""
    state = search_state(ring(n), phase, h=h, **changes)
    if forces is not None:
        state = search_state(ring(n), phase, h=h, forces=pulled(state, *forces), **changes)
    return find_endings(state, h).tolist()


def stretch_of(n_loose: int) -> Batch:
    """Nine carbon atoms, so many of them alone."""
    line = [[1.4 * i, 0.0, 0.0] for i in range(9 - n_loose)]
    far = [[0.0, 10.0 * (i + 1), 0.0] for i in range(n_loose)]
    return Batch.pack([torch.tensor(line + far)], [[6] * 9])


# Each ending, on both sides of its limit.


def test_every_ending_has_one_reason_and_a_sentence():
    told = [reason.ending for reason in REASONS]
    assert sorted([GOES_ON, *told]) == list(Ending)
    assert len({each.sentence for each in (*Ending, *Phase)}) == len(Ending) + len(Phase)
    assert [phase.word for phase in Phase] == ["rebuilt", "settling", "climbing"]


def test_a_climb_of_which_nothing_is_known_goes_on():
    assert ends(Phase.CLIMBING, 1, forces=[1.0]) == [GOES_ON]


def test_settling_ends_when_its_steps_are_over():
    found = ends(Phase.SETTLING, 2, forces=[20.0, 20.0], steps=[9, 10])
    assert found == [GOES_ON, Ending.DOES_NOT_SETTLE]


def test_a_rebuilt_molecule_may_take_three_times_as_long():
    found = ends(Phase.SETTLING, 2, forces=[20.0, 20.0], steps=[29, 30], n_rebuilt=1)
    assert found == [GOES_ON, Ending.DOES_NOT_SETTLE]


def test_what_has_settled_is_never_given_up_for_settling_late():
    assert ends(Phase.SETTLING, 1, forces=[19.99], steps=1000) == [GOES_ON]


@pytest.mark.parametrize(("n_loose", "ending"), [(3, GOES_ON), (4, Ending.SCATTERED)])
def test_a_start_with_more_than_a_third_of_its_atoms_loose_is_scattered(n_loose, ending):
    state = search_state(stretch_of(n_loose), Phase.SETTLING, max_fragments=1)
    assert n_fragments(state.batch).item() == n_loose + 1
    assert find_endings(state, H).tolist() == [ending]


def test_a_molecule_that_was_rebuilt_is_not_called_scattered():
    state = search_state(stretch_of(4), Phase.SETTLING, max_fragments=1, n_rebuilt=1)
    assert find_endings(state, H).tolist() == [GOES_ON]


@pytest.mark.parametrize(("order", "force", "is_exact", "is_over"), [
    (1, 0.0099, True, True),
    (1, 0.01, True, False),
    (1, 0.0099, False, False),
    (0, 0.0099, True, False),
    (2, 0.0099, True, False),
])  # fmt: skip
def test_a_climb_ends_at_an_exact_saddle(order, force, is_exact, is_over):
    state = at_order(search_state(is_exact=is_exact), order)
    state = replace_forces(state, force)
    assert find_endings(state, H).tolist() == [Ending.SADDLE_NOT_ENOUGH if is_over else GOES_ON]


def at_order(state, order):
    values = torch.arange(15.0).double()[None] - order + 0.5
    return replace(state, spectrum=replace(state.spectrum, eigenvalues=values))


def replace_forces(state, *forces):
    return replace(state, forces=pulled(state, *forces))


def test_a_climb_ends_at_rest_when_its_certificates_are_spent():
    found = ends(Phase.CLIMBING, 3, forces=[0.0, 0.0, 0.01], n_certificates=[3, 4, 4])
    assert found == [GOES_ON, Ending.NO_SADDLE, GOES_ON]


def test_a_climb_ends_at_rest_where_the_wall_holds_it():
    state = search_state()
    pull = pulled(state, 5.0)
    balanced = wall_of(state, 1e-3, gradient=pull)
    found = search_state(forces=pull, wall=balanced)
    assert find_endings(found, H).tolist() == [Ending.HELD_BY_WALL]
    unbalanced = search_state(forces=-pull, wall=balanced)
    assert find_endings(unbalanced, H).tolist() == [GOES_ON]
    inactive = search_state(forces=pull, wall=wall_of(state, 0.0, gradient=pull))
    assert find_endings(inactive, H).tolist() == [GOES_ON]


def test_a_climb_that_came_back_ends():
    found = ends(Phase.CLIMBING, 2, forces=[1.0, 1.0], is_circling=[False, True])
    assert found == [GOES_ON, Ending.CIRCLES]


def test_a_climb_ends_twelve_ev_above_the_lowest_point_but_not_at_once():
    found = ends(
        Phase.CLIMBING,
        4,
        forces=[1.0] * 4,
        lowest=-5.0,
        energy=torch.tensor([7.01, 7.0, 7.01, 6.9]).double(),
        steps=[21, 21, 20, 90],
    )
    assert found == [Ending.TOO_HIGH, GOES_ON, GOES_ON, GOES_ON]


def test_particles_on_a_surface_are_never_too_high():
    batch = Batch(ring().positions, ring().atomic_numbers, is_free=False)
    state = search_state(batch, lowest=-100.0, steps=50, energy=torch.tensor([0.0]).double())
    assert find_endings(replace_forces(state, 1.0), H).tolist() == [GOES_ON]


def test_a_climb_ends_after_too_many_steps_in_pieces():
    found = ends(Phase.CLIMBING, 2, forces=[1.0, 1.0], torn_steps=[9, 10])
    assert found == [GOES_ON, Ending.IN_PIECES]


def test_a_climb_ends_when_its_steps_are_over():
    found = ends(Phase.CLIMBING, 2, forces=[1.0, 1.0], steps=[99, 100])
    assert found == [GOES_ON, Ending.TOO_LONG]


def test_of_several_reasons_the_first_in_the_table_is_given():
    found = ends(Phase.CLIMBING, 1, forces=[1.0], steps=100, torn_steps=10, is_circling=True)
    assert found == [Ending.CIRCLES]


def test_reasons_hold_in_their_phase_only():
    worst = {"steps": 999, "torn_steps": 99, "is_circling": True, "n_certificates": 9}
    assert ends(Phase.SETTLING, 1, forces=[0.0], **worst) == [GOES_ON]
    assert ends(Phase.REBUILT, 1, forces=[99.0], **worst) == [GOES_ON]
    assert ends(Phase.CLIMBING, 1, forces=[99.0], steps=30, n_rebuilt=1) == [GOES_ON]


# Settling.


def test_a_molecule_has_settled_in_one_piece_below_twenty_ev_per_angstrom():
    state = search_state(ring(3), Phase.SETTLING, n_pieces=[1, 1, 2])
    state = replace_forces(state, 19.99, 20.0, 0.0)
    assert is_settled(state).tolist() == [True, False, False]


def test_a_rebuilt_molecule_has_not_settled_whatever_its_stale_forces():
    state = search_state(ring(3), phase=Phase.REBUILT, n_rebuilt=1)
    state = replace(state, steps=state.steps + 2)
    assert is_settled(state).tolist() == [False] * 3
    assert (next_try(state, H).memory.current.phase == Phase.REBUILT).all()


def test_particles_on_a_surface_settle_at_once():
    batch = Batch(ring().positions, ring().atomic_numbers, is_free=False)
    state = search_state(batch, Phase.SETTLING, n_pieces=5)
    assert is_settled(replace_forces(state, 99.0)).tolist() == [True]
    assert find_endings(replace_forces(state, 99.0), H).tolist() == [GOES_ON]


def test_climbs_begin_at_even_steps_and_the_first_one_is_the_origin():
    state = search_state(ring(3), Phase.SETTLING, n_tries=[0, 0, 1], steps=5)
    moved = state.batch.moved_to(state.batch.positions + 1.0)
    state = replace(
        state,
        batch=moved,
        steps=torch.tensor([3, 4, 4]),
        energy=torch.tensor([1.0, 2.0, 3.0]).double(),
    )
    found = next_try(replace_forces(state, 1.0, 2.0, 3.0), H).memory
    assert found.current.phase.tolist() == [Phase.SETTLING, Phase.CLIMBING, Phase.CLIMBING]
    assert found.current.steps.tolist() == [5, 0, 0]
    is_moved = [bool((found.origin.positions[i] == moved.positions[i]).all()) for i in range(3)]
    assert is_moved == [False, True, False]
    assert found.origin.energy[1] == 2.0
    assert found.origin.energy[2] == state.memory.origin.energy[2]
    assert found.origin.forces[1, 0, 0] == 2.0
    anchored = [bool((found.current.anchor[i] == moved.positions[i]).all()) for i in range(3)]
    assert anchored == [False, True, True]


# Where the next try begins.


def at_its_end(n: int = 1, **changes):
    """Climbs whose steps are over, away from their origin."""
    state = search_state(ring(n), steps=100, radius=0.01, age=7, poor=2, n_certificates=3,
                         torn_steps=4, is_arrived=True, is_circling=True, **changes)  # fmt: skip
    moved = state.batch.moved_to(state.batch.positions + 0.3)
    return replace_forces(replace(state, batch=moved), *[1.0] * n)


FRESH = {"steps": 0, "radius": 0.1, "age": 0, "poor": 0, "n_certificates": 0, "torn_steps": 0,
         "is_arrived": False, "is_circling": False}  # fmt: skip


def assert_is_fresh(current):
    assert {name: getattr(current, name).item() for name in FRESH} == pytest.approx(FRESH)
    assert not current.wall.energy.any() and not current.wall.hessian.any()


def rough(state):
    """The state, of which the first climb began at a place that was no molecule at peace."""
    origin = state.memory.origin
    origin = replace(origin, forces=pulled(state, *[20.0] * len(state.batch)))
    return replace(state, memory=replace(state.memory, origin=origin))


def test_a_climb_that_is_over_begins_again_disturbed_and_rebuilt():
    state = rough(at_its_end())
    found = next_try(state, H)
    memory = found.memory
    assert memory.current.phase.tolist() == [Phase.REBUILT]
    assert_is_fresh(memory.current)
    assert (memory.n_tries.item(), memory.n_rebuilt.item()) == (1, 1)
    assert torch.equal(memory.current.anchor, found.batch.positions)
    assert torch.equal(found.hessian, model_hessian(found.batch))
    assert not found.is_exact.any()
    kicked = state.memory.origin.positions + H.kick * draw_noise(1, 5)
    rebuilt = tries.push_apart(mended(state.batch.moved_to(kicked)), 0.65)
    assert torch.equal(found.batch.positions, rebuilt.positions)
    assert memory.current.n_pieces.tolist() == n_fragments(found.batch).tolist()


@pytest.mark.parametrize(("n_before", "farthest"), [(0, 0.2), (1, 0.4)])
def test_a_start_that_was_a_molecule_is_disturbed_gently_and_more_each_time(n_before, farthest):
    state = at_its_end(n_rebuilt=n_before, n_tries=n_before)
    found = next_try(state, H)
    moved = (found.batch.positions - state.memory.origin.positions).norm(dim=-1)
    assert 0.9 * farthest < moved.max().item() <= farthest + 1e-9  # less where atoms came close
    assert found.memory.current.phase.tolist() == [Phase.REBUILT]


def test_after_two_gentle_tries_a_molecule_is_shaken_too():
    state = at_its_end(n_rebuilt=2, n_tries=2)
    assert is_gentle(at_its_end(n_rebuilt=1, n_tries=1)).tolist() == [True]
    assert is_gentle(state).tolist() == [False]
    kicked = state.memory.origin.positions + H.kick * draw_noise(3, 5)
    rebuilt = tries.push_apart(mended(state.batch.moved_to(kicked)), 0.65)
    assert torch.equal(next_try(state, H).batch.positions, rebuilt.positions)


def test_gentle_is_only_what_was_one_molecule_with_the_forces_of_one():
    assert is_gentle(rough(at_its_end())).tolist() == [False]
    apart = at_its_end()
    positions = apart.memory.origin.positions.clone()
    positions[:, 4] += 10.0
    origin = replace(apart.memory.origin, positions=positions)
    apart = replace(apart, memory=replace(apart.memory, origin=origin))
    assert is_gentle(apart).tolist() == [False]
    assert is_gentle(at_its_end(n_rebuilt=1, n_tries=0)).tolist() == [False]  # rebuilt first
    particles = Batch(ring().positions, ring().atomic_numbers, is_free=False)
    assert is_gentle(search_state(particles)).tolist() == [False]


def test_soft_modes_go_farther_than_stiff_ones_and_nothing_moves_as_a_whole():
    """Of a rough direction each mode of the model keeps a part by the root of its eigenvalue."""
    batch = ring()
    move = along_soft_modes(batch, draw_noise(1, 5)[None], torch.tensor([0.1]).double())
    here = spectrum(model_hessian(batch), batch)
    drawn = (here.modes.mT @ (batch.sqrt_masses * draw_noise(1, 5).reshape(1, -1))[..., None])[0]
    kept = (here.modes.mT @ (batch.sqrt_masses * move.flatten(1))[..., None])[0]
    ratio = (kept / drawn)[:9, 0] * here.eigenvalues[0, :9].sqrt()
    assert torch.allclose(ratio, ratio[0].expand(9), rtol=1e-6)
    whole = (batch.masses[..., None] * move).sum(1)
    assert torch.allclose(whole, torch.zeros_like(whole), atol=1e-9)


def test_each_try_disturbs_the_start_in_another_way_and_so_does_a_failed_calculation():
    first = next_try(rough(at_its_end()), H).batch.positions
    second = next_try(rough(at_its_end(n_rebuilt=1, n_tries=1)), H).batch.positions
    again = next_try(rough(at_its_end(rejected=1)), H).batch.positions
    assert not torch.allclose(first, second, atol=0.1)
    assert torch.equal(again, second)


def test_a_start_that_does_not_settle_is_rebuilt_as_it_is_and_counts_as_no_try():
    state = replace_forces(search_state(phase=Phase.SETTLING, steps=10), 50.0)
    found = next_try(state, H)
    assert (found.memory.n_tries.item(), found.memory.n_rebuilt.item()) == (0, 1)
    rebuilt = tries.push_apart(mended(state.batch), 0.65)
    assert torch.equal(found.batch.positions, rebuilt.positions)


def test_a_later_try_that_does_not_settle_counts():
    state = search_state(phase=Phase.SETTLING, steps=30, n_rebuilt=1, n_tries=1)
    found = next_try(replace_forces(state, 50.0), H)
    assert (found.memory.n_tries.item(), found.memory.n_rebuilt.item()) == (2, 2)


def aimed(state):
    stretches = torch.zeros(len(state.batch), 1, 5, 5).double()
    stretches[:, 0, 0, 1] = stretches[:, 0, 1, 0] = 1.0
    moves = torch.zeros(len(state.batch), 15, 1).double()
    return replace(state, wanted=Aim(moves, stretches))


def test_with_an_aim_the_first_try_is_followed_by_a_climb_from_its_origin():
    state = aimed(at_its_end(2, n_tries=[0, 1]))
    found = next_try(state, H)
    origin = state.memory.origin
    assert found.memory.current.phase.tolist() == [Phase.CLIMBING, Phase.REBUILT]
    assert found.memory.n_tries.tolist() == [1, 2]
    assert found.memory.n_rebuilt.tolist() == [0, 1]
    assert torch.equal(found.batch.positions[0], origin.positions[0])
    assert found.energy[0] == origin.energy[0]
    assert torch.equal(found.forces[0], origin.forces[0])
    assert_is_fresh(take(found, torch.tensor([0])).memory.current)


def test_a_start_with_an_aim_that_does_not_settle_is_rebuilt():
    state = aimed(replace_forces(search_state(phase=Phase.SETTLING, steps=20), 50.0))
    assert next_try(state, H).memory.current.phase.tolist() == [Phase.REBUILT]


def test_a_start_with_an_aim_settles_with_that_held_until_the_rest_has_small_forces():
    state = aimed(search_state(phase=Phase.SETTLING))
    along = state.wanted.along(state.batch)[..., 0] * state.batch.sqrt_masses
    pull = (100 * along / along.norm()).unflatten(1, (-1, 3))
    assert keeps_aim(state).tolist() == [True]
    assert beside_aim(state, pull.flatten(1)).abs().max() < 1e-9
    bonds = replace(state, forces=pull / 10)  # 7 eV/A on either atom, all of it along the aim
    assert is_settled(bonds).tolist() == [True]
    rest = torch.zeros_like(pull)
    rest[:, 3, 2] = 5.5
    assert is_settled(replace(state, forces=rest)).tolist() == [False]
    late = aimed(search_state(phase=Phase.SETTLING, steps=20))
    assert is_settled(replace(late, forces=rest)).tolist() == [True]
    again = aimed(search_state(phase=Phase.SETTLING, n_rebuilt=1))
    assert keeps_aim(again).tolist() == [False]
    model = model_hessian(state.batch)  # which joins what is held with the rest
    sprung = replace(state, hessian=model, spectrum=spectrum(model, state.batch))
    there, _ = move(replace(sprung, forces=pull + rest))
    moved = (there.positions - state.batch.positions).flatten(1)
    assert moved.norm() > 1e-3
    assert (moved * along).sum().abs() < 5e-3 * along.norm() * moved.norm()  # it is bent


# What is told of tries.


def test_a_try_that_ends_is_told_with_its_steps_and_gradients():
    state = at_its_end(2, n_tries=1)
    state = replace(
        state,
        steps=torch.tensor([140, 140]),
        cost=replace(state.cost, n_gradient=torch.tensor([200, 210])),
        tries=((PastTry("settling", "does_not_settle", 30, 31),), ()),
    )
    state.memory.current.is_circling[1] = False
    found = next_try(state, H)
    assert found.tries == (
        (PastTry("settling", "does_not_settle", 30, 31), PastTry("climbing", "circles", 110, 169)),
        (PastTry("climbing", "too_long", 140, 210),),
    )


def test_a_try_that_goes_on_is_told_of_as_the_last_with_the_end_of_the_search():
    state = search_state(tries=((PastTry("climbing", "circles", 3, 5),),), n_tries=1)
    state = replace(state, steps=state.steps + 9, cost=state.cost.plus(n_gradient=11))
    assert next_try(state, H).tries == state.tries
    last = PastTry("climbing", "saddle", 6, 7)
    assert tell_tries(state, 0, "saddle") == (*state.tries[0], last)


def test_dynamics_make_no_tries():
    state = gad.init(flat, ring(), GadHyperparameters())
    assert tell_tries(state, 0, "saddle") == ()
