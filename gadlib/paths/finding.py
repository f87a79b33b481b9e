"""A reaction's own saddle, from its reactant and product alone.

From a guess, where one is given, and from images between the ends a search climbs the mode that
breaks and makes the bonds that change; the saddle is followed downhill. Where it joins other ends,
the search goes on: between the ends that are left of a reaction in several steps, and from the next
guess (`guesses`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gadlib.calculators.springs import WITHOUT_CHEMISTRY
from gadlib.evaluation import Calculator, evaluate
from gadlib.molecules.alignment import aligned
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.starting_points import Start, problem_of
from gadlib.paths.ends import prepare_ends
from gadlib.paths.found import RANKS, is_found_again, is_same, rank, worth_trying
from gadlib.paths.guesses import Guess, guesses
from gadlib.paths.judging import followed
from gadlib.paths.plans import USUAL_BUDGET, Plan
from gadlib.paths.references import Known
from gadlib.paths.routes import Landscape, Minimum, in_steps
from gadlib.paths.spending import Spent
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.delta.below import cheaps_of
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.delta.observations import Observations
from gadlib.solver.goal import Frame
from gadlib.solver.handing_over import gives_up_after
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

_MAX_GAPS = 2
"""Gaps within gaps: from reactant to product, what one step leaves of it, and what another does."""

MAX_BELOW = 3
"""Guesses of the cheap potential that are tried. Of 19 reactions, GFN2-xTB on PM6 and DFTB0, those
that needed more took 400 to 760 gradients, where `trust` takes 70."""

MAX_BELOW_STEP = 1
"""The same for what a step leaves of the reaction. With three, two reactions spent 73 and 86 of 300
gradients there and were half found; `trust` finds them whole for 42 and 54."""


def find_each(job: Job, *, plan: Plan) -> Iterator[tuple[int, Record]]:
    """The place of each pair of ends and the record of its saddle, computed in this process.

    Ends are those of the starts; `criterion` and `mode` of the job hold for each search. A record's
    `n_gradient` are those of ends, images and searches, all that failed included; downhill is
    apart.
    """
    for place, start in enumerate(job.starts):
        if reason := problem_of(start, job.hyperparameters.closest_pair):
            yield place, _refused(start, reason)
        else:
            yield place, _find(job, start, plan)


def _refused(start: Start, reason: str) -> Record:
    message = f"{Status.BAD_START.sentence} {reason[0].upper()}{reason[1:]}."
    return Record.blank(start, Status.BAD_START, message)


def _find(job: Job, start: Start, plan: Plan) -> Record:
    """The best saddle that the budget allows: the first one that is intended."""
    ends = prepare_ends(job.calculator, start, plan.relax_ends)
    spent = Spent().of_ends(ends)
    if ends.problem:
        return spent.told(_refused(start, ends.problem))
    assert ends.start.ends is not None
    minima = [
        Minimum.at(start.atomic_numbers, place, energy)
        for place, energy in zip(ends.start.ends, ends.energies, strict=True)
    ]
    is_costly = job.hyperparameters.needs_cheap
    land = Landscape(minima[0], minima[1])
    quest = _Quest(job, ends.start, plan, land, spent, is_costly=is_costly)
    quest.explore((minima[0], minima[1]), depth=0)
    record = quest.result()
    more = [text for text in (ends.told, quest.failure) if text]
    return replace(record, message=" ".join([record.message, *more]))


@dataclass
class _Quest:
    """What is known, and what was spent, while the saddle of one reaction is looked for.

    Attributes:
        best: the nearest to what is looked for, of saddles found until now.
        seen: bound saddles, each followed once.
        gaps: pairs of minima between which was looked.
        failure: why images could not be computed.
        is_costly: whether the potential is one to be asked little.
    """

    job: Job
    start: Start
    plan: Plan
    land: Landscape
    spent: Spent
    best: Record | None = None
    seen: list[Record] = field(default_factory=list)
    gaps: list[tuple[Minimum, Minimum]] = field(default_factory=list)
    failure: str = ""
    is_costly: bool = False

    @property
    def is_over(self) -> bool:
        """Whether what is looked for was found, or the budget is spent."""
        is_found = self.best is not None and self.best.verdict in RANKS[:2]
        return is_found or (self.best is not None and self.n_left <= 0)

    @property
    def n_left(self) -> int:
        """Gradients of the budget that are left."""
        return self.plan.most(self.is_costly) - self.spent.n_gradient

    def explore(self, gap: tuple[Minimum, Minimum], depth: int) -> None:
        """Look for what joins two minima, and for what is left where a step of it is found."""
        self.gaps.append(gap)
        one, other = gap[0].positions, gap[1].positions
        between = replace(self.start, ends=(one, aligned(other, one)))
        energies = gap[0].energy, gap[1].energy
        for guess in self.guesses(between, energies, depth):
            self.spent = self.spent.of_images(guess.n_gradient)
            self.failure = self.failure or guess.failure
            if self.is_over:
                return
            is_step = self.search(guess)
            if is_step and not self.is_over and depth < _MAX_GAPS:
                left = self.land.gap()
                if not self.is_known(left):
                    self.explore(left, depth + 1)
            if self.is_over:
                return

    def guesses(self, between: Start, energies: tuple[float, float], depth: int) -> Iterator[Guess]:
        """Where searches begin: at a guess that was given; with `delta` where the cheap one leads.

        Where that leads to nothing, `trust` begins anew between reactant and product, from images
        of the costly one.
        """
        how = self.plan.n_images, self.plan.interpolation
        if self.plan.has_guess and depth == 0:
            yield Guess(between, 0)
        if self.job.hyperparameters.needs_cheap:
            below = _from_below(self.job, between, self.plan)
            yield from itertools.islice(below, MAX_BELOW_STEP if depth else MAX_BELOW)
            if depth:
                return
            self.job = replace(self.job, hyperparameters=TrustHyperparameters())
            self.gaps = self.gaps[:1]  # between others `trust` may look anew
        if self.best is None or self.n_left > self.plan.n_images:
            calculator = self.job.calculator
            yield from guesses(calculator, between, energies, *how, most=lambda: self.n_left)

    def is_known(self, gap: tuple[Minimum, Minimum]) -> bool:
        """Whether a gap was explored, or is none."""
        one, other = gap
        is_same = self.land.is_one
        before = any(is_same(one, g[0]) and is_same(other, g[1]) for g in self.gaps)
        return before or is_same(one, other)

    def search(self, guess: Guess) -> bool:
        """Search from the guess and follow what is new; whether another end of it was reached."""
        frames: list[Frame] = []
        part = replace(self.job, starts=(guess.start,), capacity=1)
        if (most := gives_up_after(part.hyperparameters)) is not None:
            part = replace(part, n_steps=min(part.n_steps, most))  # then the next guess is tried
        (record,) = search_starts(
            part, on_frame=frames.append, is_enough=lambda frame: bool(self.enough(frame))
        )
        if record.status == Status.STOPPED and frames[-1].status[0] is Status.RUNNING:
            where = self.enough(frames[-1])
            record = replace(record, message=f"The search was stopped {where}.")
        self.spent = self.spent.of_search(record)
        is_new = bool(record.bound) and not any(is_same(record, other) for other in self.seen)
        if is_new:
            self.seen.append(record)
            record = self.followed(record, seen_by(frames[-1].state) if frames else None)
        if guess.is_below and record.bound and record.rmsd_start is not None:
            off = f"It was sought on the cheap potential first: {record.rmsd_start:.2f} A off."
            record = replace(record, message=f"{record.message} {off}")
        if self.best is None or rank(record) < rank(self.best):
            self.best = record
        return is_new and bool(record.passed) and record.verdict in RANKS[2:]

    def enough(self, frame: Frame) -> str:
        """Where a search that stands so is to stop, in words; empty while it is not.

        Only a costly potential's stops near a saddle that is known: what others do next may be new.
        """
        if int(frame.state.cost.n_gradient[0]) >= self.n_left:
            return "where the criterion is not met"
        is_again = self.is_costly and is_found_again(frame, self.seen)
        return "near a saddle that was found before" if is_again else ""

    def followed(self, record: Record, seen: Sequence[Observations] | None) -> Record:
        """The record with what its saddle joins; a step of the reaction, where there is one."""
        assert self.start.ends is not None
        known = Known(reactant=self.start.ends[0], product=self.start.ends[1])
        record = followed(self.job.calculator, record, known, seen)
        self.spent = self.spent.downhill(record)
        if record.passed:
            self.land = self.land.with_step(record)
            route = self.land.route
            if record.verdict != Connection.INTENDED and len(route) > 1:
                return in_steps(route, Status.SADDLE.sentence)
        return record

    def result(self) -> Record:
        """The best record, with all that was spent, and whether that was the budget."""
        assert self.best is not None
        best = self.best
        if self.n_left <= 0 and best.verdict not in RANKS[:2]:
            spent = f"The budget of {self.plan.most(self.is_costly)} gradients is spent."
            best = replace(best, message=f"{best.message} {spent}")
        return self.spent.told(best)


def _from_below(job: Job, between: Start, plan: Plan) -> Iterator[Guess]:
    """The saddles that the same search finds on a cheap potential, the best first.

    Where none joins an end, the highest of the images as it has them. Nothing of this is counted.
    """
    assert between.ends is not None
    at_ends = _cheap_at(job.calculator, between)
    if at_ends is None:
        return
    cheap, (first, last) = at_ends
    below = replace(job, calculator=cheap, hyperparameters=TrustHyperparameters())
    plan = replace(plan, budget=USUAL_BUDGET)
    minima = [
        Minimum.at(between.atomic_numbers, place, energy)
        for place, energy in zip(between.ends, (first, last), strict=True)
    ]
    quest = _Quest(below, between, plan, Landscape(minima[0], minima[1]), Spent())
    quest.explore((minima[0], minima[1]), depth=0)
    found = worth_trying(quest.land)
    for record in found:
        reactant, product = (np.array(end) for end in record.passed[0].ends)
        place = np.array(record.passed[0].positions)
        yield Guess(replace(between, positions=place, ends=(reactant, product)), 0, is_below=True)
    if not found:
        images = guesses(cheap, between, (first, last), plan.n_images, plan.interpolation)
        yield replace(next(images), n_gradient=0, failure="")


def _cheap_at(
    calculator: Calculator, between: Start
) -> tuple[Calculator, tuple[float, float]] | None:
    """The first cheap potential that can compute both ends, and their energies in eV on it.

    Springs, which know no bonds, take nobody's place here.
    """
    batch = Batch.of([replace(between, positions=end) for end in between.ends or ()])
    for place, cheap in enumerate(cheaps_of(calculator)):
        if place and cheap in WITHOUT_CHEMISTRY.values():
            continue
        energies = evaluate(cheap, batch, hessian=False)[0].energy
        if bool(energies.isfinite().all()):
            first, last = energies.tolist()
            return cheap, (first, last)
    return None
