"""Potentials with two solutions: claims are made on the lower one, whichever was found first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.evaluation import Evaluation
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver.delta.solutions import MAX_LOWERED
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

HIGHER, SLOPE = 0.4, 0.2
"""eV between two solutions, and eV/A along the distance of the first two atoms."""


class Carrying:
    """PM6, with solutions above it, of which it stays on one; a fresh one finds another.

    As of a calculator whose memory nobody has declared.

    Args:
        sheet: the solution that it is on, 0 for PM6 itself.
        lead: from a solution to the one that a fresh calculator finds.
        asked: what was asked for, of all that came of one another, in order.
    """

    has_hessian = False

    def __init__(
        self, sheet: int, lead: Callable[[int], int], asked: list[str], word: str = "gradient"
    ) -> None:
        self.sheet, self.lead, self.asked, self.word = sheet, lead, asked, word

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        self.asked.extend(["hessian" if hessian else self.word] * len(batch))
        found = get("scine", functional="PM6")(batch, hessian=hessian)
        arm = batch.positions[:, 1] - batch.positions[:, 0]
        distance = torch.linalg.vector_norm(arm, dim=-1)
        pull = self.sheet * SLOPE * arm / distance[:, None]
        forces = found.forces.clone()
        forces[:, 0] += pull
        forces[:, 1] -= pull
        energy = found.energy + self.sheet * (HIGHER + SLOPE * distance)
        return Evaluation(energy, forces, found.hessian, found.failures)

    def fresh(self) -> Carrying:
        return Carrying(self.lead(self.sheet), self.lead, self.asked, "fresh")


class Adopting(Carrying):
    """The same, which goes on from what a fresh one has found."""

    def adopt(self, fresh: Carrying) -> None:
        self.sheet = fresh.sheet


@pytest.fixture(scope="module")
def guess() -> Start:
    return next(s for s in starts(read(split="all"), "ts") if s.name == "rxn0095")


def found_from(guess: Start, costly: Carrying, **how) -> Record:
    calculator = Paired(costly, get("scine", functional="DFTB0"))
    h = DeltaHyperparameters(**how)
    (record,) = search_starts(Job(calculator, (guess,), h, "strict", 40))
    return record


@pytest.fixture(scope="module")
def on_one(guess) -> Record:
    """The search where there is one solution."""
    found = found_from(guess, Carrying(0, lambda _: 0, []))
    assert found.status == Status.SADDLE
    return found


def test_a_claim_stands_where_a_fresh_solution_is_higher(guess, on_one):
    asked: list[str] = []
    found = found_from(guess, Adopting(0, lambda _: 1, asked))
    assert found.status == Status.SADDLE
    assert found.energy == pytest.approx(on_one.energy, abs=1e-6)
    assert found.n_gradient == on_one.n_gradient
    assert asked.count("fresh") == 1
    assert "solution" not in found.message


def test_a_search_goes_on_from_a_lower_solution_and_ends_where_that_alone_would(guess, on_one):
    asked: list[str] = []
    found = found_from(guess, Adopting(1, lambda _: 0, asked))
    assert found.status == Status.SADDLE
    assert found.criteria["strict"]
    assert found.energy == pytest.approx(on_one.energy, abs=1e-4)
    assert "A lower solution of the potential, -0." in found.message
    assert found.n_gradient == len(asked)
    first, *_, last = [i for i, word in enumerate(asked) if word == "fresh"]
    assert first < last < len(asked) - found.n_proof + 1  # the proof comes after all of them


def test_where_memory_is_not_by_intent_a_higher_solution_is_a_doubt(guess):
    asked: list[str] = []
    found = found_from(guess, Carrying(0, lambda _: 1, asked), proof="hessian")
    assert found.status == Status.STOPPED
    assert "A fresh calculation of it finds another solution: +0." in found.message
    assert "hessian" not in asked


def test_without_a_way_to_go_on_from_it_a_lower_solution_ends_a_search_without_proof(guess):
    asked: list[str] = []
    found = found_from(guess, Carrying(1, lambda _: 0, asked), proof="hessian")
    assert found.status == Status.STOPPED
    assert "A fresh calculation of it finds another solution: -0." in found.message
    assert (found.n_hessian, found.n_proof) == (0, 0)
    assert asked[-1] == "fresh"
    assert "hessian" not in asked


def test_one_that_falls_without_an_end_is_left_to_its_doubt(guess):
    found = found_from(guess, Adopting(9, lambda sheet: max(0, sheet - 1), []))
    assert found.status == Status.STOPPED
    assert found.message.count("A lower solution of the potential") == MAX_LOWERED
    assert "A fresh calculation of it finds another solution: -0." in found.message


def test_trust_takes_a_higher_solution_for_no_doubt_either(guess):
    calculator = Adopting(0, lambda _: 1, [])
    (found,) = search_starts(Job(calculator, (guess,), TrustHyperparameters(), "strict", 60))
    assert found.status == Status.SADDLE
