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
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.molecules.bonds import n_fragments
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.asking import Accept, Asked
from gadlib.solver.criteria import Verdict, judge
from gadlib.solver.proof import confirm, prove
from gadlib.solver.put_back import give_back, keep_strict, take_back
from gadlib.solver.rules import rule_for
from gadlib.solver.state import APART, State, Status
from gadlib.systems.batch import Batch
from gadlib.systems.rows import concatenate, narrow, take

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
    accept: Accept | None = None,
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
        accept: for criteria that no point answers, as `intended`: asked of systems that have newly
            met the criterion below. From what it declines `trust` begins its next try; with a rule
            that can't leave a saddle the search stops there.

    Raises:
        ValueError: when the criterion or the solver is unknown or a number is not positive, or a
            criterion needs `accept`.
    """
    _require(criterion, n_steps, capacity)
    allowed = n_fragments(batch) if max_fragments is None else torch.as_tensor(max_fragments)
    under_way = _Search(
        calculator,
        hyperparameters,
        Goal(criterion, n_steps, allowed.to(batch.positions.device), Asked(criterion, accept)),
        capacity,
        batch,
        wanted,
    )
    while under_way.is_open:
        yield under_way.next_frame()
        under_way.let_go()


@dataclass(frozen=True)
class Goal:
    """What ends the searches: criterion, steps, fragments of each reference, and who is asked."""

    criterion: str
    n_steps: int
    max_fragments: Int[Tensor, " S"]
    asked: Asked

    @property
    def n_more(self) -> int:
        """How many pieces more than its reference a search may be in.

        None where the criterion counts them. Else one: where a bond breaks to make two radicals the
        saddle is beyond the length at which bonds end, while a guess of it may not be.
        """
        return int(self.criterion not in ("bound", "intended"))

    def frame(self, state: State, *, is_left: bool) -> Frame:
        """How the active systems stand.

        Args:
            state: of these systems.
            is_left: whether the step rule leaves a saddle that was declined.
        """
        asked = self.asked
        verdict = judge(state, self.max_fragments[state.index], asked.accepted(state))
        is_stuck = torch.zeros_like(state.is_exact) if is_left else asked.declined(state)
        status = _status(state, verdict, self.criterion, self.n_steps, is_stuck)
        return Frame(state, verdict, status)


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
        frame = self._ask(self._frame(active))
        keep_strict(self.kept, frame.verdict, self.goal.criterion)
        state = give_back(self.kept, active, frame.status)
        with torch.inference_mode():
            state = _conclude(self.calculator, state, frame)
        if state is not active:
            frame = _ended_as(frame.status, self._frame(state))
        called = float(state.cost.calculator_s.sum()) - called
        seconds = (time.perf_counter() - self.started - called) / len(state.batch)
        self.active = replace(state, cost=state.cost.plus(own_s=seconds))
        self.status = frame.status
        return frame._replace(state=self.active)

    def _frame(self, state: State) -> Frame:
        """How the systems stand."""
        return self.goal.frame(state, is_left=self.rule.LEAVES_SADDLES)

    def _ask(self, frame: Frame) -> Frame:
        """The frame, when what has to be asked was; the time of that is not the search's."""
        asked = self.goal.asked
        before = asked.seconds
        with torch.inference_mode():
            is_new = asked.ask(frame.verdict)
        self.started += asked.seconds - before
        return self._frame(frame.state) if is_new else frame

    def _step(self) -> State | None:
        """The active systems one step on."""
        if self.active is None:
            self.n_frames = 0
            return None
        self.n_frames += 1
        stepped = self.rule.step(self.calculator, self.active, self.hyperparameters)
        return take_back(self.active, stepped)

    def _enter(self, active: State | None) -> State:
        """The active systems with waiting ones, where there is room for a group of them."""
        room = self.capacity - (0 if active is None else len(active.batch))
        is_group = room >= max(1, self.capacity // _GROUPS) and self.n_frames % APART == 0
        if active is not None and not (len(self.waiting) and is_group):
            return active
        new, self.waiting = self.waiting[:room], self.waiting[room:]
        entered = self.rule.init(self.calculator, self.batch.take(new), self.hyperparameters)
        entered = replace(
            entered, index=new, max_fragments=self.goal.max_fragments[new] + self.goal.n_more
        )
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


def _conclude(calculator: Calculator, state: State, frame: Frame) -> State:
    """The state with what is to be known of the points where searches have ended."""
    if not (rows := frame.is_done):
        return state
    is_ended = torch.zeros_like(state.is_exact)
    is_ended[rows] = True
    state = prove(calculator, state, is_ended)
    is_claimed = is_ended & judge(state, frame.verdict.max_fragments).meets("strict")
    return confirm(calculator, state, is_claimed)


def _ended_as(status: tuple[Status, ...], frame: Frame) -> Frame:
    """The frame, in which a search that had stopped, and was put back to a saddle, has stopped."""
    stays = [was is Status.STOPPED for was in status]
    both = zip(stays, status, frame.status, strict=True)
    return frame._replace(status=tuple(was if stay else now for stay, was, now in both))


def _status(
    state: State, verdict: Verdict, criterion: str, n_steps: int, is_stuck: Bool[Tensor, " B"]
) -> tuple[Status, ...]:
    met, steps = verdict.meets(criterion), state.steps
    is_any = (met | is_stuck | (steps >= n_steps)).any() or any(state.message) or any(state.doubt)
    if not is_any:
        return (Status.RUNNING,) * len(steps)

    def of(
        message: str, doubt: str, is_met: bool, is_strict: bool, steps: int, is_stuck: bool
    ) -> Status:
        if is_met:
            return Status.SADDLE if is_strict else Status.ORDER_ONE
        if message:
            return Status.CALCULATOR_FAILED if steps else Status.BAD_START
        if steps >= n_steps:
            return Status.OUT_OF_STEPS
        return Status.STOPPED if doubt or is_stuck else Status.RUNNING

    answers = (one.tolist() for one in (met, verdict.meets("strict"), steps, is_stuck))
    return tuple(of(*row) for row in zip(state.message, state.doubt, *answers, strict=True))
