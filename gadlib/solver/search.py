"""The one loop: begin, judge, step, and let finished systems go.

`search` knows neither how to step (that is the step rule's: `gad`, `trust`) nor what success is
(that is `criteria`). It keeps the batch full: finished systems make room for waiting ones, which
enter in groups, since to begin is costly and cheaper together; and it keeps the batch as narrow as
the widest molecule left. It is a generator, so that plots, logs and progress bars are the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.molecules.bonds import n_fragments
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.asking import Accept, Asked
from gadlib.solver.criteria import judge
from gadlib.solver.goal import Frame, Goal, ended_as
from gadlib.solver.handing_over import GivenUp, rows_given_up, successor, with_given_up
from gadlib.solver.proof import confirm, prove
from gadlib.solver.put_back import give_back, keep_strict, take_back
from gadlib.solver.resting import Rest, Rests
from gadlib.solver.rules import rule_for
from gadlib.solver.state import APART, State, Status
from gadlib.systems.batch import Batch
from gadlib.systems.rows import concatenate, narrow, take

_GROUPS = 5
"""In which a batch is renewed: waiting systems enter when a fifth of it is free. Groups of other
sizes were no faster."""


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
    rests: Rests | None = None,
) -> Iterator[Frame]:
    """Frames of a search from every system of the batch, until each has ended.

    The first frame holds the starting points. A system is in the frames until the one that says how
    it ended, at most `n_steps` moves later; `frame.state.index` tells which system of the batch
    each row is. One that its solver gives up (`handing_over`) comes back when the others have
    ended, at its starting point. Breaking off the iteration is safe at any frame.

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
        rests: after how many moves searches rest, and those that go on from a rest; by default all
            begin and none rests.

    Raises:
        ValueError: when the criterion or the solver is unknown or a number is not positive, or a
            criterion needs `accept`.
    """
    _require(criterion, n_steps, capacity)
    rests = Rests() if rests is None else rests
    allowed = n_fragments(batch) if max_fragments is None else torch.as_tensor(max_fragments)
    allowed = allowed.to(batch.positions.device)
    under_way = _Search(
        calculator,
        hyperparameters,
        Goal(criterion, n_steps, allowed, Asked(criterion, accept), rests.after),
        capacity,
        batch,
        wanted,
        rests,
    )
    while under_way.is_open:
        yield under_way.next_frame()
        under_way.let_go()


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
        rests: Rests,
    ) -> None:
        self.rule = rule_for(hyperparameters, goal.criterion)
        self.calculator, self.hyperparameters, self.goal = calculator, hyperparameters, goal
        self.capacity, self.batch, self.wanted, self.rests = capacity, batch, wanted, rests
        self.waiting = torch.arange(len(batch), device=batch.positions.device)
        self.active: State | None = None
        self.kept: dict[int, State] = {}
        self.given_up: dict[int, GivenUp] = {}
        self.status: tuple[Status, ...] = ()
        self.n_frames = 0
        self.started = time.perf_counter()

    @property
    def is_open(self) -> bool:
        """Whether there is a system left whose search has not ended."""
        return self.active is not None or len(self.waiting) + len(self.given_up) > 0

    def next_frame(self) -> Frame:
        """The frame after a step of the active systems, with those that entered."""
        if self.active is None and not len(self.waiting):
            self._hand_over()
        called = self._called(self.active)
        with torch.inference_mode():  # autograd is the calculators' alone, and costs time
            active = self._enter(self._step())
        frame = self._ask(self._frame(active))
        keep_strict(self.kept, frame.verdict, self.goal.criterion)
        state = give_back(self.kept, active, frame.status)
        with torch.inference_mode():
            state = _conclude(self.calculator, state, frame)
        if state is not active:
            frame = ended_as(frame.status, self._frame(state))
        called = self._called(state) - called
        seconds = (time.perf_counter() - self.started - called) / len(state.batch)
        self.active = replace(state, cost=state.cost.plus(own_s=seconds))
        self.status = frame.status
        for row in frame.is_resting:
            place = int(self.active.index[row])
            self.rests.on_rest(place, Rest.of(self.active, row, self.kept.pop(place, None)))
        return frame._replace(state=self.active)

    def _called(self, active: State | None) -> float:
        """Seconds in the calculator of these and of searches that were given up."""
        costs = [one.cost for one in self.given_up.values()]
        costs += [] if active is None else [active.cost]
        return sum(float(cost.calculator_s.sum()) for cost in costs)

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
        has_begun = torch.tensor([place in self.rests.begun for place in new.tolist()])
        groups = [self._go_on(int(place)) for place in new[has_begun]]
        if len(fresh := new[~has_begun]):
            groups.append(self._begin(fresh))
        groups = [self._aimed(group) for group in groups]
        return concatenate(groups if active is None else [active, *groups])

    def _begin(self, places: Int[Tensor, " K"]) -> State:
        """The states of systems at their starting points."""
        begun = self.rule.init(self.calculator, self.batch.take(places), self.hyperparameters)
        allowed = self.goal.max_fragments[places] + self.goal.n_more
        begun = replace(begun, index=places, max_fragments=allowed)
        spent = [self.given_up.pop(place) for place in places.tolist() if place in self.given_up]
        return with_given_up(begun, spent) if spent else begun

    def _hand_over(self) -> None:
        """The solver that takes over has what the one before gave up."""
        after = successor(self.hyperparameters)
        assert after is not None
        self.hyperparameters, self.rule = after, rule_for(after, self.goal.criterion)
        self.waiting = torch.tensor(sorted(self.given_up), device=self.batch.positions.device)

    def _go_on(self, place: int) -> State:
        """The state of a system that has rested."""
        rest = self.rests.begun[place].go_on(place, self.batch.positions.shape[1])
        if rest.kept is not None:
            self.kept[place] = rest.kept
        return rest.state

    def _aimed(self, state: State) -> State:
        aims = self.wanted
        return state if aims is None else replace(state, wanted=take(aims, state.index))

    def let_go(self) -> None:
        """Systems that have ended leave, and the batch is cut to the widest molecule left."""
        self.started = time.perf_counter()  # what the caller did is not the search's
        assert self.active is not None
        rows = [i for i, status in enumerate(self.status) if status is Status.RUNNING]
        rows = self._without_given_up(rows)
        if len(rows) == len(self.status):
            return
        device = self.batch.positions.device
        self.active = take(self.active, torch.tensor(rows, device=device)) if rows else None
        later = torch.tensor([*self.given_up], dtype=self.waiting.dtype, device=device)
        open_ = torch.cat([self.waiting, later])
        if self.active is not None:
            open_ = torch.cat([self.active.index, open_])
        width = int(self.batch.n_atoms[open_].max()) if len(open_) else 0
        if 0 < width < self.batch.positions.shape[1]:  # padding costs time
            self.batch, self.wanted = narrow(self.batch, width), narrow(self.wanted, width)
            self.active = narrow(self.active, width)

    def _without_given_up(self, rows: list[int]) -> list[int]:
        """The rows of searches that their solver goes on with; what the others took is put aside.

        It goes on with all that may rest, since a rest is that of one solver.
        """
        if self.rests.after is not None or self.rests.begun:
            return rows
        assert self.active is not None
        left = rows_given_up(self.hyperparameters, self.active).intersection(rows)
        for row in left:
            self.given_up[int(self.active.index[row])] = GivenUp.of(self.active, row)
        return [row for row in rows if row not in left]


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
