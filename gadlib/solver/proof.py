"""Where a search has ended: judged by an exact Hessian, a saddle confirmed by a fresh calculation.

What is reported of a point is the potential's own there, never a model's, and never what the
calculator only says because of what it computed before. Neither when a search ends, which is
`search`'s, nor what is a saddle, which is `criteria`'s.
"""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from gadlib.evaluation import Calculator, evaluate
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

    Where one can't be computed, the point stays as it was and `doubt` says why.
    """
    rows = (is_ended & ~state.is_exact & state.is_computed).nonzero().flatten()
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
    so. A calculator without `fresh` has no memory, and is not asked again.
    """
    fresh = getattr(calculator, "fresh", None)
    if fresh is None:
        return state
    rows = is_claimed.nonzero().flatten()
    return put(state, rows, lambda part: _confirm(fresh(), part))


def _confirm(calculator: Calculator, state: State) -> State:
    again, seconds = evaluate(calculator, state.batch, hessian=False)
    higher = (again.energy - state.energy).tolist()
    stronger = longest((again.forces - state.forces).flatten(1)).tolist()
    doubts = []
    for i, (energy, force) in enumerate(zip(higher, stronger, strict=True)):
        doubt = ""
        if i in again.failures:
            doubt = f"A fresh calculation of it fails: {again.failures[i]}"
        elif abs(energy) > ENERGY_TOL or force > FORCES_TOL:
            doubt = (
                f"A fresh calculation of it finds another solution: {energy:+.3f} eV,"
                f" forces that differ by {force:.3f} eV/A."
            )
        doubts.append(doubt)
    return replace(state, cost=state.cost.after(again, seconds, hessian=False), doubt=tuple(doubts))
