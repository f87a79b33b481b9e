"""How far from its start a search has ended, and whether that is near: what `bound` does not say.

A saddle that is found in a later try, from a start that was disturbed and rebuilt, may be a good
one and yet have little to do with where the search was begun.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.data import covalent_radii
from scipy.spatial.distance import cdist

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.ends import bonds_changed
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import NEAR_RISE, NEAR_RMSD, NEAR_STRETCH


def from_start(record: Record, start: Start) -> Record:
    """The record with its distances from the start, and whether it is near; its message says so.

    `near` is known of bound saddles: those within `NEAR_RMSD` and `NEAR_RISE` that change no bond
    but such as the reaction itself changes, whichever try found them.
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
    record = replace(record, near=_is_within(record))
    return replace(record, message=f"{record.message} {far_sentence(record)}".strip())


def far_sentence(record: Record) -> str:
    """In what a bound saddle that is not near differs from its start, and its try; else empty."""
    if not record.bound or record.near is not False or record.rmsd_start is None:
        return ""
    told = [f"{record.rmsd_start:.1f} A"]
    if record.bonds_changed:
        told.append("1 bond" if record.bonds_changed == 1 else f"{record.bonds_changed} bonds")
    if (rise := rise_of(record) or 0.0) > NEAR_RISE:
        told.append(f"{rise:.1f} eV")
    when = f" (try {len(record.tries)})" if len(record.tries) > 1 and record.converged else ""
    return f"It is not near its start: {', '.join(told)} off{when}."


def rise_of(record: Record) -> float | None:
    """How much higher the last point is than the start, in eV; None where that is not known."""
    if record.energy is None or record.energy_start is None:
        return None
    return record.energy - record.energy_start


def _is_within(record: Record) -> bool:
    is_close = record.rmsd_start is not None and record.rmsd_start <= NEAR_RMSD
    return is_close and not record.bonds_changed and (rise_of(record) or 0.0) <= NEAR_RISE


def _bonds_changed(start: Start, here: np.ndarray) -> int:
    """Bonds made or broken since the start, but for those that the reaction itself changes."""
    numbers, there = start.atomic_numbers, start.positions
    radii = covalent_radii[numbers]
    longer = abs(cdist(here, here) - cdist(there, there)) / (radii[:, None] + radii)
    own = set() if start.ends is None else bonds_changed(numbers, *start.ends)
    changed = bonds_changed(numbers, there, here) - own
    return sum(bool(longer[pair] > NEAR_STRETCH) for pair in changed)
