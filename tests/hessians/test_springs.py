"""The guess of the Hessian."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gadlib.calculators import get
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import bond_hessian, model_hessian, pair_hessian
from gadlib.molecules.reactions import read
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch


def _batch(*names):
    atoms = [molecule(name) for name in names]
    return Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])


@pytest.mark.parametrize("name", ["H2", "CO2", "C2H2", "H2O", "CH3OH", "C6H6"])
def test_the_guess_is_symmetric_and_positive(name):
    batch = _batch(name)
    hessian = model_hessian(batch)
    assert torch.allclose(hessian, hessian.mT, atol=1e-10)
    assert spectrum(hessian, batch).order.tolist() == [0]


def test_the_guess_turns_with_the_molecule():
    batch = _batch("CH3OH")
    turn = torch.as_tensor(Rotation.from_rotvec([0.3, -1.1, 0.5]).as_matrix())
    here = model_hessian(batch)[0]
    there = model_hessian(batch.moved_to(batch.positions @ turn.mT))[0]
    whole = torch.block_diag(*[turn] * 6)
    assert torch.allclose(whole @ here @ whole.mT, there, atol=1e-8)


def test_padding_and_company_change_nothing():
    alone, together = model_hessian(_batch("H2O"))[0], model_hessian(_batch("H2O", "C6H6"))[0]
    assert torch.allclose(alone, together[:9, :9], atol=1e-12)
    assert not together[9:].any()


def test_a_straight_molecule_bends_alike_in_both_planes():
    batch = _batch("CO2")
    first, one, other, last = spectrum(model_hessian(batch), batch).eigenvalues[0, :4].tolist()
    assert one == pytest.approx(other, abs=1e-8)  # of the four vibrations only bends come in pairs
    assert last - other > 1
    assert one - first > 1


def test_torsions_are_softer_than_angles_and_those_than_bonds():
    batch = _batch("C2H6")
    values = spectrum(model_hessian(batch), batch).eigenvalues[0]
    vibrations = values[values.isfinite()]
    assert vibrations[0] < 0.3 * vibrations[1]  # the methyl groups' turn
    assert vibrations[-6:].min() > 2 * vibrations[-7]  # the stretches of C-H


def test_the_guess_is_near_the_exact_hessian_of_minima():
    pytest.importorskip("scine_sparrow")
    found = read(max_samples=10)
    batch = Batch.pack([r.reactant for r in found], [r.atomic_numbers for r in found])
    exact = begin(batch, get("scine")).spectrum
    inverse = batch.inverse_sqrt_masses
    weighted = inverse[:, :, None] * model_hessian(batch) * inverse[:, None, :]
    guessed = (exact.modes * (weighted @ exact.modes)).sum(1)
    known = exact.eigenvalues.isfinite() & (exact.eigenvalues > 0)
    ratio = np.log((guessed / exact.eigenvalues)[known].numpy())
    assert np.exp(np.median(ratio)) == pytest.approx(1.1, abs=0.3)
    assert np.mean(np.abs(ratio) < np.log(3)) > 0.8


@pytest.mark.parametrize("is_at_rest", [True, False])
def test_springs_of_pairs_are_the_second_derivative_of_their_energy(is_at_rest):
    batch = _batch("CH3OH", "H2O")
    rest = batch.distances - (0.0 if is_at_rest else 0.2)

    def energy(positions):
        apart = (positions[:, :, None] - positions[:, None, :]).square().sum(-1)
        distance = torch.where(batch.is_pair, apart, 1.0).sqrt()
        stretched = torch.where(batch.is_pair, distance - rest, 0.0)
        return 3.0 * stretched.square().triu().sum()

    hessian = torch.autograd.functional.hessian(energy, batch.positions)
    along = torch.where(batch.is_pair, 6.0, 0.0)
    across = torch.where(batch.is_pair, 6.0 * 0.2 / batch.distances, 0.0)
    found = pair_hessian(batch, along, None if is_at_rest else across)
    for i in range(2):
        assert torch.allclose(hessian[i, :, :, i].reshape(18, 18), found[i], atol=1e-9)


def test_the_bonds_are_a_part_of_the_guess():
    batch = _batch("CH3OH", "H2O")
    rest = model_hessian(batch) - bond_hessian(batch)
    assert torch.linalg.eigvalsh(rest).min() > -1e-9
    assert bond_hessian(batch)[1, :9, :9].trace() > 100  # eV/A^2, of two bonds O-H
