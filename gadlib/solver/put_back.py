"""Where searches are put back to: the best saddle that they met, the place before a failed step.

What a search has spent stays spent, wherever it is put back to.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from gadlib.solver.criteria import Verdict, judge
from gadlib.solver.state import State, Status
from gadlib.systems.rows import concatenate, narrow, put, take


def keep_strict(kept: dict[int, State], verdict: Verdict, criterion: str) -> None:
    """The latest strict saddle of each system that it does not suffice is put aside.

    One that is bound stays there, where bound ones do not suffice either: it is the one that the
    search met first, and so the nearest to where it began.
    """
    state = verdict.state
    for i in (verdict.meets("strict") & ~verdict.meets(criterion)).nonzero().flatten().tolist():
        index, row = int(state.index[i]), torch.tensor([i], device=state.index.device)
        best = kept.get(index)
        if best is None or not judge(best, verdict.max_fragments[row]).meets("bound")[0]:
            kept[index] = take(state, row)


def give_back(kept: dict[int, State], state: State, status: tuple[Status, ...]) -> State:
    """The state with systems out of steps put back to the strict saddle that they met on the way.

    So is one that stopped by itself, which keeps its reason. What it cost and tried, to the last
    step, stays; only the place is the kept one.
    """
    for i, ending in enumerate(status):
        best = kept.pop(int(state.index[i]), None) if ending not in _OPEN else None
        if best is None or ending.is_met:
            continue
        now = take(state, torch.tensor([i], device=state.index.device))
        spent = {name: getattr(now, name) for name in (*_SPENT, "tries")}
        if ending is Status.STOPPED:
            spent["message"] = now.doubt  # why it stopped is no doubt about the saddle
        row = narrow(replace(best, **spent), state.batch.positions.shape[1])
        state = concatenate([state, row])
        place = torch.arange(len(state.batch) - 1, device=state.index.device)
        place[i] = len(state.batch) - 1
        state = take(state, place)
    return state


_OPEN = (Status.RUNNING, Status.RESTING)
_SPENT = ("steps", "escapes", "cost")
"""What a search has spent; it stays spent wherever the search is put back to."""


def take_back(before: State, after: State) -> State:
    """The state after a step; where the calculator failed there, the one before it.

    What it cost stays. The next step will be half as long (`State.rejected`); a search ends, with
    the calculator's reason, when that has not helped some times running.
    """
    if not any(after.message):
        return after if not after.rejected.any() else replace(after, rejected=0 * after.rejected)
    is_failed = after.is_failed
    after = replace(after, rejected=torch.where(is_failed, after.rejected + 1, 0))
    hopeless = (after.rejected > MAX_REJECTED).tolist()
    reasons = tuple(text if end else "" for text, end in zip(after.message, hopeless, strict=True))
    spent = {name: getattr(after, name) for name in (*_SPENT, "rejected")}
    rows = is_failed.nonzero().flatten()
    return put(after, rows, lambda _: take(replace(before, **spent, message=reasons), rows))


MAX_REJECTED = 4
"""Steps in a row that are taken back; the last one is a sixteenth of the first that failed."""
