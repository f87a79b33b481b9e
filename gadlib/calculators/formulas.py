"""Energies in eV of one system, from its positions in A and atomic numbers, for torch to derive.

Sources stand with the surfaces (`surfaces`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Of each term: its height, its curvatures xx, xy and yy, and its centre.
_TERMS = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)
_MULLER_BROWN_SPRING = 500.0
_LEPS = {"d": 4.746, "a": 1.942, "r0": 0.742, "s": 0.15}


def muller_brown(positions: Float[Tensor, "N 3"], numbers: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """Four Gaussian terms in x and y, and a spring in z, for each particle."""
    x, y, z = positions.unbind(-1)
    energy = _MULLER_BROWN_SPRING / 2 * z**2
    for height, xx, xy, yy, x0, y0 in _TERMS:
        dx, dy = x - x0, y - y0
        energy = energy + height * torch.exp(xx * dx**2 + xy * dx * dy + yy * dy**2)
    return torch.where(numbers > 0, energy, 0.0).sum()


def double_well(
    positions: Float[Tensor, "N 3"], numbers: Int[Tensor, " N"], *, barrier: float
) -> Float[Tensor, ""]:
    """Crossed quartic wells in x and y, a harmonic one in z, for each particle."""
    x, y, z = positions.unbind(-1)
    energy = barrier * ((x**2 - 1) ** 2 + (y**2 - 1) ** 2 + 2 * z**2)
    return torch.where(numbers > 0, energy, 0.0).sum()


def quadratic(
    positions: Float[Tensor, "N 3"], numbers: Int[Tensor, " N"], *, eigenvalues: tuple[float, ...]
) -> Float[Tensor, ""]:
    """A quadratic form in all coordinates; NaN for another number of them."""
    curvature = positions.new_tensor(eigenvalues)
    x = positions.flatten()[: len(curvature)]
    if len(x) < len(curvature):
        return positions.sum() * torch.nan
    along = x - 2 * x.mean()  # Householder's reflection at (1, 1, ..., 1)
    is_its_size = 3 * (numbers > 0).sum() == len(curvature)
    return torch.where(is_its_size, (curvature * along**2).sum() / 2, torch.nan)


def lennard_jones(
    positions: Float[Tensor, "N 3"], numbers: Int[Tensor, " N"], *, epsilon: float, sigma: float
) -> Float[Tensor, ""]:
    """The sum over pairs of atoms."""
    i, j = torch.triu_indices(len(numbers), len(numbers), 1, device=positions.device)
    is_pair = (numbers[i] > 0) & (numbers[j] > 0)
    square = torch.where(is_pair, ((positions[i] - positions[j]) ** 2).sum(-1), torch.inf)
    sixth = (sigma**2 / square) ** 3
    return 4 * epsilon * (sixth**2 - sixth).sum()


def leps(positions: Float[Tensor, "N 3"], numbers: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """Three atoms that exchange a bond; NaN for another number of them."""
    if len(numbers) < 3:
        return positions.sum() * torch.nan
    a, b, c = positions[:3]
    distance = torch.stack([b - a, c - b, a - c]).square().sum(-1).sqrt()
    e = torch.exp(-_LEPS["a"] * (distance - _LEPS["r0"]))
    s, scale = _LEPS["s"], _LEPS["d"] / (1 + _LEPS["s"]) / 4
    coulomb = scale * ((3 + s) * e**2 - (2 + 6 * s) * e)
    exchange = scale * ((1 + 3 * s) * e**2 - (6 + 2 * s) * e)
    spread = (exchange - exchange.roll(1)).square().sum() / 2
    return torch.where((numbers > 0).sum() == 3, coulomb.sum() - spread.sqrt(), torch.nan)
