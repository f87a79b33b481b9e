"""Saddles with less force left, before a way down begins at them."""

from __future__ import annotations

import torch

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.hessians.trust_region import image_step
from gadlib.solver.downhill.descent import lowest_mode, update
from gadlib.solver.downhill.relaxation import can_go_on, keep, make_exact, move, weighted_gradient
from gadlib.solver.state import State, displacement
from gadlib.systems.rows import put, take

SHARP_FORCE, _SHARPENINGS = 1e-3, 5
"""eV/A on any atom, a tenth of what ends a search, and the Newton steps that may be spent on it."""

_SHARPENING_MOST = 0.1
"""amu^1/2 A, the longest of these steps."""


def sharpen(calculator: Calculator, state: State, *, is_exact: bool) -> tuple[State, State]:
    """The saddles with less force left, where Newton steps can do it, and where Hessians are exact.

    With exact Hessians at each step these are the same points. Else the Hessians are updated, and
    what is exact is where the saddles were given, or, where those were no saddles of this
    potential by their forces, where they are now.
    """
    given, todo = state, (can_go_on(state) & (state.order == 1)).nonzero().flatten()
    for _ in range(_SHARPENINGS):
        todo = todo[state.max_force[todo] > SHARP_FORCE]
        if not len(todo):
            break
        here = take(state, todo)
        climbed = lowest_mode(here).abs()
        radius = torch.full_like(here.energy, _SHARPENING_MOST)
        step = image_step(weighted_gradient(here), here.spectrum.eigenvalues, climbed, radius)
        cartesian = displacement(here, step)
        there = update(here, move(calculator, here, cartesian), cartesian)
        there = make_exact(calculator, there, can_go_on(there) & is_exact)
        is_better = can_go_on(there) & (there.order == 1) & (there.max_force < here.max_force)
        there = keep(is_better, there, here)
        state = put(state, todo, lambda _, there=there: there)
        todo = todo[is_better]
    if is_exact:
        return state, state
    is_other = (given.max_force > FORCE_TOL) & ~state.is_exact & can_go_on(state)
    state = make_exact(calculator, state, is_other)
    rows = state.is_exact.nonzero().flatten()
    return state, put(given, rows, lambda _: take(state, rows))
