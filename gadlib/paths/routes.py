"""Elementary steps put together: whether saddles found make a way from reactant to product.

Minima are one where their bonds are the same; where those of reactant and product are the same,
their shapes as well (as in `endpoints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from jaxtyping import Float, Int

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of, is_same
from gadlib.molecules.descriptions import change_in_words
from gadlib.molecules.endpoints import SHAPE_TOL, Connection
from gadlib.screening.record_parts import Passed
from gadlib.screening.records import Record

MAX_STEPS = 3
"""Steps that a reaction may be made of: with more, other ways are as likely."""


@dataclass(frozen=True)
class Minimum:
    """A minimum of the potential.

    Attributes:
        positions: in A.
        energy: in eV.
        graph: its bonds.
    """

    positions: Float[np.ndarray, "n 3"]
    energy: float
    graph: nx.Graph

    @classmethod
    def at(
        cls, numbers: Int[np.ndarray, " n"], positions: Float[np.ndarray, "n 3"], energy: float
    ) -> Minimum:
        """That of these atoms."""
        return cls(positions, energy, bond_graph_of(numbers, positions))


def minima_of(record: Record) -> tuple[Minimum, Minimum]:
    """Both minima that the record's saddle joins."""
    passed, numbers = record.passed[0], np.array(record.atomic_numbers)
    low = passed.energy - passed.barrier
    energies = low, low + passed.reaction_energy
    one, other = (
        Minimum.at(numbers, np.array(end), e) for end, e in zip(passed.ends, energies, strict=True)
    )
    return one, other


@dataclass(frozen=True)
class Landscape:
    """Reactant, product, and the steps that were found.

    Attributes:
        reactant, product: the ends that are to be joined.
        steps: records of saddles with both minima known.
    """

    reactant: Minimum
    product: Minimum
    steps: tuple[Record, ...] = ()

    def with_step(self, record: Record) -> Landscape:
        """With another step."""
        return replace(self, steps=(*self.steps, record))

    def is_one(self, one: Minimum, other: Minimum) -> bool:
        """Whether two minima count as one."""
        if not is_same(one.graph, other.graph):
            return False
        if not is_same(self.reactant.graph, self.product.graph):
            return True
        numbers = np.array([z for _, z in one.graph.nodes(data="z")])
        return rmsd(numbers, one.positions, other.positions, with_mirror=True) < SHAPE_TOL

    @property
    def route(self) -> list[Record]:
        """The fewest steps that lead from the reactant to the product, in order and direction.

        None where there are no such, or more than MAX_STEPS, or both are alike, so that nothing
        says which is reached.
        """
        if self.is_one(self.reactant, self.product):
            return []
        ways: list[tuple[Minimum, list[Record]]] = [(self.reactant, [])]
        for _ in range(MAX_STEPS):
            ways = [longer for way in ways for longer in self._longer(*way)]
            for end, steps in ways:
                if self.is_one(end, self.product):
                    return steps
        return []

    def _longer(self, end: Minimum, steps: list[Record]) -> list[tuple[Minimum, list[Record]]]:
        """The ways that are one step longer."""
        found = []
        for record in self.steps:
            one, other = minima_of(record)
            if self.is_one(end, one):
                found.append((other, [*steps, record]))
            elif self.is_one(end, other):
                found.append((one, [*steps, turned(record)]))
        return found

    def gap(self) -> tuple[Minimum, Minimum]:
        """What is left to join: the minima that were reached last from either side."""
        return self._last(self.reactant), self._last(self.product)

    def _last(self, end: Minimum) -> Minimum:
        reached = [end]
        for _ in range(MAX_STEPS):
            for record in self.steps:
                one, other = minima_of(record)
                known = [any(self.is_one(m, r) for r in reached) for m in (one, other)]
                if known[0] != known[1]:
                    reached.append(other if known[0] else one)
        return reached[-1]


def turned(record: Record) -> Record:
    """The record with its saddle passed the other way."""
    passed = record.passed[0]
    numbers = np.array(record.atomic_numbers)
    ends = passed.ends[::-1]
    change = change_in_words(*(bond_graph_of(numbers, np.array(end)) for end in ends))
    back = replace(
        passed,
        ends=ends,
        change=change,
        barrier=passed.barrier - passed.reaction_energy,
        reaction_energy=-passed.reaction_energy,
    )
    return replace(record, passed=[back])


def in_steps(route: Sequence[Record], sentence: str) -> Record:
    """The record of a reaction in steps: its highest saddle, and all that are passed."""
    highest = max(route, key=lambda step: step.passed[0].energy)
    over = "an intermediate" if len(route) == 2 else f"{len(route) - 1} intermediates"
    which = "higher" if len(route) == 2 else "highest"
    n = {2: "two", 3: "three"}.get(len(route), str(len(route)))
    message = f"{sentence} The reaction goes in {n} steps, over {over}; this is the {which} saddle."
    passed: list[Passed] = [step.passed[0] for step in route]
    return replace(highest, verdict=Connection.IN_STEPS, message=message, passed=passed)
