"""A saddle on a surrogate that begins to learn there: its mode, and less force."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.solver.delta.below import observed
from gadlib.solver.delta.observations import SAME, Observations
from gadlib.solver.downhill.learned import Asking, Learned
from gadlib.solver.downhill.relaxation import can_go_on
from gadlib.solver.downhill.sharpening import SHARP_FORCE, sharpen
from gadlib.solver.state import State
from gadlib.systems.batch import Batch, longest

LOOK = 0.1
"""A by which the atom moves farthest from the saddle, to both sides, to learn its mode."""

ALIKE = 0.9
"""Of a mode after a look in the one before; where less, it is looked again."""

_LOOKS = 4
"""At the saddle at most; one is enough nearly always."""

NOT_LEARNED = "no saddle was learned there"
"""Of the surrogate, whatever was learned beside it."""

_SHARPENINGS, _SHARPENED = 2, 0.1
"""Calls that may be spent on less force at the saddle, and A that it may move for that."""


@dataclass(frozen=True)
class Top:
    """A saddle on the surrogate, what was learned until there, and what that has cost."""

    learned: Learned | None
    state: State | None
    n_asked: int
    message: str
    is_computed: bool = True  # by the costly potential


def learn_saddle(cheap: Calculator, batch: Batch, known: Observations) -> Asking[Top]:
    """The saddle with its mode learned by looks to both sides, sharpened.

    Where the surrogate has another order than one there in the end, its ways down lead anywhere:
    one went up by 2 eV beside a saddle. The message is NOT_LEARNED then.
    """
    place, n_asked = batch.positions, 0
    n = int(batch.n_atoms[0])
    if not len(known) or float(known.distances(place[0, :n].cpu()).min()) > SAME:
        answer = yield place
        n_asked = answer.asked
        if answer.failures:
            return Top(None, None, n_asked, answer.failures[0], is_computed=False)
        known = observed(cheap, batch, place, answer, known)
        if not len(known):
            return Top(None, None, n_asked, "the cheap potential fails at the saddle")
    learned = Learned.of(cheap, batch, known)
    top = Top(learned, learned.at(place), n_asked, "")
    top = yield from _with_mode(top)
    top = yield from _sharpened(top)
    assert top.state is not None
    why = top.state.message[0]
    if not why and int(top.state.order[0]) != 1:
        why = NOT_LEARNED
    return replace(top, message=why)


def _with_mode(top: Top) -> Asking[Top]:
    """The saddle after looks along what curves down, until one mode does and stays what it is."""
    for _ in range(_LOOKS):
        learned, state = top.learned, top.state
        assert learned is not None and state is not None
        if not bool(can_go_on(state)[0]):
            break
        modes = state.spectrum.modes[:, :, : 2 if int(state.order[0]) > 1 else 1]
        steps = [look(state, modes[:, :, i]) for i in range(modes.shape[2])]
        here = state.batch.positions
        looks = torch.cat([*steps, *(2 * here - there for there in steps)])
        answer = yield looks
        learned = learned.told(looks, answer)
        state = learned.at(here)
        top = Top(learned, state, top.n_asked + len(looks) * answer.asked, "")
        alike = (modes[:, :, 0] * state.spectrum.modes[:, :, 0]).sum().abs()
        if float(alike) > ALIKE and int(state.order[0]) <= 1:
            break
    return top


def _sharpened(top: Top) -> Asking[Top]:
    """The saddle with less force, where the surrogate has one near."""
    for _ in range(_SHARPENINGS):
        learned, state = top.learned, top.state
        assert learned is not None and state is not None
        if not bool(can_go_on(state)[0]) or float(state.max_force[0]) < SHARP_FORCE:
            break
        there, _ = sharpen(learned.tilted(), state, is_exact=True)
        there = there.batch.positions
        moved = float(longest((there - state.batch.positions).flatten(1))[0])
        if not SAME < moved < _SHARPENED:
            break
        answer = yield there
        learned = learned.told(there, answer)
        n_asked, better = top.n_asked + answer.asked, learned.at(there)
        if answer.failures or float(better.max_force[0]) >= float(state.max_force[0]):
            return Top(learned, learned.at(state.batch.positions), n_asked, "")
        top = Top(learned, better, n_asked, "")
    return top


def look(state: State, mode: Float[Tensor, "1 D"]) -> Float[Tensor, "1 N 3"]:
    """The point a little way off along a mode."""
    step = state.batch.inverse_sqrt_masses * mode
    step = (LOOK * step / longest(step)[:, None]).unflatten(1, (-1, 3))
    return state.batch.positions + step
