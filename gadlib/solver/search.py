"""The one loop: begin, judge, step, and let finished systems go.

`search` knows neither how to step (that is the step rule's: `gad`, `trust`) nor what success is
(that is `criteria`). It keeps the batch full: finished systems make room for waiting ones, which
enter in groups, since to begin is costly and cheaper together; and it keeps the batch as narrow as
the widest molecule left. It is a generator, so that plots, logs and progress bars are the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.molecules.bonds import n_fragments
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.criteria import Verdict, judge
from gadlib.solver.proof import confirm, prove
from gadlib.solver.rules import rule_for
from gadlib.solver.state import APART, State, Status
from gadlib.systems.batch import Batch
from gadlib.systems.rows import concatenate, narrow, put, take

_GROUPS = 5
"""In which a batch is renewed: waiting systems enter when a fifth of it is free. Groups of other
sizes were no faster."""


class Frame(NamedTuple):
    """One moment of a search: the active systems, how they stand, and which of them are done.

    Its tensors were made in PyTorch's inference mode: clone them to change or differentiate them.
    """

    state: State
    verdict: Verdict
    status: tuple[Status, ...]

    @property
    def is_done(self) -> list[int]:
        """The rows of the systems that have ended with this frame."""
        return [i for i, status in enumerate(self.status) if status is not Status.RUNNING]


def search(
    calculator: Calculator,
    batch: Batch,
    hyperparameters: Hyperparameters,
    *,
    criterion: str = "index1",
    n_steps: int = 800,
    max_fragments: Int[Tensor, " B"] | None = None,
    wanted: Aim | None = None,
    capacity: int = 32,
) -> Iterator[Frame]:
    """Frames of a search from every system of the batch, until each has ended.

    The first frame holds the starting points. A system is in the frames until the one that says how
    it ended, at most `n_steps` moves later; `frame.state.index` tells which system of the batch
    each row is. Breaking off the iteration is safe at any frame.

    Args:
        calculator: the potential.
        batch: starting points; at most `capacity` of them are searched at a time, in their order.
        hyperparameters: of the step rule to use; their class names the solver.
        criterion: which one ends a search; all are judged in every frame.
        n_steps: moves after which a search ends without success, at the last strict saddle that it
            met if there was one, else where it is.
        max_fragments: for `bound`, the fragments of the references; by default those of the
            starting points.
        wanted: aims, of which the climbed mode is to have most (`mode_following`); by default the
            lowest mode is climbed.
        capacity: how many systems step together; when a fifth of them have ended, others enter.

    Raises:
        ValueError: when the criterion or the solver is unknown or a number is not positive.
    """
    _require(criterion, n_steps, capacity)
    allowed = n_fragments(batch) if max_fragments is None else torch.as_tensor(max_fragments)
    under_way = _Search(
        calculator,
        hyperparameters,
        Goal(criterion, n_steps, allowed.to(batch.positions.device)),
        capacity,
        batch,
        wanted,
    )
    while under_way.is_open:
        yield under_way.next_frame()
        under_way.let_go()


@dataclass(frozen=True)
class Goal:
    """What ends the searches: the criterion, the steps, and the fragments of each reference."""

    criterion: str
    n_steps: int
    max_fragments: Int[Tensor, " S"]

    def frame(self, state: State) -> Frame:
        """How the active systems stand."""
        verdict = judge(state, self.max_fragments[state.index])
        return Frame(state, verdict, _status(state, verdict, self.criterion, self.n_steps))


class _Search:
    """A search under way: the systems that wait, those that step, the saddles put aside."""

    def __init__(
        self,
        calculator: Calculator,
        hyperparameters: Hyperparameters,
        goal: Goal,
        capacity: int,
        batch: Batch,
        wanted: Aim | None,
    ) -> None:
        self.rule = rule_for(hyperparameters, goal.criterion)
        self.calculator, self.hyperparameters, self.goal = calculator, hyperparameters, goal
        self.capacity, self.batch, self.wanted = capacity, batch, wanted
        self.waiting = torch.arange(len(batch), device=batch.positions.device)
        self.active: State | None = None
        self.kept: dict[int, State] = {}
        self.status: tuple[Status, ...] = ()
        self.n_frames = 0
        self.started = time.perf_counter()

    @property
    def is_open(self) -> bool:
        """Whether there is a system left whose search has not ended."""
        return self.active is not None or len(self.waiting) > 0

    def next_frame(self) -> Frame:
        """The frame after a step of the active systems, with those that entered."""
        called = 0.0 if self.active is None else float(self.active.cost.calculator_s.sum())
        with torch.inference_mode():  # autograd is the calculators' alone, and costs time
            active = self._enter(self._step())
        frame = self.goal.frame(active)
        _keep_strict(self.kept, frame, self.goal.criterion)
        state = _give_back(self.kept, active, frame.status)
        with torch.inference_mode():
            state = _conclude(self.calculator, state, frame)
        if state is not active:
            frame = self.goal.frame(state)
        called = float(state.cost.calculator_s.sum()) - called
        seconds = (time.perf_counter() - self.started - called) / len(state.batch)
        self.active = replace(state, cost=state.cost.plus(own_s=seconds))
        self.status = frame.status
        return frame._replace(state=self.active)

    def _step(self) -> State | None:
        """The active systems one step on."""
        if self.active is None:
            self.n_frames = 0
            return None
        self.n_frames += 1
        stepped = self.rule.step(self.calculator, self.active, self.hyperparameters)
        return _take_back(self.active, stepped)

    def _enter(self, active: State | None) -> State:
        """The active systems with waiting ones, where there is room for a group of them."""
        room = self.capacity - (0 if active is None else len(active.batch))
        is_group = room >= max(1, self.capacity // _GROUPS) and self.n_frames % APART == 0
        if active is not None and not (len(self.waiting) and is_group):
            return active
        new, self.waiting = self.waiting[:room], self.waiting[room:]
        entered = self.rule.init(self.calculator, self.batch.take(new), self.hyperparameters)
        entered = replace(entered, index=new, max_fragments=self.goal.max_fragments[new])
        if self.wanted is not None:
            entered = replace(entered, wanted=take(self.wanted, new))
        return entered if active is None else concatenate([active, entered])

    def let_go(self) -> None:
        """Systems that have ended leave, and the batch is cut to the widest molecule left."""
        self.started = time.perf_counter()  # what the caller did is not the search's
        assert self.active is not None
        rows = [i for i, status in enumerate(self.status) if status is Status.RUNNING]
        if len(rows) == len(self.status):
            return
        device = self.batch.positions.device
        self.active = take(self.active, torch.tensor(rows, device=device)) if rows else None
        open_ = self.waiting
        if self.active is not None:
            open_ = torch.cat([self.active.index, open_])
        width = int(self.batch.n_atoms[open_].max()) if len(open_) else 0
        if 0 < width < self.batch.positions.shape[1]:  # padding costs time
            self.batch, self.wanted = narrow(self.batch, width), narrow(self.wanted, width)
            self.active = narrow(self.active, width)


def _require(criterion: str, n_steps: int, capacity: int) -> None:
    if criterion not in CRITERIA:
        raise ValueError(f"criterion {criterion!r}: expected one of {', '.join(CRITERIA)}")
    if n_steps < 0 or capacity < 1:
        raise ValueError(
            f"n_steps {n_steps}, capacity {capacity}: expected n_steps >= 0 and capacity >= 1"
        )


def _keep_strict(kept: dict[int, State], frame: Frame, criterion: str) -> None:
    """The latest strict saddle of each system that it does not suffice is put aside."""
    state, verdict = frame.state, frame.verdict
    for i in (verdict.meets("strict") & ~verdict.meets(criterion)).nonzero().flatten().tolist():
        kept[int(state.index[i])] = take(state, torch.tensor([i], device=state.index.device))


def _give_back(kept: dict[int, State], state: State, status: tuple[Status, ...]) -> State:
    """The state with systems out of steps put back to the strict saddle that they met on the way.

    What it cost and tried, to the last step, stays; only the place is the kept one.
    """
    for i, ending in enumerate(status):
        best = kept.pop(int(state.index[i]), None) if ending is not Status.RUNNING else None
        if best is None or ending.is_met:
            continue
        now = take(state, torch.tensor([i], device=state.index.device))
        spent = {name: getattr(now, name) for name in (*_SPENT, "tries")}
        row = narrow(replace(best, **spent), state.batch.positions.shape[1])
        state = concatenate([state, row])
        place = torch.arange(len(state.batch) - 1, device=state.index.device)
        place[i] = len(state.batch) - 1
        state = take(state, place)
    return state


_SPENT = ("steps", "escapes", "cost")
"""What a search has spent; it stays spent wherever the search is put back to."""


def _take_back(before: State, after: State) -> State:
    """The state after a step; where the calculator failed there, the one before it.

    What it cost stays. The next step will be half as long (`State.rejected`); a search ends, with
    the calculator's reason, when that has not helped some times running.
    """
    if not any(after.message):
        return after if not after.rejected.any() else replace(after, rejected=0 * after.rejected)
    is_failed = torch.tensor([bool(text) for text in after.message], device=after.index.device)
    after = replace(after, rejected=torch.where(is_failed, after.rejected + 1, 0))
    hopeless = (after.rejected > MAX_REJECTED).tolist()
    reasons = tuple(text if end else "" for text, end in zip(after.message, hopeless, strict=True))
    spent = {name: getattr(after, name) for name in (*_SPENT, "rejected")}
    rows = is_failed.nonzero().flatten()
    return put(after, rows, lambda _: take(replace(before, **spent, message=reasons), rows))


MAX_REJECTED = 4
"""Steps in a row that are taken back; the last one is a sixteenth of the first that failed."""


def _conclude(calculator: Calculator, state: State, frame: Frame) -> State:
    """The state with what is to be known of the points where searches have ended."""
    if not (rows := frame.is_done):
        return state
    is_ended = torch.zeros_like(state.is_exact)
    is_ended[rows] = True
    state = prove(calculator, state, is_ended)
    is_claimed = is_ended & judge(state, frame.verdict.max_fragments).meets("strict")
    return confirm(calculator, state, is_claimed)


def _status(state: State, verdict: Verdict, criterion: str, n_steps: int) -> tuple[Status, ...]:
    met, steps = verdict.meets(criterion), state.steps
    is_any = (met | (steps >= n_steps)).any() or any(state.message) or any(state.doubt)
    if not is_any:
        return (Status.RUNNING,) * len(steps)

    def of(message: str, doubt: str, is_met: bool, is_strict: bool, steps: int) -> Status:
        if is_met:
            return Status.SADDLE if is_strict else Status.ORDER_ONE
        if message:
            return Status.CALCULATOR_FAILED if steps else Status.BAD_START
        if steps >= n_steps:
            return Status.OUT_OF_STEPS
        return Status.STOPPED if doubt else Status.RUNNING

    strict = verdict.meets("strict").tolist()
    rows = zip(state.message, state.doubt, met.tolist(), strict, steps.tolist(), strict=True)
    return tuple(of(*row) for row in rows)
