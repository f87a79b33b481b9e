"""Saddles shown to somebody who may decline them, each once, as a search meets them.

What a point does not answer by itself, as where it leads, whoever searches answers; here is kept of
whom that was asked where. Neither how it is answered nor how a search goes on is known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from gadlib.settings.criteria import CRITERIA
from gadlib.solver.criteria import Verdict
from gadlib.solver.state import State
from gadlib.systems.rows import take

Accept = Callable[[State], Sequence[bool]]
"""Whether each system is accepted where it is; asked of states with exact Hessians."""


@dataclass
class Asked:
    """Who is asked of points that meet all of a criterion but its last word, and the last answers.

    Attributes:
        criterion: that ends the searches.
        accept: who is asked; None: nobody, as the criterion is one that points answer.
        answers: where each system was last asked about, by its index, and the answer.
        seconds: that answering has taken, which are not the search's.
    """

    criterion: str
    accept: Accept | None = None
    answers: dict[int, tuple[Tensor, bool]] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a criterion that somebody has to answer without that somebody."""
        if CRITERIA[self.criterion].is_asked and self.accept is None:
            raise ValueError(
                f"criterion {self.criterion!r}: no point answers it; expected `accept`, who does"
            )

    def ask(self, verdict: Verdict) -> bool:
        """Whether there was something to ask; the answers are kept."""
        row = CRITERIA[self.criterion]
        if not row.is_asked or self.accept is None:
            return False
        state = verdict.state
        met = verdict.meets(row.within).nonzero().flatten().tolist()
        rows = [i for i in met if self._answer(state, i) is None]
        if not rows:
            return False
        began = time.perf_counter()
        part = take(state, torch.tensor(rows, device=state.index.device))
        for i, is_accepted in zip(rows, self.accept(part), strict=True):
            where = state.batch.positions[i, : int(state.batch.n_atoms[i])].clone()
            self.answers[int(state.index[i])] = (where, bool(is_accepted))
        self.seconds += time.perf_counter() - began
        return True

    def _answer(self, state: State, i: int) -> bool | None:
        """What was answered of a system where it is; None where it was not asked there."""
        found = self.answers.get(int(state.index[i])) if self.answers else None
        if found is None or not torch.equal(found[0], state.batch.positions[i, : len(found[0])]):
            return None
        return found[1]

    def accepted(self, state: State) -> Bool[Tensor, " B"]:
        """Whether each system was accepted where it is."""
        return self._answered(state, True)

    def declined(self, state: State) -> Bool[Tensor, " B"]:
        """Whether each system was declined where it is."""
        return self._answered(state, False)

    def _answered(self, state: State, answer: bool) -> Bool[Tensor, " B"]:
        found = torch.zeros_like(state.is_exact)
        if self.answers:
            rows = [i for i in range(len(found)) if self._answer(state, i) is answer]
            found[rows] = True
        return found
