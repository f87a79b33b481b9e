"""How far two geometries of one molecule are from being the same, whatever the order of like atoms.

It compares shapes; it knows no energies and no bonds.

References: Kabsch, Acta Cryst. A 32, 922 (1976), doi:10.1107/S0567739476001873; Allen, Rockwood,
J. Chem. Inf. Model. 54, 518 (2014), doi:10.1021/ci400534h (assignment and rotation in turns).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

_MAX_TURNS = 20


def rmsd(
    atomic_numbers: Int[np.ndarray, " n"],
    a: Float[np.ndarray, "n 3"],
    b: Float[np.ndarray, "n 3"],
    *,
    with_mirror: bool = False,
) -> float:
    """The root-mean-square deviation in A of two geometries, superposed, like atoms exchangeable.

    The least over rotations and permutations of like atoms that was found: from the atoms as they
    are numbered, from the orientation as it is, and from the principal axes laid upon each other in
    all 24 ways, the best permutation and the best rotation are taken in turns until nothing
    changes. Never too small; with many like atoms and no likeness it may be somewhat too large.

    Args:
        atomic_numbers: of both geometries.
        a: positions in A.
        b: positions in A.
        with_mirror: whether the mirror image counts as the same.
    """
    a, b = a - a.mean(0), b - b.mean(0)
    images = (a, -a) if with_mirror else (a,)
    return min(_least(atomic_numbers, image, b) for image in images)


def _least(numbers: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    best = _deviation(a @ _rotation(a, b), b)
    for turn in _orientations(a, b):
        best = min(best, _in_turns(numbers, a @ turn, b))
        if best < 1e-6:
            break
    return best


def _in_turns(numbers: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """The deviation after permutation and rotation in turns, from the orientation given."""
    before = np.full(len(numbers), -1)
    for _ in range(_MAX_TURNS):
        order = _assignment(numbers, a, b)
        if np.array_equal(order, before):
            break
        a, before = a @ _rotation(a[order], b), order
    return _deviation(a[before], b)


def aligned(
    positions: Float[np.ndarray, "n 3"], onto: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """The positions moved and turned, without mirror image, closest to others in the same order."""
    centred, target = positions - positions.mean(0), onto - onto.mean(0)
    return centred @ _rotation(centred, target) + onto.mean(0)


def superposition(
    positions: Float[np.ndarray, "n 3"], onto: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " 3"]]:
    """The rotation R and the shift s in A with which positions @ R + s lie closest to others."""
    turn = _rotation(positions - positions.mean(0), onto - onto.mean(0))
    return turn, onto.mean(0) - positions.mean(0) @ turn


def _assignment(numbers: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For each atom of b the like atom of a that the least sum of squared distances gives it."""
    order = np.empty(len(numbers), dtype=int)
    for z in np.unique(numbers):
        like = np.flatnonzero(numbers == z)
        squares = ((b[like][:, None] - a[like][None]) ** 2).sum(-1)
        order[like] = like[linear_sum_assignment(squares)[1]]
    return order


def _rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The proper rotation R that brings a @ R closest to b, by Kabsch's singular values."""
    u, _, vt = np.linalg.svd(a.T @ b)
    proper = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return u @ proper @ vt


def _orientations(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Rotations to begin from: none, by the numbering, and those between the principal axes."""
    yield np.eye(3)
    yield _rotation(a, b)
    axes_a, axes_b = _principal_axes(a), _principal_axes(b)
    for way in Rotation.create_group("O").as_matrix():
        yield axes_a @ way @ axes_b.T


def _principal_axes(positions: np.ndarray) -> np.ndarray:
    """The axes of the gyration tensor as columns, right-handed."""
    axes = np.linalg.eigh(positions.T @ positions)[1]
    return axes * np.array([1.0, 1.0, np.sign(np.linalg.det(axes))])


def _deviation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a - b) ** 2).sum(-1).mean()))
