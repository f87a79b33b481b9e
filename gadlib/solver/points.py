"""States computed at their points: where a search begins, where it arrives, what it proves there.

Every call of the calculator that a search makes at a point of its own is made here, and counted;
the differences of probing (`trust.probing`) and the trials of an escape (`gad`) are counted there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.hessians.normal_modes import Spectrum, exact_spectrum
from gadlib.molecules.bonds import n_fragments
from gadlib.solver.aim import Aim
from gadlib.solver.state import Cost, State
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put, take


def begin(
    batch: Batch, calculator: Calculator, model: Float[Tensor, "B D D"] | None = None
) -> State:
    """The state at the starting points, without memory, with exact Hessians or the given model."""
    zero = torch.zeros(len(batch), dtype=torch.int64, device=batch.positions.device)
    evaluation, seconds = evaluate(calculator, batch, hessian=model is None)
    hessian = _hessian_of(evaluation) if model is None else model
    return State(
        batch=batch,
        index=torch.arange(len(batch), device=batch.positions.device),
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=hessian,
        spectrum=_spectrum_at(hessian, batch, evaluation.forces),
        is_exact=torch.full_like(zero, model is None, dtype=torch.bool),
        is_confirmed=torch.zeros_like(zero, dtype=torch.bool),
        max_fragments=n_fragments(batch),
        wanted=Aim.none(batch),
        memory=None,
        steps=zero,
        escapes=zero,
        rejected=zero,
        cost=Cost.none(batch).after(evaluation, seconds, hessian=model is None),
        message=_messages(evaluation, batch),
        doubt=("",) * len(batch),
        tries=((),) * len(batch),
        proof=(None,) * len(batch),
    )


def arrive(
    state: State, positions: Float[Tensor, "B N 3"], calculator: Calculator, **changes: Any
) -> State:
    """The state at the given positions, exactly evaluated, one step on, with other `changes`."""
    batch = state.batch.moved_to(positions)
    evaluation, seconds = evaluate(calculator, batch, hessian=True)
    moved = replace(state, **changes)
    return replace(
        moved,
        batch=batch,
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=_hessian_of(evaluation),
        spectrum=_spectrum_at(_hessian_of(evaluation), batch, evaluation.forces),
        is_confirmed=torch.zeros_like(state.is_confirmed),
        steps=state.steps + 1,
        cost=moved.cost.after(evaluation, seconds, hessian=True),
        message=_messages(evaluation, batch),
        proof=(None,) * len(batch),
    )


def _messages(evaluation: Evaluation, batch: Batch) -> tuple[str, ...]:
    return tuple(evaluation.failures.get(i, "") for i in range(len(batch)))


def _hessian_of(evaluation: Evaluation) -> Tensor:
    if evaluation.hessian is None:
        raise ValueError("the calculator gave no Hessian although one was asked for")
    return evaluation.hessian


def _spectrum_at(hessian: Tensor, batch: Batch, forces: Tensor) -> Spectrum:
    if not batch.positions.isfinite().all():  # a failed start, of which no spectrum can be taken
        batch = replace(batch, positions=batch.positions.nan_to_num(0.0, 0.0, 0.0))
    return exact_spectrum(hessian.nan_to_num(0.0), batch, forces)


def compute(calculator: Calculator, state: State, is_exact: Bool[Tensor, " B"]) -> State:
    """The state computed at its positions, with Hessians where they are to be exact."""
    state = replace(state, is_confirmed=torch.zeros_like(state.is_confirmed))
    for chosen, wanted in ((is_exact, True), (~is_exact, False)):
        rows = chosen.nonzero().flatten()
        state = put(
            state, rows, lambda part, wanted=wanted: _compute_all(calculator, part, hessian=wanted)
        )
    return state


def _compute_all(calculator: Calculator, state: State, *, hessian: bool) -> State:
    evaluation, seconds = evaluate(calculator, state.batch, hessian=hessian)
    return replace(
        state,
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=state.hessian if evaluation.hessian is None else evaluation.hessian,
        cost=state.cost.after(evaluation, seconds, hessian=hessian),
        message=_messages(evaluation, state.batch),
    )


def add_hessian(calculator: Calculator, state: State) -> State:
    """The state with its exact Hessian and the spectrum by which points are judged.

    At a point whose gradient is known already, so that only the Hessian counts.
    """
    exact = _compute_all(calculator, state, hessian=True)
    cost = replace(exact.cost, n_gradient=state.cost.n_gradient)
    return take_spectrum(replace(exact, cost=cost))


def take_spectrum(state: State) -> State:
    """The state, whose Hessian is exact, with the spectrum by which points are judged."""
    here = exact_spectrum(state.hessian, state.batch, state.forces)
    return replace(state, spectrum=here, proof=(None,) * len(state.batch))


def try_hessian(calculator: Calculator, state: State) -> tuple[State, tuple[str, ...]]:
    """The state with exact Hessians where they can be computed, and why not where they can't.

    There the point stays as it was, but for what the attempt cost.
    """
    exact = add_hessian(calculator, state)
    reasons, failed = exact.message, exact.is_failed
    exact = replace(exact, is_exact=torch.ones_like(exact.is_exact), message=state.message)
    rows = failed.nonzero().flatten()
    stayed = replace(state, cost=exact.cost)
    return put(exact, rows, lambda _: take(stayed, rows)), reasons
