"""Whether two geometries of the same atoms can be the ends of a reaction, by their geometry."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.interpolation import crowding

SAME_END = 0.05
"""A (RMSD) within which reactant and product are one geometry, which no path leads away from."""


def ends_problem(
    atomic_numbers: Int[np.ndarray, " n"],
    reactant: Float[np.ndarray, "n 3"],
    product: Float[np.ndarray, "n 3"],
) -> str:
    """Why there is no reaction between these geometries, in words; empty where there may be one.

    Where bonds change from one atom to another there is one, even if like atoms make both ends
    alike, as in malonaldehyde, whose hydrogen goes from one oxygen to the other.

    Args:
        atomic_numbers: of both, atom by atom.
        reactant: positions in A.
        product: positions in A.
    """
    for name, end in (("reactant", reactant), ("product", product)):
        if told := crowding(atomic_numbers, end):
            return f"{told} in the {name}; expected no two closer than bonded ones"
    if len(atomic_numbers) < 2 or bonds_changed(atomic_numbers, reactant, product):
        return ""
    if rmsd(atomic_numbers, reactant, product) < SAME_END:
        return "reactant and product are the same geometry; expected two different minima"
    if rmsd(atomic_numbers, reactant, product, with_mirror=True) < SAME_END:
        return (
            "reactant and product are mirror images of each other, and no bond changes; expected"
            " two minima that differ by more, as shapes are compared without regard to handedness"
        )
    return ""


def bonds_changed(
    atomic_numbers: Int[np.ndarray, " n"],
    reactant: Float[np.ndarray, "n 3"],
    product: Float[np.ndarray, "n 3"],
) -> set[tuple[int, int]]:
    """The pairs of atoms that are bonded at one end alone."""
    both = (bond_graph_of(atomic_numbers, end) for end in (reactant, product))
    before, after = ({(min(e), max(e)) for e in graph.edges} for graph in both)
    return before ^ after
