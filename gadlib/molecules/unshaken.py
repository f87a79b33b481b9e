"""Guesses of a saddle set right by what the reaction's known ends say of it, without a calculator.

Bonds that reactant and product have alike tell how much a guess is shaken; by so much its atoms may
have gone astray. Distances that both ends have alike are likely those of the saddle too, others lie
somewhere between. The likeliest geometry, given all that, is a least-squares problem (a maximum of
the posterior, of Gaussian errors), solved by Gauss and Newton.
"""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float, Int

from gadlib.molecules.alignment import aligned

QUIET = 0.03
"""A; a guess that is shaken by less is left as it is. Reference saddles have 0.01 in the median and
images between the ends 0.02, those with noise of 0.05 A in each coordinate 0.05."""

BONDED, ALIKE = 1.3, 0.1
"""Scaled distance up to which a pair counts as bonded at either end, and what (A) its lengths there
may differ by, if it is to tell the shaking."""

KNOWN, FADING = 0.04, 2
"""A, how well a bond that both ends have alike is known at the saddle; the power of the scaled
distance by which others are known less. With 0.02 to 0.06 A and powers of 1 to 3 guesses with noise
of 0.2 A come as near to their saddles within 0.02 A, from 0.32 A to 0.18."""

BETWEEN = 0.6
"""Of the difference of a distance between the ends: how well that of the saddle is known. With 0.2
and 1 within 0.01 A of that."""

MAX_STEP, SMALL_STEP, MAX_STEPS = 0.2, 1e-3, 40
"""A that an atom moves in a step at most; a step that is the last; how many there are."""


def unshaken(
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]],
) -> Float[np.ndarray, "n 3"]:
    """The likeliest positions (A) of the saddle that is guessed there; a quiet guess as it is.

    Args:
        atomic_numbers: of the atoms.
        positions: the guess, in A.
        ends: reactant and product, in A, atoms in the same order.
    """
    noise = shaking(atomic_numbers, positions, ends)
    if noise < QUIET:
        return positions
    lengths, errors = _expected(atomic_numbers, positions, ends, noise)
    place = positions
    for _ in range(MAX_STEPS):
        step = _step(place, lengths, errors, (place - positions) / noise**2, noise)
        farthest = np.linalg.norm(step, axis=1).max()
        place = place + step * min(1.0, MAX_STEP / max(farthest, SMALL_STEP))
        if farthest < SMALL_STEP:
            break
    return aligned(place, positions)


def shaking(
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]],
) -> float:
    """How far (A, in each coordinate) atoms are off, as bonds say that both ends have alike.

    Noise of a size in each coordinate gives sqrt(2) of it in each length. 0 without such bonds.
    """
    first, last, here = (_distances(place) for place in (*ends, positions))
    is_bond = np.maximum(first, last) < BONDED * _radii_sums(atomic_numbers)
    chosen = np.triu(is_bond & (np.abs(last - first) < ALIKE), 1)
    off = (here - (first + last) / 2)[chosen]
    return float(np.sqrt(np.square(off).mean() / 2)) if off.size else 0.0


def _expected(
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]],
    noise: float,
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """The likely distances at the saddle and their errors, in A.

    They lie where the guess itself is on the way from one end to the other, as its distances say.
    """
    first, last, here = (_distances(place) for place in (*ends, positions))
    scaled = np.minimum(first, last) / _radii_sums(atomic_numbers)
    known = KNOWN * np.maximum(scaled, 1.0) ** FADING
    change = last - first
    weight = np.triu(1 / (known**2 + 2 * noise**2), 1)
    much = (weight * change**2).sum()
    way = (weight * change * (here - first)).sum() / much if much > 0 else 0.0
    return first + np.clip(way, 0, 1) * change, np.hypot(known, BETWEEN * change)


def _step(
    place: Float[np.ndarray, "n 3"],
    lengths: Float[np.ndarray, "n n"],
    errors: Float[np.ndarray, "n n"],
    pull: Float[np.ndarray, "n 3"],
    noise: float,
) -> Float[np.ndarray, "n 3"]:
    """Gauss's and Newton's step towards those distances, in A, against the pull of the guess."""
    n = len(place)
    apart = place[:, None] - place[None]
    here = np.linalg.norm(apart, axis=2)
    units = apart / np.maximum(here, SMALL_STEP)[:, :, None]
    weight = 1 / errors**2
    np.fill_diagonal(weight, 0.0)
    gradient = (weight * (here - lengths))[:, :, None] * units
    blocks = weight[:, :, None, None] * units[:, :, :, None] * units[:, :, None, :]
    curved = -blocks.transpose(0, 2, 1, 3)
    own = np.arange(n)
    curved[own, :, own, :] = blocks.sum(1)
    matrix = curved.reshape(3 * n, 3 * n) + np.eye(3 * n) / noise**2
    return -np.linalg.solve(matrix, (gradient.sum(1) + pull).ravel()).reshape(n, 3)


def _distances(place: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n n"]:
    return np.linalg.norm(place[:, None] - place[None], axis=2)


def _radii_sums(atomic_numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
    radii = covalent_radii[atomic_numbers]
    return radii[:, None] + radii[None]
