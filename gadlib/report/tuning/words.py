"""The words that trials of a study chose from: which were tried, and what each was worth."""

from __future__ import annotations

import optuna
import pandas as pd

from gadlib.report.tuning.study import objectives_shown
from gadlib.tuning.tried import Words, words_of

_NONE = "No words were chosen in this study."


def collect_words(study: optuna.Study) -> Words:
    """The words of a study; of other programs, too, whose objectives have no names."""
    return words_of(study, objectives_shown(study))


def words_table(words: Words) -> pd.DataFrame:
    """A row for each word: its trials, and by each objective their median and the best of them."""
    return pd.DataFrame(
        [
            {
                "choice": one.name,
                "word": one.word,
                "trials": one.n_completed,
                "ended early": one.n_early,
                **{
                    f"{how} {objective.label}": f"{values[place]:.4g}" if values else "-"
                    for place, objective in enumerate(words.objectives)
                    for how, values in (("median", one.medians), ("best", one.bests))
                },
                "": "taken" if one.is_taken else "",
            }
            for one in words.tried
        ]
    )


def choices_sentence(study: optuna.Study) -> str:
    """What trials were worth by the words that they chose, in a sentence."""
    words = collect_words(study)
    parts: dict[str, list[str]] = {}
    for one in words.tried:
        pairs = zip(words.objectives, one.medians, strict=False)
        worth = " and ".join(f"{objective.name} {value:.4g}" for objective, value in pairs)
        early = f", {one.n_early} more ended early" if one.n_early else ""
        told = f"{one.word} {worth or 'unknown'} ({one.n_completed} trials{early})"
        parts.setdefault(one.name, []).append(told)
    if not parts:
        return _NONE
    told = "; ".join(f"{name}: {', '.join(found)}" for name, found in parts.items())
    return f"Medians by the words that trials chose: {told}."
