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
    IN_STEPS = "in steps"
    HALF = "half intended"
    UNINTENDED = "unintended"
    NO_REACTION = "no reaction"
    NO_REFERENCE = "no reference"
    FAILED = "failed"


_NAMES = ("reactant", "product")

References = Sequence[nx.Graph | None]
"""The bond graphs of reactant and product; None where one is not known."""


def match_ends(
    ends: Sequence[nx.Graph], references: References, far: Float[np.ndarray, "2 2"]
) -> Bool[np.ndarray, "2 2"]:
    """Which end (row) is the reactant or the product (columns).

    By bonds, as graphs; where those of reactant and product are the same, by shape as well.

    Args:
        ends: bond graphs of the two ends.
        references: those of reactant and product.
        far: the RMSD of each end from each reference, in A; 0 from what is not known.
    """
    is_like = np.array([[g is not None and is_same(end, g) for g in references] for end in ends])
    reactant, product_ = references
    is_by_shape = reactant is not None and product_ is not None and is_same(reactant, product_)
    return is_like & (far < SHAPE_TOL) if is_by_shape else is_like


def order_ends(is_like: Bool[np.ndarray, "2 2"], far: Float[np.ndarray, "2 2"]) -> list[int]:
    """Which end to call the reactant's, and which the product's, as well as it can be said."""

    def fitness(order: list[int]) -> tuple[int, float]:
        return int(is_like[order].trace()), -float(far[order].trace())

    return max(([0, 1], [1, 0]), key=fitness)


def classify_ends(
    is_like: Bool[np.ndarray, "2 2"], ends: Sequence[nx.Graph], references: References
) -> tuple[Connection, str]:
    """The verdict on two ends, order_ends as reactant and product, and a sentence."""
    known = {n: g for n, g in zip(_NAMES, references, strict=True) if g is not None}
    if not known:
        return Connection.NO_REFERENCE, _without_reference(ends)
    if len(known) == 2 and is_like.trace() == 2:
        return Connection.INTENDED, "It joins the reactant and the product."
    if is_same(*ends):
        own = [name for name, graph in known.items() if is_same(ends[0], graph)]
        where = f"those of the {' and the '.join(own)}" if own else "those of neither end known"
        return Connection.NO_REACTION, f"Both ways lead to the same bonds, {where}."
    if len(known) == 1:
        return _by_one(next(iter(known)), bool(is_like.any()))
    for row, column in product((0, 1), (0, 1)):
        if is_like[row, column]:
            return Connection.HALF, f"One way leads to the {_NAMES[column]}, the other elsewhere."
    return Connection.UNINTENDED, "Neither way leads to the reactant or the product."


def _without_reference(ends: Sequence[nx.Graph]) -> str:
    if is_same(*ends):
        return "Both ways lead to the same bonds; no reaction is known to compare with."
    return "It joins two molecules of different bonds; no reaction is known to compare with."


def _by_one(name: str, is_reached: bool) -> tuple[Connection, str]:
    """The verdict where one end alone is known."""
    (other,) = {*_NAMES} - {name}
    if is_reached:
        return Connection.INTENDED, f"One way leads to the {name}; the {other} is not known."
    return Connection.UNINTENDED, f"Neither way leads to the {name}; the {other} is not known."
