"""Spectra by which points are judged: where a rotation that curves down is a bend."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.calculators.surfaces import SURFACES
from gadlib.hessians.normal_modes import (
    Spectrum,
    exact_spectrum,
    mass_weight,
    most_within,
    spectrum,
    within,
)
from gadlib.hessians.rigid_motions import motions_of, rigid_motions
from gadlib.systems.batch import Batch
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

LENGTH = 1.16  # A, of C=O
MASS_C, MASS_O = 12.011, 15.999


def stiff(batch: Batch, *wavenumbers: float) -> torch.Tensor:
    """Hessians of 1 eV/A^2 everywhere, but of these wavenumbers, i cm-1, along the rotations."""
    root, turns = batch.sqrt_masses, rigid_motions(batch)[:, :, 3:]
    ones = torch.eye(root.shape[1]).double() * batch.mask.repeat_interleave(3, -1)[:, None]
    wanted = torch.tensor([[-((w / CM1_PER_SQRT_EIGENVALUE) ** 2) for w in wavenumbers]]).double()
    weighted = mass_weight(ones, batch)
    kept = torch.eye(root.shape[1]).double() - turns @ turns.mT
    weighted = kept @ weighted @ kept + (turns * wanted[:, None]) @ turns.mT
    return weighted * root[:, :, None] * root[:, None, :]


def molecules(*names: str) -> Batch:
    atoms = [molecule(name) for name in names]
    return Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])


def chain(aside: float, length: float = LENGTH) -> Batch:
    """Carbon dioxide whose carbon stands aside of the line of the oxygens."""
    places = np.array([[0, aside, 0], [-length, 0, 0], [length, 0, 0]])
    return Batch.pack([places], [[6, 8, 8]])


def forces_of(batch: Batch, *largest: float) -> torch.Tensor:
    forces = torch.zeros_like(batch.positions)
    forces[:, 1, 2] = torch.tensor(largest).double()
    return forces


@pytest.mark.parametrize(("wavenumbers", "order"), [((49.5,) * 3, 0), ((0.0, 50.5, 0.0), 1)])
def test_of_a_molecule_at_rest_a_rotation_beyond_50i_is_a_bend(wavenumbers, order):
    batch = molecules("H2O")
    found = exact_spectrum(stiff(batch, *wavenumbers), batch, forces_of(batch, 0.0))
    assert found.order.tolist() == [order]
    assert int(found.eigenvalues.isfinite().sum()) == 3 + order
    assert int(found.motions.n_left[0]) == 3 + order


def test_every_rotation_that_curves_down_is_a_bend_of_its_own():
    batch = molecules("H2O")
    found = exact_spectrum(stiff(batch, 80.0, 100.0, 200.0), batch, forces_of(batch, 0.0))
    wavenumbers = (-found.eigenvalues[0, :3]).sqrt() * CM1_PER_SQRT_EIGENVALUE
    assert wavenumbers.tolist() == pytest.approx([200.0, 100.0, 80.0])
    assert (found.motions.rigid.square().sum(1) > 0.5).sum() == 3


def test_rotations_that_mix_are_told_apart_by_their_curvature():
    batch = molecules("H2O")
    root, turns = batch.sqrt_masses, rigid_motions(batch)[:, :, 3:]
    mixed = (turns[:, :, 0] + turns[:, :, 1]) / 2**0.5
    curvature = -((300.0 / CM1_PER_SQRT_EIGENVALUE) ** 2)
    extra = curvature * mixed[:, :, None] * mixed[:, None, :] * root[:, :, None] * root[:, None, :]
    found = exact_spectrum(stiff(batch, 0.0, 0.0, 0.0) + extra, batch, forces_of(batch, 0.0))
    assert float(found.eigenvalues[0, 0]) == pytest.approx(curvature)
    assert float((found.modes[0, :, 0] @ mixed[0]).abs()) == pytest.approx(1.0)
    assert (mixed[:, None] @ found.motions.rigid).abs().max() < 1e-10


@pytest.mark.parametrize(("force", "order"), [(0.0099, 1), (0.0101, 0)])
def test_a_bent_molecule_under_force_may_rotate_downwards(force, order):
    batch = molecules("H2O")
    found = exact_spectrum(stiff(batch, 200.0, 0.0, 0.0), batch, forces_of(batch, force))
    assert found.order.tolist() == [order]
    assert int(found.eigenvalues.isfinite().sum()) == 3 + order


def test_only_those_of_a_batch_are_at_rest_that_are():
    batch = molecules("H2O", "NH3", "H2O")
    hessian = stiff(batch, 200.0, 0.0, 0.0)
    found = exact_spectrum(hessian, batch, forces_of(batch, 0.5, 0.0, 0.0))
    assert found.order.tolist() == [0, 1, 1]
    assert found.motions.n_left.tolist() == [3, 7, 4]
    plain = spectrum(hessian, batch)
    assert torch.allclose(found.eigenvalues[0, :3], plain.eigenvalues[0, :3], atol=1e-12)
    assert found.modes[0, 9:].abs().max() == 0


@pytest.mark.parametrize(
    ("share", "length", "order"),
    [(0.0295, LENGTH, 1), (0.0305, LENGTH, 0), (0.0295, 1.6, 1), (0.0305, 1.6, 0)],
)
def test_a_chain_nearly_straight_has_a_bend_for_a_rotation_wherever_it_is(share, length, order):
    """Its least moment is (share)^2 of its mass or, of a long chain, of its largest moment."""
    mass = MASS_C + 2 * MASS_O
    reduced = MASS_C * 2 * MASS_O / mass
    largest = 2 * MASS_O * length**2
    aside = share * (max(mass, largest) / reduced) ** 0.5
    batch = chain(aside, length)
    found = exact_spectrum(stiff(batch, 200.0, 0.0, 0.0), batch, forces_of(batch, 5.0))
    assert found.order.tolist() == [order]


def test_a_particle_on_a_surface_is_judged_by_its_whole_hessian():
    surface = SURFACES["double_well"]
    batch = surface.stationary(2)
    hessian = surface(batch).hessian
    found = exact_spectrum(hessian, batch, torch.zeros_like(batch.positions))
    assert torch.equal(found.eigenvalues, spectrum(hessian, batch).eigenvalues)
    assert found.order.tolist() == [2]


def test_motions_known_before_are_used():
    batch = molecules("H2O", "NH3")
    motions = motions_of(batch)
    for wavenumber in (0.0, 200.0):
        hessian = stiff(batch, wavenumber, 0.0, 0.0)
        for forces in (forces_of(batch, 1.0, 1.0), forces_of(batch, 0.0, 1.0)):
            found = exact_spectrum(hessian, batch, forces, motions)
            expected = exact_spectrum(hessian, batch, forces)
            assert torch.equal(found.eigenvalues, expected.eigenvalues)
            assert found.motions is motions or wavenumber


def test_a_flat_direction_is_not_counted_as_negative():
    batch = Batch.pack([np.zeros((1, 3))], [[1]], is_free=False)
    flat = torch.diag_embed(torch.tensor([[0.0, -1.0, 1.0]]).double())
    found = spectrum(flat, batch)
    assert found.order.tolist() == [1]
    assert isinstance(found, Spectrum)


def test_particles_have_no_rigid_motions():
    batch = Batch.pack([np.zeros((1, 3)), np.ones((1, 3))], [[1], [1]], is_free=False)
    assert rigid_motions(batch).shape == (2, 3, 6)
    assert not rigid_motions(batch).any()
    assert motions_of(batch).n_left.tolist() == [3, 3]


def test_the_part_of_a_mode_within_directions_is_a_sum_of_squared_cosines():
    modes = torch.eye(3).double()[None]
    wanted = torch.tensor([[[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]]]).double()
    assert within(modes, wanted)[0].tolist() == pytest.approx([0.36, 0.64, 1.0])


def test_the_mode_most_within_directions_is_one_of_the_modes():
    modes = torch.eye(3).double().repeat(3, 1, 1)
    wanted = torch.tensor([[0.0], [0.6], [0.8]]).double().repeat(3, 1, 1)
    wanted[2] = 0.0
    is_mode = torch.tensor([[True, True, True], [True, True, False], [False, True, True]])
    assert most_within(modes, is_mode, wanted).tolist() == [2, 1, 0]


def test_a_mode_without_any_part_within_is_still_before_what_is_no_mode():
    modes, wanted = torch.eye(2).double()[None], torch.tensor([[[1.0], [0.0]]]).double()
    assert most_within(modes, torch.tensor([[False, True]]), wanted).tolist() == [1]
