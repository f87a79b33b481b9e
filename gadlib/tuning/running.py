"""A trial under way: which of its samples are there, and which may be searched next."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from optuna.trial import Trial

from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import Hyperparameters

FAIR_S = 5.0
"""In which a sample is done or, where none is, the trial counts as stalled."""


@dataclass
class Running:
    """A trial of this worker, with the records of its samples by their places.

    Attributes:
        allowed: how many of its samples may be searched before it is compared with others.
        given: the places that processes have been given.
    """

    trial: Trial
    hyperparameters: Hyperparameters
    allowed: int
    found: dict[int, Record] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    n_cached: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def is_stalled(self) -> bool:
        """Whether no sample was done in a fair time."""
        return len(self.found) == self.n_cached and time.monotonic() - self.began > FAIR_S

    @property
    def is_at_rung(self) -> bool:
        """Whether all samples that were allowed are there."""
        return all(place in self.found for place in range(self.allowed))

    def next_places(self, size: int) -> list[int]:
        """The places of samples to search next, the hardest first."""
        missing = [i for i in range(self.allowed) if i not in self.found and i not in self.given]
        return missing[:size]
