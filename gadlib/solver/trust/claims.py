"""Where a climb claims a saddle, and what proves or refutes it."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.solver.products import is_open, prove_orders
from gadlib.solver.state import State
from gadlib.solver.trust.constants import CLAIM_AGAIN
from gadlib.solver.trust.memory import TrustMemory
from gadlib.systems.batch import longest


def is_claim(state: State) -> Bool[Tensor, " B"]:
    """Whether a climb is at a stationary point that an exact Hessian may prove to be a saddle.

    Never where the wall acts, nor where the Hessian is exact already; where Hessians are spared,
    not where the model has no negative eigenvalue.
    """
    memory: TrustMemory = state.memory
    current = memory.current
    is_at_rest = longest(current.wall.gradient - state.forces.flatten(1)) < FORCE_TOL
    is_hopeful = ~memory.spares_hessians | (state.order > 0)
    is_new = (current.age > 0) & ~current.wall.is_active
    return memory.is_climbing & is_at_rest & is_hopeful & is_new


def is_waiting(state: State) -> Bool[Tensor, " B"]:
    """Where a claim is worth products, but no Hessian: some steps after a claim was refuted.

    As long as the model, which comes of what was seen there, tells another order than one. A flat
    mode that curves down is left by small steps, at each of which a Hessian says the same.
    """
    memory: TrustMemory = state.memory
    is_soon = (memory.current.n_certificates > 0) & (memory.current.age % CLAIM_AGAIN > 0)
    return memory.spares_hessians & is_soon & (state.order != 1)


def certify(calculator: Calculator, state: State, *, by_products: bool = False) -> State:
    """The state with its order proved where a saddle may be claimed; each proof counts in its try.

    Args:
        calculator: the potential.
        state: after a step.
        by_products: whether to prove by products, and by exact Hessians only what these leave open.
    """
    claimed, waiting = is_claim(state), is_waiting(state)
    state = prove_orders(calculator, state, claimed, by_products=by_products, is_spared=waiting)
    claimed = claimed & ~(waiting & is_open(state))
    current = state.memory.current
    current = replace(
        current,
        age=torch.where(claimed, 0, current.age),
        n_certificates=current.n_certificates + claimed,
    )
    memory = replace(state.memory, current=current)
    return replace(state, memory=memory)
