"""How a race of a study's trials has ended, as the study keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from gadlib.tuning.front import RACE, completed, race_kept

RACING = "racing"
"""The attribute of a study that says how far its race has come."""


@dataclass(frozen=True)
class Race:
    """How a race ended.

    Attributes:
        winner: the number of the trial that is to be taken.
        samples: names of the reactions, in the order in which they were searched.
        n_searched: of each candidate by its number how many of them; those that left have fewer.
        scores: of each candidate, by objective, its mean over the samples that it has.
        win_share: how often the winner would be the best one if the samples were drawn again.
        gain: by objective the difference of the winner to the defaults, positive where the winner
            is better: mean and 95 % interval, of the reactions that the defaults were searched on.
        n_completed: completed trials of the study when it was held.
    """

    winner: int
    samples: list[str]
    n_searched: dict[str, int]
    scores: dict[str, dict[str, float]]
    win_share: float
    gain: dict[str, list[float]]
    n_completed: int = 0

    @property
    def n_of_defaults(self) -> int:
        """How many of the reactions the defaults were searched on; all where they did not race."""
        return self.n_searched.get("0", len(self.samples))

    @property
    def sentence(self) -> str:
        """How it ended, in a sentence."""
        n = len(self.samples)
        shares = ", ".join(
            f"{name} {mean:+.3g} ({low:+.3g} to {high:+.3g})"
            for name, (mean, low, high) in self.gain.items()
        )
        told = (
            f"Of {len(self.scores)} candidates trial {self.winner} wins the race on {n} reactions"
        )
        again = f"it would win {100 * self.win_share:.0f} % of races on others like them"
        if self.winner == 0:
            return f"{told}: the defaults; {again}."
        if self.n_of_defaults < n:
            again += f"; the defaults left it after {self.n_of_defaults}"
        return f"{told}; {again}. Gain over the defaults, 95 % interval: {shares}."


def race_of(study: optuna.Study) -> Race | None:
    """The race on the trials that the study has now; None where none was held."""
    kept = race_kept(study)
    return None if kept is None else Race(**kept)


@dataclass(frozen=True)
class UnderWay:
    """How far a race has come.

    Attributes:
        n_samples: reactions of the race.
        n_searched: of each candidate by its number how many of them.
        left: the numbers of those that have left.
        n_completed: completed trials of the study when it began.
        samples: names of the reactions, in their order; none of one that began in a version before.
    """

    n_samples: int
    n_searched: dict[str, int]
    left: list[int]
    n_completed: int
    samples: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """How far it has come, in a few words."""
        n = sum(self.n_searched.values())
        staying = len(self.n_searched) - len(self.left)
        most = n + sum(
            self.n_samples - done
            for number, done in self.n_searched.items()
            if int(number) not in self.left
        )
        still = f"{staying} of {len(self.n_searched)} candidates"
        return f"{n} of at most {most} searches done, {still} still in it"


def race_under_way(study: optuna.Study) -> UnderWay | None:
    """How far the race on the trials that the study has now has come; None where none began."""
    kept = study.user_attrs.get(RACING)
    if not isinstance(kept, Mapping) or kept.get("n_completed") != len(completed(study)):
        return None
    return UnderWay(**kept)


def raced_names(attributes: Mapping[str, Any]) -> list[str]:
    """The names of the reactions of the last race that a study began, by its attributes."""
    for name in (RACING, RACE):
        kept = attributes.get(name)
        if isinstance(kept, Mapping) and kept.get("samples"):
            return list(kept["samples"])
    return []
