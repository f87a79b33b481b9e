"""Where a search has ended: judged by an exact Hessian, a saddle confirmed by a fresh calculation.

What is reported of a point is the potential's own there, never a model's, and never what the
calculator only says because of what it computed before. Neither when a search ends, which is
`search`'s, nor what is a saddle, which is `criteria`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.solver.points import try_hessian
from gadlib.solver.state import State
from gadlib.systems.batch import longest
from gadlib.systems.rows import put

ENERGY_TOL = 0.01
"""eV by which a fresh calculation may differ: what an SCF leaves open is below 1e-3, other
solutions lie 0.05 to 10 eV away."""

FORCES_TOL = 0.05
"""eV/A likewise, on any atom."""


def prove(calculator: Calculator, state: State, is_ended: Bool[Tensor, " B"]) -> State:
    """The state with exact Hessians where a search has ended without; each is counted.

    Where one can't be computed, the point stays as it was and `doubt` says why. Where there is
    doubt already none is computed, since it would prove nothing.
    """
    is_due = is_ended & ~state.is_exact & state.is_computed & ~state.is_doubted
    rows = is_due.nonzero().flatten()
    return put(state, rows, lambda part: _prove(calculator, part))


def _prove(calculator: Calculator, state: State) -> State:
    state, reasons = try_hessian(calculator, state)
    doubts = (
        f"No exact Hessian could be computed there: {text}" if text else "" for text in reasons
    )
    return replace(state, doubt=tuple(doubts))


def confirm(calculator: Calculator, state: State, is_claimed: Bool[Tensor, " B"]) -> State:
    """The state, after claimed saddles were computed by a calculator that knows nothing of them.

    Where that finds another energy or other forces, as of another solution of the SCF, `doubt` says
    so. A higher energy is no doubt where the calculator carries solutions by intent and has `adopt`
    (`evaluation.Calculator`): then the lower solution stands, on which the search is. Of others
    nobody knows whether what they said before was more than a trace of their past. A calculator
    without `fresh` has no memory, and is not asked again; nor is one that was asked at the same
    point before.
    """
    rows = unconfirmed(calculator, state, is_claimed)
    return put(state, rows, lambda part: ask_anew(calculator, part).state)


def unconfirmed(
    calculator: Calculator, state: State, is_claimed: Bool[Tensor, " B"]
) -> Int[Tensor, " K"]:
    """The rows of which a fresh calculation is to be asked: none where the calculator has none."""
    if getattr(calculator, "fresh", None) is None:
        return state.index[:0]
    return (is_claimed & ~state.is_confirmed).nonzero().flatten()


@dataclass(frozen=True)
class Anew:
    """What a fresh calculation says of points.

    Attributes:
        state: there, with what the call cost, and doubts.
        calculator: the fresh one.
        answer: what it says.
        is_lower: where it has found a lower solution.
    """

    state: State
    calculator: Calculator
    answer: Evaluation
    is_lower: Bool[Tensor, " B"]


def ask_anew(calculator: Calculator, state: State) -> Anew:
    """What a calculator that knows nothing of them says of the points of a state."""
    fresh = calculator.fresh()  # type: ignore[attr-defined]
    carries = hasattr(calculator, "adopt")
    answer, seconds = evaluate(fresh, state.batch, hessian=False)
    rise = answer.energy - state.energy
    error = longest((answer.forces - state.forces).flatten(1))
    is_other = (rise.abs() > ENERGY_TOL) | (error > FORCES_TOL)
    if carries:
        is_other &= rise <= ENERGY_TOL
    doubts = [
        f"A fresh calculation of it finds another solution: {energy:+.3f} eV,"
        f" forces that differ by {force:.3f} eV/A."
        if other
        else ""
        for other, energy, force in zip(*map(Tensor.tolist, (is_other, rise, error)), strict=True)
    ]
    is_lower = rise < -ENERGY_TOL
    for i, reason in answer.failures.items():
        doubts[i], is_lower[i] = f"A fresh calculation of it fails: {reason}", False
    asked = replace(
        state,
        cost=state.cost.after(answer, seconds, hessian=False),
        doubt=tuple(doubts),
        is_confirmed=torch.ones_like(state.is_confirmed),
    )
    return Anew(asked, fresh, answer, is_lower)
