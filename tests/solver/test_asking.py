"""Searches whose saddles are shown to somebody who may decline them."""

from __future__ import annotations

import pytest
import torch

from gadlib import calculators
from gadlib.molecules import reactions, starting_points
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

STARTS = starting_points.starts(reactions.read(split="test", max_samples=2), "ts_noise0.1A")
BATCH = Batch.of(STARTS)
PIECES = torch.tensor([start.max_fragments for start in STARTS])


def last_frames(accept, *, solver="trust", n_steps=400, criterion="intended"):
    """The frame and row in which each search ends, and the calculator's calls in all."""
    frames = search(
        calculators.get("scine"), BATCH, SOLVERS[solver](), criterion=criterion, n_steps=n_steps,
        max_fragments=PIECES, accept=accept,
    )  # fmt: skip
    return {int(frame.state.index[row]): (frame, row) for frame in frames for row in frame.is_done}


class Judge:
    """Declines the first `n` saddles of each system, and keeps what it is shown."""

    def __init__(self, n: int) -> None:
        self.n, self.shown = n, {}

    def __call__(self, state):
        answers = []
        for i, index in enumerate(state.index.tolist()):
            seen = self.shown.setdefault(index, [])
            seen.append((state.batch.positions[i].clone(), float(state.max_force[i])))
            answers.append(len(seen) > self.n)
        return answers


def test_an_accepted_saddle_ends_a_search_as_a_bound_one_does():
    judge = Judge(0)
    found, plain = last_frames(judge), last_frames(None, criterion="bound")
    for i in range(len(STARTS)):
        (frame, row), (other, place) = found[i], plain[i]
        assert frame.status[row] is Status.SADDLE
        assert frame.verdict.meets("intended")[row]
        assert not other.verdict.meets("intended")[place]
        assert frame.state.cost.n_gradient[row] == other.state.cost.n_gradient[place]
        assert len(judge.shown[i]) == 1


def test_from_a_declined_saddle_trust_goes_on_with_its_next_try():
    judge = Judge(1)
    found = last_frames(judge)
    for i in range(len(STARTS)):
        frame, row = found[i]
        assert frame.status[row] is Status.SADDLE
        assert next(t.ending for t in frame.state.tries[row]) == "saddle_not_enough"
        assert len(judge.shown[i]) == 2
        assert all(force < 0.01 for _, force in judge.shown[i])
        assert torch.equal(judge.shown[i][1][0], frame.state.batch.positions[row])


def test_where_all_are_declined_the_steps_run_out_and_the_search_is_put_back_to_a_bound_saddle():
    judge = Judge(99)
    found = last_frames(judge, n_steps=150)
    for i in range(len(STARTS)):
        frame, row = found[i]
        assert frame.status[row] is Status.OUT_OF_STEPS
        assert frame.verdict.meets("bound")[row] and not frame.verdict.meets("intended")[row]
        shown = [where for where, _ in judge.shown[i]]
        assert any(torch.equal(frame.state.batch.positions[row], where) for where in shown)


def test_gad_can_leave_no_saddle_and_stops_where_one_is_declined():
    for frame, row in last_frames(Judge(1), solver="gad").values():
        assert frame.status[row] is Status.STOPPED
        assert frame.verdict.meets("bound")[row] and not frame.verdict.meets("intended")[row]


def test_what_no_point_answers_is_refused_where_nobody_is_there_to_ask():
    with pytest.raises(ValueError, match="expected `accept`"):
        next(search(calculators.get("scine"), BATCH, SOLVERS["trust"](), criterion="intended"))
