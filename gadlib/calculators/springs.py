"""What may stand below a costly potential where no cheap one is wanted: nothing, or springs.

Neither knows any chemistry, costs anything, or depends on where a search began. On nothing a search
with `delta` is one on a Gaussian process alone: Koistinen, Asgeirsson, Vehtari, Jonsson, J. Chem.
Theory Comput. 16, 499 (2020), doi:10.1021/acs.jctc.9b01038. Springs tell it how stiff bonds are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gadlib.calculators.failures import blanked, impossible
from gadlib.evaluation import Calculator, Evaluation
from gadlib.hessians.springs import BOND, FADING, pair_hessian
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Nothing:
    """No potential: zero everywhere, so that all is learned."""

    name: str = "nothing"
    is_hessian_costly = False
    says_nothing = True

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Zeros."""
        size, width = batch.positions.shape[:2]
        second = batch.positions.new_zeros(size, 3 * width, 3 * width) if hessian else None
        zeros = torch.zeros_like(batch.positions)
        energy = batch.positions.new_zeros(size)
        return blanked(Evaluation(energy, zeros, second, impossible(batch)), batch)


@dataclass(frozen=True)
class Springs:
    """Every pair of atoms as stiff as a bond of its length, in the guess of `hessians.springs`.

    The second derivative by the distance is k exp(-a (s^2 - 1)), s the distance over the sum of
    covalent radii r; the energy, which vanishes at infinity, is its integral

        k r^2 e^a / 2a (e^(-a s^2) - sqrt(pi a) s erfc(sqrt(a) s)).

    So all pairs repel; what attracts them is learned.
    """

    name: str = "springs"
    is_hessian_costly = False

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and Hessians."""
        is_pair = batch.is_pair
        s = torch.where(is_pair, batch.scaled_distances, 1.0)
        radii = torch.where(is_pair, batch.radii_sum, 0.0)
        gauss, tail = torch.exp(-FADING * s**2), torch.erfc(math.sqrt(FADING) * s)
        scale = BOND * math.exp(FADING)
        energies = scale * radii**2 / (2 * FADING)
        energies = energies * (gauss - math.sqrt(math.pi * FADING) * s * tail)
        slopes = -scale * radii * math.sqrt(math.pi / FADING) / 2 * tail
        forces = -(slopes[:, None] * batch.units).sum(-1).mT
        second = None
        if hessian:
            stiff = torch.where(is_pair, scale * gauss, 0.0)
            across = torch.where(is_pair, slopes / batch.distances.clamp(min=1e-6), 0.0)
            second = pair_hessian(batch, stiff, across)
        energy = energies.sum((1, 2)) / 2
        return blanked(Evaluation(energy, forces, second, impossible(batch)), batch)


WITHOUT_CHEMISTRY: dict[str, Calculator] = {"none": Nothing(), "springs": Springs()}
"""By what the setting `cheap` calls them."""
