"""What a study, or the studies of some seeds, found, in a few sentences."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from gadlib.report.tuning.best import best_sentence, easy_sentence, ends_sentence
from gadlib.report.tuning.front import collect_front
from gadlib.report.tuning.held_out import collect_held_out, held_out_sentence
from gadlib.report.tuning.race import race_sentence
from gadlib.report.tuning.stability import agreement_sentence, collect_seeds
from gadlib.report.tuning.study import collect_trials
from gadlib.report.tuning.words import choices_sentence


def study_summary(studies: Sequence[optuna.Study]) -> str:
    """The best trial of the first study, values at the ends of their ranges, and what else it says.

    That is its front, easy reactions, words, its race; and what the others agree on.

    A line for each.
    """
    first = studies[0]
    trials = collect_trials(first)
    lines = [best_sentence(trials)]
    if len(first.directions) > 1:
        lines.append(collect_front(first).sentence)
    lines.append(ends_sentence(first))
    lines.append(easy_sentence(first))
    if trials.chosen:
        lines.append(choices_sentence(first))
    lines.append(race_sentence(first))
    if len(studies) > 1:
        lines.append(agreement_sentence(collect_seeds(studies)))
        lines.append(held_out_sentence(collect_held_out(studies)))
    return "\n".join(lines)
