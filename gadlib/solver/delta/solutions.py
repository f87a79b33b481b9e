"""Potentials with several solutions: a search claims nothing but on the lowest one that is known.

Before an order is proved, a calculator that knows nothing of the search is asked. Where it finds a
lower solution the search goes on from that, and forgets what it has seen of the other one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation
from gadlib.solver.delta.below import evaluate_below
from gadlib.solver.delta.learning import below_of, seen_there, with_surrogate
from gadlib.solver.delta.memory import DeltaMemory
from gadlib.solver.delta.observations import Observations
from gadlib.solver.proof import ask_anew, unconfirmed
from gadlib.solver.state import State
from gadlib.systems.rows import put

MAX_LOWERED = 2
"""How often a search goes on from a lower solution; each costs it all that it has seen."""


def on_lowest(calculator: Calculator, state: State, is_claimed: Bool[Tensor, " B"]) -> State:
    """The state on the lowest solutions known, where a proof is due.

    `doubt` says where a search is on another one and can't leave it: where the calculator has no
    `adopt`, by which it goes on from what a fresh one has found.
    """
    for row in unconfirmed(calculator, state, is_claimed)[:, None]:
        state = put(state, row, lambda one: _on_lowest(calculator, one))
    return state


def _on_lowest(calculator: Calculator, state: State) -> State:
    """The state of one system."""
    anew = ask_anew(calculator, state)
    adopt = getattr(calculator, "adopt", None)
    is_left = bool(anew.is_lower) and state.memory.n_lowered[0] < MAX_LOWERED
    if adopt is None or not is_left:
        return anew.state
    adopt(anew.calculator)
    return _gone_over(calculator, anew.state, anew.answer)


def _gone_over(calculator: Calculator, state: State, answer: Evaluation) -> State:
    """The state on the solution of an answer, of which nothing is known but that."""
    memory: DeltaMemory = state.memory
    told = f"A lower solution of the potential, {float(answer.energy - state.energy):+.3f} eV, was"
    state = replace(state, energy=answer.energy, forces=answer.forces, doubt=("",))
    (known,) = memory.observations
    nothing = Observations.none(int(state.batch.n_atoms[0]), known.which)
    below = evaluate_below(below_of(calculator, (nothing,)), state.batch, hessian=False)
    memory = replace(
        memory,
        observations=seen_there((nothing,), state, below, state.batch.positions),
        processes=(None,),
        n_lowered=memory.n_lowered + 1,
        n_refused=torch.zeros_like(memory.n_refused),
        told=(f"{memory.told[0]} {told} found after {int(state.steps)} steps and kept.".strip(),),
    )
    return with_surrogate(calculator, replace(state, memory=memory))
