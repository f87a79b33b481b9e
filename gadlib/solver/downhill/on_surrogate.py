"""The way down of a costly potential on a surrogate: a cheap one and what is learned on the way.

Steps along the coordinate and into the minima are made on the surrogate (`descent`, `relaxation`),
with its Hessian. The costly potential is asked where they lead farther than a radius from all that
was seen, which learns from how well forces were predicted, and at the ends. Where it surprises, the
piece since the last answer is walked again. Ends are minima by the costly potential's own forces
and by the surrogate's Hessian.

References: as in `irc`, and of the surrogate as in `gadlib.solver.delta.rule`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.hessians.vibrations import vibrations_of
from gadlib.solver.delta.below import cheaps_of, take_over
from gadlib.solver.delta.observations import SAME, Observations
from gadlib.solver.downhill.course import REACH_MAX, REACH_MIN, Course, leg_down, seen_on
from gadlib.solver.downhill.descent import depart, lowest_mode, step_down
from gadlib.solver.downhill.learned import Asking, Learned, answer_all, together
from gadlib.solver.downhill.learned_saddle import ALIKE, learn_saddle, look
from gadlib.solver.downhill.path import Path
from gadlib.solver.downhill.relaxation import can_go_on, is_calm, relax
from gadlib.solver.state import State, displacement
from gadlib.solver.trust.curvature import is_hessian_costly
from gadlib.systems.batch import Batch, longest

GROW, SHRINK = 1.5, 0.6
"""Factors of it where forces were predicted well, and where they were not."""

RIGHT, RIGHT_FORCE = 0.35, 0.05
"""Error of the forces over their change, or in eV/A; below either they were predicted well. Where
they were not, the piece since the last answer is walked again, with what it has taught. Accepting
errors up to WRONG one of nine ways led to another minimum, for two calls less."""

WRONG, WRONG_FORCE = 0.7, 0.15
"""Beyond both of which the reach shrinks, and a step of the relaxation is taken back."""

SHALLOW = 0.1
"""eV below the saddle, where it is looked about an end."""

APART = 0.005
"""A by which an atom has moved at least between points that a way down begins with. Closer ones, as
those of a proof's products, tell of one place alone, and a process learns on the way of the nearest
points only (`learned.NEAREST`)."""

_CHECKS = 4
"""Looks about an end at most."""

MAX_ASKED = 40
"""Calls of a leg at most."""

_MAX_AGAIN = 2
"""Times in a row that a piece is walked again, or nearer where the costly potential fails."""


def follow_learned(
    calculator: Calculator,
    batch: Batch,
    known: Sequence[Observations] | None,
    n_steps: int,
) -> Iterator[tuple[int, Path]]:
    """The place of each saddle and its path, as they end.

    Args:
        calculator: the costly potential, with its cheap ones.
        batch: the saddles.
        known: what was seen of each before, as by the search for it.
        n_steps: steps along the coordinate at most, on each side.
    """
    askings = []
    for i in range(len(batch)):
        one = batch.take(torch.tensor([i], device=batch.positions.device))
        n = int(batch.n_atoms[i])
        seen = Observations.none(n)
        if known is not None:
            seen = known[i].apart(batch.positions[i, :n].cpu(), APART)
        askings.append(_through(calculator, one, seen, n_steps))
    return answer_all(calculator, batch, askings)


def _through(
    calculator: Calculator, batch: Batch, known: Observations, n_steps: int
) -> Asking[Path]:
    """The path of the one saddle; where its cheap potential fails the next one begins it anew.

    What the costly one has said until then is known.
    """
    cheaps, n_asked, told = cheaps_of(calculator), 0, ""
    if len(cheaps) > 1:  # before the costly potential is asked in vain
        here, _ = evaluate(cheaps[known.which], batch, hessian=True)
        if here.failures and (turn := take_over(calculator, batch, known, here.failures[0])):
            known, told = turn.known, turn.told
    while True:
        tried = yield from _attempt(cheaps[known.which], batch, known, n_steps)
        path = replace(tried.path, n_gradient=tried.path.n_gradient + n_asked, told=told)
        if not tried.failure:
            return path
        turn = take_over(calculator, batch, tried.known, tried.failure)
        if turn is None:
            return path
        n_asked = path.calls[0]
        known, told = turn.known, f"{told} {turn.told}".strip()


@dataclass(frozen=True)
class _Attempt:
    """A path on one cheap potential, what was seen until its end, and why that one failed."""

    path: Path
    known: Observations
    failure: str


def _attempt(
    cheap: Calculator, batch: Batch, known: Observations, n_steps: int
) -> Asking[_Attempt]:
    top = yield from learn_saddle(cheap, batch, known)
    n = int(batch.n_atoms[0])
    if top.learned is None or top.state is None or top.message:
        still, none = torch.zeros(n, 3, dtype=torch.float64), float("nan")
        here = batch.positions[0, :n]
        path = Path(
            energy=none,
            positions=here,
            vibrations=None,
            mode=still,
            legs=(),
            n_gradient=top.n_asked,
            n_hessian=0,
            message=top.message,
            is_astray=top.is_computed,
        )
        seen = known if top.learned is None else top.learned.observations
        return _Attempt(path, seen, "" if top.state is None else top.state.message[0])
    state = top.state
    signs = [torch.full_like(state.energy, sign) for sign in (1.0, -1.0)]
    ways = yield from together([_descend(top.learned, state, sign, n_steps) for sign in signs])
    mode = displacement(state, lowest_mode(state)).unflatten(1, (-1, 3))[0, :n]
    path = Path(
        energy=float(state.energy[0]),
        positions=state.batch.positions[0, :n],
        vibrations=vibrations_of(state.batch, state.hessian, state.forces)[0],
        mode=mode,
        legs=tuple(map(leg_down, ways)),
        n_gradient=top.n_asked,
        n_hessian=0,
        message="",
        is_astray=any(way.is_astray for way in ways),
    )
    failure = next((way.failure for way in ways if way.failure), "")
    return _Attempt(path, seen_on(ways), failure)


def _descend(
    learned: Learned, top: State, sign: Float[Tensor, " 1"], n_steps: int
) -> Asking[Course]:
    """The way to one side of a saddle, at its end."""
    here = replace(top, memory=sign)
    course = Course(learned, here, ((0.0, top.batch.positions[0]),))
    return (yield from go_down(course, n_steps, top))


def go_down(course: Course, n_steps: int, top: State | None = None) -> Asking[Course]:
    """The course at its end, or where the calls are spent.

    Args:
        course: until now.
        n_steps: along the coordinate at most.
        top: the saddle that it leads down from; None where it has only to relax.
    """
    while not course.is_over and course.n_asked < MAX_ASKED:
        before, course = course, (yield from _step_on(course, n_steps))
        if course.n_asked == before.n_asked:
            break
        if top is not None and course.is_over and not course.message:
            course = yield from _checked(course, top)
    return course


def _step_on(course: Course, n_steps: int) -> Asking[Course]:
    """The course after one more call; the same, with the reason, where it leads nowhere new."""
    there, trail = _ahead(course, n_steps)
    if course.learned.distance(there.batch.positions) < SAME:
        return replace(course, failure=there.message[0])
    answer = yield there.batch.positions
    return _judged(replace(course, n_asked=course.n_asked + answer.asked), there, trail, answer)


def _checked(course: Course, top: State) -> Asking[Course]:
    """The course, over or not after looks about an end that is hardly lower than the saddle.

    Where a path begins flat, forces are as small as at a minimum, and what was learned farther
    down may have made one there of the surrogate: one of 18 ended so, 6 eV too high. So it is
    looked along the softest mode until the surrogate has another end, or the same mode again.
    """
    for _ in range(_CHECKS):
        state = course.state
        if not _is_end(state) or float(top.energy[0] - state.energy[0]) > SHALLOW:
            break
        mode = state.spectrum.modes[:, :, 0]
        beyond = look(state, mode)
        answer = yield beyond
        learned = course.learned.told(beyond, answer)
        here = replace(learned.at(state.batch.positions), memory=state.memory)
        n_asked = course.n_asked + answer.asked
        course = replace(course, learned=learned, state=here, n_asked=n_asked)
        course = replace(course, is_over=_is_end(here))
        if float((mode * here.spectrum.modes[:, :, 0]).sum().abs()) > ALIKE:
            break
    return course


def _is_end(here: State) -> bool:
    """Whether no force is left, and the surrogate curves up in all directions."""
    return bool(is_calm(here)[0]) and not int(here.order[0])


def _ahead(course: Course, n_steps: int) -> tuple[State, tuple[tuple[float, Tensor], ...]]:
    """Where the surrogate leads: to its minimum, or as far as what was seen may be trusted."""
    learned, state, trail = course.learned, course.state, [*course.trail]
    surrogate, reach = learned.tilted(), course.reach * course.share
    every = None if is_hessian_costly(learned.cheap) else 1

    def is_far(here: State) -> Bool[Tensor, " B"]:
        is_beyond = [learned.distance(place[None]) > reach for place in here.batch.positions]
        return torch.tensor(is_beyond, device=here.energy.device)

    if isinstance(state.memory, Tensor):  # at the saddle
        state = _noted(depart(surrogate, state, state.memory), trail)
    while len(trail) <= n_steps and not bool(state.memory.is_down | is_far(state)):
        if not bool(can_go_on(state)[0]):
            return state, tuple(trail)
        state = _noted(step_down(surrogate, state, every), trail)
    if bool(state.memory.is_down) or len(trail) > n_steps:
        state = relax(surrogate, state, is_enough=is_far)
    return state, tuple(trail)


def _noted(state: State, trail: list[tuple[float, Tensor]]) -> State:
    """The state, whose point is appended where it is a new one."""
    if float(state.memory.travelled[0]) > trail[-1][0]:
        trail.append((float(state.memory.travelled[0]), state.batch.positions[0]))
    return state


def _judged(
    course: Course, there: State, trail: tuple[tuple[float, Tensor], ...], answer: Evaluation
) -> Course:
    """The course after an answer: at the point asked for, or back with what it has taught."""
    if answer.failures:
        again = replace(course, share=course.share / 2, n_again=course.n_again + 1)
        is_over = again.n_again > _MAX_AGAIN
        return replace(again, is_over=is_over, message=answer.failures[0] if is_over else "")
    learned = course.learned.told(there.batch.positions, answer)
    error = float(longest((answer.forces - there.forces).flatten(1))[0])
    change = float(longest((answer.forces - course.state.forces).flatten(1))[0])
    is_wrong = error > WRONG * change and error > WRONG_FORCE
    is_right = error < RIGHT * change or error < RIGHT_FORCE
    reach = course.reach
    if is_right:
        reach = min(reach * GROW, REACH_MAX)
    elif is_wrong:
        reach = max(reach * SHRINK, REACH_MIN)
    course = replace(course, learned=learned, reach=reach, share=1.0)
    is_down = bool(there.memory.is_down)
    is_back = is_wrong if is_down else not is_right
    if is_back and course.n_again < _MAX_AGAIN:
        back = learned.at(course.state.batch.positions)
        back = replace(back, memory=course.state.memory)
        return replace(course, state=back, n_again=course.n_again + 1)
    here = learned.at(there.batch.positions)
    here = replace(here, memory=there.memory)
    is_over = _is_end(here)
    course = replace(course, state=here, trail=trail, n_again=0, is_over=is_over)
    why = here.message[0]
    return replace(course, message=why, failure=why, is_over=is_over or bool(why))
