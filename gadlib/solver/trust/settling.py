"""How a start comes to rest before it is climbed from, and when it does not.

A start with an aim settles with what it aims at held, as one does by hand: the rest is relaxed, so
that the climb begins where the aim is what is left to do.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.trust_region import matvec
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    GUIDED_FORCE,
    HELD_FORCE,
    HELD_STEPS,
    LOOSE,
    REBUILT_PATIENCE,
    SETTLED_FORCE,
)
from gadlib.solver.trust.half_made import guidance, is_guided
from gadlib.solver.trust.phases import Phase
from gadlib.systems.batch import longest


def keeps_aim(state: State) -> Bool[Tensor, " B"]:
    """Which systems settle with their aim, or half-made bonds, held: starts as they were given."""
    has_aim = state.wanted.is_set | is_guided(state)
    if not has_aim.any():
        return has_aim
    return has_aim & state.memory.is_settling & (state.memory.n_rebuilt == 0)


def beside_aim(state: State, gradient: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """What is left of forces or gradients (eV/A) without their part along the aim."""
    rest = _without(state, state.batch.inverse_sqrt_masses * gradient)
    return state.batch.sqrt_masses * rest


def move_beside_aim(state: State, move: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """What is left of displacements (A) without their part along the aim."""
    rest = _without(state, state.batch.sqrt_masses * move)
    return state.batch.inverse_sqrt_masses * rest


def _without(state: State, vector: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    aim = guidance(state).directions(state.batch)
    return vector - matvec(aim, matvec(aim.mT, vector))


def is_settled(state: State) -> Bool[Tensor, " B"]:
    """Whether a molecule that settles has come to rest, in no more pieces than allowed.

    Particles on an external surface know no forces of molecules, and settle at once.
    """
    is_settling = state.memory.current.phase == Phase.SETTLING
    is_calm = _is_calm(state) | (not state.batch.is_free)
    held = keeps_aim(state)
    if held.any():
        rest = longest(beside_aim(state, state.forces.flatten(1)))
        is_late = state.memory.current.steps >= HELD_STEPS
        enough = torch.where(is_guided(state), GUIDED_FORCE, HELD_FORCE)
        is_calm = is_calm & (~held | (rest < enough) | is_late)
    return is_settling & is_calm


def _is_calm(state: State) -> Bool[Tensor, " B"]:
    return (state.max_force < SETTLED_FORCE) & (_n_loose(state) <= 0)


def _n_loose(state: State) -> Int[Tensor, " B"]:
    return state.memory.current.n_pieces - state.max_fragments


def _is_restless(state: State) -> Bool[Tensor, " B"]:
    return ~_is_calm(state) & state.batch.is_free


def is_scattered(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a start, never rebuilt, is in too many pieces to become one molecule."""
    is_start = state.memory.n_rebuilt == 0
    return _is_restless(state) & is_start & (_n_loose(state) > LOOSE * state.batch.n_atoms)


def does_not_settle(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether the steps for settling are over; a molecule that was rebuilt has more of them."""
    patience = torch.where(state.memory.n_rebuilt == 0, 1, REBUILT_PATIENCE)
    enough = torch.where(keeps_aim(state), HELD_STEPS, patience * h.settle_steps)
    return _is_restless(state) & (state.memory.current.steps >= enough)
