"""Small free clusters of different sizes, a cheap potential for them, and ways to move them."""

from dataclasses import replace

import numpy as np
import torch
from ase.build import molecule
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gadlib.calculators.surfaces import lennard_jones
from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

POTENTIAL = lennard_jones(epsilon=0.3, sigma=1.1)
SIZES = (3, 5, 4)
NUMBERS = ([6, 1, 8], [7, 1, 1, 6, 8], [18, 6, 18, 1])
SEEDS = st.integers(0, 10**6)


def clusters(seed: int, *, numbers=NUMBERS) -> Batch:
    """Clusters whose atoms are near the corners of a cube, about 1.2 A apart."""
    generator = np.random.default_rng(seed)
    corners = 1.25 * np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in (0, 1, 2, 4, 7)])
    places = [corners[: len(z)] + generator.normal(scale=0.08, size=(len(z), 3)) for z in numbers]
    return Batch.pack(places, numbers)


def distorted(names: tuple[str, ...], amplitude: float) -> Batch:
    """Molecules of ASE's collection, coordinate k moved by amplitude * sin(7 k) angstrom."""
    atoms = [molecule(name) for name in names]
    waves = [np.sin(7 * np.arange(1, 3 * len(a) + 1)).reshape(-1, 3) for a in atoms]
    places = [a.positions + amplitude * wave for a, wave in zip(atoms, waves, strict=True)]
    return Batch.pack(places, [a.numbers for a in atoms])


def turn(seed: int) -> torch.Tensor:
    """A random rotation matrix."""
    return torch.tensor(Rotation.random(rng=np.random.default_rng(seed)).as_matrix())


def turned(batch: Batch, seed: int) -> Batch:
    return batch.moved_to(batch.positions @ turn(seed).mT)


def shifted(batch: Batch, seed: int) -> Batch:
    shift = torch.tensor(np.random.default_rng(seed).normal(scale=3, size=3))
    return batch.moved_to(batch.positions + shift)


def backwards(batch: Batch) -> Batch:
    """Every system with its atoms in the opposite order."""
    systems = [batch.system(i) for i in range(len(batch))]
    places = [positions[::-1].copy() for _, positions in systems]
    return Batch.pack(places, [z[::-1].copy() for z, _ in systems], is_free=batch.is_free)


def padded(batch: Batch, n_extra: int = 3) -> Batch:
    pad = torch.nn.functional.pad
    positions = pad(batch.positions, (0, 0, 0, n_extra))
    return Batch(positions, pad(batch.atomic_numbers, (0, n_extra)), batch.is_free)


def alone(batch: Batch, i: int) -> Batch:
    numbers, positions = batch.system(i)
    return Batch.pack([positions], [numbers], is_free=batch.is_free)


class Recorded:
    """A calculator that notes what it was asked."""

    def __init__(self, calculator):
        self.calculator, self.batches, self.hessians = calculator, [], []

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        self.batches.append(batch)
        self.hessians.append(hessian)
        return self.calculator(batch, hessian=hessian)


def spoiled(calculator, is_bad, *, how: str):
    """A calculator that for systems of which `is_bad(batch)` raises, or returns NaN."""

    def spoilt(batch: Batch, *, hessian: bool = True) -> Evaluation:
        bad = is_bad(batch)
        if how == "raises" and bad.any():
            raise RuntimeError("this one is cursed")
        told = calculator(batch, hessian=hessian)
        return replace(told, energy=torch.where(bad, torch.nan, told.energy))

    return spoilt
