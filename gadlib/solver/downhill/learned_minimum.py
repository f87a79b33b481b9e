"""Minima of a costly potential, sought on a surrogate that learns of each point that is computed.

What is found is a minimum by the costly potential's own forces and by the surrogate's Hessian, as
the ends of a way down are (`on_surrogate`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation
from gadlib.solver.delta.below import cheaps_of, observed
from gadlib.solver.delta.observations import Observations
from gadlib.solver.downhill.course import Course
from gadlib.solver.downhill.descent import Walk
from gadlib.solver.downhill.learned import Asking, Learned, answer_all
from gadlib.solver.downhill.on_surrogate import go_down
from gadlib.solver.downhill.relaxation import can_go_on, relax
from gadlib.solver.state import State
from gadlib.systems.rows import put, take


def relax_learned(calculator: Calculator, state: State) -> State:
    """The state at minima, for few calls of a potential that has cheap ones beside it.

    Where no cheap one can be computed, or the way leads to no minimum for as many calls as it may
    take, the potential itself is followed (`relaxation.relax`), from the lower of both ends of it.

    Args:
        calculator: the costly potential.
        state: where to begin, computed there.
    """
    rows = torch.arange(len(state.batch), device=state.energy.device).split(1)
    askings = [_minimum(calculator, take(state, row)) for row in rows]
    found: dict[int, Course | None] = dict(answer_all(calculator, state.batch, askings))
    for i, course in found.items():
        row = rows[i]
        if course is None:
            state = put(state, row, lambda part: relax(calculator, part))
        else:
            state = put(state, row, lambda part, course=course: _after(calculator, part, course))
    return state


def _minimum(calculator: Calculator, one: State) -> Asking[Course | None]:
    """The way of one system to its minimum; None where no cheap potential can be computed there."""
    if not bool(can_go_on(one)[0]):
        return None
    batch, answer = one.batch, Evaluation(one.energy, one.forces)
    for which, cheap in enumerate(cheaps_of(calculator)):
        none = Observations.none(int(batch.n_atoms[0]), which)
        known = observed(cheap, batch, batch.positions, answer, none)
        if len(known):
            learned = replace(Learned.of(cheap, batch, known), last=(batch.positions, answer))
            return (yield from go_down(_begun(learned, batch.positions), 0))
    return None


def _begun(learned: Learned, positions: Float[Tensor, "1 N 3"]) -> Course:
    """A course that has only to relax."""
    here = learned.at(positions)
    zero = torch.zeros_like(here.energy)
    walk = Walk(zero, zero, torch.zeros_like(here.steps), torch.ones_like(here.is_exact))
    here = replace(here, memory=walk)
    why = here.message[0]
    return Course(learned, here, ((0.0, positions[0]),), failure=why, is_over=bool(why))


def _after(calculator: Calculator, state: State, course: Course) -> State:
    """The state after a course; at a minimum of the potential itself where that has led to none."""
    state = replace(state, cost=state.cost.plus(n_gradient=course.n_asked))
    if not course.is_astray:
        return _at_end(state, course)
    is_lower = not course.failure and bool(course.state.energy < state.energy)
    return relax(calculator, _at_end(state, course) if is_lower else state)


def _at_end(state: State, course: Course) -> State:
    """The state where the course has ended, with the costly potential's energy and forces there."""
    end = course.state
    return replace(
        state,
        batch=end.batch,
        energy=end.energy,
        forces=end.forces,
        hessian=end.hessian,
        spectrum=end.spectrum,
        message=(course.message,),
    )
