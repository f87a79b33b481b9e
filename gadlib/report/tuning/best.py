"""The best values of a study: against the defaults, at the edges of their ranges, and by words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from gadlib.report.tuning.study import DECLARED, Range, Trials, objectives_shown
from gadlib.settings.objectives import EASY, Objective
from gadlib.tuning.front import completed, preferred

EDGE = 0.05
"""A best value within this fraction of the range from an end lies at the edge."""


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
        best = trials.values[trials.best, i]
        default = math.nan if trials.default is None else trials.values[trials.default, i]
        position = float(r.position(best))
        wider = suggested_range(r, position)
        rows.append(
            {
                "hyperparameter": r.label,
                "default": f"{default:.3g}",
                "best": f"{best:.3g}",
                "low": f"{r.low:g}",
                "high": f"{r.high:g}",
                "scale": "log" if r.log else "linear",
                "position": round(position, 3),
                "edge": edge(position) if wider or not edge(position) else "at its limit",
                "suggested range": wider,
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


def choices_sentence(study: optuna.Study) -> str:
    """How trials did with each word that they chose, in a sentence."""
    known, trials = objectives_shown(study), completed(study)
    drawn = {name: kind for t in trials for name, kind in t.distributions.items()}
    parts = []
    for name, kind in drawn.items():
        if isinstance(kind, CategoricalDistribution):
            with_word = {w: [t for t in trials if t.params.get(name) == w] for w in kind.choices}
            told = (
                f"{word} {_medians(own, known)} ({len(own)} trials)"
                for word, own in with_word.items()
            )
            parts.append(f"{name}: {', '.join(told)}")
    if not parts:
        return "No words were chosen in this study."
    return f"Medians by the words that trials chose: {'; '.join(parts)}."


def _medians(trials: Sequence[FrozenTrial], known: Sequence[Objective]) -> str:
    if not trials:
        return "unknown"
    found = np.median([t.values for t in trials], axis=0)
    pairs = zip(known, found, strict=True)
    return " and ".join(f"{one.name} {value:.4g}" for one, value in pairs)


def edge(position: float) -> str:
    """What a position in the range asks for; empty where it lies well inside."""
    if position <= EDGE:
        return "at lower edge: widen it"
    return "at upper edge: widen it" if position >= 1 - EDGE else ""


def suggested_range(r: Range, position: float) -> str:
    """A wider range where the best value lies at an edge: half of its width more on that side.

    Within the limits of the hyperparameter; empty where it may not be wider.
    """
    if not edge(position) or r.low == r.high:
        return ""
    is_low = position <= EDGE
    if r.log:
        half = (r.high / r.low) ** 0.5
        low, high = (r.low / half, r.high) if is_low else (r.low, r.high * half)
    else:
        half = 0.5 * (r.high - r.low)
        low = max(r.low - half, 0.0) if r.low >= 0 else r.low - half
        low, high = (low, r.high) if is_low else (r.low, r.high + half)
    if r.name in DECLARED:
        low, high = max(low, DECLARED[r.name].least), min(high, DECLARED[r.name].most)
    if low >= r.low and high <= r.high:
        return ""
    return f"{low:.3g} .. {high:.3g}"
