"""What forces along bonds add to a Hessian."""

import torch
from ase.build import molecule

from gadlib.calculators import get
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.tension import tension_hessian
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch


def test_without_forces_there_is_none():
    atoms = molecule("CH3OH")
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    assert not tension_hessian(batch, 0 * batch.positions).any()


def test_across_a_bond_that_is_too_short_the_hessian_is_all_tension():
    batch = Batch.pack([[[0.0, 0.0, 0.0], [0.0, 0.0, 0.65]]], [[1, 1]])
    here = begin(batch, get("scine"))
    found = tension_hessian(batch, here.forces)
    assert here.hessian[0, 0, 0] < -1
    assert (here.hessian - found)[0, 0, 0].abs() < 0.02 * here.hessian[0, 0, 0].abs()
    assert found[0, 2, 2] == 0  # along it


def test_without_it_few_modes_of_a_shaken_molecule_curve_down():
    here = begin(Batch.of(starts(read()[:20], "ts_noise0.1A", 42)), get("scine"))
    relaxed = here.hessian - tension_hessian(here.batch, here.forces)
    n_before, n_after = (spectrum(h, here.batch).order for h in (here.hessian, relaxed))
    assert n_before.sum() > 1.8 * n_after.sum()
    assert (n_after <= n_before).all()


def test_it_turns_no_molecule_and_pushes_none():
    atoms = molecule("CH3OH")
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    forces = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(4)).double()
    found = tension_hessian(batch, forces)
    assert torch.allclose(found, found.mT)
    assert found.view(6, 3, 6, 3).sum(0).abs().max() < 1e-10
