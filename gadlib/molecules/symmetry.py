"""The rotations that turn a molecule into itself, counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.spatial.distance import cdist

SYMMETRY_TOL = 0.1
"""A by which an atom may miss its image. Minima relaxed to 0.01 eV/A miss by some hundredths along
soft modes; different atoms of one element are never so near each other."""

_ON_LINE = 1e-2
"""A from an axis; where all atoms are nearer to one the molecule is linear."""


def is_linear(positions: np.ndarray) -> bool:
    """Whether all atoms (N, 3), in A, lie on one line; two do, one alone does not."""
    if len(positions) < 2:
        return False
    centred = positions - positions.mean(0)
    return bool(np.linalg.svd(centred, compute_uv=False)[1] < _ON_LINE * len(positions) ** 0.5)


def symmetry_number(atomic_numbers: np.ndarray, positions: np.ndarray) -> int:
    """How many rotations map each atom on one of its element, within `SYMMETRY_TOL`.

    It divides the rotational partition function. One for an atom; for a linear molecule 2 where its
    ends are alike, else 1. Every rotation is fixed by where it takes two atoms that are not in line
    with the centre, so that all candidates are tried.

    Args:
        atomic_numbers: (N,).
        positions: (N, 3), in A.
    """
    if len(positions) < 2:
        return 1
    centred = positions - positions.mean(0)
    if is_linear(positions):
        return 1 + int(_is_image(atomic_numbers, centred, -centred))
    rotations: list[np.ndarray] = []
    for rotation in _candidates(atomic_numbers, centred):
        is_new = all(np.trace(rotation.T @ known) < 3 - 1e-2 for known in rotations)
        if is_new and _is_image(atomic_numbers, centred, centred @ rotation.T):
            rotations.append(rotation)
    return len(rotations)


def _candidates(numbers: np.ndarray, centred: np.ndarray) -> Iterator[np.ndarray]:
    """Rotations that take two fixed atoms to two that are as far from the centre and each other."""
    first, second = _anchors(numbers, centred)
    lengths = np.linalg.norm(centred, axis=1)
    alike = [
        np.flatnonzero((numbers == numbers[i]) & (abs(lengths - lengths[i]) < SYMMETRY_TOL))
        for i in (first, second)
    ]
    apart = np.linalg.norm(centred[first] - centred[second])
    own = _frame(centred[first], centred[second])
    for i, j in product(*alike):
        if i != j and abs(np.linalg.norm(centred[i] - centred[j]) - apart) < 2 * SYMMETRY_TOL:
            yield _frame(centred[i], centred[j]) @ own.T


def _anchors(numbers: np.ndarray, centred: np.ndarray) -> tuple[int, int]:
    """Two atoms out of line with the centre, of those that have the fewest like them."""
    lengths = np.linalg.norm(centred, axis=1)
    alike = (numbers[:, None] == numbers) & (abs(lengths[:, None] - lengths) < SYMMETRY_TOL)
    order = [i for i in np.argsort(alike.sum(1), kind="stable").tolist() if lengths[i] > 0.3]
    pairs = ((i, j) for i in order for j in order if i != j)
    return next(
        (i, j)
        for i, j in pairs
        if np.linalg.norm(np.cross(centred[i], centred[j])) > 0.2 * lengths[i] * lengths[j]
    )


def _frame(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Three orthonormal columns: along a, towards b, across both."""
    x = a / np.linalg.norm(a)
    z = np.cross(a, b)
    z = z / max(np.linalg.norm(z), 1e-12)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _is_image(numbers: np.ndarray, here: np.ndarray, there: np.ndarray) -> bool:
    """Whether every atom has one of its element where the rotation has taken it."""
    distance = np.where(numbers[:, None] == numbers, cdist(here, there), np.inf)
    return bool((distance.min(0) < SYMMETRY_TOL).all() and (distance.min(1) < SYMMETRY_TOL).all())
