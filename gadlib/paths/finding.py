"""A reaction's own saddle, from its reactant and product alone.

Images between the ends are computed once each; from the highest a search climbs the mode that
breaks and makes the bonds that change; the saddle is followed downhill. Where it joins other ends,
the search goes on: from the next maximum, between the ends that are left of a reaction in two
steps, from either end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gadlib.evaluation import Calculator, evaluate
from gadlib.molecules.alignment import aligned, rmsd
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.interpolation import idpp
from gadlib.molecules.starting_points import Start, problem_of
from gadlib.paths.comparison import compare_path
from gadlib.paths.references import Known
from gadlib.paths.thermochemistry import Conditions
from gadlib.progress import signs_of_life
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Passed, Record
from gadlib.solver.downhill import irc
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

SAME_SADDLE = 0.1
"""A (RMSD) within which two saddles are one, as in benchmarks."""

_RANKS = (Connection.INTENDED, Connection.IN_STEPS, Connection.HALF, Connection.UNINTENDED)
_FROM_ENDS = (0.25, 0.75)
"""Where on the path a search from an end begins: on the slope, where its mode is no soft one."""


@dataclass(frozen=True)
class Plan:
    """How much is done for a reaction.

    Attributes:
        n_images: between the ends.
        budget: gradients at most for images and searches, beyond which no other search is begun.
        is_nested: whether this is a step of a reaction, of which no further steps are looked for.
    """

    n_images: int = 7
    budget: int = 1000
    is_nested: bool = False


@dataclass(frozen=True)
class _Guess:
    """Where a search may begin, in A, and what it cost to know."""

    positions: Float[np.ndarray, "n 3"]
    n_image: int


def find_each(job: Job, *, plan: Plan) -> Iterator[tuple[int, Record]]:
    """The place of each pair of ends and the record of its saddle, computed in this process.

    Ends are those of the starts; `criterion` and `mode` of the job hold for each search. A record's
    `n_gradient` are those of images and searches, all that failed included; downhill is apart.
    """
    for place, start in enumerate(job.starts):
        if reason := problem_of(start, job.hyperparameters.closest_pair):
            message = f"{Status.BAD_START.sentence} {reason}"
            yield place, Record.blank(start, Status.BAD_START, message)
        else:
            yield place, _find(job, start, plan)


def _find(job: Job, start: Start, plan: Plan) -> Record:
    """The best saddle that the budget allows: the first one that is intended."""
    assert start.ends is not None
    known = Known(reactant=start.ends[0], product=start.ends[1])
    best, spent = None, _Spent()
    seen: list[Record] = []
    for guess in _guesses(job.calculator, start, plan):
        spent = spent.of_images(guess.n_image)
        if spent.n_gradient >= plan.budget and best is not None:
            break
        record = _search(job, start, guess)
        spent = spent.of_search(record)
        if record.bound and not any(_is_same(record, other) for other in seen):
            seen.append(record)
            record = _followed(job.calculator, record, known)
            spent = spent.downhill(record)
            if record.verdict == Connection.HALF and not plan.is_nested:
                record, spent = _other_step(job, start, record, plan, spent)
        best = record if best is None or _rank(record) < _rank(best) else best
        if best.verdict in _RANKS[:2]:
            break
    assert best is not None
    return spent.told(best)


@dataclass(frozen=True)
class _Spent:
    """What a reaction has cost until now."""

    n_image: int = 0
    n_gradient: int = 0
    n_hessian: int = 0
    n_path_gradient: int = 0
    n_path_hessian: int = 0
    elapsed_s: float = 0.0
    calculator_s: float = 0.0
    steps: int = 0

    def of_images(self, n: int) -> _Spent:
        return replace(self, n_image=self.n_image + n, n_gradient=self.n_gradient + n)

    def of_search(self, record: Record) -> _Spent:
        names = ("n_image", "n_gradient", "n_hessian", "elapsed_s", "calculator_s", "steps")
        return self._with(record, names)

    def downhill(self, record: Record) -> _Spent:
        return self._with(record, ("n_path_gradient", "n_path_hessian"))

    def _with(self, record: Record, names: tuple[str, ...]) -> _Spent:
        return replace(self, **{n: getattr(self, n) + getattr(record, n) for n in names})

    def told(self, record: Record) -> Record:
        return replace(record, n_energy=self.n_gradient, **self.__dict__)


def _guesses(calculator: Calculator, start: Start, plan: Plan) -> Iterator[_Guess]:
    """Where searches may begin, the best guess first: maxima of the images, then either slope."""
    assert start.ends is not None
    images = idpp(start.atomic_numbers, *start.ends, plan.n_images)
    batch = Batch.of([replace(start, positions=image) for image in images])
    found, _ = evaluate(calculator, batch.to(getattr(calculator, "device", "cpu")), hessian=False)
    signs_of_life.stepped(1, 1)
    energy = found.energy.cpu().numpy().copy()
    energy[[*found.failures]] = -np.inf
    padded = np.array([-np.inf, *energy, -np.inf])
    is_top = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:])
    cost = len(images) * found.asked
    for i in sorted(np.flatnonzero(is_top & np.isfinite(energy)), key=lambda i: -energy[i]):
        yield _Guess(images[i], cost)
        cost = 0
    for share in _FROM_ENDS:
        near = images[round(share * (len(images) - 1))]
        yield _Guess(near, cost)
        cost = 0


def _search(job: Job, start: Start, guess: _Guess) -> Record:
    """The search that begins there."""
    begun = replace(start, positions=guess.positions)
    return search_starts(replace(job, starts=(begun,), capacity=1))[0]


def _followed(calculator: Calculator, record: Record, known: Known) -> Record:
    """The record with what its saddle joins, and what it cost to go there."""
    batch = Batch.of([record]).to(getattr(calculator, "device", "cpu"))
    (path,) = irc.follow(calculator, batch)
    legs = path.legs
    record = replace(
        record,
        n_path_gradient=path.n_gradient + sum(leg.n_gradient for leg in legs),
        n_path_hessian=path.n_hessian + sum(leg.n_hessian for leg in legs),
    )
    if reasons := [text for text in (path.message, *(leg.message for leg in legs)) if text]:
        message = f"{record.message} It could not be followed downhill: {reasons[0]}"
        return replace(record, verdict=Connection.FAILED, message=message)
    told = compare_path(path, record, known, Conditions())
    passed = Passed(
        verdict=told["verdict"],
        change=told["change"],
        energy=path.energy,
        imaginary_cm1=told["imaginary_cm1"],
        barrier=told["barrier"],
        reaction_energy=told["reaction_energy"],
        positions=told["saddle"],
        ends=told["ends"],
    )
    message = f"{Status.SADDLE.sentence} {told['message']}"
    return replace(record, verdict=told["verdict"], message=message, passed=[passed])


def _other_step(
    job: Job, start: Start, record: Record, plan: Plan, spent: _Spent
) -> tuple[Record, _Spent]:
    """The record with the other step of its reaction, where that is found within the budget.

    The saddle joins one of the ends with an intermediate; what joins this with the other end is
    looked for as a reaction of its own.
    """
    assert start.ends is not None
    own = record.passed[0]
    numbers = start.atomic_numbers
    ends = [np.array(end) for end in own.ends]
    is_first = rmsd(numbers, ends[0], start.ends[0]) < rmsd(numbers, ends[1], start.ends[1])
    pair = (ends[1], start.ends[1]) if is_first else (start.ends[0], ends[0])
    pair = (pair[0], aligned(pair[1], pair[0]))
    rest = replace(plan, budget=plan.budget - spent.n_gradient, is_nested=True)
    if rest.budget <= plan.n_images:
        return record, spent
    other = _find(job, replace(start, ends=pair), rest)
    spent = spent.of_search(other).downhill(other)
    if other.verdict != Connection.INTENDED:
        return record, spent
    steps = [record, other] if is_first else [other, record]
    highest = max(steps, key=lambda step: step.passed[0].energy)
    message = (
        f"{Status.SADDLE.sentence} The reaction goes in two steps, over an intermediate; this is"
        " the higher saddle."
    )
    passed = [step.passed[0] for step in steps]
    return replace(highest, verdict=Connection.IN_STEPS, message=message, passed=passed), spent


def _is_same(record: Record, other: Record) -> bool:
    """Whether two saddles are one."""
    places = (np.array(one.positions) for one in (record, other))
    return rmsd(np.array(record.atomic_numbers), *places) < SAME_SADDLE


def _rank(record: Record) -> int:
    """How near a record is to what is looked for, the nearest first."""
    if record.verdict in _RANKS:
        return _RANKS.index(Connection(record.verdict))
    return len(_RANKS) + (not record.bound)


def fragments_of_ends(start: Start) -> int:
    """In how many pieces a saddle between the ends may be: as many as the end with more."""
    batch = Batch.of([replace(start, positions=end) for end in start.ends or ()])
    return int(n_fragments(batch).max()) if start.ends else start.max_fragments


def within(start: Start) -> Start:
    """The start with the fragments that its ends allow, the product superposed."""
    if start.ends is None or start.problem:
        return start
    reactant, product = start.ends
    start = replace(start, ends=(reactant, aligned(product, reactant)))
    return replace(start, max_fragments=fragments_of_ends(start))
