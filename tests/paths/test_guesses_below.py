"""Where a costly potential is searched from: what the cheap one finds, then images of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.paths import finding
from gadlib.paths.finding import MAX_BELOW, MAX_BELOW_STEP, find_each
from gadlib.paths.guesses import Guess
from gadlib.paths.plans import Plan
from gadlib.paths.routes import Landscape, Minimum
from gadlib.paths.spending import Spent
from gadlib.screening.jobs import Job
from gadlib.settings.hyperparameters import DeltaHyperparameters

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))
N_FOUND = 5


@pytest.fixture(scope="module")
def ends() -> Start:
    (reaction,) = (each for each in read(split="all") if each.name == "rxn0062")
    (found,) = starts([reaction], "idpp_rp")
    return found


@pytest.fixture
def quest(ends, monkeypatch) -> finding._Quest:
    """A quest for which the cheap potential has found five saddles, and there are two images."""
    found = [Guess(ends, 0, is_below=True)] * N_FOUND
    monkeypatch.setattr(finding, "_from_below", lambda *_: iter(found))
    monkeypatch.setattr(finding, "guesses", lambda *_, **__: iter([Guess(ends, 7)] * 2))
    job = Job(Paired(PM6, DFTB0), (ends,), DeltaHyperparameters(), "bound", 100, mode="reaction")
    minima = [Minimum.at(ends.atomic_numbers, place, 0.0) for place in ends.ends]
    quest = finding._Quest(job, ends, Plan(), Landscape(*minima), Spent(), is_costly=True)
    quest.gaps.append((minima[0], minima[1]))
    return quest


def tried(quest: finding._Quest, ends: Start, depth: int) -> list[tuple[bool, str]]:
    """Whether each guess is from below, and which solver it is searched by."""
    return [
        (guess.is_below, quest.job.hyperparameters.solver)
        for guess in quest.guesses(ends, (0.0, 0.0), depth)
    ]


def test_delta_begins_below_and_trust_at_images(quest, ends):
    below, images = [(True, "delta")] * MAX_BELOW, [(False, "trust")] * 2
    assert tried(quest, ends, depth=0) == below + images


def test_what_a_step_leaves_is_tried_below_alone_and_by_trust_once_that_begins(quest, ends):
    step = quest.gaps[0]
    quest.gaps.append((step[0], replace(step[1], positions=-step[1].positions)))
    assert tried(quest, ends, depth=1) == [(True, "delta")] * MAX_BELOW_STEP
    assert len(quest.gaps) == 2
    list(quest.guesses(ends, (0.0, 0.0), 0))
    assert len(quest.gaps) == 1  # so that trust may look between others anew
    assert tried(quest, ends, depth=1) == [(False, "trust")] * 2


def test_where_nothing_is_found_below_trust_finds_the_reaction(ends, monkeypatch):
    monkeypatch.setattr(finding, "_from_below", lambda *_: iter([]))
    job = Job(Paired(PM6, DFTB0), (ends,), DeltaHyperparameters(), "bound", 100, mode="reaction")
    ((_, record),) = find_each(job, plan=Plan())
    assert record.converged and record.verdict == "intended"
    assert record.n_image > 0
    assert np.isfinite(record.energy)


@pytest.mark.parametrize("has_saddle", [True, False])
def test_below_are_saddles_or_where_there_is_none_the_highest_image(ends, monkeypatch, has_saddle):
    if not has_saddle:
        monkeypatch.setattr(finding, "worth_trying", lambda land: [])
    job = Job(Paired(PM6, DFTB0), (ends,), DeltaHyperparameters(), "bound", 100, mode="reaction")
    found = list(finding._from_below(job, ends, Plan()))
    assert found and all(guess.n_gradient == 0 for guess in found)
    assert [guess.is_below for guess in found] == ([True] * len(found) if has_saddle else [False])
