"""Where a molecule counts as linear, and which way its rigid motions are cut out."""

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.hessians import normal_modes
from gadlib.hessians import rigid_motions as module
from gadlib.hessians.rigid_motions import motions_of, rigid_motions
from gadlib.systems.batch import Batch


def bent(aside: float) -> Batch:
    """Carbon dioxide whose carbon stands aside of the line of the oxygens."""
    atoms = molecule("CO2")
    atoms.positions[0] += [aside, 0, 0]
    return Batch.pack([atoms.positions], [atoms.numbers])


def test_a_motion_that_does_not_exist_is_no_direction_at_all():
    for aside in (0.0, 0.002):
        lengths = rigid_motions(bent(aside)).square().sum(1)[0]
        assert sorted(lengths.tolist()) == pytest.approx([0.0] + [1.0] * 5)
        assert (lengths == 0).sum() == 1


@pytest.mark.parametrize(("factor", "n_left"), [(0.98, 4), (1.02, 3)])
def test_a_rotation_exists_beyond_a_thousandth_of_the_largest_motion(factor, n_left):
    """Its singular value is sqrt(mu) times what the carbon is aside; the largest, sqrt(mass)."""
    carbon, oxygen = 12.011, 15.999
    mass = carbon + 2 * oxygen
    reduced = 2 * oxygen * carbon / mass
    largest = max(mass, 2 * oxygen * molecule("CO2").positions[1, 2] ** 2)
    aside = factor * 1e-3 * (largest / reduced) ** 0.5
    assert motions_of(bent(aside)).n_left.tolist() == [n_left]


def triangle(shift: float, *diagonal: float) -> torch.Tensor:
    sizes = torch.diag(torch.tensor([shift, shift, shift, *diagonal]).double())
    sizes[3, 4] = sizes[0, 5] = 3.0
    return sizes[None]


def test_no_molecule_is_nearly_linear_by_the_least_that_its_smallest_rotation_can_be():
    """That is the product of the diagonal over the square of the norm, here 9 + 16 + 0.25 + 9."""
    least = 3.0 * 4.0 * 0.5 / 34.25
    for largest, expected in ((99.0 * least, True), (101.0 * least, False)):
        for sign in (1, -1):
            sizes = triangle(sign * largest, -3.0, 4.0, 0.5)
            assert module._is_none_linear(sizes) is expected
    assert module._is_none_linear(triangle(0.0, -3.0, 4.0, 0.5))
    below = triangle(0.0, 3.0, 4.0, 0.16)  # the norm is the largest motion: 5.83
    assert not module._is_none_linear(below)
    assert not module._is_none_linear(torch.cat([triangle(1.0, 3.0, 4.0, 3.0), below]))


@pytest.mark.parametrize("names", [("H2O", "C2H6"), ("CO2", "H2O"), ("N2", "CO2")])
def test_rigid_motions_and_what_they_leave_span_everything_but_the_padding(names):
    atoms = [molecule(name) for name in names]
    batch = Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])
    motions = motions_of(batch)
    for i, one in enumerate(atoms):
        left = motions.left[i, :, : int(motions.n_left[i])]
        whole = motions.rigid[i] @ motions.rigid[i].T + left @ left.T
        expected = np.diag(np.arange(whole.shape[0]) < 3 * len(one)).astype(float)
        assert whole.numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("stiffness", [-40.0, 0.0, 40.0])
def test_rigid_motions_are_shifted_above_all_vibrations_however_stiff_they_seem(stiffness):
    """The way of a GPU, of two molecules one of which is padded."""
    names = ("H2O", "C2H4")
    atoms = [molecule(name) for name in names]
    batch = Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])
    random = np.random.default_rng(0)
    hessian = torch.tensor(random.normal(size=(2, 18, 18)))
    hessian = (hessian + hessian.mT) * (batch.sqrt_masses[:, :, None] > 0)
    hessian = hessian * (batch.sqrt_masses[:, None, :] > 0)
    motions, root = motions_of(batch), batch.sqrt_masses
    springs = stiffness * motions.rigid @ motions.rigid.mT
    hessian = hessian + root[:, :, None] * springs * root[:, None, :]
    values, modes = normal_modes._shifted(hessian, motions, batch)
    expected = normal_modes.spectrum(hessian, batch, motions)
    assert values.numpy() == pytest.approx(expected.eigenvalues.numpy(), abs=1e-9)
    for i, n in enumerate((3, 12)):
        overlap = (modes[i, :, :n].mT @ expected.modes[i, :, :n]).abs()
        assert overlap.numpy() == pytest.approx(np.eye(n), abs=1e-6)
