"""One way down on a surrogate, as far as it is sure, and the leg that it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.process import learn
from gadlib.solver.downhill.learned import Learned
from gadlib.solver.downhill.path import Leg
from gadlib.solver.state import State

REACH, REACH_MIN, REACH_MAX = 0.3, 0.15, 0.6
"""A, how far the farthest atom may go from all that was seen: at first, and its limits."""


@dataclass(frozen=True)
class Course:
    """A way down as far as it is sure, and where it leads next.

    Attributes:
        learned: what is known.
        state: on the surrogate, where the costly potential was asked last; its memory is the walk.
        trail: arcs and points until there.
        reach: in A; `share` of it is used, less than 1 after a failure.
        n_asked: calls.
        n_again: times in a row that the last piece was walked again.
        is_over: whether there is nothing more to do; `message` why it leads nowhere.
        failure: of the cheap potential, where that is why.
    """

    learned: Learned
    state: State
    trail: tuple[tuple[float, Tensor], ...]
    reach: float = REACH
    share: float = 1.0
    n_asked: int = 0
    n_again: int = 0
    is_over: bool = False
    message: str = ""
    failure: str = ""

    @property
    def is_astray(self) -> bool:
        """Whether it leads nowhere, and not since the costly potential fails."""
        return bool(self.failure) or not (self.is_over or self.message)


def leg_down(course: Course) -> Leg:
    """The leg, its points' energies by all that was learned."""
    learned, ends = course.learned, course.state
    n, here = int(ends.batch.n_atoms[0]), ends.batch.positions[0]
    places = torch.stack([place for _, place in course.trail] + [here])
    many = learned.batch.take(torch.zeros(len(places), dtype=torch.int64)).moved_to(places)
    processes = (learn(learned.observations),) * len(places)  # of all, not of the nearest
    surrogate = replace(learned.surrogate, processes=processes)
    energy = surrogate(many, hessian=False).energy.cpu()
    energy[-1] = ends.energy[0]
    rest = ends.batch.masses[0].sqrt()[:, None] * (here - places[-2])
    arcs = [arc for arc, _ in course.trail]
    force, message = float(ends.max_force[0]), course.message
    if course.failure:
        message = f"the cheap potential fails ({course.failure.rstrip('.')})"
    elif not message and not course.is_over:
        message = f"forces of {force:.3f} eV/A are left after {course.n_asked} calls"
    return Leg(
        travelled=torch.tensor([*arcs, arcs[-1] + float(rest.norm())], dtype=torch.float64),
        energy=energy,
        positions=places[:, :n],
        max_force=force,
        vibrations=None,
        n_gradient=course.n_asked,
        n_hessian=0,
        message=message,
    )


def seen_on(ways: Sequence[Course]) -> Observations:
    """What was seen on all ways down from one saddle."""
    first, *others = (way.learned.observations for way in ways)
    for other in others:
        for i in range(len(other)):
            first = first.plus(*other.of(i))
    return first
