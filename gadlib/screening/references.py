"""The reactions' own saddles on the potential at hand, and which reactions they leave to be judged.

A reaction whose own saddle, found from the reference transition state, does not join its ends on
this potential has no intended saddle that a search could be blamed for missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gadlib.molecules.alignment import rmsd
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import SAME_SADDLE
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings, SetSettings

_STEPS = 100
"""Of a search from a transition state, which on the potential it was made with takes about ten."""

Key = tuple[str, str, str]
"""What a reaction is known by: split, formula and name."""


def key_of(each: Start | Record) -> Key:
    """By what the reaction of a start or record is known."""
    return each.split, each.formula, each.name


def deviation(record: Record, reference: Record | None) -> float | None:
    """The RMSD of a last point from the reference saddle in A, None where that is unknown.

    Infinite for a search that failed, which has recovered nothing.
    """
    if reference is None:
        return None
    if record.order is None:
        return math.inf
    numbers, here, there = (
        np.array(values)
        for values in (record.atomic_numbers, record.positions, reference.positions)
    )
    return rmsd(numbers, here, there, with_mirror=True)


def is_recovered(record: Record, apart: float | None) -> bool | None:
    """Whether a search ended at a strict saddle that is the reference's.

    Args:
        record: of the search.
        apart: its deviation from the reference; None where that is unknown, as is the answer then.
    """
    return None if apart is None else bool(record.strict) and apart < SAME_SADDLE


def reference_plan(settings: SetSettings, *, check_ends: bool) -> SearchSettings:
    """How the own saddles of these reactions are searched: by `trust`, from `ts`, to `bound`.

    Args:
        settings: of a run, which say the potential and the sample.
        check_ends: whether the saddles are followed downhill.
    """
    shared = {name: getattr(settings, name) for name in SetSettings.model_fields}
    own = {
        "solver": "trust",
        "start_from": "ts",
        "criterion": "bound",
        "mode": "lowest",
        "hyperparameters": {},
        "n_steps_per_sample": _STEPS,
        "check_ends": check_ends,
        "resume": True,
    }
    return SearchSettings.read(shared | own)


def keep_intended(starts: Sequence[Start], references: Sequence[Record]) -> list[Start]:
    """The starts of reactions whose own saddle is intended; a sentence is printed on the others.

    Raises:
        InputError: when none is left.
    """
    by_key = {key_of(record): record for record in references}
    kept = [start for start in starts if _is_intended(by_key.get(key_of(start)))]
    keys = {key_of(start) for start in starts}
    lost_keys = keys - {key_of(start) for start in kept}
    if not lost_keys:
        return kept
    n_other = sum(_joins_others(by_key.get(key)) for key in lost_keys)
    reasons = {
        "joins other ends on this potential": n_other,
        "is not found on this potential, or can't be followed": len(lost_keys) - n_other,
    }
    told = {why: n for why, n in reasons.items() if n}
    why = ", or ".join(f"{why} ({n})" if len(told) > 1 else why for why, n in told.items())
    lost = f"{len(lost_keys)} of {len(keys)} reactions are left out: their own saddle {why}"
    if not kept:
        raise InputError(f"{lost}; expected a potential that joins some, or criterion bound")
    print(f"{lost}.", flush=True)
    return kept


def _is_intended(record: Record | None) -> bool:
    return record is not None and record.meets("intended")


def _joins_others(record: Record | None) -> bool:
    return record is not None and bool(record.bound) and record.criteria.get("intended") is False
