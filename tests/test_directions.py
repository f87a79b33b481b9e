"""Which mode is climbed first, told as directions."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.batch import Batch
from gadlib.calculators import get
from gadlib.directions import stack, wanted
from gadlib.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.modes import most_within, rigid_motions, within
from gadlib.reactions import read
from gadlib.settings import InputError
from gadlib.solver import search

WATER = molecule("H2O")


def _wanted(mode, atoms=WATER, ends=None):
    return wanted(mode, atoms.numbers, atoms.positions, ends)


def test_the_lowest_mode_needs_no_direction():
    assert _wanted("lowest") is None


@pytest.mark.parametrize("mode", ["bonds:0-1", "bonds:0-1,0-2", "atoms:0", "atoms:1,2"])
def test_directions_are_orthonormal_and_move_no_molecule_as_a_whole(mode):
    found = torch.as_tensor(_wanted(mode))
    assert torch.allclose(found.mT @ found, torch.eye(found.shape[1], dtype=torch.float64))
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    assert (rigid_motions(batch)[0].mT @ found).abs().max() < 1e-10


def test_two_bonds_span_the_two_stretches_of_water():
    pytest.importorskip("scine_sparrow")
    calculator = get("scine")
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    for frame in search(calculator, batch, TrustHyperparameters(dear="wall"), n_steps=0):
        modes = frame.state.spectrum.modes[:, :, :3]
    parts = within(modes, torch.as_tensor(_wanted("bonds:0-1,0-2"))[None])[0]
    assert (parts[1:] > 0.9).all()  # the stretches
    assert parts[0] < 0.1  # the bend


def test_the_way_from_reactant_to_product_does_not_depend_on_how_they_are_placed():
    reaction = read(max_samples=1)[0]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    ends = (reaction.reactant, reaction.product)
    placed = (reaction.reactant, reaction.product @ turn + 3.0)
    numbers, start = reaction.atomic_numbers, reaction.reactant
    here, there = (wanted("reaction", numbers, start, e) for e in (ends, placed))
    assert abs(abs((here * there).sum()) - 1) < 1e-9


def _first_two(solver):
    """The states before and after the first step, what is wanted, and the mode with most of it."""
    batch = Batch.pack([WATER.positions], [WATER.numbers])
    directions = stack([_wanted("bonds:0-1,0-2")], 3)
    frames = search(get("scine"), batch, solver, n_steps=1, wanted=directions)
    first, second = next(frames).state, next(frames).state
    is_mode = first.spectrum.eigenvalues.isfinite()
    place = int(most_within(first.spectrum.modes, is_mode, directions)[0])
    assert place > 0
    return first, second, place


def test_dynamics_climb_the_mode_with_most_of_what_is_wanted():
    pytest.importorskip("scine_sparrow")
    first, second, place = _first_two(GadHyperparameters())
    overlap = (second.memory.mode * first.spectrum.modes[:, :, place]).sum()
    assert abs(overlap) > 1 - 1e-9


def test_trust_steps_climb_the_mode_with_most_of_what_is_wanted():
    pytest.importorskip("scine_sparrow")
    first, second, place = _first_two(TrustHyperparameters(dear="wall"))
    root = first.batch.sqrt_masses
    moved = (second.batch.positions - first.batch.positions).flatten(1) * root
    along = (first.spectrum.modes.mT @ moved[..., None])[0, :, 0]
    slope = (first.spectrum.modes.mT @ (-first.forces.flatten(1) / root)[..., None])[0, :, 0]
    assert along[place] * slope[place] > 0
    assert (along[:place] * slope[:place] <= 0).all()


def test_padding_and_missing_directions_are_zero():
    both = stack([_wanted("bonds:0-1"), None], 5)
    assert both is not None
    assert both.shape == (2, 15, 1)
    assert not both[1].any()
    assert not both[0, 9:].any()
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
