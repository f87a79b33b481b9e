"""The front of a study with several objectives: what is gained by one, and given up by another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure

from gadlib.report.style import BLACK, BLUE, LEGEND, SKY, VERMILLION, panels, say
from gadlib.report.tuning.study import objectives_shown
from gadlib.settings.objectives import Objective
from gadlib.tuning.front import completed, front, preferred


class Front(NamedTuple):
    """The completed trials of a study by its objectives, and its best ones.

    Attributes:
        study_name: of the study.
        objectives: all of the study's.
        numbers: of the T trials.
        values: T trials by the objectives.
        best: rows of the trials that no other is better than by all objectives.
        preferred: the row of the one to take, None where there is none; after a race it may be none
            of the best.
        default: the row of trial 0, which runs the defaults; None where it did not complete.
    """

    study_name: str
    objectives: tuple[Objective, ...]
    numbers: np.ndarray
    values: np.ndarray
    best: tuple[int, ...]
    preferred: int | None
    default: int | None

    @property
    def sentence(self) -> str:
        """What the front holds, in a sentence."""
        if len(self.objectives) < 2:
            (name,) = (one.name for one in self.objectives)
            return f"Study {self.study_name!r} has one objective, {name}."
        if self.preferred is None:
            return f"Study {self.study_name!r} has no completed trial that keeps its constraints."
        found = self._told(self.preferred)
        raced = "" if self.preferred in self.best else ", which won the race"
        sentence = (
            f"{len(self.best)} of {len(self.numbers)} trials are best in some way; to be taken is"
            f" trial {self.numbers[self.preferred]}{raced} ({found})"
        )
        if self.default is None:
            return f"{sentence}."
        return f"{sentence}; the defaults have {self._told(self.default)}."

    def _told(self, row: int) -> str:
        pairs = zip(self.objectives, self.values[row], strict=True)
        return ", ".join(f"{one.name} {value:.4g}" for one, value in pairs)


def collect_front(study: optuna.Study, prefer: str | None = None) -> Front:
    """The front of a study.

    Args:
        study: with one objective or several.
        prefer: which trial to take, as the setting has it; None: as the study was asked.

    Raises:
        InputError: when `prefer` can't be read.
    """
    trials = completed(study)
    known = objectives_shown(study)
    rows = {t.number: row for row, t in enumerate(trials)}
    taken = preferred(study, prefer)
    return Front(
        study_name=study.study_name,
        objectives=known,
        numbers=np.array([t.number for t in trials], dtype=int),
        values=np.array([t.values for t in trials], dtype=float).reshape(len(trials), len(known)),
        best=tuple(rows[t.number] for t in front(study)),
        preferred=None if taken is None else rows[taken.number],
        default=rows.get(0),
    )


def draw_front(found: Front) -> Figure:
    """The first objective against each other one: all trials, the front, what is to be taken."""
    n = max(1, len(found.objectives) - 1)
    figure, axes = panels(1, n, width=4.6 * n + 1.4, height=3.6)
    if len(found.objectives) < 2 or found.preferred is None:
        say(axes[0, 0], found.sentence)
        return figure
    first = found.values[:, 0]
    rows = np.array(found.best)
    for place, ax in enumerate(axes[0], start=1):
        other = found.values[:, place]
        ax.scatter(other, first, s=16, color=SKY, label="trial")
        line = rows[np.argsort(other[rows])]
        ax.plot(other[line], first[line], "o-", color=BLUE, markersize=5, lw=1, label="front")
        if found.default is not None:
            row = found.default
            ax.plot(other[row], first[row], "D", color=BLACK, markersize=6, label="defaults")
        row = found.preferred
        ax.plot(other[row], first[row], "*", color=VERMILLION, markersize=13, label="to be taken")
        ax.set(xlabel=found.objectives[place].label, ylabel=found.objectives[0].label)
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    figure.suptitle(f"{found.study_name}: {len(found.numbers)} trials", fontsize=10)
    return figure


def front_table(found: Front) -> pd.DataFrame:
    """A row for each trial of the front, and one for the defaults."""
    rows = [*found.best]
    if found.default is not None and found.default not in rows:
        rows.append(found.default)
    return pd.DataFrame(
        [
            {
                "trial": int(found.numbers[row]),
                **{
                    one.label: float(f"{value:.4g}")
                    for one, value in zip(found.objectives, found.values[row], strict=True)
                },
                "": "to be taken"
                if row == found.preferred
                else "defaults"
                if row == found.default
                else "",
            }
            for row in rows
        ]
    )
