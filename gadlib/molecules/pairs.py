"""A reactant and a product made one pair: the same atoms in the same order, superposed.

Where files number the atoms otherwise, the order follows from the bonds: the fewest are broken and
made (the principle of minimal chemical distance: Jochum, Gasteiger, Ugi, Angew. Chem. Int. Ed. 19,
495 (1980), doi:10.1002/anie.198004953). Of orders that are alike by bonds, as of the hydrogens of a
methyl group, the one with the least distances is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, permutations
from itertools import product as product_of
from typing import NamedTuple

import networkx as nx
import numpy as np
from ase.data import chemical_symbols
from scipy.optimize import linear_sum_assignment

from gadlib.molecules.alignment import aligned, superposition
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.starting_points import hill_formula
from gadlib.settings.reading import InputError

MAX_CHANGED = 3
"""Bonds broken, and bonds made, at most where an order is looked for.

Elementary reactions break and make two or three. There are 91,390 ways to choose four of 40 bonds,
each a graph to be compared."""

_MAX_ORDERS = 2000
"""Orders alike by bonds that are compared by distance. Two methyl groups have 36."""

_MAX_TRIED = 250
"""Orders of hydrogens tried one by one. Three methyl groups have 216; each takes 50 us."""

_TURNS = 10
"""Superpositions and reassignments in turns at most; two or three are enough where shapes agree."""


class Pair(NamedTuple):
    """Both ends of a reaction, atom by atom.

    Attributes:
        atomic_numbers: (N,), of both.
        reactant, product: (N, 3), in A; the product superposed on the reactant.
        order: which atom of the product, as given, stands at each place.
        broken, made: bonds as pairs of places.
    """

    atomic_numbers: np.ndarray
    reactant: np.ndarray
    product: np.ndarray
    order: tuple[int, ...]
    broken: tuple[tuple[int, int], ...]
    made: tuple[tuple[int, int], ...]


def paired(
    reactant_numbers: np.ndarray,
    reactant: np.ndarray,
    product_numbers: np.ndarray,
    product: np.ndarray,
    *,
    order: Sequence[int] | None = None,
) -> Pair:
    """The pair of two geometries, in A, whose atoms are in the same order, or in that given.

    Raises:
        InputError: when they are not of the same atoms, or not in the same order.
    """
    require_same_atoms(reactant_numbers, product_numbers)
    places = list(range(len(product_numbers))) if order is None else list(order)
    if sorted(places) != list(range(len(product_numbers))):
        raise InputError(f"order of {len(places)} atoms: expected each of the product's once")
    moved_numbers = product_numbers[places]
    if (wrong := np.flatnonzero(moved_numbers != reactant_numbers)).size:
        place = int(wrong[0])
        symbols = [chemical_symbols[z[place]] for z in (reactant_numbers, moved_numbers)]
        raise InputError(
            f"the atoms are in another order: atom {place} is {symbols[0]} in the reactant and"
            f" {symbols[1]} in the product; expected the same order"
        )
    onto = aligned(product[places], reactant)
    before, after = (_bonds(bond_graph_of(reactant_numbers, p)) for p in (reactant, onto))
    return Pair(
        reactant_numbers,
        reactant,
        onto,
        tuple(places),
        tuple(sorted(before - after)),
        tuple(sorted(after - before)),
    )


def require_same_atoms(
    reactant_numbers: np.ndarray, other_numbers: np.ndarray, what: str = "product"
) -> None:
    """Raise InputError unless both are made of the same atoms, in whatever order."""
    if sorted(reactant_numbers.tolist()) != sorted(other_numbers.tolist()):
        reactant, other = (hill_formula(z) for z in (reactant_numbers, other_numbers))
        raise InputError(
            f"the reactant is {reactant} and the {what} {other}: expected the same atoms"
        )


def by_element(numbers: np.ndarray, own_numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The positions with their elements in the order of the numbers; which of an element is open.

    Args:
        numbers: the elements in the order that is wanted.
        own_numbers: the same elements as the positions have them.
        positions: (N, 3), in A.
    """
    order = np.empty(len(numbers), dtype=int)
    order[np.argsort(numbers, kind="stable")] = np.argsort(own_numbers, kind="stable")
    return positions[order]


def match_atoms(
    reactant_numbers: np.ndarray,
    reactant: np.ndarray,
    product_numbers: np.ndarray,
    product: np.ndarray,
) -> tuple[int, ...]:
    """The product's atoms in the reactant's order: fewest bonds changed, then least distance.

    Bonds are taken from both bond graphs, none first, then one more at a time, up to `MAX_CHANGED`
    of each, until what is left is the same graph.

    Raises:
        InputError: when they are not of the same atoms, or more bonds would change.
    """
    require_same_atoms(reactant_numbers, product_numbers)
    own, other = bond_graph_of(reactant_numbers, reactant), bond_graph_of(product_numbers, product)
    for n_changed in range(2 * MAX_CHANGED + 1):
        found: list[tuple[int, ...]] = []
        for n_broken in range(max(0, n_changed - MAX_CHANGED), min(n_changed, MAX_CHANGED) + 1):
            n_made = n_changed - n_broken
            if own.number_of_edges() - n_broken == other.number_of_edges() - n_made:
                for before, after in _alike(own, n_broken, other, n_made):
                    room = max(0, _MAX_ORDERS - len(found))
                    found += islice(_orders(before, after, reactant, product), room)
        if found:
            return min(found, key=lambda order: _distance(reactant, product[list(order)]))
    raise InputError(
        f"reactant and product differ by more than {MAX_CHANGED} bonds broken or {MAX_CHANGED}"
        " made: expected the atoms of both in the same order"
    )


