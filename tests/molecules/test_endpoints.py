from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gadlib.molecules.endpoints import SHAPE_TOL, Connection, classify_ends, match_ends, order_ends

FAR = np.ones((2, 2))


def ring(n: int) -> nx.Graph:
    made = nx.cycle_graph(n)
    nx.set_node_attributes(made, 6, "z")
    return made


def chain(n: int) -> nx.Graph:
    made = nx.path_graph(n)
    nx.set_node_attributes(made, 6, "z")
    return made


def star(n: int) -> nx.Graph:
    made = nx.star_graph(n - 1)
    nx.set_node_attributes(made, 6, "z")
    return made


R, P, X = ring(5), chain(5), star(5)


@pytest.mark.parametrize(
    ("ends", "verdict", "order"),
    [
        ([R, P], Connection.INTENDED, [0, 1]),
        ([P, R], Connection.INTENDED, [1, 0]),
        ([X, R], Connection.HALF, [1, 0]),
        ([P, X], Connection.HALF, [1, 0]),
        ([R, R], Connection.NO_REACTION, None),
        ([X, X], Connection.NO_REACTION, None),
    ],
)
def test_ends_are_judged_by_their_bonds_in_either_order(ends, verdict, order):
    is_like = match_ends(ends, [R, P], FAR)
    found = order_ends(is_like, FAR)
    assert order is None or found == order
    told, sentence = classify_ends(is_like[found], [ends[i] for i in found], [R, P])
    assert told is verdict
    assert sentence.endswith(".")


def test_two_other_ends_are_unintended():
    other = ring(5)
    other.add_edge(0, 2)
    is_like = match_ends([X, other], [R, P], FAR)
    assert classify_ends(is_like, [X, other], [R, P])[0] is Connection.UNINTENDED


def test_references_of_the_same_bonds_are_told_apart_by_shape():
    near, off = 0.5 * SHAPE_TOL, 2 * SHAPE_TOL
    turned = np.array([[off, near], [near, off]])
    is_like = match_ends([R, R], [R, R], turned)
    order = order_ends(is_like, turned)
    assert order == [1, 0]
    assert classify_ends(is_like[order], [R, R], [R, R])[0] is Connection.INTENDED
    stayed = np.array([[near, off], [near, off]])
    is_like = match_ends([R, R], [R, R], stayed)
    assert classify_ends(is_like, [R, R], [R, R])[0] is Connection.NO_REACTION


def test_one_reference_alone_is_looked_for_at_both_ends():
    is_like = match_ends([X, P], [None, P], FAR)
    assert order_ends(is_like, FAR) == [0, 1]
    verdict, told = classify_ends(is_like, [X, P], [None, P])
    assert verdict is Connection.INTENDED
    assert told == "One way leads to the product; the reactant is not known."
    is_like = match_ends([X, P], [R, None], FAR)
    assert classify_ends(is_like, [X, P], [R, None])[0] is Connection.UNINTENDED


def test_without_a_reference_there_is_no_verdict_but_a_sentence():
    is_like = match_ends([X, P], [None, None], FAR)
    assert classify_ends(is_like, [X, P], [None, None])[0] is Connection.NO_REFERENCE
    assert "the same bonds" in classify_ends(is_like, [P, P], [None, None])[1]
