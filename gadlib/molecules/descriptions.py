"""Chemistry in words: which bonds form and break, which group only turns, what a mode moves.

Atoms are named by `gadlib.systems.batch.atom_label`. Names of groups are for reading, not for
deciding anything.

Radii: as in `bonds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import networkx as nx
import numpy as np
from ase import Atoms
from ase.data import atomic_masses, covalent_radii
from jaxtyping import Float, Int

from gadlib.systems.batch import atom_label

LOOSE = (1.1, 1.75)
"""Atoms this many times the sum of their radii apart are in the act of bonding or parting."""

_GROUPS = {"CH3": "methyl", "H2N": "amino", "HO": "hydroxyl", "NO2": "nitro", "CHO": "formyl"}
_IS_LIKE = 0.7  # the share of a mode's square that a simple motion must make up
_RATE = 0.35


def pair_label(atomic_numbers: Sequence[int] | np.ndarray, pair: tuple[int, int]) -> str:
    """The name of a pair, as in C0-H3."""
    return "-".join(atom_label(atomic_numbers, i) for i in sorted(pair))


def change_in_words(before: nx.Graph, after: nx.Graph) -> str:
    """What happens from one bond graph to another of the same atoms, as in `C0-H3 breaks`.

    An atom of one bond that changes its partner moves.
    """
    numbers = [before.nodes[i]["z"] for i in range(len(before))]
    old, new = ({tuple(sorted(e)) for e in g.edges} for g in (before, after))
    broken, formed = sorted(old - new), sorted(new - old)
    found = []
    for i in range(len(numbers)):
        lost = [pair for pair in broken if i in pair]
        won = [pair for pair in formed if i in pair]
        if numbers[i] == 1 and len(lost) == len(won) == 1:
            (source,), (target,) = (set(lost[0]) - {i}, set(won[0]) - {i})
            name, left, met = (atom_label(numbers, k) for k in (i, source, target))
            found.append(f"{name} moves from {left} to {met}")
            broken.remove(lost[0])
            formed.remove(won[0])
    found += [f"{pair_label(numbers, pair)} breaks" for pair in broken]
    found += [f"{pair_label(numbers, pair)} forms" for pair in formed]
    return ", ".join(found) or "no bond forms or breaks"


def mode_in_words(
    graph: nx.Graph, positions: Float[np.ndarray, "n 3"], mode: Float[np.ndarray, "n 3"]
) -> str:
    """What a Cartesian displacement of the atoms does, in words.

    A group that turns, an atom that inverts, else the loose pairs that close and open, else what
    moves most.

    Args:
        graph: the bonds at the saddle.
        positions: of its atoms, in A.
        mode: the displacement, of any length.
    """
    numbers = np.array([graph.nodes[i]["z"] for i in range(len(graph))])
    mode = mode / np.linalg.norm(mode, axis=1).max()
    root = np.sqrt(atomic_masses[numbers])[:, None]
    motions = [*_turns(graph, numbers, positions), *_inversions(graph, numbers, positions)]
    shares = [_share(motion, mode, positions, root) for _, motion in motions]
    if shares and max(shares) > _IS_LIKE:
        return motions[int(np.argmax(shares))][0]
    opening, closing = _loose_pairs(graph, numbers, positions, mode)
    if opening or closing:
        return "stretches " + " against ".join(", ".join(p) for p in (opening, closing) if p)
    heaviest = np.argsort(-np.linalg.norm(root * mode, axis=1))[:3].tolist()
    return f"deforms the skeleton, mostly at {', '.join(atom_label(numbers, i) for i in heaviest)}"


def _turns(
    graph: nx.Graph, numbers: Int[np.ndarray, " n"], positions: Float[np.ndarray, "n 3"]
) -> Iterator[tuple[str, Float[np.ndarray, "n 3"]]]:
    """The turns of one side of a molecule about each bond that is in no ring, and their names."""
    for i, j in nx.bridges(graph):
        cut = graph.copy()
        cut.remove_edge(i, j)
        side = sorted(min((nx.node_connected_component(cut, k) for k in (i, j)), key=len))
        pivot, other = (i, j) if i in side else (j, i)
        if len(side) < 2:
            continue
        axis = positions[pivot] - positions[other]
        motion = np.zeros_like(positions)
        motion[side] = np.cross(axis, positions[side] - positions[pivot])
        formula = Atoms(numbers[side]).get_chemical_formula("hill")
        name = _GROUPS.get(formula, formula)
        bond = pair_label(numbers, (pivot, other))
        yield f"turns the {name} group at {atom_label(numbers, pivot)} about {bond}", motion


def _inversions(
    graph: nx.Graph, numbers: Int[np.ndarray, " n"], positions: Float[np.ndarray, "n 3"]
) -> Iterator[tuple[str, Float[np.ndarray, "n 3"]]]:
    """The motion of each atom of three bonds through the plane of its neighbours, and its name."""
    for i in graph:
        near = sorted(graph[i])
        if len(near) != 3:
            continue
        a, b, c = positions[near]
        normal = np.cross(b - a, c - a)
        motion = np.zeros_like(positions)
        motion[i] = normal
        yield f"inverts {atom_label(numbers, i)}", motion


def _share(
    motion: Float[np.ndarray, "n 3"],
    mode: Float[np.ndarray, "n 3"],
    positions: Float[np.ndarray, "n 3"],
    root: Float[np.ndarray, "n 1"],
) -> float:
    """The share of the mode's square that lies along the motion, both without rigid parts."""
    centred = positions - (root**2 * positions).sum(0) / (root**2).sum()
    axes = np.eye(3)
    rigid = [np.broadcast_to(axis, positions.shape) for axis in axes]
    rigid += [np.cross(axis, centred) for axis in axes]
    basis = np.linalg.svd(np.stack([(root * r).ravel() for r in rigid], 1), full_matrices=False)[0]
    one, two = (
        flat - basis @ (basis.T @ flat) for flat in ((root * motion).ravel(), (root * mode).ravel())
    )
    lengths = np.linalg.norm(one) * np.linalg.norm(two)
    return float((one @ two / lengths) ** 2) if lengths > 1e-9 else 0.0


def _loose_pairs(
    graph: nx.Graph,
    numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    mode: Float[np.ndarray, "n 3"],
) -> tuple[list[str], list[str]]:
    """The loose pairs whose distance the mode changes much: those that grow, those that shrink."""
    rates = {}
    for i, j in combinations(graph, 2):
        apart = positions[i] - positions[j]
        length = float(np.linalg.norm(apart))
        radii = covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
        rate = float((mode[i] - mode[j]) @ apart) / length
        if LOOSE[0] < length / radii < LOOSE[1] and abs(rate) > _RATE:
            rates[i, j] = rate
    most = max(map(abs, rates.values()), default=0.0)
    ordered = sorted((p for p in rates if abs(rates[p]) > most / 3), key=lambda p: -abs(rates[p]))
    opening = [pair_label(numbers, p) for p in ordered if rates[p] > 0]
    return opening, [pair_label(numbers, p) for p in ordered if rates[p] < 0]
