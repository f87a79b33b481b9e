from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gadlib.paths.endpoints import SHAPE_TOL, Verdict, judge, matches, ordered

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
        ([R, P], Verdict.INTENDED, [0, 1]),
        ([P, R], Verdict.INTENDED, [1, 0]),
        ([X, R], Verdict.HALF, [1, 0]),
        ([P, X], Verdict.HALF, [1, 0]),
        ([R, R], Verdict.NO_REACTION, None),
        ([X, X], Verdict.NO_REACTION, None),
    ],
)
def test_ends_are_judged_by_their_bonds_in_either_order(ends, verdict, order):
    is_like = matches(ends, [R, P], FAR)
    found = ordered(is_like, FAR)
    assert order is None or found == order
    told, sentence = judge(is_like[found], [ends[i] for i in found], [R, P])
    assert told is verdict
    assert sentence.endswith(".")


def test_two_other_ends_are_unintended():
    other = ring(5)
    other.add_edge(0, 2)
    is_like = matches([X, other], [R, P], FAR)
    assert judge(is_like, [X, other], [R, P])[0] is Verdict.UNINTENDED


def test_references_of_the_same_bonds_are_told_apart_by_shape():
    near, off = 0.5 * SHAPE_TOL, 2 * SHAPE_TOL
    turned = np.array([[off, near], [near, off]])
    is_like = matches([R, R], [R, R], turned)
    order = ordered(is_like, turned)
    assert order == [1, 0]
    assert judge(is_like[order], [R, R], [R, R])[0] is Verdict.INTENDED
    stayed = np.array([[near, off], [near, off]])
    is_like = matches([R, R], [R, R], stayed)
    assert judge(is_like, [R, R], [R, R])[0] is Verdict.NO_REACTION
