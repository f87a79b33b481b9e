"""Images between two ends as the potential has them, and how they are brought down to its valley.

A string (E, Ren, Vanden-Eijnden, J. Chem. Phys. 126, 164103, 2007, doi:10.1063/1.2720838): each
image moves across the path by a Newton step on a Hessian of its own, which begins as a guess and is
updated (Burger, Yang, J. Chem. Phys. 124, 054109, 2006, doi:10.1063/1.2163875); then all are spread
evenly. It need not converge: a search goes on from its maxima.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.springs import model_hessian
from gadlib.hessians.updates import bofill
from gadlib.molecules.interpolation import with_room
from gadlib.molecules.starting_points import Start
from gadlib.progress import signs_of_life
from gadlib.systems.batch import Batch

_LONGEST = 0.2
"""A that an atom moves in an iteration at most."""

_SOFTEST = 1.0
"""eV/A^2, the least curvature that a step across the path is computed with."""


@dataclass(frozen=True)
class Band:
    """Images from end to end, these included.

    Attributes:
        positions: in A.
        energy: in eV; -inf where an image could not be computed.
        forces: in eV/A; 0 at the ends, which stay, and where they could not be computed.
        n_gradient: that the images have cost.
        failures: why images could not be computed, by their places.
    """

    positions: Float[np.ndarray, "k n 3"]
    energy: Float[np.ndarray, " k"]
    forces: Float[np.ndarray, "k n 3"]
    n_gradient: int
    failures: dict[int, str]

    @property
    def tops(self) -> list[int]:
        """The places of images that are maxima between the ends, the highest first."""
        padded = np.array([-np.inf, *self.energy[1:-1], -np.inf])
        is_top = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:])
        places = 1 + np.flatnonzero(is_top & np.isfinite(self.energy[1:-1]))
        return sorted(places.tolist(), key=lambda i: -self.energy[i])

    @property
    def tangents(self) -> Float[np.ndarray, "k n 3"]:
        """Unit vectors along the path, 0 at the ends.

        Upwind: Henkelman, Jonsson, J. Chem. Phys. 113, 9978 (2000), doi:10.1063/1.1323224.
        """
        found = np.zeros_like(self.positions)
        for i in range(1, len(found) - 1):
            on, back = np.diff(self.positions[i - 1 : i + 2], axis=0)[::-1]
            up, down = self.energy[i + 1] - self.energy[i], self.energy[i - 1] - self.energy[i]
            if up > 0 > down or up < 0 < down:
                found[i] = on if up > 0 else back
            else:
                high, low = max(abs(up), abs(down)), min(abs(up), abs(down))
                shares = (high, low) if up > down else (low, high)
                found[i] = shares[0] * on + shares[1] * back
        length = np.linalg.norm(found, axis=(1, 2), keepdims=True)
        return found / np.where(length > 0, length, 1.0)


def compute_band(
    calculator: Calculator,
    start: Start,
    images: Float[np.ndarray, "k n 3"],
    energies: tuple[float, float],
) -> Band:
    """The images between the ends of a start as the potential has them.

    Args:
        calculator: the potential.
        start: with its ends; its electrons are those of the images.
        images: without the ends, in A.
        energies: of the ends, in eV.
    """
    assert start.ends is not None
    batch = Batch.of([replace(start, positions=image) for image in images])
    found, _ = evaluate(calculator, batch.to(getattr(calculator, "device", "cpu")), hessian=False)
    signs_of_life.stepped(1, 1)
    energy = found.energy.cpu().numpy().copy()
    energy[[*found.failures]] = -np.inf
    still = np.zeros((1, *images.shape[1:]))
    return Band(
        np.array([start.ends[0], *images, start.ends[1]]),
        np.array([energies[0], *energy, energies[1]]),
        np.concatenate([still, found.forces.cpu().numpy(), still]),
        len(images) * found.asked,
        {1 + i: why for i, why in found.failures.items()},
    )


def lower_band(calculator: Calculator, start: Start, band: Band, n_iterations: int) -> Band:
    """The band after so many iterations, or where an image failed; it costs what these took.

    Args:
        calculator: the potential.
        start: with the band's ends.
        band: of images that could all be computed.
        n_iterations: one gradient of each image for each.
    """
    spent, numbers = 0, start.atomic_numbers
    hessian = model_hessian(_batch_of(start, band))
    for _ in range(n_iterations):
        images = _spread(_moved(band, hessian))[1:-1]
        energies = float(band.energy[0]), float(band.energy[-1])
        there = compute_band(calculator, start, with_room(numbers, images), energies)
        spent += there.n_gradient
        if there.failures:
            break
        step = torch.as_tensor(there.positions - band.positions).flatten(1)
        change = torch.as_tensor(band.forces - there.forces).flatten(1)
        hessian, band = bofill(hessian, step, change), there
    return replace(band, n_gradient=spent)


def _batch_of(start: Start, band: Band) -> Batch:
    return Batch.of([replace(start, positions=image) for image in band.positions])


def _moved(band: Band, hessian: Float[Tensor, "k d d"]) -> Float[np.ndarray, "k n 3"]:
    """The images after a Newton step across the path each, in directions that curve up or down."""
    along = torch.as_tensor(band.tangents).flatten(1)
    gradient = -torch.as_tensor(band.forces).flatten(1)
    across = gradient - (gradient * along).sum(-1, keepdim=True) * along
    cut = torch.eye(along.shape[1], dtype=along.dtype) - along[:, :, None] * along[:, None]
    values, modes = torch.linalg.eigh(cut @ hessian @ cut)
    part = (modes.mT @ across[..., None])[..., 0] / values.abs().clamp(min=_SOFTEST)
    step = -(modes @ part[..., None])[..., 0].unflatten(1, (-1, 3)).numpy()
    longest = np.linalg.norm(step, axis=2).max(1)[:, None, None]
    return band.positions + step * np.minimum(1.0, _LONGEST / np.maximum(longest, _LONGEST))


def _spread(positions: Float[np.ndarray, "k n 3"]) -> Float[np.ndarray, "k n 3"]:
    """As many points at even distances along the smooth curve through these."""
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))
    along = np.concatenate([[0.0], np.cumsum(np.maximum(lengths, 1e-6))])
    return CubicSpline(along, positions)(np.linspace(0, along[-1], len(along)))
