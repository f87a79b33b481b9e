"""The best values of a study: against the defaults, at the edges of their ranges, and by words."""

from __future__ import annotations

import math

import optuna
import pandas as pd

from gadlib.report.tuning.study import Trials
from gadlib.settings.objectives import EASY
from gadlib.tuning.front import completed, preferred
from gadlib.tuning.ranges import at_ends, ends_told


def best_sentence(trials: Trials) -> str:
    """The best trial, its score and that of the defaults, in a sentence."""
    if trials.best is None:
        return trials.nothing_yet
    score, name = trials.scores[trials.best], trials.label
    sentence = f"best trial {trials.numbers[trials.best]}: {name} {score:.4f}"
    if score <= 0 and name == "score":  # one sample that converges is worth more than all steps
        return f"{sentence}; no trial converged on any sample, and each sample's record says why"
    if trials.default is None:
        return sentence
    return f"{sentence}, defaults: {trials.scores[trials.default]:.4f}"


def best_table(trials: Trials) -> pd.DataFrame:
    """Best values against defaults, their positions in the range (0 low end, 1 high end), edges."""
    rows = []
    for i, r in enumerate(trials.ranges):
        best = float(trials.values[trials.best, i])
        default = math.nan if trials.default is None else trials.values[trials.default, i]
        position = float(r.position(best))
        end = r.end_of(best)
        wider = r.wider(end) if end else None
        rows.append(
            {
                "hyperparameter": r.label,
                "default": f"{default:.3g}",
                "best": f"{best:.3g}",
                "low": f"{r.low:g}",
                "high": f"{r.high:g}",
                "scale": "log" if r.log else "linear",
                "position": round(position, 3),
                "edge": (f"at {end} edge: widen it" if wider else "at its limit") if end else "",
                "suggested range": f"{wider[0]:.3g} .. {wider[1]:.3g}" if wider else "",
            }
        )
    rows += [
        {
            "hyperparameter": word.name,
            "default": word.default or "-",
            "best": word.best or "-",
            "low": "-",
            "high": "-",
            "scale": word.among,
            "position": math.nan,
            "edge": "",
            "suggested range": "",
        }
        for word in trials.words
        if trials.best is not None
    ]
    return pd.DataFrame(rows)


def ends_sentence(study: optuna.Study, prefer: str | None = None) -> str:
    """Which best values lie at an end of their ranges, in a sentence.

    Args:
        study: with one objective or several.
        prefer: which of several best trials is meant; None: as the study was asked.
    """
    best = preferred(study, prefer)
    if best is None:
        return "No trial has come to its end, so that there are no best values."
    told = ends_told(at_ends(best))
    return told or "The best values lie well inside the ranges that they were drawn from."


def easy_sentence(study: optuna.Study) -> str:
    """How the trials did on the easy reactions, which are no part of their score, in a sentence."""
    trials = [t for t in completed(study) if t.user_attrs.get("easy")]
    if not trials:
        return "Trials were not watched on easy reactions (easy_share)."
    rates = {t.number: t.user_attrs["scores"].get(EASY) for t in trials}
    n = len(trials[0].user_attrs["easy"])
    best = preferred(study)
    told = [f"Easy reactions beside the score: {n}, searched in {len(trials)} trials"]
    if best is not None and best.number in rates:
        told.append(f"with the best values {rates[best.number]:.0%} converge")
    if 0 in rates:
        fewer = sum(rate < rates[0] for rate in rates.values())
        told.append(f"with the defaults {rates[0]:.0%}, and in {fewer} of the trials fewer")
    return f"{'; '.join(told)}."
