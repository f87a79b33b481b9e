"""A surface that can be seen: its values on a grid, and searches over it; for teaching.

For surfaces of one particle in the xy plane, such as Mueller's and Brown's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from gadlib.calculators.surfaces import Surface
from gadlib.hessians.normal_modes import spectrum
from gadlib.screening.trajectories import Point, trace
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver.gad import reflect
from gadlib.solver.search import search
from gadlib.systems.batch import Batch

X_SPAN, Y_SPAN = (-1.5, 1.2), (-0.3, 2.0)
"""In A; Mueller's and Brown's three minima and two saddles lie within."""


class Landscape(NamedTuple):
    """A surface on a grid in its plane z = 0.

    Attributes:
        x, y: the coordinates of the grid in A.
        energy: in eV.
        forces, ascent: the fields of steepest descent and of gentlest ascent, x and y parts in
            eV/A.
        lowest: the lower curvature in eV/(A^2 amu), below zero where gentlest ascent is at home.
        minima, saddles: where the known ones are, in A.
        top: the energy of the highest of these, in eV.
    """

    x: Float[np.ndarray, " X"]
    y: Float[np.ndarray, " Y"]
    energy: Float[np.ndarray, "Y X"]
    forces: Float[np.ndarray, "Y X 2"]
    ascent: Float[np.ndarray, "Y X 2"]
    lowest: Float[np.ndarray, "Y X"]
    minima: Float[np.ndarray, "m 2"]
    saddles: Float[np.ndarray, "s 2"]
    top: float


def map_surface(
    surface: Surface,
    *,
    x_span: tuple[float, float] = X_SPAN,
    y_span: tuple[float, float] = Y_SPAN,
    n: int = 50,
) -> Landscape:
    """Energy, both fields and the lower curvature of a surface of one particle.

    The field of gentlest ascent is F - 2 (F.v) v with v the lowest mode at the point (E, Zhou,
    Nonlinearity 24, 1831, 2011), so that its stable points are the saddles.
    """
    x, y = np.linspace(*x_span, n), np.linspace(*y_span, n)
    batch = _particles(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).tolist())
    found = surface(batch)
    assert found.hessian is not None
    modes = spectrum(found.hessian, batch)
    ascent = reflect(found.forces.flatten(1), modes.modes[:, :, 0])
    minima, saddles = (surface.stationary(order).positions[:, 0, :2].numpy() for order in (0, 1))
    return Landscape(
        x,
        y,
        found.energy.reshape(n, n).numpy(),
        found.forces.reshape(n, n, 3)[..., :2].numpy(),
        ascent.reshape(n, n, 3)[..., :2].numpy(),
        modes.eigenvalues[:, 0].reshape(n, n).numpy(),
        minima,
        saddles,
        max(point.energy for point in surface.points),
    )


def search_surface(
    surface: Surface,
    starts: Sequence[Sequence[float]],
    hyperparameters: Hyperparameters,
    *,
    n_steps: int = 150,
) -> list[list[Point]]:
    """The points of the search from each start (x, y), to a strict saddle or as many steps."""
    frames = search(
        surface, _particles(starts), hyperparameters, criterion="strict", n_steps=n_steps
    )
    found = trace(frames)
    return [found[index] for index in range(len(starts))]


def _particles(places: Sequence[Sequence[float]]) -> Batch:
    """One particle at each place of the plane."""
    positions = [torch.tensor([[x, y, 0.0]], dtype=torch.float64) for x, y in places]
    return Batch.pack(positions, [[1]] * len(positions), is_free=False)
