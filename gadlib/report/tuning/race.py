"""The race of a study's best trials, on reactions that no trial has seen."""

from __future__ import annotations

import optuna
import pandas as pd

from gadlib.report.tuning.study import objectives_shown
from gadlib.tuning.raced import race_of

_NONE = "No race was held on the trials that the study has (n_race)."


def race_sentence(study: optuna.Study) -> str:
    """How the race ended, or that there was none, in a sentence."""
    race = race_of(study)
    return _NONE if race is None else race.sentence


def race_table(study: optuna.Study) -> pd.DataFrame:
    """A row for each candidate: its samples and means by objective; empty without a race."""
    race = race_of(study)
    if race is None:
        return pd.DataFrame()
    known = objectives_shown(study)
    notes = {"0": "defaults", str(race.winner): "wins"}
    rows = [
        {
            "trial": int(number),
            "reactions": race.n_searched[number],
            **{one.label: float(f"{found[one.name]:.4g}") for one in known},
            "": notes.get(number, "" if race.n_searched[number] == len(race.samples) else "left"),
        }
        for number, found in race.scores.items()
    ]
    return pd.DataFrame(rows)
