"""Landing: gentlest-ascent dynamics that hand over to trust-region steps once the order is one.

First-order dynamics crawls near a saddle and stops at forces about 0.01 eV/A; from a point of order
one Newton's method on the image surface ends at the saddle in a few steps. A landing that leaves
order one is broken off, and the dynamics begins anew from there.

Reference: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.trust_region import matvec
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.solver import gad
from gadlib.solver.image_step import STRIDE, adapt_radius, image_move, lowest_mode, move_above
from gadlib.solver.points import arrive
from gadlib.solver.state import State, along_modes
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import put

REACHES = CRITERIA
LEAVES_SADDLES = False

_TRUST = TrustHyperparameters()


@dataclass(frozen=True)
class LandingMemory:
    """What a search carries from step to step.

    Attributes:
        dynamics: what the dynamics carries along.
        is_landing: whether the next step is a trust-region step.
        radius: the trust radius in A.
    """

    dynamics: gad.GadMemory
    is_landing: Bool[Tensor, " B"]
    radius: Float[Tensor, " B"]

    @property
    def time_step(self) -> Float[Tensor, " B"]:
        """That of the dynamics, in A^2/eV."""
        return self.dynamics.time_step

    @property
    def mode(self) -> Float[Tensor, "B D"]:
        """That which the dynamics climbs; zero where it has not begun to."""
        return self.dynamics.mode


def init(calculator: Calculator, batch: Batch, hyperparameters: GadHyperparameters) -> State:
    """The state at the starting points."""
    state = gad.init(calculator, batch, hyperparameters)
    return replace(state, memory=_begin(state))


def step(calculator: Calculator, state: State, hyperparameters: GadHyperparameters) -> State:
    """The state after one step of every system, of the dynamics or towards the saddle."""
    is_landing = state.memory.is_landing
    for rows, change in ((~is_landing, _fly), (is_landing, _land)):
        state = put(
            state,
            rows.nonzero().flatten(),
            lambda part, change=change: change(calculator, part, hyperparameters),
        )
    return state


def _begin(state: State) -> LandingMemory:
    radius = torch.full_like(state.energy, STRIDE * _TRUST.radius_start)
    return LandingMemory(state.memory, state.order == 1, radius)


def _fly(calculator: Calculator, state: State, h: GadHyperparameters) -> State:
    """The state after a step of the dynamics."""
    memory: LandingMemory = state.memory
    moved = gad.step(calculator, replace(state, memory=memory.dynamics), h)
    return replace(moved, memory=_begin(moved))


def _land(calculator: Calculator, state: State, h: GadHyperparameters) -> State:
    """The state after a trust-region step; one that left order one goes on with the dynamics."""
    memory: LandingMemory = state.memory
    gradient = -state.forces.flatten(1)
    radius = memory.radius * state.shortened
    move = image_move(state, along_modes(state, gradient), lowest_mode(state), radius)
    batch = move_above(state.batch, move.unflatten(1, (-1, 3)))
    flat = (batch.positions - state.batch.positions).flatten(1)
    predicted = (gradient * flat).sum(-1) + (flat * matvec(state.hessian, flat)).sum(-1) / 2
    moved = arrive(state, batch.positions, calculator)
    ratio = (moved.energy - state.energy) / predicted
    max_radius = torch.full_like(memory.radius, STRIDE * _TRUST.radius_max)
    radius, _ = adapt_radius(memory.radius, ratio, longest(flat), _TRUST, max_radius)
    return replace(moved, memory=LandingMemory(gad.fresh(moved.batch, h), moved.order == 1, radius))
