"""Molecules put together again from what noise has made of them."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.calculators.surfaces import muller_brown
from gadlib.molecules.bonds import bond_graph, bonds, full_shells, is_same, n_fragments
from gadlib.molecules.repair import mended
from gadlib.systems.batch import Batch

_INTACT = ["CH3CH2OH", "C6H6", "CH3CONH2", "C2H6SO", "PF3", "SiH4", "bicyclobutane", "HCN", "H2O"]


def _noisy(names, size, seed):
    generator = torch.Generator().manual_seed(seed)
    atoms = [molecule(name) for name in names]
    noise = [size * torch.randn(len(a), 3, generator=generator, dtype=torch.float64) for a in atoms]
    places = [torch.as_tensor(a.positions) + n for a, n in zip(atoms, noise, strict=True)]
    return Batch.pack(places, [a.numbers for a in atoms])


@pytest.mark.parametrize("name", _INTACT)
def test_an_intact_molecule_keeps_its_bonds_and_hardly_moves(name):
    before = _noisy([name], 0.0, 0)
    after = mended(before)
    assert is_same(bond_graph(before), bond_graph(after))
    assert (bonds(before) == bonds(after)).all()
    assert (after.positions - before.positions).norm(dim=-1).max() < 0.5


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_a_wreck_becomes_one_molecule_of_atoms_with_no_more_neighbours_than_they_take(size):
    names = ["CH3CH2OH", "CH3CONH2", "C6H6", "CH3CH2NH2", "isobutane", "CH3CHO"]
    for seed in range(5):
        wreck = _noisy(names, size, seed)
        assert (n_fragments(wreck) > 1).any()
        whole = mended(wreck)
        assert n_fragments(whole).tolist() == [1] * len(names)
        n_bonds = bonds(whole).sum(-1)
        assert (n_bonds <= full_shells(whole)).all()
        is_hydrogen = whole.atomic_numbers == 1
        assert (n_bonds[is_hydrogen] == 1).all()
        closest = whole.scaled_distances.amin((1, 2))
        assert (closest > 0.8).all()


def test_a_saturated_molecule_has_all_its_shells_filled_again():
    whole = mended(_noisy(["isobutane", "CH3CH2OH"], 1.0, 1))
    assert (bonds(whole).sum(-1) == full_shells(whole))[whole.mask].all()


def test_a_batch_is_put_together_as_each_of_its_molecules_is_alone():
    batch = _noisy(["CH3CH2OH", "H2O", "C6H6"], 1.0, 3)
    together = mended(batch)
    for i in range(len(batch)):
        numbers, positions = batch.system(i)
        alone = mended(Batch.pack([positions], [numbers])).positions[0]
        torch.testing.assert_close(together.positions[i, : len(numbers)], alone, atol=1e-9, rtol=0)
        assert not together.positions[i, len(numbers) :].any()


def test_metals_hydrogen_alone_and_particles_on_a_surface_are_let_be():
    metal = Batch.pack([2.0 * np.eye(3)], [[29, 29, 29]])
    assert torch.equal(mended(metal).positions, metal.positions)
    apart = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.9]])
    hydrogen = Batch.pack([apart, apart[:1]], [[1, 1], [2]])
    assert torch.equal(mended(hydrogen).positions, hydrogen.positions)
    start = muller_brown().start
    assert mended(start) is start


def test_more_hydrogens_than_there_are_places_are_hung_somewhere():
    numbers = np.array([6] + [1] * 6)
    places = np.random.default_rng(0).normal(size=(7, 3))
    whole = mended(Batch.pack([places], [numbers]))
    assert whole.positions.isfinite().all()
    assert int(n_fragments(whole)[0]) == 1
