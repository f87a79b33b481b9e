import numpy as np
import pytest
import torch
from ase.build import molecule
from clusters import POTENTIAL, SEEDS, alone, backwards, clusters, padded, shifted, turn, turned
from hypothesis import given

from gadlib.calculators.surfaces import SURFACES
from gadlib.hessians import normal_modes as modes_module
from gadlib.hessians.normal_modes import mass_weight, spectrum
from gadlib.hessians.rigid_motions import motions_of, remove_rigid, rigid_motions
from gadlib.systems.batch import Batch


def spectrum_of(batch: Batch):
    return spectrum(POTENTIAL(batch).hessian, batch)


def vibrations(batch: Batch) -> list[np.ndarray]:
    values = spectrum_of(batch).eigenvalues
    return [row[row.isfinite()].numpy() for row in values]


def hessian_of_ones(batch: Batch) -> torch.Tensor:
    return torch.eye(3 * batch.positions.shape[1], dtype=torch.float64).repeat(len(batch), 1, 1)


def n_vibrations(name: str, *, bend: float = 0.0) -> int:
    atoms = molecule(name)
    atoms.positions[0] += [bend, 0, 0]
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    return int(spectrum(hessian_of_ones(batch), batch).eigenvalues.isfinite().sum())


@pytest.mark.parametrize("name", ["H2O", "NH3", "CH4", "C2H6", "C6H6"])
def test_nonlinear_molecules_have_3n_minus_6_vibrations(name):
    assert n_vibrations(name) == 3 * len(molecule(name)) - 6


@pytest.mark.parametrize("name", ["HCN", "CO2", "C2H2", "N2", "H2"])
def test_linear_molecules_have_3n_minus_5_vibrations(name):
    assert n_vibrations(name) == 3 * len(molecule(name)) - 5


def test_nearly_linear_is_linear_and_bent_is_not():
    assert n_vibrations("CO2", bend=0.002) == 4
    assert n_vibrations("CO2", bend=0.02) == 3


def test_linear_is_linear_far_from_the_origin_too():
    atoms = molecule("CO2")
    batch = Batch.pack([atoms.positions + 1e4], [atoms.numbers])
    assert int(spectrum(hessian_of_ones(batch), batch).eigenvalues.isfinite().sum()) == 4


def test_an_atom_has_no_vibrations():
    batch = Batch.pack([np.ones((1, 3))], [[6]])
    assert spectrum(hessian_of_ones(batch), batch).eigenvalues.isinf().all()


