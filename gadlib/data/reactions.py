"""A reaction as the embedded set keeps it, and what it must satisfy to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from ase.symbols import Symbols

from gadlib.data.paths import Unsuitable, is_same


@dataclass(frozen=True)
class Criteria:
    """What a reaction must satisfy to be kept; the file carries these numbers."""

    max_force: float = 0.005  # eV/A on any atom, at all three points
    min_imaginary_cm1: float = 100.0
    min_barrier: float = 0.1  # eV, seen from either side
    max_barrier: float = 6.0
    max_fragment_gap: float = 3.5  # A between the fragments of a product
    max_two_fragment_products: int = 6
    duplicate_energy: float = 0.05  # eV between saddles of isomorphic reactions: the same saddle
    max_per_formula: int = 5
    max_per_molecule: int = 3
    min_atoms: int = 4
    max_atoms: int = 15


CRITERIA = Criteria()


@dataclass(frozen=True)
class Reaction:
    """Reactant, transition state and product in this order, on common axes."""

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    graphs: tuple[nx.Graph, nx.Graph]
    imaginary_cm1: float

    @property
    def formula(self) -> str:
        """In Hill's order."""
        return hill(self.numbers)

    @property
    def n_product_fragments(self) -> int:
        """The number of molecules in the product."""
        return nx.number_connected_components(self.graphs[1])

    def is_duplicate_of(self, other: Reaction) -> bool:
        """Whether both join isomorphic ends over a saddle of about the same energy."""
        if self.formula != other.formula:
            return False
        if abs(self.energy[1] - other.energy[1]) > CRITERIA.duplicate_energy:
            return False
        (a, b), (c, d) = self.graphs, other.graphs
        return (is_same(a, c) and is_same(b, d)) or (is_same(a, d) and is_same(b, c))


def hill(numbers: np.ndarray) -> str:
    """The formula in Hill's order."""
    return Symbols(numbers).get_chemical_formula("hill")


def fragment_gap(graph: nx.Graph, positions: np.ndarray) -> float:
    """The smallest distance in angstrom between two fragments; 0 when there is one."""
    parts = [sorted(part) for part in nx.connected_components(graph)]
    if len(parts) == 1:
        return 0.0
    apart = positions[parts[0]][:, None] - np.delete(positions, parts[0], axis=0)
    return float(np.linalg.norm(apart, axis=-1).min())


def require_reaction(reaction: Reaction) -> None:
    """Raise Unsuitable unless the ends and the barriers are acceptable."""
    reactant, product = reaction.graphs
    if is_same(reactant, product):
        raise Unsuitable("both ends have the same bonds")
    barriers = reaction.energy[1] - reaction.energy[[0, 2]]
    if barriers.min() < CRITERIA.min_barrier:
        raise Unsuitable("barrier too low")
    if barriers.max() > CRITERIA.max_barrier:
        raise Unsuitable("barrier too high")
    if not nx.is_connected(reactant) or reaction.n_product_fragments > 2:
        raise Unsuitable("ends in fragments")
    if fragment_gap(product, reaction.positions[2]) > CRITERIA.max_fragment_gap:
        raise Unsuitable("fragments drift off")


def require_new(reaction: Reaction, known: Sequence[Reaction]) -> None:
    """Raise Unsuitable unless the reaction adds to the known ones."""
    if any(reaction.is_duplicate_of(other) for other in known):
        raise Unsuitable("duplicate")
    n_two = sum(other.n_product_fragments == 2 for other in known)
    if reaction.n_product_fragments == 2 and n_two >= CRITERIA.max_two_fragment_products:
        raise Unsuitable("enough two-fragment products")
