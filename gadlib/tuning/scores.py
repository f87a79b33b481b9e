"""What a trial is worth: its records by each objective, and what is still possible of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gadlib.molecules.recipes import in_turn
from gadlib.molecules.starting_points import Start
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record, judged
from gadlib.screening.references import Key, deviation, is_recovered, key_of
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.objectives import STEP_WEIGHT, Objective
from gadlib.solver.state import Status

RECOVERED = "recovered"
"""What a record's criteria name besides, where it was compared with the reaction's own saddle."""


def convergence_rate(records: Sequence[Record]) -> float:
    """The share of the searches that converged."""
    return sum(r.converged for r in records) / len(records)


def mean_steps(records: Sequence[Record], n_steps: int) -> float:
    """The mean steps of the searches that converged; the budget where none did."""
    steps = [r.steps for r in records if r.converged] or [budget(r, n_steps) for r in records]
    return sum(steps) / len(steps)


def budget(record: Record, n_steps: int) -> int:
    """The steps that might be made of a reaction: those of a search from each start that it has."""
    return n_steps * len(in_turn(record.start))


def _published(records: Sequence[Record], n_steps: int) -> float:
    return convergence_rate(records) - STEP_WEIGHT * mean_steps(records, n_steps) / n_steps


def _share(is_met: Callable[[Record], bool]) -> Callable[[Sequence[Record], int], float]:
    return lambda records, _: sum(map(is_met, records)) / len(records)


def _mean(cost: Callable[[Record, int], float]) -> Callable[[Sequence[Record], int], float]:
    return lambda records, n_steps: sum(cost(r, n_steps) for r in records) / len(records)


def _steps(record: Record, n_steps: int) -> float:
    return record.steps if record.converged else budget(record, n_steps)


def _gradients(record: Record, n_steps: int) -> float:
    own = gradients_of(record)
    return own if record.converged else max(own, budget(record, n_steps))


SCORES: dict[str, Callable[[Sequence[Record], int], float]] = {
    "converged": _published,
    **{name: _share(lambda r, name=name: r.meets(name)) for name in CRITERIA},
    "near": _share(lambda r: bool(r.near)),
    "recovered": _share(lambda r: r.meets(RECOVERED)),
    "steps": _mean(_steps),
    "gradients": _mean(_gradients),
    "seconds": _mean(lambda r, _: r.elapsed_s),
}
"""Of all records of a trial and the steps that each search might make, by objective.

A sample that meets all at once, without a call, must make no score worse: that is how
`best_possible` tells which trials can't be among the best any more.
"""


@dataclass(frozen=True)
class Outcome:
    """What a trial found on its samples.

    Attributes:
        rates: the share of the samples that meet each criterion that was judged.
        mean_steps: of the samples that converged; the budget where none did.
        scores: by every objective that the samples can be judged by.
        values: by the objectives of the study, in their order.
    """

    convergence_rate: float
    rates: Mapping[str, float]
    mean_steps: float
    scores: Mapping[str, float]
    values: tuple[float, ...]
    n_converged: int
    n_samples: int

    def attributes(self) -> dict[str, Any]:
        """The outcome as a trial's attributes, a rate of each criterion by its name."""
        named = ("convergence_rate", "mean_steps", "n_converged", "n_samples")
        found: dict[str, Any] = {name: getattr(self, name) for name in named}
        found |= {f"{name}_rate": rate for name, rate in self.rates.items()}
        if len(self.values) == 1:
            found["score"] = self.values[0]
        return found | {"scores": dict(self.scores)}


def outcome(records: Sequence[Record], n_steps: int, objectives: Sequence[Objective]) -> Outcome:
    """The outcome of a trial from the records of its samples."""
    n = len(records)
    known = {name: SCORES[name](records, n_steps) for name in _judgeable(records)}
    return Outcome(
        convergence_rate=convergence_rate(records),
        rates={name: sum(r.meets(name) for r in records) / n for name in judged(records)},
        mean_steps=mean_steps(records, n_steps),
        scores=known,
        values=values(records, n_steps, objectives),
        n_converged=sum(r.converged for r in records),
        n_samples=n,
    )


def values(
    records: Sequence[Record], n_steps: int, objectives: Sequence[Objective]
) -> tuple[float, ...]:
    """What the records are worth by each objective."""
    return tuple(SCORES[one.name](records, n_steps) for one in objectives)


def best_possible(
    records: Sequence[Record], n_samples: int, n_steps: int, objectives: Sequence[Objective]
) -> tuple[float, ...]:
    """The values when every sample that is still missing is met at once: none are better."""
    missing = n_samples - len(records)
    return values([*records, *[_AT_ONCE] * missing], n_steps, objectives)


def is_matched(
    found: Sequence[float], others: Sequence[Sequence[float]], objectives: Sequence[Objective]
) -> bool:
    """Whether one of the others is at least as good by each objective."""
    if not len(others):
        return False
    signs = np.array([-1.0 if one.is_cost else 1.0 for one in objectives])
    return bool((signs * np.array(others) >= signs * np.array(found)).all(axis=1).any())


def compared(record: Record, references: Mapping[Key, Record]) -> Record:
    """The record, and in its criteria whether it ended at the reaction's own saddle, if known."""
    found = is_recovered(record, deviation(record, references.get(key_of(record))))
    if found is None:
        return record
    return replace(record, criteria={**record.criteria, RECOVERED: found})


def _judgeable(records: Sequence[Record]) -> tuple[str, ...]:
    told = set(judged(records))
    if any(r.near is not None for r in records):
        told.add("near")
    if any(RECOVERED in r.criteria for r in records):
        told.add("recovered")
    known = set(CRITERIA) | {"near", "recovered"}
    return tuple(name for name in SCORES if name not in known or name in told)


_NOWHERE = Start("", "", "", "", None, np.zeros(0, np.int64), np.zeros((0, 3)), 1)
_AT_ONCE = replace(
    Record.blank(_NOWHERE, Status.SADDLE, ""),
    converged=True,
    near=True,
    criteria={**dict.fromkeys(CRITERIA, True), RECOVERED: True},
)

_SUMMARY = (
    *("name", "status", "converged", "criteria", "near", "steps", "escapes", "fmax", "n_gradient"),
    *("n_hessian", "n_path_gradient", "n_path_hessian", "message"),
)


def sample_summary(record: Record) -> dict[str, Any]:
    """What a study keeps of one sample of one trial; a message only where something failed."""
    kept = {name: getattr(record, name) for name in _SUMMARY}
    if record.status in (Status.SADDLE, Status.ORDER_ONE, Status.OUT_OF_STEPS):
        del kept["message"]
    return kept
