"""How far from its start a search has ended, and whether that is near: what `bound` does not say.

A saddle that is found in a later try, from a start that was disturbed and rebuilt, may be a good
one and yet have little to do with where the search was begun.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import NEAR_RISE, NEAR_RMSD


def from_start(record: Record, start: Start) -> Record:
    """The record with its distances from the start, and whether it is near; its message says so.

    `near` is known of bound saddles: those of the first climb, and of later tries those within
    `NEAR_RMSD` and `NEAR_RISE` that change no bond but such as the reaction itself changes.
    """
    if record.energy is None or len(record.atomic_numbers) < 2:
        return record
    here, there = np.array(record.positions), start.positions
    if not (np.isfinite(here).all() and np.isfinite(there).all()):
        return record
    record = replace(
        record,
        rmsd_start=round(rmsd(start.atomic_numbers, here, there), 4),
        bonds_changed=_bonds_changed(start, here),
    )
    if not record.bound:
        return replace(record, near=record.bound)
    record = replace(record, near=_is_first(record) or _is_within(record))
    return replace(record, message=f"{record.message} {far_sentence(record)}".strip())


def far_sentence(record: Record) -> str:
    """How far a bound saddle is from its start, where it is not near; else empty."""
    if not record.bound or record.near is not False or record.rmsd_start is None:
        return ""
    when = f", in try {len(record.tries)}" if record.tries and record.converged else ""
    return f"It lies {record.rmsd_start:.1f} A from the start{when}."


def _is_first(record: Record) -> bool:
    """Whether the first climb of a search that makes tries has ended there.

    Of a saddle that a search was put back to it is not known which climb found it.
    """
    is_no_other = all(each.phase != "climbing" for each in record.tries[:-1])
    return record.converged and bool(record.tries) and is_no_other


def _is_within(record: Record) -> bool:
    rise = 0.0
    if record.energy is not None and record.energy_start is not None:
        rise = record.energy - record.energy_start
    is_close = record.rmsd_start is not None and record.rmsd_start <= NEAR_RMSD
    return is_close and not record.bonds_changed and rise <= NEAR_RISE


def _bonds_changed(start: Start, here: np.ndarray) -> int:
    """Bonds made or broken since the start, but for those that the reaction itself changes."""
    numbers = start.atomic_numbers

    def bonded(positions: np.ndarray) -> set[frozenset[int]]:
        return {frozenset(pair) for pair in bond_graph_of(numbers, positions).edges}

    own: set[frozenset[int]] = set()
    if start.ends is not None:
        reactant, product = (bonded(end) for end in start.ends)
        own = reactant ^ product
    return len((bonded(start.positions) ^ bonded(here)) - own)
