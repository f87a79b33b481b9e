"""Which mode is climbed first, told as directions."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.calculators import get
from gadlib.hessians.normal_modes import most_within, within
from gadlib.hessians.rigid_motions import rigid_motions
from gadlib.molecules.bonds import bond_graph
from gadlib.molecules.reactions import read
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.mode_following import read_aim, stack
from gadlib.solver.search import search
from gadlib.systems.batch import Batch

WATER = molecule("H2O")


def _wanted(mode, atoms=WATER, ends=None):
    return read_aim(mode, atoms.numbers, atoms.positions, ends)


def _directions(mode, atoms=WATER):
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    found = _wanted(mode, atoms).directions(batch)[0]
    return found[:, found.any(0)]  # three moves of an atom of water are not independent


def test_the_lowest_mode_needs_no_direction():
    assert _wanted("lowest") is None


@pytest.mark.parametrize("mode", ["bonds:0-1", "bonds:0-1,0-2", "atoms:0", "atoms:1,2"])
def test_directions_are_orthonormal_and_move_no_molecule_as_a_whole(mode):
    found = _directions(mode)
    assert torch.allclose(found.mT @ found, torch.eye(found.shape[1], dtype=torch.float64))
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    assert (rigid_motions(batch)[0].mT @ found).abs().max() < 1e-10


def test_two_bonds_span_the_two_stretches_of_water():
    pytest.importorskip("scine_sparrow")
    calculator = get("scine")
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    for frame in search(calculator, batch, TrustHyperparameters(exact_hessians="often"), n_steps=0):
        modes = frame.state.spectrum.modes[:, :, :3]
    parts = within(modes, _directions("bonds:0-1,0-2")[None])[0]
    assert (parts[1:] > 0.9).all()  # the stretches
    assert parts[0] < 0.1  # the bend


def test_the_way_from_reactant_to_product_does_not_depend_on_how_they_are_placed():
    reaction = read(max_samples=1)[0]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    ends = (reaction.reactant, reaction.product)
    placed = (reaction.reactant, reaction.product @ turn + 3.0)
    numbers, start = reaction.atomic_numbers, reaction.reactant
    batch = Batch.pack([start], [numbers])
    here, there = (
        read_aim("reaction", numbers, start, e).directions(batch)[0] for e in (ends, placed)
    )
    assert abs((here * there).sum() - 1) < 1e-9


def test_the_reaction_is_the_bonds_that_change_in_either_direction():
    reaction = read(max_samples=1)[0]
    numbers, ends = reaction.atomic_numbers, (reaction.reactant, reaction.product)
    there, back = (read_aim("reaction", numbers, start, ends).stretches[0, 0] for start in ends)
    assert torch.allclose(there, -back)  # from either end towards the other
    bonds = [bond_graph(Batch.pack([end], [numbers])) for end in ends]
    changed = {tuple(sorted(edge)) for edge in set(bonds[0].edges) ^ set(bonds[1].edges)}
    assert changed
    for i, j in changed:
        lengthens = (i, j) in bonds[0].edges
        assert (there[i, j] > 0) == lengthens
        assert there[i, j] != 0


def test_a_reaction_without_a_change_of_bonds_is_the_straight_way():
    turned = WATER.copy()
    turned.set_angle(1, 0, 2, 110.0)
    aim = _wanted("reaction", ends=(WATER.positions, turned.positions))
    assert not aim.stretches.any()
    assert aim.moves.any()


def test_an_aim_turns_with_the_molecule():
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    aim = _wanted("bonds:0-1")
    here = aim.directions(Batch.pack([WATER.positions], [WATER.numbers]))[0, :, 0]
    there = aim.directions(Batch.pack([WATER.positions @ turn], [WATER.numbers]))[0, :, 0]
    assert torch.allclose(here.reshape(-1, 3) @ torch.as_tensor(turn), there.reshape(-1, 3))


def _first_two(solver):
    """The states before and after the first step, what is wanted, and the mode with most of it."""
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    directions = stack([_wanted("bonds:0-1,0-2")], 3)
    frames = search(get("scine"), batch, solver, n_steps=1, wanted=directions)
    first, second = next(frames).state, next(frames).state
    is_mode = first.spectrum.eigenvalues.isfinite()
    spanned = directions.directions(first.batch)
    place = int(most_within(first.spectrum.modes, is_mode, spanned)[0])
    assert place > 0
    return first, second, place


def test_dynamics_climb_the_mode_with_most_of_what_is_wanted():
    pytest.importorskip("scine_sparrow")
    first, second, place = _first_two(GadHyperparameters())
    overlap = (second.memory.mode * first.spectrum.modes[:, :, place]).sum()
    assert abs(overlap) > 1 - 1e-9


def test_trust_steps_climb_a_mode_of_what_is_wanted_the_softer_one_of_equals():
    pytest.importorskip("scine_sparrow")
    first, second, _ = _first_two(TrustHyperparameters(exact_hessians="often"))
    root = first.batch.sqrt_masses
    moved = (second.batch.positions - first.batch.positions).flatten(1) * root
    along = (first.spectrum.modes.mT @ moved[..., None])[0, :3, 0]
    slope = (first.spectrum.modes.mT @ (-first.forces.flatten(1) / root)[..., None])[0, :3, 0]
    assert (along * slope > 0).tolist() == [False, True, False]  # the lower of the two stretches


def test_padding_and_missing_directions_are_zero():
    both = stack([_wanted("bonds:0-1"), None], 5)
    assert both is not None
    assert both.moves.shape == (2, 15, 1)
    assert both.is_set.tolist() == [True, False]
    atoms = Batch.pack([WATER.positions, np.zeros((5, 3))], [WATER.numbers, [1] * 5])
    spanned = both.directions(atoms)
    assert not spanned[1].any()
    assert not spanned[0, 9:].any()
    assert stack([None, None], 5) is None


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("highest", "expected lowest, reaction"),
        ("atoms:", "expected lowest, reaction"),
        ("bonds:1", "expected lowest, reaction"),
        ("atoms:7", r"no atom 7; expected 0 \.\. 2"),
        ("bonds:1-1", "expected two atoms"),
        ("reaction", "reactant and product are not known"),
    ],
)
def test_an_unusable_mode_is_refused_with_what_was_expected(mode, message):
    with pytest.raises(InputError, match=message):
        _wanted(mode)
