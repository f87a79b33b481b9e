"""A surrogate that learns on a way down, and who asks the costly potential for whom.

What walks is a generator: it gives the points at which it wants the costly potential asked, and is
given the answers (`Asking`). So many ways go on together, and each round is one call for all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.progress import signs_of_life
from gadlib.solver.delta.below import observed
from gadlib.solver.delta.observations import Observations, farthest_moves
from gadlib.solver.delta.process import Process, learn
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.points import begin
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

T = TypeVar("T")

Asking = Generator[Float[Tensor, "K N 3"], Evaluation, T]
"""Points of one system in A that want to be computed, for what is made of them in the end."""


NEAREST = 12
"""Observations that a process learns of on the way. Of nine ways with PM6 on DFTB0 it took 32 calls
on average, with all observations 33, with 8, 6, 4 of them 34, 36, 44, some without an end."""


@dataclass(frozen=True)
class Tilted:
    """A surrogate with what it misses at the last point added, there and along a plane.

    A process that has learned of many points does not go through each of them to the last
    thousandth of an eV/A, which is what the end of a relaxation asks for.

    Attributes:
        below: the surrogate of one system.
        origin: the point, in A.
        energy, forces: missing there, in eV and eV/A.
    """

    below: Surrogate
    origin: Float[Tensor, "1 N 3"]
    energy: Float[Tensor, " 1"]
    forces: Float[Tensor, "1 N 3"]
    is_hessian_costly = False

    @classmethod
    def at(cls, below: Surrogate, batch: Batch, told: Evaluation) -> Tilted:
        """The one that says at a point what was told there."""
        found = below(batch, hessian=False)
        return cls(below, batch.positions, told.energy - found.energy, told.forces - found.forces)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """The evaluation of a batch of this system, or of nobody."""
        found = self.below(batch, hessian=hessian)
        moved = batch.positions - self.origin
        energy = found.energy + self.energy - (moved * self.forces).sum((-1, -2))
        return replace(found, energy=energy, forces=found.forces + self.forces)


@dataclass(frozen=True)
class Learned:
    """What is known of one system's costly potential, on top of a cheap one.

    Attributes:
        cheap: the potential below.
        batch: the one system, wherever it is.
        observations: of the difference.
        process: learned from them.
        last: the last point that was computed and what the potential said there.
    """

    cheap: Calculator
    batch: Batch
    observations: Observations
    process: Process
    last: tuple[Float[Tensor, "1 N 3"], Evaluation] | None = None

    @classmethod
    def of(cls, cheap: Calculator, batch: Batch, known: Observations) -> Learned:
        """What observations teach, of which there is one at least."""
        return cls(cheap, batch, known, learn(known))

    @property
    def surrogate(self) -> Surrogate:
        """The cheap potential with what was learned; a calculator of batches of this system."""
        return Surrogate((self.cheap,), (self.process,))

    def tilted(self) -> Calculator:
        """The same, exact at the last point."""
        if self.last is None:
            return self.surrogate
        place, answer = self.last
        return Tilted.at(self.surrogate, self.batch.moved_to(place), answer)

    def at(self, positions: Float[Tensor, "1 N 3"]) -> State:
        """The state on the surrogate there, with its exact Hessian."""
        return begin(self.batch.moved_to(positions), self.tilted())

    def told(self, positions: Float[Tensor, "K N 3"], answer: Evaluation) -> Learned:
        """With what the costly potential says at these points; the last one is where to go on."""
        known = observed(self.cheap, self.batch, positions, answer, self.observations)
        if known is self.observations:
            return self
        last = len(positions) - 1
        near = _near(known, positions[last, : int(self.batch.n_atoms[0])].cpu())
        taught = replace(self, observations=known, process=learn(near, self.process))
        if last in answer.failures:
            return taught
        there = Evaluation(answer.energy[last:], answer.forces[last:])
        return replace(taught, last=(positions[last:], there))

    def distance(self, positions: Float[Tensor, "1 N 3"]) -> float:
        """How far the farthest atom is from where it was in the nearest point seen, in A."""
        n = self.observations.positions.shape[1]
        return float(farthest_moves(self.observations.positions, positions[0, :n].cpu()).min())


def _near(known: Observations, place: Float[Tensor, "n 3"]) -> Observations:
    """Those nearest to a place, in their order."""
    return known.nearest(known.distances(place), NEAREST)


def together(askings: Sequence[Asking[T]]) -> Asking[list[T]]:
    """What several ask for, of one system, as one."""
    found: dict[int, T] = {}
    wishes: dict[int, Tensor] = {}
    answers: dict[int, Evaluation | None] = dict.fromkeys(range(len(askings)))
    while answers:
        for i, answer in answers.items():
            try:
                wishes[i] = next(askings[i]) if answer is None else askings[i].send(answer)
            except StopIteration as end:
                found[i] = end.value
        if not wishes:
            break
        given = yield torch.cat([*wishes.values()])
        answers = dict(zip(wishes, _shared(given, [*wishes.values()]), strict=True))
        wishes = {}
    return [found[i] for i in range(len(askings))]


def answer_all(
    calculator: Calculator, batch: Batch, askings: Sequence[Asking[T]]
) -> Iterator[tuple[int, T]]:
    """The place of each system and what its asking comes to, as they end.

    Args:
        calculator: who is asked, once in each round for all that is wanted.
        batch: the systems.
        askings: of each.
    """
    answers: dict[int, Evaluation | None] = dict.fromkeys(range(len(askings)))
    while answers:
        wishes: dict[int, Tensor] = {}
        for i, answer in answers.items():
            try:
                wishes[i] = next(askings[i]) if answer is None else askings[i].send(answer)
            except StopIteration as end:
                yield i, end.value
        if not wishes:
            return
        rows = [i for i, wish in wishes.items() for _ in wish]
        there = batch.take(torch.tensor(rows, device=batch.positions.device))
        there = there.moved_to(torch.cat([*wishes.values()]))
        found, _ = evaluate(calculator, there, hessian=False)
        signs_of_life.stepped(len(rows), len(rows))
        answers = dict(zip(wishes, _shared(found, [*wishes.values()]), strict=True))


def _shared(answer: Evaluation, wishes: Sequence[Tensor]) -> list[Evaluation]:
    """The answer in parts, as many points in each as were wished for."""
    parts, first = [], 0
    for wish in wishes:
        after = first + len(wish)
        failures = {i - first: w for i, w in answer.failures.items() if first <= i < after}
        energy, forces = answer.energy[first:after], answer.forces[first:after]
        parts.append(Evaluation(energy, forces, None, failures, answer.asked))
        first = after
    return parts
