"""Where a search between two ends may begin, the best guess first, each paid for when it is asked.

Maxima of interpolated images; maxima of the same images brought down towards the valley; either
slope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gadlib.evaluation import Calculator
from gadlib.molecules.interpolation import INTERPOLATIONS
from gadlib.molecules.starting_points import Start
from gadlib.paths.band import Band, compute_band, lower_band

N_LOWERINGS = 12
"""Iterations in which images are brought down."""

_FROM_ENDS = (0.25, 0.75)
"""Where on the path a search from an end begins: on the slope, where its mode is no soft one."""


@dataclass(frozen=True)
class Guess:
    """Where a search may begin.

    Attributes:
        start: there; its ends are those between which the bonds change that are to be climbed.
        n_gradient: that it took to know, after the guess before.
        failure: why images could not be computed, in words; empty where all could.
        is_below: whether it is a saddle of a cheap potential.
    """

    start: Start
    n_gradient: int
    failure: str = ""
    is_below: bool = False


def guesses(
    calculator: Calculator,
    start: Start,
    energies: tuple[float, float],
    n_images: int,
    interpolation: str = "idpp",
    *,
    most: Callable[[], int] | None = None,
) -> Iterator[Guess]:
    """The guesses between the ends of a start.

    Args:
        calculator: the potential.
        start: with its ends.
        energies: of the ends, in eV.
        n_images: between them, one gradient each.
        interpolation: a name of `INTERPOLATIONS`.
        most: how many gradients are left when it is asked, which bringing images down is held to;
            None: as many as it takes.
    """
    assert start.ends is not None
    images = INTERPOLATIONS[interpolation](start.atomic_numbers, *start.ends, n_images)
    band = compute_band(calculator, start, images, energies)
    cost, failure = band.n_gradient, _failure(band)
    for found in _places(calculator, start, band, images, most):
        yield replace(found, n_gradient=found.n_gradient + cost, failure=failure)
        cost, failure = 0, ""


def _places(
    calculator: Calculator,
    start: Start,
    band: Band,
    images: Float[np.ndarray, "k n 3"],
    most: Callable[[], int] | None,
) -> Iterator[Guess]:
    """The guesses by what was computed of the images."""
    for top in band.tops:
        yield Guess(replace(start, positions=band.positions[top]), 0)
    n = N_LOWERINGS if most is None else min(N_LOWERINGS, most() // len(images))
    if not band.failures and len(images) > 2 and n > 0:
        low = lower_band(calculator, start, band, n)
        cost = low.n_gradient
        for top in low.tops:
            near = (low.positions[top - 1], low.positions[top + 1])
            yield Guess(replace(start, positions=low.positions[top], ends=near), cost)
            cost = 0
    for share in _FROM_ENDS:
        yield Guess(replace(start, positions=images[round(share * (len(images) - 1))]), 0)


def _failure(band: Band) -> str:
    """How many images failed, and why the first did, in words."""
    if not band.failures:
        return ""
    n, of = len(band.failures), len(band.positions) - 2
    return f"{n} of {of} images could not be computed: {next(iter(band.failures.values()))}"
