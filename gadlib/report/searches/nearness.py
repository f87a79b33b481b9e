"""How near to their starts searches have ended: what `bound` does not say of a saddle."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gadlib.screening.nearness import rise_of
from gadlib.screening.records import Record


def nearness_sentence(records: Sequence[Record]) -> str:
    """How many of the bound saddles are near their starts, as far as that is known."""
    known = [record for record in records if record.bound and record.near is not None]
    if not known:
        return "Of no bound saddle is it known how near it is to its start."
    n_near = sum(bool(record.near) for record in known)
    return (
        f"{len(known)} of {len(records)} searches end at a bound saddle, {n_near} of them near the"
        " start."
    )


def nearness_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per bound saddle that is not near its start, the farthest first."""
    far = [record for record in records if record.bound and record.near is False]
    far.sort(key=lambda record: -(record.rmsd_start or 0.0))
    return pd.DataFrame(
        [
            {
                "reaction": record.name,
                "formula": record.formula,
                "tries": len(record.tries),
                "RMSD (Å)": record.rmsd_start,
                "bonds changed": record.bonds_changed,
                "above the start (eV)": None if rise is None else round(rise, 3),
                "joins": record.verdict or None,
            }
            for record, rise in ((record, rise_of(record)) for record in far)
        ]
    )