def _alike(
    own: nx.Graph, n_broken: int, other: nx.Graph, n_made: int
) -> Iterator[tuple[nx.Graph, nx.Graph]]:
    """Pairs of the graphs without so many bonds of each that may be the same."""
    left: dict[str, list[nx.Graph]] = {}
    for graph in _without(own, n_broken):
        left.setdefault(_fingerprint(graph), []).append(graph)
    for graph in _without(other, n_made):
        for alike in left.get(_fingerprint(graph), []):
            yield alike, graph


def _without(graph: nx.Graph, n: int) -> Iterator[nx.Graph]:
    for edges in combinations(list(graph.edges), n):
        less = graph.copy()
        less.remove_edges_from(edges)
        yield less


def _fingerprint(graph: nx.Graph) -> str:
    return nx.weisfeiler_lehman_graph_hash(_skeleton(graph), node_attr="kind", iterations=4)


def _skeleton(graph: nx.Graph) -> nx.Graph:
    """The graph without hydrogens at ends; their number is part of what an atom is.

    Which of its hydrogens is which is a matter of places, not of bonds.
    """
    ends = _hydrogens_of(graph)
    gone = {i for hydrogens in ends.values() for i in hydrogens}
    left = graph.subgraph([i for i in graph if i not in gone]).copy()
    kinds = {i: f"{graph.nodes[i]['z']} {len(ends.get(i, []))}" for i in left}
    nx.set_node_attributes(left, kinds, "kind")
    return left


def _hydrogens_of(graph: nx.Graph) -> dict[int, list[int]]:
    """The hydrogens that have one neighbour, by this; those of H2 are none."""
    ends: dict[int, list[int]] = {}
    for i, z in graph.nodes(data="z"):
        if z == 1 and graph.degree(i) == 1:
            (neighbour,) = graph[i]
            if graph.nodes[neighbour]["z"] != 1:
                ends.setdefault(neighbour, []).append(i)
    return ends


def _orders(
    before: nx.Graph, after: nx.Graph, reactant: np.ndarray, product: np.ndarray
) -> Iterator[tuple[int, ...]]:
    """Orders by which the graphs are the same, the hydrogens of an atom by least distance."""
    ends, other_ends = _hydrogens_of(before), _hydrogens_of(after)
    matcher = nx.isomorphism.GraphMatcher(
        _skeleton(before), _skeleton(after), node_match=lambda p, q: p["kind"] == q["kind"]
    )
    for mapping in matcher.isomorphisms_iter():
        groups = [(ends[i], other_ends[mapping[i]]) for i in ends]
        yield _nearest(mapping, groups, reactant, product)


def _nearest(
    skeleton: dict[int, int],
    groups: list[tuple[list[int], list[int]]],
    reactant: np.ndarray,
    product: np.ndarray,
) -> tuple[int, ...]:
    """The order with the least distances, of those that differ by the hydrogens of an atom.

    All are tried where they are few; else superposition and assignment in turns, from every order
    of the hydrogens of the first atoms.
    """
    order = np.empty(len(reactant), dtype=int)
    order[list(skeleton)] = list(skeleton.values())
    tried = 0
    n_orders = np.cumprod([math.factorial(len(own)) for own, _ in groups])
    while tried < len(groups) and n_orders[tried] <= _MAX_TRIED:
        tried += 1
    known = list(skeleton) + [i for own, _ in groups[:tried] for i in own]
    best, least = order, math.inf
    for firsts in product_of(*(permutations(other) for _, other in groups[:tried])):
        for (own, _), first in zip(groups, firsts, strict=False):
            order[own] = first
        whole = (
            order if tried == len(groups) else _assigned(order, known, groups, reactant, product)
        )
        if (distance := _distance(reactant, product[whole])) < least:
            best, least = whole.copy(), distance
    return tuple(best.tolist())


def _assigned(
    order: np.ndarray,
    known: Sequence[int],
    groups: list[tuple[list[int], list[int]]],
    reactant: np.ndarray,
    product: np.ndarray,
) -> np.ndarray:
    """The order known at some places, with hydrogens assigned by superpositions in turns."""
    order, last = order.copy(), None
    for _ in range(_TURNS):
        turned = _laid_on(product, order, reactant, known)
        for own, other in groups:
            squares = ((reactant[own][:, None] - turned[other][None]) ** 2).sum(-1)
            order[own] = np.array(other)[linear_sum_assignment(squares)[1]]
        if last is not None and np.array_equal(order, last):
            break
        known, last = range(len(order)), order.copy()
    return order


def _laid_on(
    product: np.ndarray, order: np.ndarray, reactant: np.ndarray, known: Sequence[int]
) -> np.ndarray:
    """The product moved and turned so that the atoms at the known places lie on the reactant's."""
    turn, shift = superposition(product[order[known]], reactant[known])
    return product @ turn + shift


def _distance(reactant: np.ndarray, product: np.ndarray) -> float:
    return float(((aligned(product, reactant) - reactant) ** 2).sum())


def _bonds(graph: nx.Graph) -> set[tuple[int, int]]:
    return {(min(edge), max(edge)) for edge in graph.edges}
