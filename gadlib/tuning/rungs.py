"""Rungs: after how many samples, or after how many steps of each, trials are compared.

Rungs of samples are spread over all of them, which come the hardest first: of the hardest ones
alone hardly a trial solves any, and all are alike. Rungs of steps let all samples of a trial rest
after so many steps (`solver.resting`). Those of a trial that goes on go on from there; what a
search has spent is never spent again.

Reference: asynchronous successive halving, Li et al., MLSys 2020 (arXiv:1810.05934).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from optuna.trial import FrozenTrial

from gadlib.screening.records import Record
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status

ETA = 3
"""The share of trials that goes on from a rung is one in this many (Li et al. take 3 or 4)."""

LEAST = {"samples": 2, "steps": 10}
"""Of the first rung at least: one sample says little, nor does a search that has hardly begun."""

MOST_RUNGS = {"samples": 9, "steps": 2}
"""Of a trial; below a ninth of the steps hardly a search has ended, and all trials are alike."""

_RUNG = "rung_"


_FIRST = "first samples"  # of studies made before, whose rungs were of the hardest ones


class Rung(NamedTuple):
    """Where trials are compared.

    Attributes:
        size: so many samples, or so many steps of all of them.
        of: `samples` or `steps`.
    """

    size: int
    of: str = "samples"

    @property
    def name(self) -> str:
        """The attribute of a trial with its values there."""
        return f"{_RUNG}{self.size}" + ("" if self.of == _FIRST else f"_{self.of}")

    def __str__(self) -> str:
        """As in `5 samples`."""
        return f"{self.size} {self.of}"


def rungs_below(whole: int, of: str) -> tuple[Rung, ...]:
    """The rungs of so many samples or steps, the whole number not among them, the first one first.

    Each is a third of the next.
    """
    found: list[Rung] = []
    size = whole
    while (fewer := -(-size // ETA)) >= LEAST[of] and fewer < size and len(found) < MOST_RUNGS[of]:
        found.insert(0, Rung(fewer, of))
        size = fewer
    return tuple(found)


def rungs_of(trial: FrozenTrial) -> list[Rung]:
    """The rungs that a trial has come to, the first one first."""
    found = []
    for name in trial.user_attrs:
        size, _, of = name.removeprefix(_RUNG).partition("_")
        if name.startswith(_RUNG) and size.isdecimal() and of in ("", *LEAST):
            found.append(Rung(int(size), of or _FIRST))
    return sorted(found)


def spread(n: int) -> list[int]:
    """All places from 0 to n - 1, of which the first ones are spread evenly, however many.

    Van der Corput's sequence, whose base is `ETA`: Niederreiter, Random Number Generation and
    Quasi-Monte Carlo Methods, SIAM (1992), doi:10.1137/1.9781611970081, chapter 3.
    """
    found: dict[int, None] = {}
    k = 0
    while len(found) < n:
        share, digit, rest = 1 / (2 * ETA), 1.0, k
        while rest:
            digit /= ETA
            share += digit * (rest % ETA)
            rest //= ETA
        found.setdefault(int(n * (share % 1.0)))
        k += 1
    return [*found]


@dataclass(frozen=True)
class Ladder:
    """The rungs of the trials of a study, by their levels from 0; above the last all is searched.

    Attributes:
        rungs: the first one first.
        n_scored: samples that trials are scored by, the first ones.
        n_samples: with those that are searched when all others are done.
    """

    rungs: tuple[Rung, ...]
    n_scored: int
    n_samples: int

    @classmethod
    def of(cls, settings: TuneSettings, n_scored: int, n_samples: int) -> Ladder:
        """That of a study, by how its trials end early; without rungs where they end otherwise."""
        n_steps = settings.n_steps_per_sample
        whole = {"halving": (n_scored, "samples"), "halving_steps": (n_steps, "steps")}
        way = whole.get(settings.pruning)
        return cls(() if way is None else rungs_below(*way), n_scored, n_samples)

    @property
    def rests(self) -> bool:
        """Whether samples rest on the way up."""
        return any(rung.of == "steps" for rung in self.rungs)

    def rung(self, level: int) -> Rung | None:
        """The rung that a trial climbs to; None above the last."""
        return self.rungs[level] if level < len(self.rungs) else None

    def places(self, level: int) -> list[int]:
        """The places of the samples that are searched before a trial is compared."""
        rung = self.rung(level)
        if rung is None:
            return [*range(self.n_samples)]
        return self._at(rung)

    def _at(self, rung: Rung) -> list[int]:
        whole = [*range(self.n_scored)]
        return whole if rung.of == "steps" else spread(self.n_scored)[: rung.size]

    def rest_after(self, level: int) -> int | None:
        """After how many steps samples rest; None: they are searched to their ends."""
        rung = self.rung(level)
        return rung.size if rung is not None and rung.of == "steps" else None

    def at(self, rung: Rung, records: Mapping[int, Record] | Sequence[Record]) -> list[Record]:
        """The records, by their places, as they were when their trial stood at the rung."""
        part = [records[i] for i in self._at(rung)]
        return part if rung.of == "samples" else [as_of(record, rung.size) for record in part]


def as_of(record: Record, n_steps: int) -> Record:
    """The record as it was after so many steps.

    A search that had not ended met nothing by then. What it had cost is known of none that went on,
    so that it counts as none for all, and as what a score takes for a search that meets nothing.
    """
    if record.steps <= n_steps and record.status != Status.RESTING:
        return record
    return replace(
        record,
        status=Status.RESTING,
        converged=False,
        near=None if record.near is None else False,
        criteria=dict.fromkeys(record.criteria, False),
        steps=n_steps,
        n_gradient=0,
        n_hessian=0,
        elapsed_s=record.elapsed_s * n_steps / max(record.steps, n_steps),
    )
