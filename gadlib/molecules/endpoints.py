"""Whether two ends are a reaction's reactant and product: by bonds, where need be by shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import NamedTuple

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float, Int

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of, is_same

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


@dataclass(frozen=True)
class Ends:
    """Reactant and product as far as they are known, in A; None where one is not.

    Attributes:
        reactant, product: atoms in an order of the saddle's elements.
    """

    reactant: Float[np.ndarray, "n 3"] | None = None
    product: Float[np.ndarray, "n 3"] | None = None


class Comparison(NamedTuple):
    """Two ends of a path beside what is known.

    Attributes:
        verdict: what the path joins; `message` the same in a sentence.
        order: which end is the reactant's, and which the product's, as well as it can be said.
        graphs: the bond graphs of the ends, as they were given.
    """

    verdict: Connection
    message: str
    order: list[int]
    graphs: list[nx.Graph]


def compare_ends(
    atomic_numbers: Int[np.ndarray, " n"], ends: Sequence[Float[np.ndarray, "n 3"]], known: Ends
) -> Comparison:
    """What a path joins: its two ends (A) beside the reactant and product that are known.

    These count as they are given: one that relaxes to other bonds on the potential at hand is the
    end of another reaction.
    """
    places = [known.reactant, known.product]
    graphs = [bond_graph_of(atomic_numbers, end) for end in ends]
    references = [None if p is None else bond_graph_of(atomic_numbers, p) for p in places]
    far = np.array([[_far(atomic_numbers, end, place) for place in places] for end in ends])
    is_like = match_ends(graphs, references, far)
    order = order_ends(is_like, far)
    verdict, message = classify_ends(is_like[order], [graphs[i] for i in order], references)
    return Comparison(verdict, message, order, graphs)


def _far(numbers: np.ndarray, place: np.ndarray, known: np.ndarray | None) -> float:
    """The RMSD in A from what may be known; 0 from what is not."""
    return 0.0 if known is None else rmsd(numbers, place, known, with_mirror=True)


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
