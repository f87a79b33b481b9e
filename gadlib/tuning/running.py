"""A trial under way: which of its samples are there, and which may be searched next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from gadlib.molecules.starting_points import Start
from gadlib.screening.jobs import Job
from gadlib.screening.records import Record
from gadlib.screening.setup import identity_of
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning.choices import STARTS
from gadlib.tuning.rungs import Ladder

FAIR_S = 5.0
"""In which a sample is done or, where none is, the trial counts as stalled."""


@dataclass(frozen=True)
class Way:
    """How the samples of a trial are searched, by the words that it chose.

    Attributes:
        settings: the study's, with these words.
        identity: what they say that results depend on.
        samples: where the searches begin.
    """

    settings: TuneSettings
    identity: dict[str, Any]
    samples: tuple[Start, ...]


@dataclass
class Ways:
    """The ways in which the trials of a study may be searched.

    Attributes:
        settings: of the study.
        samples: where the searches begin.
        others: where they begin from other recipes that a trial may choose, in the same order.
    """

    settings: TuneSettings
    samples: Sequence[Start]
    others: Mapping[str, Sequence[Start]]
    _known: dict[str, Way] = field(default_factory=dict)

    def of(self, chosen: Mapping[str, str]) -> Way:
        """That of a trial that chose these words of settings."""
        name = str(sorted(chosen.items()))
        if name not in self._known:
            settings = self.settings.model_copy(update=dict(chosen))
            identity = identity_of(settings, without=("starts", "hyperparameters"))
            samples = self.others.get(chosen.get(STARTS, ""), self.samples)
            self._known[name] = Way(settings, identity, tuple(samples))
        return self._known[name]


@dataclass
class Running:
    """A trial of this worker, with the records of its samples by their places.

    Attributes:
        ladder: the rungs where it is compared with others; level: which one it climbs to.
        given: the places that processes have been given on the way there.
    """

    trial: Trial
    hyperparameters: Hyperparameters
    way: Way
    ladder: Ladder
    level: int = 0
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
        return all(map(self._is_there, self.ladder.places(self.level)))

    @property
    def is_complete(self) -> bool:
        """Whether all samples are there, searched to their ends."""
        return all(i in self.found and not self._rests(i) for i in range(self.ladder.n_samples))

    def climb(self, level: int) -> None:
        """On to that level, for which samples that rest are searched on."""
        self.level = level
        self.given = {i for i in self.given if not self._rests(i)}

    def next_places(self, size: int) -> list[int]:
        """The places of samples to search next."""
        allowed = self.ladder.places(self.level)
        return [i for i in allowed if i not in self.given and not self._is_there(i)][:size]

    def _rests(self, place: int) -> bool:
        return place in self.found and self.found[place].status == Status.RESTING

    def _is_there(self, place: int) -> bool:
        """Whether a sample has been searched as far as the trial may go now."""
        after = self.ladder.rest_after(self.level)
        is_as_far = after is not None and place in self.found and self.found[place].steps >= after
        return place in self.found and (is_as_far or not self._rests(place))


@dataclass(frozen=True)
class RestFolder:
    """Where samples of trials rest until these go on; nowhere where no folder is given."""

    folder: Path | None = None

    def resting(self, job: Job, this: Running) -> Job:
        """The job of a trial, in which samples rest on the way up, and go on from a rest."""
        if self.folder is None:
            return job
        number, places = job.tag
        files = tuple(self.folder / f"{number}_{place}" for place in places)
        return replace(job, rest_after=this.ladder.rest_after(this.level), rest_files=files)

    def forget(self, number: int) -> None:
        """Remove what rested of a trial that has ended."""
        for file in self.folder.glob(f"{number}_*") if self.folder else ():
            file.unlink(missing_ok=True)


@dataclass
class Waiting:
    """The jobs that a function gives; one that has none now may have some when others have ended.

    Attributes:
        next_job: the next one, None where there is none now.
    """

    next_job: Callable[[], Job | None]

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        if (job := self.next_job()) is None:
            raise StopIteration
        return job
