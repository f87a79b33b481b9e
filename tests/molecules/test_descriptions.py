from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from ase.build import molecule

from gadlib.batch import Batch
from gadlib.molecules.bonds import bond_graph, is_same
from gadlib.molecules.descriptions import change_in_words, mode_in_words


def graph(*bonds: tuple[int, int], numbers: list[int]) -> nx.Graph:
    made = nx.Graph()
    made.add_nodes_from((i, {"z": z}) for i, z in enumerate(numbers))
    made.add_edges_from(bonds)
    return made


def of(name: str) -> tuple[nx.Graph, np.ndarray]:
    atoms = molecule(name)
    return bond_graph(Batch.pack([atoms.positions], [atoms.numbers])), atoms.positions


def test_hydrogen_that_changes_its_partner_moves():
    before = graph((0, 1), (0, 2), numbers=[6, 7, 1])
    after = graph((0, 1), (1, 2), numbers=[6, 7, 1])
    assert change_in_words(before, after) == "H2 moves from C0 to N1"
    assert change_in_words(after, before) == "H2 moves from N1 to C0"


def test_bonds_that_break_and_form_are_named():
    before = graph((0, 1), (1, 2), numbers=[6, 6, 8])
    after = graph((0, 2), (1, 2), numbers=[6, 6, 8])
    assert change_in_words(before, after) == "C0-C1 breaks, C0-O2 forms"
    assert change_in_words(before, before) == "no bond forms or breaks"


def test_methyl_rotation_is_told_whatever_turn_of_the_whole_is_in_it():
    bonds, positions = of("C2H6")
    axis = positions[1] - positions[0]
    hydrogens = [i for i in bonds[0] if bonds.nodes[i]["z"] == 1]
    mode = np.zeros_like(positions)
    mode[hydrogens] = np.cross(axis, positions[hydrogens] - positions[0])
    mode += 0.3 * np.cross([1.0, 2.0, 0.5], positions) + [0.2, 0.0, -0.1]
    told = mode_in_words(bonds, positions, mode)
    assert told.startswith("turns the methyl group at C")
    assert told.endswith("about C0-C1")


def test_umbrella_of_ammonia_is_told():
    bonds, positions = of("NH3")
    mode = np.zeros_like(positions)
    mode[0, 2] = 1.0
    assert mode_in_words(bonds, positions, mode) == "inverts N0"


def test_loose_pairs_that_close_and_open_are_told():
    positions = np.array([[0.0, 0, 0], [2.5, 0, 0], [1.35, 0, 0]])
    bonds = graph((0, 2), (1, 2), numbers=[6, 8, 1])
    mode = np.array([[0.0, 0, 0], [0, 0, 0], [1.0, 0, 0]])
    assert mode_in_words(bonds, positions, mode) == "stretches C0-H2 against O1-H2"


def test_bend_is_told_by_the_atoms_that_move():
    bonds, positions = of("H2O")
    mode = np.zeros_like(positions)
    mode[1] = np.cross([1.0, 0, 0], positions[1] - positions[0])
    assert mode_in_words(bonds, positions, mode).startswith("deforms the skeleton, mostly at H")


@pytest.mark.parametrize(("other", "same"), [([1, 8, 1], True), ([1, 6, 1], False)])
def test_bond_graphs_are_the_same_for_like_atoms_in_any_order(other, same):
    water = graph((0, 1), (0, 2), numbers=[8, 1, 1])
    assert is_same(water, graph((1, 0), (1, 2), numbers=other)) is same
