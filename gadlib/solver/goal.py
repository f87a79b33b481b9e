"""How the systems of a search stand in each frame, and what ends one.

What is a saddle is `criteria`'s to say; what an end then costs and gives back is `search`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.solver.asking import Asked
from gadlib.solver.criteria import Verdict, judge
from gadlib.solver.state import State, Status


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
        open_ = (Status.RUNNING, Status.RESTING)
        return [i for i, status in enumerate(self.status) if status not in open_]

    @property
    def is_resting(self) -> list[int]:
        """The rows of the systems that rest from this frame on."""
        return [i for i, status in enumerate(self.status) if status is Status.RESTING]


@dataclass(frozen=True)
class Goal:
    """What ends the searches: criterion, steps, fragments of each reference, and who is asked.

    They rest after `rest_after` steps, where that is given.
    """

    criterion: str
    n_steps: int
    max_fragments: Int[Tensor, " S"]
    asked: Asked
    rest_after: int | None = None

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
        return Frame(state, verdict, self._status(verdict, is_stuck))

    def _status(self, verdict: Verdict, is_stuck: Bool[Tensor, " B"]) -> tuple[Status, ...]:
        state, met = verdict.state, verdict.meets(self.criterion)
        last = self.n_steps if self.rest_after is None else min(self.n_steps, self.rest_after)
        is_any = (met | is_stuck | (state.steps >= last)).any()
        if not (is_any or any(state.message) or any(state.doubt)):
            return (Status.RUNNING,) * len(state.batch)

        def of(
            message: str, doubt: str, is_met: bool, is_strict: bool, steps: int, is_stuck: bool
        ) -> Status:
            if is_met:
                return Status.SADDLE if is_strict else Status.ORDER_ONE
            if message:
                return Status.CALCULATOR_FAILED if steps else Status.BAD_START
            if steps >= self.n_steps:
                return Status.OUT_OF_STEPS
            if doubt or is_stuck:
                return Status.STOPPED
            return Status.RESTING if steps >= last else Status.RUNNING

        answers = (one.tolist() for one in (met, verdict.meets("strict"), state.steps, is_stuck))
        return tuple(of(*row) for row in zip(state.message, state.doubt, *answers, strict=True))


def ended_as(status: tuple[Status, ...], frame: Frame) -> Frame:
    """The frame, in which a search that had stopped, and was put back to a saddle, has stopped."""
    stays = [was is Status.STOPPED for was in status]
    both = zip(stays, status, frame.status, strict=True)
    return frame._replace(status=tuple(was if stay else now for stay, was, now in both))
