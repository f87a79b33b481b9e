"""What is bonded to what: bond graphs and fragments, by covalent radii.

Radii: Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j, as tabulated by ASE.
Full shells: Lewis, J. Am. Chem. Soc. 38, 762 (1916), doi:10.1021/ja02261a002.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import networkx as nx
import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.systems.batch import Batch

BOND_SCALE = 1.3
"""Two atoms are bonded when closer than this many times the sum of their covalent radii."""

DOUBT = 0.03
"""Of that number: a pair of atoms so near the limit may count as bonded and as not. Two ways down
from one saddle ended at minima of one energy whose C-C was 1.97 and 1.98 A, and the limit 1.976."""

_MOST_DOUBTFUL = 3  # pairs of a graph that are taken either way, which makes eight of it

ANY_NUMBER = 2**31
"""How many neighbours an atom of an element takes of which no shell is known."""

_NEIGHBOURS = {1: 1, 6: 4, 7: 3, 8: 2, 9: 1, 14: 4, 15: 3, 16: 2, 17: 1, 35: 1, 53: 1}
_FULL = torch.full((119,), ANY_NUMBER)
_FULL[list(_NEIGHBOURS)] = torch.tensor(list(_NEIGHBOURS.values()))
_MOST = _FULL.clone()
_MOST[[15, 16]] = torch.tensor([5, 6])


def bonds(batch: Batch) -> Bool[Tensor, "B N N"]:
    """The adjacency matrices of the bond graphs; False on the diagonal and where padded."""
    return batch.scaled_distances < BOND_SCALE


def n_fragments(batch: Batch) -> Int[Tensor, " B"]:
    """The connected pieces of each bond graph; an atom at an unknown (NaN) place is one."""
    return n_connected(batch, bonds(batch))


def n_connected(batch: Batch, joined: Bool[Tensor, "B N N"]) -> Int[Tensor, " B"]:
    """The connected pieces of each molecule, of atoms that are joined."""
    width = batch.positions.shape[1]
    identity = torch.eye(width, dtype=torch.bool, device=batch.positions.device)
    reach = (joined | identity).to(torch.float32)
    for _ in range(max(1, (width - 1).bit_length())):  # each squaring doubles the path length
        reach = (reach @ reach).clamp_(max=1.0)
    first_reached = reach.argmax(-1)  # the lowest atom of the piece
    is_first = first_reached == torch.arange(width, device=batch.positions.device)
    return (is_first & batch.mask).sum(-1)


def full_shells(batch: Batch) -> Int[Tensor, "B N"]:
    """How many neighbours an atom has when single bonds fill its shell.

    Hydrogen 1, carbon and silicon 4, nitrogen and phosphorus 3, oxygen and sulphur 2, halogens 1;
    atoms of other elements take `ANY_NUMBER`.
    """
    return _FULL.to(batch.positions.device)[batch.atomic_numbers]


def most_neighbours(batch: Batch) -> Int[Tensor, "B N"]:
    """How many neighbours an atom can have: phosphorus 5 and sulphur 6, others a full shell."""
    return _MOST.to(batch.positions.device)[batch.atomic_numbers]


def bond_graph(batch: Batch, i: int = 0) -> nx.Graph:
    """The bond graph of one system, its nodes labelled `z` by atomic number.

    Its attribute `doubtful` has the pairs that are within `DOUBT` of being bonded or not, the
    nearest first.
    """
    n = int(batch.n_atoms[i])
    graph = nx.from_numpy_array(bonds(batch)[i, :n, :n].cpu().numpy())
    nx.set_node_attributes(graph, dict(enumerate(batch.atomic_numbers[i, :n].tolist())), "z")
    off = (batch.scaled_distances[i, :n, :n] - BOND_SCALE).abs().cpu().numpy()
    near = np.argwhere(np.triu(off < DOUBT, 1))
    order = off[tuple(near.T)].argsort(kind="stable")
    graph.graph["doubtful"] = near[order].tolist()
    return graph


def bond_graph_of(atomic_numbers: np.ndarray, positions: np.ndarray) -> nx.Graph:
    """The bond graph of one molecule by its atomic numbers (N,) and positions (N, 3) in A."""
    return bond_graph(Batch.pack([positions], [atomic_numbers]))


def is_same(a: nx.Graph, b: nx.Graph) -> bool:
    """Whether two bond graphs are isomorphic, elements included, doubtful bonds as it suits."""
    return any(
        nx.is_isomorphic(one, other, node_match=lambda p, q: p["z"] == q["z"])
        for one in _readings(a)
        for other in _readings(b)
    )


def _readings(graph: nx.Graph) -> Iterator[nx.Graph]:
    """The graph with its doubtful bonds as they are, then with some of them the other way."""
    doubtful = graph.graph.get("doubtful", [])[:_MOST_DOUBTFUL]
    for number in range(len(doubtful) + 1):
        for some in itertools.combinations(doubtful, number):
            found = graph.copy()
            found.remove_edges_from([pair for pair in some if graph.has_edge(*pair)])
            found.add_edges_from([pair for pair in some if not graph.has_edge(*pair)])
            yield found
