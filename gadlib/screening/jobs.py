"""Searches that run together in this process, and the Record that each of them leaves.

It knows neither files (`screen`) nor other processes (`processes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from gadlib.evaluation import Calculator
from gadlib.molecules.starting_points import Start, problem_of
from gadlib.molecules.unshaken import unshaken
from gadlib.progress import signs_of_life
from gadlib.screening.ended import record_of
from gadlib.screening.ends import Followed, downhill_of, mark_without_ends
from gadlib.screening.nearness import from_start
from gadlib.screening.portfolios import search_in_turn
from gadlib.screening.records import Record
from gadlib.screening.resting import RestFiles
from gadlib.screening.setup import calculator_of, hyperparameters_of, paired
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.searches import SearchSettings
from gadlib.solver.asking import Accept
from gadlib.solver.goal import Frame
from gadlib.solver.mode_following import read_aim, stack
from gadlib.solver.resting import Rests
from gadlib.solver.search import search
from gadlib.solver.state import State, Status
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Job:
    """Searches that run together in one process; `tag` comes back with their records.

    At most `capacity` of them step together, all where it is None; as some end, others enter.
    `mode` tells which mode is climbed first (`mode_following`), `check_ends` whether bound saddles
    are followed downhill. After `rest_after` steps searches rest, each in a file of `rest_files`,
    from which it goes on where that is there.
    """

    calculator: Calculator
    starts: tuple[Start, ...]
    hyperparameters: Hyperparameters
    criterion: str
    n_steps: int
    tag: Any = None
    capacity: int | None = None
    mode: str = "lowest"
    check_ends: bool = False
    rest_after: int | None = None
    rest_files: tuple[Path, ...] = ()

    def part(self, places: Sequence[int]) -> Job:
        """The job of some of the starts."""
        files = tuple(self.rest_files[i] for i in places) if self.rest_files else ()
        return replace(self, starts=tuple(self.starts[i] for i in places), rest_files=files)

    @classmethod
    def of(
        cls,
        settings: SearchSettings,
        starts: Sequence[Start],
        calculator: Calculator | None = None,
        hyperparameters: Hyperparameters | None = None,
        *,
        tag: Any = None,
    ) -> Job:
        """The searches from these starts, done as the settings ask.

        Args:
            settings: of a run.
            starts: where the searches begin.
            calculator: by default the one that the settings name.
            hyperparameters: by default those that the settings name.
            tag: comes back with the records.

        Raises:
            InputError: when the settings can't be followed.
        """
        starts = [_limited(start, settings.max_fragments) for start in starts]
        return cls(
            calculator_of(settings, starts)
            if calculator is None
            else paired(settings, starts, calculator),
            tuple(starts),
            hyperparameters_of(settings) if hyperparameters is None else hyperparameters,
            settings.criterion,
            settings.n_steps_per_sample,
            tag=tag,
            capacity=settings.batch_size,
            mode=settings.mode,
            check_ends=settings.check_ends,
        )


def _limited(start: Start, max_fragments: int | None) -> Start:
    """The start, at which a saddle may be in so many pieces; None leaves what was counted."""
    return start if max_fragments is None else replace(start, max_fragments=max_fragments)


def search_starts(
    job: Job,
    *,
    on_frame: Callable[[Frame], None] | None = None,
    is_enough: Callable[[Frame], bool] | None = None,
) -> list[Record]:
    """One record per start, in their order, computed in this process."""
    found = dict(search_each(job, on_frame=on_frame, is_enough=is_enough))
    return [found[place] for place in range(len(job.starts))]


def search_each(
    job: Job,
    *,
    on_frame: Callable[[Frame], None] | None = None,
    is_enough: Callable[[Frame], bool] | None = None,
) -> Iterator[tuple[int, Record]]:
    """The place of each start and its record, as the searches end, computed in this process.

    A start that no search can begin at (unreadable, without a saddle, with atoms closer than the
    solver takes) is a record at once; the calculator never sees it. Of a portfolio all starts are
    searched from in turn, until a search meets the criterion.

    Args:
        job: what to search.
        on_frame: called with every frame, for plots and logs, in which the searches of a portfolio
            are one.
        is_enough: says of a frame whether all that are under way are to stop there.
    """
    turns = _Turns(on_frame, is_enough)
    yield from search_in_turn(job, turns.search, is_over=lambda: turns.is_over)


@dataclass
class _Turns:
    """The searches of a job from one start each, turn after turn, and what lasts from turn to turn.

    Attributes:
        steps: made so far, by the places of the starts.
        saddles: that were followed so far; one that is found again is not followed again.
    """

    on_frame: Callable[[Frame], None] | None
    is_enough: Callable[[Frame], bool] | None
    is_over: bool = False
    steps: Counter[int] = field(default_factory=Counter)
    saddles: dict[int, list[Followed]] = field(default_factory=dict)

    def search(self, job: Job, places: Sequence[int]) -> Iterator[tuple[int, Record]]:
        """The place of each start in the job, and the record of its search.

        Args:
            job: of one start each.
            places: that these have in the whole.
        """
        sane = []
        for place, start in enumerate(mark_without_ends(job.criterion, job.starts)):
            if reason := problem_of(start, job.hyperparameters.closest_pair):
                message = f"{Status.BAD_START.sentence} {reason}"
                yield place, Record.blank(start, Status.BAD_START, message)
            else:
                sane.append(place)
        if not sane:
            return
        part = job.part(sane)
        resting = RestFiles(part.rest_files, part.rest_after)
        begun = resting.energy_start
        ends = downhill_of(job.calculator, part.starts, job.criterion, check_ends=job.check_ends)
        if ends is not None:
            ends.found = {i: self.saddles.setdefault(places[at], []) for i, at in enumerate(sane)}
        for frame in _frames(part, ends, resting.rests):
            begun |= _begun(frame.state)
            signs_of_life.stepped(int((frame.state.steps > 0).sum()), len(frame.status))
            if self.on_frame is not None:
                self.on_frame(self._whole(frame, [places[at] for at in sane]))
            self.is_over = self.is_enough is not None and self.is_enough(frame)
            frame = _stopped(frame) if self.is_over else frame
            if ends is not None:
                ends.see(frame.verdict, frame.is_done)
            for row in sorted([*frame.is_done, *frame.is_resting]):
                which = int(frame.state.index[row])
                start = part.starts[which]
                record = record_of(start, frame, row, job.criterion)
                record = record if ends is None else ends.told(record, which)
                record = replace(record, energy_start=begun.get(which))
                self.steps[places[sane[which]]] += record.steps
                yield sane[which], from_start(record, start)
            if self.is_over:
                return

    def _whole(self, frame: Frame, places: Sequence[int]) -> Frame:
        """The frame with the places in the whole, and all steps that were made from each.

        Args:
            frame: of the searches of a turn.
            places: that these have in the whole.
        """
        state = frame.state
        index = [places[i] for i in state.index.tolist()]
        before = [self.steps[place] for place in index]
        index, before = (torch.as_tensor(of, device=state.index.device) for of in (index, before))
        return frame._replace(state=replace(state, index=index, steps=state.steps + before))


def _stopped(frame: Frame) -> Frame:
    """The frame with which all searches end."""
    status = [Status.STOPPED if one is Status.RUNNING else one for one in frame.status]
    return frame._replace(status=tuple(status))


def _begun(state: State) -> dict[int, float]:
    """The energies (eV) of those that stand where they began, by their places."""
    rows = ((state.steps == 0) & state.is_computed).nonzero().flatten().tolist()
    return {int(state.index[row]): float(state.energy[row]) for row in rows}


def set_right(start: Start, mode: str) -> Start:
    """The start as its search begins at it: with an aim between known ends set right by these."""
    if mode != "reaction" or start.ends is None:
        return start
    place = unshaken(start.atomic_numbers, start.positions, start.ends)
    return replace(start, positions=place)


def _frames(job: Job, accept: Accept | None, rests: Rests) -> Iterator[Frame]:
    batch = Batch.of([set_right(start, job.mode) for start in job.starts])
    batch = batch.to(getattr(job.calculator, "device", batch.positions.device))
    aims = [read_aim(job.mode, s.atomic_numbers, s.positions, s.ends) for s in job.starts]
    directions = stack(aims, batch.positions.shape[1])
    return search(
        job.calculator,
        batch,
        job.hyperparameters,
        criterion=job.criterion,
        n_steps=job.n_steps,
        max_fragments=torch.tensor([s.max_fragments for s in job.starts]),
        wanted=None if directions is None else directions.to(batch.positions.device),
        capacity=job.capacity or len(job.starts),
        accept=accept,
        rests=rests,
    )
