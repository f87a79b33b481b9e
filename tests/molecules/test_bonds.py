import numpy as np
import pytest
import torch
from ase.build import molecule
from clusters import SEEDS, backwards, clusters, padded, turned
from hypothesis import given

from gadlib.molecules.bonds import (
    BOND_SCALE,
    DOUBT,
    bond_graph_of,
    bonds,
    full_shells,
    is_same,
    most_neighbours,
    n_fragments,
)
from gadlib.systems.batch import Batch


def pair(distance: float) -> Batch:
    water = molecule("H2O")
    places = np.concatenate([water.positions, water.positions + np.array([distance, 0, 0])])
    return Batch.pack([places], [np.tile(water.numbers, 2)])


def test_water_has_two_bonds():
    water = molecule("H2O")
    expected = [[False, True, True], [True, False, False], [True, False, False]]
    assert bonds(Batch.pack([water.positions], [water.numbers]))[0].tolist() == expected


def test_two_waters_apart_are_two_fragments():
    assert n_fragments(pair(6.0)).tolist() == [2]
    assert n_fragments(pair(1.0)).tolist() == [1]


def test_a_bond_ends_at_1_3_times_the_covalent_radii():
    # Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j: H 0.31, O 0.66 A
    limit = 1.3 * (0.31 + 0.66)
    places = [[[0, 0, 0], [0, 0, limit + shift]] for shift in (-1e-6, 1e-6)]
    batch = Batch.pack([torch.tensor(p) for p in places], [[1, 8]] * 2)
    assert n_fragments(batch).tolist() == [1, 2]


def test_a_long_chain_in_any_order_is_one_fragment():
    n = 23
    places = np.zeros((n, 3))
    places[:, 0] = 1.5 * np.random.default_rng(0).permutation(n)
    assert n_fragments(Batch.pack([places], [[6] * n])).tolist() == [1]


def test_every_lone_atom_is_a_fragment_and_padding_is_none():
    places = 10 * np.eye(3)
    batch = padded(Batch.pack([places, places[:1]], [[1, 1, 1], [1]]))
    assert n_fragments(batch).tolist() == [3, 1]


def test_an_atom_nowhere_is_a_fragment_of_its_own():
    water = molecule("H2O")
    places = water.positions.copy()
    places[1] = np.nan
    assert n_fragments(Batch.pack([places], [water.numbers])).tolist() == [2]


@given(SEEDS)
def test_fragments_do_not_depend_on_orientation_order_or_padding(seed):
    batch = clusters(seed)
    batch = batch.moved_to(batch.positions * (1 + seed % 3))
    expected = n_fragments(batch).tolist()
    for other in (turned(batch, seed), backwards(batch), padded(batch)):
        assert n_fragments(other).tolist() == expected


@pytest.mark.parametrize("name", ["CH4", "C2H6", "NH3", "CH3CH2OH", "Si2H6", "PH3", "CH3SH"])
def test_atoms_of_a_saturated_molecule_have_full_shells(name):
    atoms = molecule(name)
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    assert full_shells(batch).tolist() == bonds(batch).sum(-1).tolist()


def test_phosphorus_and_sulphur_can_have_more_neighbours_than_fill_a_shell():
    batch = Batch.pack([np.zeros((4, 3))], [[15, 16, 8, 6]])
    assert full_shells(batch).tolist() == [[3, 2, 2, 4]]
    assert most_neighbours(batch).tolist() == [[5, 6, 2, 4]]


def methanols(*scaled: float):
    """Bond graphs of methanol with O-H so many times the sum of the radii long."""
    methanol = molecule("CH3OH")
    oxygen, hydrogen = 1, 3
    assert (methanol[oxygen].symbol, methanol[hydrogen].symbol) == ("O", "H")
    for times in scaled:
        there = methanol.copy()
        there.set_distance(oxygen, hydrogen, times * (0.66 + 0.31), fix=0)
        yield bond_graph_of(there.numbers, there.positions)


@pytest.mark.parametrize(
    ("short", "long", "same"),
    [
        (BOND_SCALE - 0.004, BOND_SCALE + 0.004, True),
        (1.0, BOND_SCALE + 0.9 * DOUBT, True),
        (BOND_SCALE - 0.9 * DOUBT, 1.5, True),
        (1.0, BOND_SCALE + 1.1 * DOUBT, False),
        (BOND_SCALE - 1.1 * DOUBT, 1.5, False),
        (1.0, 1.5, False),
    ],
)
def test_a_bond_at_the_limit_counts_as_it_suits_one_beyond_it_does_not(short, long, same):
    one, other = methanols(short, long)
    assert one.number_of_edges() == other.number_of_edges() + 1
    assert is_same(one, other) is is_same(other, one) is same


def test_other_elements_or_bonds_stay_other_whatever_is_doubtful():
    (one,) = methanols(BOND_SCALE)
    silanol = molecule("CH3OH")
    silanol.numbers[0] = 14
    assert not is_same(one, bond_graph_of(silanol.numbers, silanol.positions))
    apart = molecule("CH3OH")
    apart.positions[4] += 5.0
    assert not is_same(one, bond_graph_of(apart.numbers, apart.positions))


def test_many_doubtful_pairs_are_asked_nearest_first_in_bounded_time():
    rng = np.random.default_rng(0)
    cube = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
    cube *= BOND_SCALE * 2 * 0.76  # carbon: each neighbour at the limit
    one, other = (
        bond_graph_of(np.full(27, 6), cube + 0.005 * rng.normal(size=cube.shape)) for _ in range(2)
    )
    assert len(one.graph["doubtful"]) > 50
    assert is_same(one, one)
    assert not is_same(one, other)
