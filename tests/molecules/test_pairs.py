"""Reactant and product become one pair, whatever the order of their atoms."""

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gadlib.molecules.pairs import match_atoms, paired
from gadlib.molecules.reactions import read
from gadlib.settings.reading import InputError

REACTIONS = read(max_samples=24, sample_seed=3)


@pytest.mark.parametrize("reaction", REACTIONS, ids=lambda reaction: reaction.name)
def test_order_of_shuffled_atoms_is_found_again(reaction):
    numbers = reaction.atomic_numbers
    shuffled = np.random.default_rng(len(numbers)).permutation(len(numbers))
    ends = (numbers, reaction.reactant, numbers[shuffled], reaction.product[shuffled])
    known = paired(numbers, reaction.reactant, numbers, reaction.product)
    found = paired(*ends, order=match_atoms(*ends))
    assert len(found.broken) + len(found.made) == len(known.broken) + len(known.made)
    # The same atoms, or others of their kind that are no farther.
    assert ((found.product - found.reactant) ** 2).sum() <= (
        (known.product - known.reactant) ** 2
    ).sum() + 1e-9


def test_product_is_turned_and_moved_onto_the_reactant():
    atoms = molecule("CH3CH2OH")
    turned = Rotation.from_rotvec([0.4, 2.0, -1.0]).apply(atoms.positions) + 5.0
    pair = paired(atoms.numbers, atoms.positions, atoms.numbers, turned)
    assert pair.product == pytest.approx(atoms.positions)
    assert (pair.broken, pair.made) == ((), ())
    assert pair.order == tuple(range(9))


def test_hydrogens_of_methyl_groups_go_to_the_nearest_places():
    atoms = molecule("CH3CH2OH")
    order = list(range(9))
    hydrogens = [i for i in order if atoms.numbers[i] == 1]
    order[hydrogens[1]], order[hydrogens[3]] = hydrogens[3], hydrogens[1]
    found = match_atoms(
        atoms.numbers, atoms.positions, atoms.numbers[order], atoms.positions[order]
    )
    assert np.array(order)[list(found)].tolist() == list(range(9))


def test_bonds_that_change_are_named_by_their_atoms():
    water = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    apart = water + np.array([[0.0, 0, 0], [2.0, 0, 0], [0, 0, 0]])
    pair = paired(np.array([8, 1, 1]), water, np.array([8, 1, 1]), apart)
    assert pair.broken == ((0, 1),)
    assert pair.made == ()


def test_other_atoms_are_refused_with_both_formulas():
    one, two = molecule("CH3OH"), molecule("CH3CH2OH")
    ends = (one.numbers, one.positions, two.numbers, two.positions)
    for act in (paired, match_atoms):
        with pytest.raises(InputError, match="reactant is CH4O and the product C2H6O"):
            act(*ends)


def test_another_order_is_refused_by_atom():
    atoms = molecule("H2O")
    ends = (atoms.numbers, atoms.positions, atoms.numbers[::-1], atoms.positions[::-1])
    with pytest.raises(InputError, match="atom 0 is O in the reactant and H in the product"):
        paired(*ends)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3]])
def test_order_that_is_none_is_refused(order):
    atoms = molecule("H2O")
    ends = (atoms.numbers, atoms.positions, atoms.numbers, atoms.positions)
    with pytest.raises(InputError, match="expected each of the product's once"):
        paired(*ends, order=order)


def test_molecules_that_share_too_few_bonds_are_refused():
    atoms = molecule("C6H6")
    apart = atoms.positions * 3.0
    ends = (atoms.numbers, atoms.positions, atoms.numbers, apart)
    with pytest.raises(InputError, match="more than 3 bonds broken"):
        match_atoms(*ends)
