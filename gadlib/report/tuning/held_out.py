"""What studies of several seeds gain on reactions that no trial has seen, and if they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd

from gadlib.report.validation.comparison import key_of_pairs
from gadlib.screening.records import Record
from gadlib.tuning.gains import interval
from gadlib.tuning.raced import race_of

Sides = tuple[Sequence[Record], Sequence[Record]]
"""The records of a validation, with the defaults and with the tuned values."""


class HeldOut(NamedTuple):
    """The gain of a study over the defaults on reactions that no trial has seen.

    Attributes:
        study_name: of the study.
        source: race, validation, or nothing.
        n_reactions: of these, which both were searched on.
        gains: by objective mean and 95 % interval, positive where the tuned values are better.
    """

    study_name: str
    source: str
    n_reactions: int
    gains: dict[str, tuple[float, float, float]]


def collect_held_out(
    studies: Sequence[optuna.Study], validations: Sequence[Sides] = ()
) -> tuple[HeldOut, ...]:
    """The gain of each study, from its validation where there is one for each, else from its race.

    Args:
        studies: in their order.
        validations: of them, in the same order; fewer or more are passed over.
    """
    if len(validations) == len(studies):
        return tuple(
            HeldOut(study.study_name, "validation", len(sides[0]), _gain(*sides))
            for study, sides in zip(studies, validations, strict=True)
        )
    return tuple(map(_of_race, studies))


def _of_race(study: optuna.Study) -> HeldOut:
    race = race_of(study)
    if race is None:
        return HeldOut(study.study_name, "", 0, {})
    gains = {name: (mean, low, high) for name, (mean, low, high) in race.gain.items()}
    return HeldOut(study.study_name, "race", race.n_of_defaults, gains)


def _gain(
    default: Sequence[Record], tuned: Sequence[Record]
) -> dict[str, tuple[float, float, float]]:
    """The difference of the shares that converge, with its interval."""
    key = key_of_pairs(default, tuned)
    other = {key(record): record.converged for record in tuned}
    apart = np.array([float(other[key(r)]) - r.converged for r in default if key(r) in other])
    if not len(apart):
        return {}
    return {"converged": (float(apart.mean()), *interval(apart, is_cost=False))}


def held_out_table(found: Sequence[HeldOut]) -> pd.DataFrame:
    """A row for each study: where its gain was measured, and the gain by objective."""
    names = [*dict.fromkeys(name for one in found for name in one.gains)]
    return pd.DataFrame(
        [
            {
                "study": one.study_name,
                "measured by": one.source or "nothing",
                "reactions": one.n_reactions,
                **{f"gain in {name}": _shown(one.gains.get(name)) for name in names},
            }
            for one in found
        ]
    )


def _shown(gain: tuple[float, float, float] | None) -> str:
    if gain is None:
        return "-"
    mean, low, high = gain
    return f"{mean:+.3g} ({low:+.3g} to {high:+.3g})"


def held_out_sentence(found: Sequence[HeldOut]) -> str:
    """How far the gains of the studies agree on reactions that no trial has seen, in a sentence."""
    known = [one for one in found if one.gains]
    if not known:
        return (
            "Of no study is a gain known on reactions that no trial has seen; n_race, or a"
            " validation of each, measures it."
        )
    parts = []
    for name in dict.fromkeys(name for one in known for name in one.gains):
        gains = [one.gains[name] for one in known if name in one.gains]
        above = sum(low > 0 for _, low, _ in gains)
        below = sum(high < 0 for _, _, high in gains)
        told = ", ".join(f"{mean:+.3g}" for mean, _, _ in gains)
        parts.append(
            f"{name} {told}, clearly better in {above} of {len(gains)} and clearly worse in {below}"
        )
    return (
        f"Gains over the defaults on reactions that no trial has seen, of {len(known)} of"
        f" {len(found)} studies: {'; '.join(parts)} (95 % intervals)."
    )
