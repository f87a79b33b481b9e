"""What a saddle's ends are compared with: a reaction of a set, files of the user's own, or nothing.

A reference has the saddle's atoms in an order of the same elements, so that shapes can be laid on
each other; which atom is which beyond that is no matter of bond graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gadlib.molecules import geometries
from gadlib.molecules.endpoints import Ends
from gadlib.molecules.geometries import Geometry
from gadlib.molecules.pairs import by_element, match_atoms
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.starting_points import hill_formula
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError


@dataclass(frozen=True)
class Known(Ends):
    """What is known of a reaction, in A; None where it is not.

    Attributes:
        transition_state: atoms in an order of the saddle's elements.
        is_mapped: whether an atom has the same place in the reactant and the product.
    """

    transition_state: Float[np.ndarray, "n 3"] | None = None
    is_mapped: bool = True

    @classmethod
    def of(cls, reaction: Reaction) -> Known:
        """That of a reaction of a set."""
        return cls(reaction.reactant, reaction.product, reaction.transition_state)

    @property
    def ends(self) -> dict[str, Float[np.ndarray, "n 3"]]:
        """The ends that are known, by what they are called."""
        both = {"reactant": self.reactant, "product": self.product}
        return {name: positions for name, positions in both.items() if positions is not None}


@dataclass(frozen=True)
class OwnEnds:
    """Reactant and product of files of the user's own, atoms as numbered there."""

    reactant: Geometry | None = None
    product: Geometry | None = None

    @classmethod
    def read(cls, reactant: str | None, product: str | None) -> OwnEnds | None:
        """Those of the files, None where none is named.

        Raises:
            InputError: when a file can't be read, or has no one molecule that can be used.
        """
        if reactant is None and product is None:
            return None
        return cls(_one(reactant, "reactant"), _one(product, "product"))

    def for_saddle(self, record: Record) -> Known:
        """The ends with their atoms in the order of the saddle's elements.

        Raises:
            InputError: when they are not of the saddle's atoms.
        """
        placed = self.placed_for(record)
        reactant, product = placed.get("reactant"), placed.get("product")
        if self.reactant is None or self.product is None or reactant is None or product is None:
            return Known(reactant=reactant, product=product)
        if np.array_equal(self.reactant.atomic_numbers, self.product.atomic_numbers):
            return Known(reactant=reactant, product=product)
        numbers = np.array(record.atomic_numbers)
        try:
            order = match_atoms(numbers, reactant, numbers, product)
        except InputError:  # too many bonds change: verdicts need no order, words do
            return Known(reactant=reactant, product=product, is_mapped=False)
        return Known(reactant=reactant, product=product[list(order)])

    def placed_for(self, record: Record) -> dict[str, Float[np.ndarray, "n 3"]]:
        """The positions of each end that is given, in the saddle's order of elements.

        Raises:
            InputError: when they are not of the saddle's atoms.
        """
        numbers = np.array(record.atomic_numbers)
        given = {"reactant": self.reactant, "product": self.product}
        return {
            name: _placed(numbers, geometry, f"{name} {geometry.name}", record.name)
            for name, geometry in given.items()
            if geometry is not None
        }


def _one(path: str | None, name: str) -> Geometry | None:
    """The one molecule of a file."""
    if path is None:
        return None
    return geometries.only(geometries.read(path), f"{name} {path}")


def _placed(
    numbers: Int[np.ndarray, " n"], geometry: Geometry, what: str, saddle: str
) -> Float[np.ndarray, "n 3"]:
    """The positions in the saddle's order of elements."""
    own = geometry.atomic_numbers
    if sorted(own.tolist()) != sorted(numbers.tolist()):
        raise InputError(
            f"{what} is {hill_formula(own)}, the saddle {saddle} {hill_formula(numbers)}:"
            " expected the same atoms"
        )
    return by_element(numbers, own, geometry.positions)
