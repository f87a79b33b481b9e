"""Probing tells what the potential says along each direction, and invents nothing beside it."""

import pytest
import torch
from ase.build import molecule
from clusters import POTENTIAL, clusters

from gadlib.calculators import get
from gadlib.evaluation import Evaluation
from gadlib.hessians.davidson import find_independent
from gadlib.hessians.rigid_motions import motions_of
from gadlib.hessians.tension import tension_hessian
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.trust import probing
from gadlib.solver.trust.disturbances import draw_noise
from gadlib.solver.trust.probing import Curvature, probe_modes
from gadlib.solver.trust.rule import init
from gadlib.systems.batch import Batch

STIFF = ("HCN", "H2CO", "C2H2")
SOFT = ("CH3CH2OH", "C3H8", "H2O2")


def probed(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, number: int = 14):
    """The Hessians after as many probes, those before, and what was asked and answered."""
    generator = torch.Generator().manual_seed(4)
    atoms = [molecule(name) for name in names]
    places = [
        torch.as_tensor(a.positions) + 0.03 * torch.randn(len(a), 3, generator=generator)
        for a in atoms
    ]
    batch = Batch.pack(places, [a.numbers for a in atoms])
    state = init(get("scine"), batch, TrustHyperparameters(exact_hessians="proof"))
    asked = []
    differences = probing.map_vectors

    def noted(calculator, curved, vectors, is_new):
        told = differences(calculator, curved, vectors, is_new)
        asked.append((vectors, is_new, told[0]))
        return told

    monkeypatch.setattr(probing, "map_vectors", noted)
    found = probe_modes(get("scine"), Curvature.of(state), number)
    vectors, is_new, changes = (torch.cat(parts, -1) for parts in zip(*asked, strict=True))
    return batch, found, vectors, is_new, changes


@pytest.mark.parametrize("names", [STIFF, SOFT], ids=["stiff", "soft"])
def test_a_probed_hessian_maps_what_was_probed_to_the_difference_of_gradients(names, monkeypatch):
    pytest.importorskip("scine_sparrow")
    _, found, vectors, is_new, changes = probed(names, monkeypatch)
    for i in range(len(names)):
        asked = is_new[i]
        directions, told = vectors[i][:, asked], changes[i][:, asked]
        off = found.hessian[i] @ directions - told
        # But for what a symmetric matrix can't do: differences to one side are not quite symmetric.
        crossed = directions.T @ told
        lopsided = (crossed - crossed.T) / 2
        torch.testing.assert_close(off, -directions @ lopsided, atol=1e-9, rtol=0)
        assert lopsided.norm() < 0.01 * told.norm()
        assert asked.sum() == found.n_probes[i]


@pytest.mark.parametrize("names", [STIFF, SOFT], ids=["stiff", "soft"])
def test_what_is_probed_is_orthonormal_and_no_rigid_motion(names, monkeypatch):
    """A molecule of four atoms has six vibrations, and is asked for six, though more are wanted."""
    pytest.importorskip("scine_sparrow")
    batch, found, vectors, is_new, _ = probed(names, monkeypatch)
    motions = motions_of(batch)
    for i in range(len(names)):
        directions = vectors[i][:, is_new[i]]
        identity = torch.eye(directions.shape[1], dtype=directions.dtype)
        torch.testing.assert_close(directions.T @ directions, identity, atol=1e-10, rtol=0)
        weighted = batch.sqrt_masses[i][:, None] * directions
        assert (motions.rigid[i].T @ weighted).abs().max() < 1e-6
        assert found.n_probes[i] <= motions.n_left[i]
        assert not vectors[i][:, ~is_new[i]].any()


def test_no_curvature_is_invented_along_a_mode_that_was_probed(monkeypatch):
    pytest.importorskip("scine_sparrow")
    batch, found, vectors, is_new, _ = probed(SOFT, monkeypatch)
    here = get("scine")(batch)
    exact = here.hessian - tension_hessian(batch, here.forces)
    for i in range(len(SOFT)):
        directions = vectors[i][:, is_new[i]]
        told = (directions * (found.hessian[i] @ directions)).sum(0)
        true = (directions * (exact[i] @ directions)).sum(0)
        assert ((told - true).abs() < 0.1 + 0.07 * true.abs()).all()


def test_what_lies_within_others_is_no_direction():
    generator = torch.Generator().manual_seed(1)
    known = torch.linalg.qr(torch.randn(1, 12, 4, generator=generator).double()).Q
    fresh = torch.randn(1, 12, 1, generator=generator).double()
    within = known @ torch.randn(1, 4, 2, generator=generator).double()
    almost = within[:, :, :1] + 1e-7 * fresh
    again = 0.3 * fresh + within[:, :, 1:]
    vectors = torch.cat([within, almost, fresh, again], -1)
    found, is_new = find_independent(vectors, torch.ones(1, 5, dtype=torch.bool), known)
    assert is_new.tolist() == [[False, False, False, True, False]]
    assert not found[:, :, [0, 1, 2, 4]].any()
    assert (known.mT @ found).abs().max() < 1e-14
    assert found[0, :, 3].norm() == pytest.approx(1)


def test_nothing_is_asked_of_a_molecule_whose_vibrations_are_all_known():
    asked = []

    def counting(batch: Batch, *, hessian: bool = True) -> Evaluation:
        asked.append(len(batch))
        return POTENTIAL(batch, hessian=hessian)

    batch = clusters(2, numbers=([1, 1, 1],))
    state = init(counting, batch, TrustHyperparameters(exact_hessians="proof"))
    asked.clear()
    found = probe_modes(counting, Curvature.of(state), 14)
    assert sum(asked) == found.n_probes.item() == 3


@pytest.mark.parametrize("n_atoms", [3, 999, 1000, 1001, 2500])
def test_any_number_of_atoms_can_be_disturbed_and_the_first_ones_alike(n_atoms):
    noise = draw_noise(3, n_atoms)
    assert noise.shape == (n_atoms, 3)
    assert torch.equal(noise, draw_noise(3, 3000)[:n_atoms])
    assert noise.std() == pytest.approx(1.0, abs=0.7)
    assert len(noise.unique(dim=0)) == n_atoms
