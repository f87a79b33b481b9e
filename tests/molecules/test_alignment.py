"""The deviation of two geometries sees their shapes, not their places, turns or numberings."""

import numpy as np
import pytest
from ase.build import molecule
from clusters import SEEDS
from hypothesis import given
from scipy.spatial.transform import Rotation

from gadlib.molecules.alignment import rmsd

MOLECULES = ("CH3CH2OH", "C6H6", "CH4", "HCN", "H2O2", "CH3CONH2")


def renumbered(numbers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An order of the atoms in which like atoms are exchanged."""
    order = np.arange(len(numbers))
    for z in np.unique(numbers):
        like = np.flatnonzero(numbers == z)
        order[like] = generator.permutation(like)
    return order


@pytest.mark.parametrize("name", MOLECULES)
@given(seed=SEEDS)
def test_turned_moved_and_renumbered_copy_is_the_same(name, seed):
    generator = np.random.default_rng(seed)
    atoms = molecule(name)
    turn = Rotation.random(rng=generator).as_matrix()
    copy = atoms.positions[renumbered(atoms.numbers, generator)] @ turn + generator.normal(size=3)
    assert rmsd(atoms.numbers, copy, atoms.positions) < 1e-6


@given(seed=SEEDS)
def test_noise_is_measured_through_a_turn_and_a_renumbering(seed):
    generator = np.random.default_rng(seed)
    atoms = molecule("CH3CONH2")
    noisy = atoms.positions + generator.normal(scale=0.02, size=atoms.positions.shape)
    copy = noisy[renumbered(atoms.numbers, generator)] @ Rotation.random(rng=generator).as_matrix()
    found = rmsd(atoms.numbers, copy, atoms.positions)
    assert 0.01 < found < np.sqrt(((noisy - atoms.positions) ** 2).sum(-1).mean()) + 1e-9


def test_one_stretched_bond_has_the_deviation_worked_out_by_hand():
    # two like atoms d apart against d + h: each is h/2 from its place
    numbers, h = np.array([7, 7]), 0.3
    short, long = (np.array([[0.0, 0.0, 0.0], [0.0, 0.0, d]]) for d in (1.1, 1.1 + h))
    assert rmsd(numbers, short, long) == pytest.approx(h / 2)


def test_mirror_image_of_a_chiral_molecule_is_the_same_only_where_asked_for():
    atoms = molecule("H2O2")
    image = atoms.positions * [1, 1, -1] @ Rotation.from_euler("x", 1.0).as_matrix()
    assert rmsd(atoms.numbers, image, atoms.positions) > 0.1
    assert rmsd(atoms.numbers, image, atoms.positions, with_mirror=True) < 1e-6


def test_unlike_atoms_are_not_exchanged():
    # HCN against HNC at the same places: the shapes agree, the atoms do not
    atoms = molecule("HCN")
    order = [1, 0, 2] if set(atoms.numbers[:2]) == {6, 7} else [0, 2, 1]
    assert rmsd(atoms.numbers, atoms.positions[order], atoms.positions) > 0.3
