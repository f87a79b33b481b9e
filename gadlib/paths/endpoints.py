"""Whether two ends are a reaction's reactant and product: by bonds, where need be by shape."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import product

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float

from gadlib.molecules.bonds import is_same

SHAPE_TOL = 0.3
"""A (RMSD) within which an end has the shape of a reference of the same bonds."""


class Connection(StrEnum):
    """What a saddle joins."""

    INTENDED = "intended"
    HALF = "half intended"
    UNINTENDED = "unintended"
    NO_REACTION = "no reaction"
    FAILED = "failed"


def match_ends(
    ends: Sequence[nx.Graph], references: Sequence[nx.Graph], far: Float[np.ndarray, "2 2"]
) -> Bool[np.ndarray, "2 2"]:
    """Which end (row) is the reactant or the product (columns).

    By bonds, as graphs; where those of reactant and product are the same, by shape as well.

    Args:
        ends: bond graphs of the two ends.
        references: those of reactant and product.
        far: the RMSD of each end from each reference, in A.
    """
    is_like = np.array([[is_same(end, known) for known in references] for end in ends])
    return is_like & (far < SHAPE_TOL) if is_same(*references) else is_like


def order_ends(is_like: Bool[np.ndarray, "2 2"], far: Float[np.ndarray, "2 2"]) -> list[int]:
    """Which end to call the reactant's, and which the product's, as well as it can be said."""

    def fitness(order: list[int]) -> tuple[int, float]:
        return int(is_like[order].trace()), -float(far[order].trace())

    return max(([0, 1], [1, 0]), key=fitness)


def classify_ends(
    is_like: Bool[np.ndarray, "2 2"], ends: Sequence[nx.Graph], references: Sequence[nx.Graph]
) -> tuple[Connection, str]:
    """The verdict on two ends, order_ends as reactant and product, and a sentence."""
    if is_like.trace() == 2:
        return Connection.INTENDED, "It joins the reactant and the product."
    names = ("reactant", "product")
    if is_same(*ends):
        known = zip(names, references, strict=True)
        own = [name for name, graph in known if is_same(ends[0], graph)]
        where = f"those of the {' and the '.join(own)}" if own else "those of neither end known"
        return Connection.NO_REACTION, f"Both ways lead to the same bonds, {where}."
    for row, column in product((0, 1), (0, 1)):
        if is_like[row, column]:
            return Connection.HALF, f"One way leads to the {names[column]}, the other elsewhere."
    return Connection.UNINTENDED, "Neither way leads to the reactant or the product."
