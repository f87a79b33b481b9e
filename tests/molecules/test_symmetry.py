"""Symmetry numbers are those of textbooks."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gadlib.molecules.symmetry import is_linear, symmetry_number

# Cramer, Essentials of Computational Chemistry, 2nd ed. (2004), appendix B: orders of the rotation
# groups C1 1, C2v 2, C3v 3, D2h 4, D3d and D3h 6, D6h 12, Td 12, Oh 24, Cinf,v 1, Dinf,h 2.
KNOWN = {
    "H2O": 2,
    "NH3": 3,
    "CH4": 12,
    "C2H4": 4,
    "C2H6": 6,
    "C6H6": 12,
    "BF3": 6,
    "H2CO": 2,
    "HCN": 1,
    "CO2": 2,
    "N2": 2,
    "CO": 1,
    "C2H2": 2,
    "CH3OH": 1,
    "CH3Cl": 3,
    "HOCl": 1,
    "H2O2": 2,
    "H": 1,
}


@pytest.mark.parametrize("name", KNOWN)
def test_symmetry_number_is_the_order_of_the_rotation_group(name):
    atoms = molecule("H" if name == "H" else name) if name != "H2O2" else molecule("H2O2")
    turned = Rotation.from_rotvec([0.3, -1.1, 0.7]).apply(atoms.positions) + 5.0
    assert symmetry_number(atoms.numbers, turned) == KNOWN[name]


def test_octahedron_has_twenty_four_rotations():
    fluorines = 1.56 * np.concatenate([np.eye(3), -np.eye(3)])
    atoms = Atoms("SF6", np.concatenate([np.zeros((1, 3)), fluorines]))
    assert symmetry_number(atoms.numbers, atoms.positions) == 24


def test_another_element_in_an_atoms_place_lowers_it():
    atoms = molecule("CH4")
    atoms.numbers[1] = 9
    assert symmetry_number(atoms.numbers, atoms.positions) == 3


@pytest.mark.parametrize(("shift", "expected"), [(0.02, 12), (0.3, 1)])
def test_what_misses_its_image_by_little_is_symmetric_still(shift, expected):
    atoms = molecule("CH4")
    atoms.positions[1] += np.array([shift, -0.6 * shift, 0.2 * shift])
    assert symmetry_number(atoms.numbers, atoms.positions) == expected


def test_mirror_images_are_no_rotations():
    atoms = Atoms(
        "CHFClBr", [[0, 0, 0], [0.6, 0.6, 0.6], [-0.8, -0.8, 0.8], [-1, 1, -1], [1.1, -1.1, -1.1]]
    )
    assert symmetry_number(atoms.numbers, atoms.positions) == 1


def test_two_atoms_are_linear_and_bent_water_is_not():
    assert is_linear(molecule("N2").positions)
    assert is_linear(molecule("CO2").positions)
    assert not is_linear(molecule("H2O").positions)
    assert not is_linear(np.zeros((1, 3)))
