"""What a last point is worth, whoever found it: by an exact Hessian, and by where it leads.

Both are computed after the search and counted with none: a solver is judged by others than itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from gadlib.evaluation import Calculator
from gadlib.molecules.starting_points import Start
from gadlib.screening.ended import describe
from gadlib.screening.ends import downhill_of
from gadlib.screening.nearness import from_start
from gadlib.screening.records import Record
from gadlib.solver.criteria import judge
from gadlib.solver.points import begin
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch


def certify(
    record: Record,
    start: Start,
    calculator: Calculator,
    criterion: str,
    *,
    check_ends: bool = False,
) -> Record:
    """The record judged at its last point, from an exact Hessian that is not counted.

    With `check_ends`, or the criterion `intended`, a bound saddle is followed downhill.
    """
    if record.status in (Status.BAD_START, Status.PROCESS_ENDED, Status.TIMED_OUT):
        return record
    state = begin(Batch.of([record]), calculator)
    pieces = torch.tensor([start.max_fragments], device=state.index.device)
    verdict = judge(state, pieces)
    if state.message[0]:
        verdicts = {"converged": False, "criteria": dict.fromkeys(record.criteria)}
        reason = "" if state.message[0] in record.message else f" {state.message[0]}"
        return replace(record, **verdicts, message=record.message + reason)
    ends = downhill_of(calculator, [start], criterion, check_ends=check_ends)
    if ends is not None:
        ends.see(verdict, [0])
        verdict = judge(state, pieces, torch.tensor(ends(state), device=state.index.device))
    is_met = bool(verdict.meets(criterion)[0])
    ending: dict[str, Any] = {}
    if is_met and record.status == Status.STOPPED:
        found = Status.SADDLE if bool(verdict.meets("strict")[0]) else Status.ORDER_ONE
        ending = {"status": str(found), "message": found.sentence}
    record = replace(
        record,
        converged=is_met,
        **describe(verdict, 0),
        **ending,
    )
    return from_start(record if ends is None else ends.told(record, 0), start)
