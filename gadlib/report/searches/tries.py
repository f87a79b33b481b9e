"""The tries of a search: which one succeeded, and why the others ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from gadlib.screening.records import Record
from gadlib.solver.state import Status
from gadlib.solver.trust.phases import Ending


def tries_sentence(record: Record) -> str:
    """The tries in a line, as in `try 1: climbing, circles after 34 steps; try 2: ...`."""
    return "; ".join(
        f"try {number}: {each.phase}, {in_words(each.ending)} after {each.steps} steps"
        for number, each in enumerate(record.tries, start=1)
    )


def tries_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per try, in the order in which they were made, with a sentence on why it ended."""
    return pd.DataFrame(
        [
            {
                "reaction": record.name,
                "try": number,
                "phase": each.phase,
                "steps": each.steps,
                "gradients": each.gradients,
                "ending": _sentence(each.ending),
            }
            for record in records
            for number, each in enumerate(record.tries, start=1)
        ]
    )


def count_given_up(records: Sequence[Record]) -> dict[str, int]:
    """The tries that were followed by another one, by why they ended, most frequent first."""
    counts = Counter(each.ending for record in records for each in record.tries[:-1])
    return {in_words(ending): n for ending, n in counts.most_common()}


def in_words(ending: str) -> str:
    """A word of a record without underscores."""
    return ending.replace("_", " ")


def _sentence(ending: str) -> str:
    """The sentence of an ending or a status; of one that this version does not know its words."""
    if ending.upper() in Ending.__members__:
        return Ending[ending.upper()].sentence
    return Status(ending).sentence if ending in set(Status) else in_words(ending)
