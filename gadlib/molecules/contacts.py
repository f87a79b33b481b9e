"""How near atoms are to each other, and how far the pieces of a molecule are apart.

By scaled distances: distances over sums of covalent radii, so that bonds of all elements compare.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.systems.batch import Batch

ADRIFT = 3.5
"""At which pieces no longer bind: C and Cl 6 A, O and H 3.4 A."""

ADRIFT_GROWTH = 1.5
"""Pieces that react from farther may go as far again by half."""

PUSHES, PUSH_SHARE = 200, 0.35
"""Rounds of pushing atoms apart, and what share of the lack each atom of a pair moves: less than
half, since an atom has several neighbours."""


def longest_links(longest: Float[Tensor, "B N N"]) -> Float[Tensor, "B N N"]:
    """The longest link of the way between two atoms whose links are shortest, by their lengths."""
    for _ in range((longest.shape[1] - 1).bit_length()):  # ways twice as long each time
        over = torch.maximum(longest[:, :, :, None], longest[:, None]).amin(2)
        longest = torch.minimum(longest, over)
    return longest


def gap(batch: Batch, is_asked: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
    """The longest link (scaled distance) that holds a molecule together; 0 where not asked."""
    found = torch.zeros_like(batch.positions[:, 0, 0])
    rows = (is_asked & batch.is_free & (batch.n_atoms > 1)).nonzero().flatten()
    if not len(rows):
        return found
    part = batch.take(rows)
    links = torch.where(part.is_pair, longest_links(part.scaled_distances), 0.0)
    return found.index_copy(0, rows, links.amax((1, 2)))


def is_adrift(now: Float[Tensor, " B"], at_first: Float[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Whether pieces that may be apart have gone from one another, by the gaps now and at first.

    No wall holds them. Molecules in a complex are at scaled distances of 2 to 3 (O...H of two
    waters 2.0, carbons in van der Waals contact 2.3); ones that react from farther may go as far
    again by half.
    """
    return now > (ADRIFT_GROWTH * at_first).clamp(min=ADRIFT)


def push_apart(batch: Batch, floor: float) -> Batch:
    """The molecules with every pair of atoms pushed apart to the floor (a scaled distance).

    Pairs below it are moved along their axis, both halves alike, again and again until none is
    left.
    """
    if not batch.is_free:  # particles on an external surface do not feel each other
        return batch
    for _ in range(PUSHES):
        lack = (floor - batch.scaled_distances).clamp(min=0)
        if not (lack > 1e-6).any():
            break
        push = PUSH_SHARE * (lack * batch.radii_sum)[:, None] * batch.units
        batch = batch.moved_to(batch.positions + push.sum(-1).mT)
    return batch
