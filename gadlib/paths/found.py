"""Saddles that were found: how near to what is looked for, and who is about to find them again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.endpoints import Connection
from gadlib.paths.routes import Landscape
from gadlib.screening.records import Record
from gadlib.settings.criteria import SAME_SADDLE
from gadlib.solver.goal import Frame

RANKS = (Connection.INTENDED, Connection.IN_STEPS, Connection.HALF, Connection.UNINTENDED)
"""Verdicts, the nearest to what is looked for first."""

_N_JOINING = 3
"""Ranks of saddles that join the reactant or the product with something. Of eight that the costly
potential was searched from, for three reactions that the cheap one has no way for, one joined an
end."""

NEARLY, ENERGY_NEAR = 0.3, 0.1
"""eV/A on any atom and eV, within which a search near a known saddle is about to end there."""


def is_same(record: Record, other: Record) -> bool:
    """Whether two saddles are one."""
    places = (np.array(one.positions) for one in (record, other))
    return rmsd(np.array(record.atomic_numbers), *places) < SAME_SADDLE


def is_found_again(frame: Frame, found: Sequence[Record]) -> bool:
    """Whether the one search of a frame is about to end at a saddle that was found before.

    Of 27 searches for three reactions that are hard to find 13 did, for 26 to 114 gradients each.
    """
    state = frame.state
    if not bool(state.is_computed[0]) or float(state.max_force[0]) > NEARLY:
        return False
    numbers, here = state.batch.system(0)
    for other in found:
        off = np.inf if other.energy is None else abs(other.energy - float(state.energy[0]))
        if off < ENERGY_NEAR and rmsd(numbers, np.array(other.positions), here) < SAME_SADDLE:
            return True
    return False


def worth_trying(land: Landscape) -> list[Record]:
    """Saddles of a cheap potential from which the costly one is searched, the best first.

    Those of the route, then others that join the reactant or the product with something.
    """
    route = land.route
    others = [step for step in land.steps if step not in route and rank(step) < _N_JOINING]
    return [*route, *sorted(others, key=rank)]


def rank(record: Record) -> int:
    """How near a record is to what is looked for, the nearest first."""
    if record.verdict in RANKS:
        return RANKS.index(Connection(record.verdict))
    return len(RANKS) + (not record.bound)
