"""Large molecules are relaxed with half-made bonds held, and climbed along what these begin."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gadlib.benchmarks.scaling import build_alkane
from gadlib.calculators import get
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules.bonds import BOND_SCALE
from gadlib.molecules.reactions import read
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.mode_following import read_aim
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.solver.trust.constants import (
    CLOSED,
    CLOSING_ROUNDS,
    GUIDED_FORCE,
    HALF_MADE,
    MANY_HALF_MADE,
    MAX_HALF_MADE,
)
from gadlib.solver.trust.half_made import (
    bond_limits,
    guidance,
    half_made_bonds,
    is_guided,
)
from gadlib.solver.trust.probing import Curvature, close_in
from gadlib.solver.trust.rule import init, learn
from gadlib.solver.trust.settling import beside_aim, is_settled
from gadlib.systems.batch import Batch, longest

SPARING = TrustHyperparameters(exact_hessians="proof")


@pytest.fixture(scope="module")
def large():
    """A reaction of 26 atoms: one bond breaks."""
    (found,) = (one for one in read("embedded-gfn2") if one.name == "rxn0027")
    return found


def at(reaction, positions) -> Batch:
    return Batch.pack([positions], [reaction.atomic_numbers])


def pairs(batch: Batch) -> list[list[int]]:
    forces = get("scine")(batch, hessian=False).forces
    return half_made_bonds(batch, forces)[0].triu().nonzero().tolist()


def at_rest(batch: Batch) -> list[list[int]]:
    """The half-made bonds where no forces are."""
    return half_made_bonds(batch, torch.zeros_like(batch.positions))[0].triu().nonzero().tolist()


def test_the_bond_of_the_reaction_is_half_made_at_the_saddle_and_none_at_its_ends(large):
    assert [2, 4] in at_rest(at(large, large.transition_state))
    assert [2, 4] not in at_rest(at(large, large.reactant))
    assert [2, 4] not in at_rest(at(large, large.product))


def test_a_bond_that_pulls_its_atoms_back_is_none_of_them(large):
    batch = at(large, large.transition_state)
    forces = torch.zeros_like(batch.positions)
    forces[0, 4], forces[0, 2] = 3.0 * batch.units[0, :, 2, 4], -3.0 * batch.units[0, :, 2, 4]
    pulled = half_made_bonds(batch, forces)[0]
    pushed = half_made_bonds(batch, -forces)[0]
    assert not pulled[2, 4]
    assert pushed[2, 4]


def stretched(n_carbons: int, n_bonds: int) -> Batch:
    """An alkane so many of whose C-H bonds are a third longer, one a little more than another."""
    numbers, positions = build_alkane(n_carbons, np.pi)
    scaled = Batch.pack([positions], [numbers]).scaled_distances[0].numpy()
    longer = positions.copy()
    for hydrogen in np.flatnonzero(np.asarray(numbers) == 1)[:n_bonds]:
        carbon = scaled[hydrogen].argmin()
        away = positions[hydrogen] - positions[carbon]
        longer[hydrogen] = positions[carbon] + (1.25 + 0.01 * hydrogen) * away
    return Batch.pack([longer], [numbers])


@pytest.mark.parametrize(
    ("n_carbons", "n_bonds", "n_found"),
    [(7, 3, 0), (8, 0, 0), (8, 3, 3), (8, 9, MAX_HALF_MADE), (8, MANY_HALF_MADE + 1, 0)],
)
def test_only_large_molecules_have_them_the_closest_of_several_and_none_of_many(
    n_carbons, n_bonds, n_found
):
    batch = stretched(n_carbons, n_bonds)
    found = half_made_bonds(batch, torch.zeros_like(batch.positions))[0]
    assert len(found.triu().nonzero()) == n_found
    if n_found == MAX_HALF_MADE:
        left = (batch.scaled_distances[0] > 1.1) & (batch.scaled_distances[0] < 1.55) & ~found
        assert batch.scaled_distances[0][found].max() < batch.scaled_distances[0][left].min()


def climbing(reaction, positions):
    """The state of a search without an aim on DFTB0 that has settled and is about to climb."""
    for frame in search(get("scine"), at(reaction, positions), SPARING, n_steps=30):
        memory = frame.state.memory
        if memory.is_climbing.all() or is_settled(frame.state).all():
            return frame.state
    raise AssertionError("it never settled")


def test_what_noise_has_made_of_the_rest_is_relaxed_while_they_stay(large):
    noise = np.random.default_rng(3).normal(0, 0.05, large.transition_state.shape)
    start = large.transition_state + noise
    state = climbing(large, start)
    assert longest(beside_aim(state, state.forces.flatten(1))).item() < GUIDED_FORCE
    before, after = (p[2] - p[4] for p in (start, state.batch.positions[0].numpy()))
    assert abs(np.linalg.norm(before) - np.linalg.norm(after)) < 0.02
    assert int(state.cost.n_gradient[0]) < 12


def test_the_mode_is_probed_until_it_is_one_of_the_potential(large):
    calculator, batch = get("scine"), at(large, large.transition_state)
    state = init(calculator, batch, SPARING)
    directions = guidance(state).directions(batch)
    closed = close_in(calculator, Curvature.of(state), directions, CLOSING_ROUNDS)
    exact = calculator(batch, hessian=True).hessian
    assert exact is not None
    root = batch.inverse_sqrt_masses
    mode = closed.spectrum.modes[0, :, 0]
    image = root[0] * (exact[0] @ (root[0] * mode))
    value = mode @ image
    assert (closed.spectrum.eigenvalues[0, :2] < 0).tolist() == [True, False]
    assert 1 <= int(closed.n_probes[0]) <= 5 + CLOSING_ROUNDS
    assert (image - value * mode).norm() < (CLOSED + 0.2) * value.abs()
    lowest = spectrum(exact, batch).modes[0, :, 0]
    assert (mode @ lowest).abs() > 0.9


def test_a_noisy_saddle_of_a_large_molecule_is_found_again_in_few_gradients(large):
    noise = np.random.default_rng(3).normal(0, 0.05, large.transition_state.shape)
    start = at(large, large.transition_state + noise)
    *_, last = search(get("scine"), start, SPARING, criterion="bound", n_steps=80)
    assert last.status == (Status.SADDLE,)
    assert not last.state.tries[0]
    assert int(last.state.cost.n_gradient[0]) < 75
    assert [2, 4] in pairs(last.state.batch)


def test_an_aim_goes_before_half_made_bonds(large):
    state = init(get("scine"), at(large, large.transition_state), SPARING)
    assert is_guided(state).tolist() == [True]
    aim = read_aim("bonds:0-1", large.atomic_numbers, large.transition_state)
    assert not is_guided(replace(state, wanted=aim)).any()


def test_half_made_bonds_count_as_bonds_until_the_molecule_is_rebuilt(large):
    state = init(get("scine"), at(large, large.transition_state), SPARING)
    limits = bond_limits(state)
    made = state.memory.half_made
    assert made.any()
    assert (limits[made] == HALF_MADE[1]).all()
    assert (limits[~made] == BOND_SCALE).all()
    rebuilt = replace(state, memory=replace(state.memory, n_rebuilt=state.memory.n_rebuilt + 1))
    assert (bond_limits(rebuilt) == BOND_SCALE).all()


@pytest.mark.parametrize(("scaled", "mode", "n_pieces"), [
    (1.45, "bonds:0-3", 1),
    (1.45, "bonds:0-1", 2),
    (1.45, "lowest", 2),
    (1.6, "bonds:0-3", 2),
])  # fmt: skip
def test_two_molecules_are_one_while_their_bond_is_made_by_an_aim(scaled, mode, n_pieces):
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    other = [[0.0, 0.0, 1.32 * scaled], [0.6, -0.7, 1.32 * scaled], [0.6, 0.7, 1.32 * scaled]]
    numbers, positions = [8, 1, 1] * 2, np.vstack([water, other])
    state = init(get("scine"), Batch.pack([positions], [numbers]), SPARING)
    state = replace(state, max_fragments=torch.tensor([1]))
    if (aim := read_aim(mode, np.array(numbers), positions)) is not None:
        state = replace(state, wanted=aim)
    current = learn(get("scine"), state, state.batch, SPARING).memory.current
    assert current.n_pieces.tolist() == [n_pieces]
    assert current.wall.is_active.tolist() == [n_pieces == 2]


def test_no_bonds_are_looked_for_where_hessians_are_not_spared(large):
    often = TrustHyperparameters(exact_hessians="often")
    state = init(get("scine"), at(large, large.transition_state), often)
    assert not is_guided(state).any()


def test_a_guided_search_beside_a_small_one_goes_as_alone(large):
    small = next(one for one in read() if len(one.atomic_numbers) == 8)
    both = Batch.pack(
        [large.transition_state, small.transition_state + 0.03],
        [large.atomic_numbers, small.atomic_numbers],
    )
    for frame in search(get("scine"), both, SPARING, n_steps=8):
        if 0 in frame.state.index.tolist():
            together = frame.state
    for frame in search(get("scine"), both.take(torch.tensor([0])), SPARING, n_steps=8):
        alone = frame.state
    row = together.index.tolist().index(0)
    assert int(together.steps[row]) == int(alone.steps[0])
    there = together.batch.system(row)[1]
    assert np.abs(np.array(there) - np.array(alone.batch.system(0)[1])).max() < 1e-6