def test_nothing_is_projected_of_a_particle_on_a_surface():
    surface = SURFACES["double_well"]
    batch = surface.stationary(2)
    found = spectrum(surface(batch).hessian, batch)
    assert not found.motions.rigid.any()
    # E = (x^2 - 1)^2 + (y^2 - 1)^2 + 2 z^2 at the origin, of hydrogen's mass
    expected = np.array([-4.0, -4.0, 4.0]) / 1.008
    assert found.eigenvalues[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert found.order.tolist() == [2]


@given(SEEDS)
def test_modes_are_orthonormal_and_have_no_rigid_part(seed):
    batch = clusters(seed)
    found = spectrum_of(batch)
    for i, values in enumerate(vibrations(batch)):
        modes = found.modes[i, :, : len(values)]
        assert torch.allclose(modes.mT @ modes, torch.eye(len(values)).double(), atol=1e-10)
        assert (found.motions.rigid[i].mT @ modes).abs().max() < 1e-10


@given(SEEDS)
def test_projected_hessian_has_no_rigid_modes(seed):
    """A spring on a rigid motion, however stiff or negative, is not in the spectrum."""
    batch = clusters(seed)
    hessian = POTENTIAL(batch).hessian
    root, rigid = batch.sqrt_masses, rigid_motions(batch)
    springs = torch.linspace(-50, 100, 6).double()
    extra = (rigid * springs) @ rigid.mT * root[:, :, None] * root[:, None, :]
    found = spectrum(hessian + extra, batch).eigenvalues
    assert torch.allclose(found, spectrum(hessian, batch).eigenvalues, atol=1e-8)


@given(SEEDS)
def test_spectrum_is_that_of_the_hessian_in_the_complement_of_the_rigid_motions(seed):
    batch = clusters(seed)
    hessian, found = POTENTIAL(batch).hessian, vibrations(batch)
    for i in range(len(batch)):
        _, positions = batch.system(i)
        n = len(positions)
        masses = batch.masses[i, :n].numpy()
        centred = positions - masses @ positions / masses.sum()
        motions = [np.tile(axis, (n, 1)) for axis in np.eye(3)]
        motions += [np.cross(axis, centred) for axis in np.eye(3)]
        motions = np.array([(np.sqrt(masses)[:, None] * m).ravel() for m in motions])
        complement = np.linalg.svd(motions)[2][6:].T
        root = np.repeat(np.sqrt(masses), 3)
        weighted = hessian[i, : 3 * n, : 3 * n].numpy() / np.outer(root, root)
        expected = np.linalg.eigvalsh(complement.T @ weighted @ complement)
        assert found[i] == pytest.approx(expected, abs=1e-9)


@given(SEEDS, SEEDS)
def test_spectrum_does_not_depend_on_place_orientation_or_order(seed, other):
    batch = clusters(seed)
    expected = vibrations(batch)
    for moved in (turned(batch, other), shifted(batch, other), backwards(batch)):
        for one, two in zip(vibrations(moved), expected, strict=True):
            assert one == pytest.approx(two, abs=1e-8)


@given(SEEDS)
def test_spectrum_of_a_batch_is_that_of_each_system_alone(seed):
    batch = clusters(seed)
    for other in (batch, padded(batch)):
        for i, values in enumerate(vibrations(other)):
            assert values == pytest.approx(vibrations(alone(batch, i))[0], abs=1e-10)


@given(SEEDS)
def test_modes_turn_with_the_molecule(seed):
    batch = clusters(seed)
    before, after = spectrum_of(batch), spectrum_of(turned(batch, seed))
    modes = before.modes.unflatten(1, (-1, 3)).mT  # (B, N, mode, xyz)
    expected = (modes @ turn(seed).mT).mT.flatten(1, 2)
    overlap = (expected * after.modes).sum(1).abs()
    for i, values in enumerate(vibrations(batch)):
        isolated = np.diff(values, prepend=-np.inf, append=np.inf)
        isolated = np.minimum(isolated[:-1], isolated[1:]) > 1e-3  # degenerate modes may mix
        assert isolated.any()
        assert overlap[i, : len(values)][isolated].numpy() == pytest.approx(1, abs=1e-6)


def test_rigid_motions_are_orthonormal():
    rigid = rigid_motions(clusters(0))
    assert torch.allclose(rigid.mT @ rigid, torch.eye(6).double().expand(3, 6, 6), atol=1e-12)


@given(SEEDS)
def test_removing_rigid_motions_twice_is_once(seed):
    batch = clusters(seed)
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(3, 15, generator=generator, dtype=torch.float64)
    rigid = rigid_motions(batch)
    once = remove_rigid(vectors, rigid)
    assert torch.allclose(remove_rigid(once, rigid), once, atol=1e-12)
    assert (rigid.mT @ once[..., None]).abs().max() < 1e-12
    assert (once - vectors).abs().max() > 1e-3


def test_mass_weighting_divides_by_the_roots_of_both_masses_and_symmetrises():
    batch = Batch.pack([np.eye(3)[:2]], [[1, 8]])
    hessian = torch.zeros(1, 6, 6, dtype=torch.float64)
    hessian[0, 0, 5] = 2.0
    found = mass_weight(hessian, batch)
    expected = 1.0 / (1.008 * 15.999) ** 0.5
    assert float(found[0, 0, 5]) == float(found[0, 5, 0]) == pytest.approx(expected, rel=1e-6)
    assert int((found != 0).sum()) == 2


@pytest.mark.parametrize("name", ["H2O", "CO2", "C2H6", "N2"])
def test_what_rigid_motions_leave_is_orthonormal_and_without_padding(name):
    atoms, other = molecule(name), molecule("C2H4")
    batch = Batch.pack([atoms.positions, other.positions], [atoms.numbers, other.numbers])
    motions = motions_of(batch)
    n, n_left = 3 * len(atoms), int(motions.n_left[0])
    assert n_left == n_vibrations(name)
    left = motions.left[0, :, :n_left]
    assert torch.allclose(left.mT @ left, torch.eye(n_left).double(), atol=1e-12)
    assert (motions.rigid[0].mT @ left).abs().max() < 1e-12
    assert not left[n:].any()


@given(SEEDS)
def test_a_spectrum_with_motions_known_before_is_the_same(seed):
    batch = clusters(seed)
    once = spectrum_of(batch)
    again = spectrum(POTENTIAL(batch).hessian, batch, once.motions)
    assert torch.equal(once.eigenvalues, again.eigenvalues)
    assert torch.equal(once.modes, again.modes)


@given(SEEDS)
def test_shifting_rigid_motions_gives_the_spectrum_that_cutting_them_out_gives(seed):
    batch = padded(clusters(seed))
    hessian, found = POTENTIAL(batch).hessian, spectrum_of(batch)
    weighted, rigid = mass_weight(hessian, batch), found.motions.rigid
    values, modes = modes_module._shifted(hessian, found.motions, batch)
    is_mode = found.eigenvalues.isfinite()
    assert (values.isfinite() == is_mode).all()
    assert torch.allclose(values[is_mode], found.eigenvalues[is_mode], atol=1e-8)
    mapped = weighted @ modes - modes * values.nan_to_num(posinf=0.0)[:, None]
    along = rigid @ (rigid.mT @ mapped)
    assert ((mapped - along) * is_mode[:, None]).abs().max() < 1e-7
