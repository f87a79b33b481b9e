"""What a last point is worth, whoever found it: by an exact Hessian, and by where it leads.

Both are computed after the search and counted with none: a solver is judged by others than itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gadlib.evaluation import Calculator
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.endpoints import Connection, classify_ends, match_ends, order_ends
from gadlib.molecules.starting_points import Start
from gadlib.screening.jobs import describe
from gadlib.screening.records import Record
from gadlib.solver.criteria import judge
from gadlib.solver.downhill import irc
from gadlib.solver.points import begin
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch


def certify(record: Record, start: Start, calculator: Calculator, criterion: str) -> Record:
    """The record judged at its last point, from an exact Hessian that is not counted."""
    if record.status in (Status.BAD_START, Status.PROCESS_ENDED, Status.TIMED_OUT):
        return record
    state = begin(Batch.of([record]), calculator)
    verdict = judge(state, torch.tensor([start.max_fragments]))
    if state.message[0]:
        verdicts = {"converged": False, "criteria": dict.fromkeys(record.criteria)}
        reason = "" if state.message[0] in record.message else f" {state.message[0]}"
        return replace(record, **verdicts, message=record.message + reason)
    is_met = bool(verdict.meets(criterion)[0])
    ending: dict[str, Any] = {}
    if is_met and record.status == Status.STOPPED:
        found = Status.SADDLE if bool(verdict.meets("strict")[0]) else Status.ORDER_ONE
        ending = {"status": str(found), "message": found.sentence}
    return replace(record, converged=is_met, **describe(verdict, 0), **ending)


def judge_ends(record: Record, start: Start, calculator: Calculator) -> Record:
    """The record with what its saddle joins (`verdict`), where it is bound and has known ends.

    It is followed downhill both ways, as the package follows any saddle; `n_path_gradient` and
    `n_path_hessian` say what that took. One that can't be followed has the verdict `failed`.
    """
    if record.verdict or not record.bound or start.ends is None:
        return record
    batch = Batch.of([record]).to(getattr(calculator, "device", "cpu"))
    (path,) = irc.follow(calculator, batch)
    parts = (path, *path.legs)
    record = replace(
        record,
        n_path_gradient=sum(part.n_gradient for part in parts),
        n_path_hessian=sum(part.n_hessian for part in parts),
    )
    reasons = [part.message for part in parts if part.message]
    if reasons:
        verdict = Connection.FAILED
        sentence = f"It could not be followed downhill: {reasons[0]}"
    else:
        verdict, sentence = _joins(path, np.array(record.atomic_numbers), start.ends)
    return replace(record, verdict=str(verdict), message=f"{record.message} {sentence}")


def _joins(
    path: irc.Path, numbers: np.ndarray, known: tuple[np.ndarray, np.ndarray]
) -> tuple[Connection, str]:
    ends = [leg.positions[-1].cpu().numpy() for leg in path.legs]
    graphs = [bond_graph_of(numbers, place) for place in ends]
    references = [bond_graph_of(numbers, place) for place in known]
    far = np.array([[rmsd(numbers, p, q, with_mirror=True) for q in known] for p in ends])
    is_like = match_ends(graphs, references, far)
    order = order_ends(is_like, far)
    return classify_ends(is_like[order], [graphs[i] for i in order], references)
