"""Vibrations of molecules from their Hessians."""

import numpy as np
import pytest
import torch

from gadlib.hessians.vibrations import vibrations_of
from gadlib.systems.batch import Batch


def spring(constant: float, numbers: list[int]) -> tuple[Batch, torch.Tensor]:
    """Two atoms along x, joined by a spring of so many eV/A^2."""
    batch = Batch.pack([np.array([[0.0, 0, 0], [1.1, 0, 0]])], [numbers])
    along = torch.tensor([1.0, 0, 0, -1.0, 0, 0], dtype=torch.float64)
    return batch, constant * torch.outer(along, along)[None]


def test_two_atoms_vibrate_with_their_reduced_mass():
    batch, hessian = spring(100.0, [6, 8])
    (found,) = vibrations_of(batch, hessian, torch.zeros_like(batch.positions))
    carbon, oxygen = batch.masses[0].tolist()
    reduced = carbon * oxygen / (carbon + oxygen)
    assert found.wavenumbers_cm1 == pytest.approx([521.4708 * (100 / reduced) ** 0.5], rel=1e-5)
    # Gaussian's reduced mass: of displacements of length one.
    squared = (oxygen**2 + carbon**2) / (carbon + oxygen) ** 2
    assert found.reduced_masses == pytest.approx([reduced / squared])
    assert found.displacements.shape == (1, 2, 3)
    assert float(found.displacements.norm()) == pytest.approx(1.0)


def test_spring_that_pushes_has_a_negative_wavenumber():
    batch, hessian = spring(-100.0, [7, 7])
    (found,) = vibrations_of(batch, hessian, torch.zeros_like(batch.positions))
    assert found.wavenumbers_cm1 == pytest.approx([-521.4708 * (200 / 14.007) ** 0.5], rel=1e-5)


def test_wavenumbers_are_the_curvatures_along_displacements_that_turn_and_shift_nothing():
    positions = np.array([[0, 0, 0], [2.4, 0, 0], [1.2, 2.1, 0], [1.2, 0.7, 2.0]])
    batch = Batch.pack([positions], [[29, 8, 6, 1]])
    drawn = torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hessian = (drawn + drawn.mT)[None]
    (found,) = vibrations_of(batch, hessian, torch.ones_like(batch.positions))
    assert len(found.wavenumbers_cm1) == 6
    masses = batch.masses[0][:, None]
    for wavenumber, reduced, moved in zip(*found, strict=True):
        curvature = float(moved.flatten() @ hessian[0] @ moved.flatten()) / reduced
        assert wavenumber == pytest.approx(np.sign(curvature) * 521.4708 * abs(curvature) ** 0.5)
        assert reduced == pytest.approx(float((masses * moved.square()).sum()))
        assert (masses * moved).sum(0).abs().max() < 1e-9
        assert torch.linalg.cross(batch.positions[0], masses * moved).sum(0).abs().max() < 1e-8


def test_padding_changes_nothing():
    batch, hessian = spring(100.0, [6, 8])
    wide = Batch.pack([batch.positions[0], np.zeros((3, 3)) + np.eye(3)], [[6, 8], [1, 1, 1]])
    padded = torch.zeros(2, 9, 9, dtype=torch.float64)
    padded[0, :6, :6] = hessian[0]
    first, second = vibrations_of(wide, padded, torch.zeros_like(wide.positions))
    (alone,) = vibrations_of(batch, hessian, torch.zeros_like(batch.positions))
    assert first.wavenumbers_cm1 == pytest.approx(alone.wavenumbers_cm1)
    assert first.displacements.shape == (1, 2, 3)
    assert len(second.wavenumbers_cm1) == 3
