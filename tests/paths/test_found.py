"""Searches that are about to end where another one has ended, and what a reaction may cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clusters import spoiled

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.calculators.springs import WITHOUT_CHEMISTRY
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.paths.ends import within
from gadlib.paths.finding import _cheap_at, find_each
from gadlib.paths.found import is_found_again, is_same
from gadlib.paths.plans import BUDGET, USUAL_BUDGET, Plan
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver.goal import Frame
from gadlib.solver.state import Status

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))
NAME = "rxn0062"
SPRINGS = WITHOUT_CHEMISTRY["springs"]


@pytest.fixture(scope="module")
def guess() -> Start:
    (found,) = (s for s in starts(read(split="all"), "ts") if s.name == NAME)
    return found


def searched(guess: Start, **more) -> tuple[Record, list[Frame]]:
    frames: list[Frame] = []
    job = Job(DFTB0, (guess,), TrustHyperparameters(), "strict", 50)
    (record,) = search_starts(job, on_frame=frames.append, **more)
    return record, frames


@pytest.fixture(scope="module")
def saddle(guess) -> Record:
    return searched(guess)[0]


def test_a_search_that_nears_a_known_saddle_is_seen_to(guess, saddle):
    moved = replace(guess, positions=guess.positions * 1.03)
    whole, frames = searched(moved)
    assert is_same(whole, saddle)
    near = [is_found_again(frame, [saddle]) for frame in frames]
    assert near[-1] and not near[0]
    assert not any(is_found_again(frame, []) for frame in frames)
    other = replace(saddle, energy=saddle.energy + 1.0)
    assert not any(is_found_again(frame, [other]) for frame in frames)


def test_a_search_stops_where_it_is_enough(guess, saddle):
    moved = replace(guess, positions=guess.positions * 1.03)
    whole, _ = searched(moved)
    record, frames = searched(moved, is_enough=lambda frame: is_found_again(frame, [saddle]))
    assert record.status == Status.STOPPED and not record.converged
    assert record.steps <= whole.steps and len(frames) == 1 + record.steps
    again, _ = searched(moved, is_enough=lambda frame: False)
    assert (again.status, again.steps) == (whole.status, whole.steps)


@pytest.mark.parametrize(
    ("budget", "is_costly", "most"),
    [(None, True, BUDGET), (None, False, USUAL_BUDGET), (50, True, 50), (50, False, 50)],
)
def test_a_budget_that_is_given_holds_for_all_potentials(budget, is_costly, most):
    assert Plan(budget=budget).most(is_costly) == most


@pytest.fixture(scope="module")
def ends() -> Start:
    (found,) = (s for s in starts(read(split="all"), "reactant") if s.name == NAME)
    return replace(within(found), start="idpp_rp")


def test_where_the_cheap_potential_fails_at_the_ends_the_next_one_leads(ends):
    """But springs do not: what they have between ends is no reaction."""
    bad = spoiled(DFTB0, lambda batch: batch.n_atoms > 0, how="nan")
    first = _cheap_at(Paired(PM6, bad, (SPRINGS, DFTB0)), ends)
    assert first is not None and first[0] is DFTB0
    assert _cheap_at(Paired(PM6, bad, (SPRINGS,)), ends) is None
    named = _cheap_at(Paired(PM6, SPRINGS), ends)
    assert named is not None and named[0] is SPRINGS


def test_no_search_of_a_costly_potential_goes_beyond_the_budget(ends):
    """But for the last one's start and the gradients of its proof."""
    job = Job(Paired(PM6, DFTB0), (ends,), DeltaHyperparameters(), "bound", 100, mode="reaction")
    ((_, record),) = find_each(job, plan=Plan(budget=5))
    assert record.n_gradient <= 6 and not record.converged
