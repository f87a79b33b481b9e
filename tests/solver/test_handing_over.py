"""Searches that delta gives up: trust takes them over, from their starting points."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from clusters import Recorded

from gadlib.ase import saddle_search
from gadlib.ase.saddles import find_saddle
from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.hessians.inquiry import CHANCE
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver.products import CHANCE_LEARNED
from gadlib.solver.resting import Rests
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

NAMES = ("rxn0095", "rxn0041", "rxn0062")
AT_ONCE, LATER = DeltaHyperparameters(give_up=2), DeltaHyperparameters(give_up=6)
SENTENCE = "trust searched from the start."


@pytest.fixture(scope="module")
def guesses() -> list[Start]:
    found = {s.name: s for s in starts(read(split="all"), "ts")}
    return [found[name] for name in NAMES]


def paired(costly=None) -> Paired:
    costly = get("scine", functional="PM6") if costly is None else costly
    return Paired(costly, get("scine", functional="DFTB0"))


def ended(calculator, batch: Batch, hyperparameters, **changes):
    """The last frame of each search, and its row there."""
    asked = {"criterion": "strict", "n_steps": 60} | changes
    found = {}
    for frame in search(calculator, batch, hyperparameters, **asked):
        for row in frame.is_done:
            found[int(frame.state.index[row])] = (frame, row)
    return [found[i] for i in sorted(found)]


def steps_of(frame, row: int) -> int:
    return int(frame.state.steps[row])


def test_what_delta_gives_up_ends_where_trust_ends_from_the_start(guesses):
    batch = Batch.of(guesses)
    handed = ended(paired(), batch, AT_ONCE)
    alone = ended(get("scine", functional="PM6"), batch, TrustHyperparameters())
    assert len(handed) == len(alone) == len(NAMES)
    for (frame, row), (other, place) in zip(handed, alone, strict=True):
        assert frame.status[row] is other.status[place] is Status.SADDLE
        assert float(frame.state.energy[row]) == pytest.approx(float(other.state.energy[place]))
        assert steps_of(frame, row) == AT_ONCE.give_up + steps_of(other, place)


def test_all_calls_are_counted_before_and_after(guesses):
    costly = Recorded(get("scine", functional="PM6"))
    found = ended(paired(costly), Batch.of(guesses), AT_ONCE)
    n_asked = sum(len(batch) for batch in costly.batches)
    costs = [(frame.state.cost, row) for frame, row in found]
    n_hessian = sum(int(cost.n_hessian[row]) for cost, row in costs)
    n_gradient = sum(int(cost.n_gradient[row]) for cost, row in costs)
    assert n_hessian == sum(
        len(b) for b, hessian in zip(costly.batches, costly.hessians, strict=True) if hessian
    )
    assert n_asked - n_hessian <= n_gradient <= n_asked
    assert all(float(cost.own_s[row]) >= 0 for cost, row in costs)
    assert all(float(cost.calculator_s[row]) > 0 for cost, row in costs)
    assert all(float(cost.elapsed_s[row]) >= float(cost.calculator_s[row]) for cost, row in costs)
    assert all(torch.isfinite(cost.own_s[row]) for cost, row in costs)


@pytest.mark.parametrize("capacity", [1, 32])
def test_those_that_delta_ends_are_its_own_and_each_is_as_it_is_alone(guesses, capacity):
    together = ended(paired(), Batch.of(guesses), LATER, capacity=capacity)
    alone = [ended(paired(), Batch.of([guess]), LATER)[0] for guess in guesses]
    own = [steps_of(*one) for one in ended(paired(), Batch.of(guesses), DeltaHyperparameters())]
    assert min(own) <= LATER.give_up < max(own)  # else nothing is tested
    for (frame, row), (other, place), n in zip(together, alone, own, strict=True):
        assert frame.status[row] is Status.SADDLE
        assert steps_of(frame, row) == steps_of(other, place)
        assert (steps_of(frame, row) == n) == (n <= LATER.give_up)
        energy = float(frame.state.energy[row])
        assert energy == pytest.approx(float(other.state.energy[place]), abs=1e-6)


def test_the_steps_are_those_of_both(guesses):
    (frame, row), *_ = ended(paired(), Batch.of(guesses[:1]), AT_ONCE, n_steps=3)
    assert (frame.status[row], steps_of(frame, row)) == (Status.OUT_OF_STEPS, 3)


def test_what_may_rest_is_not_handed_over(guesses):
    rested: dict[int, object] = {}
    rests = Rests(after=3, on_rest=rested.__setitem__)
    for frame in search(
        paired(), Batch.of(guesses), AT_ONCE, criterion="strict", n_steps=60, rests=rests
    ):
        assert int(frame.state.steps.max()) <= 3
    assert len(rested) == len(NAMES)


def test_record_and_atoms_say_it(guesses):
    job = Job(paired(), tuple(guesses[:1]), AT_ONCE, "strict", 60)
    (record,) = search_starts(job)
    assert record.converged
    assert f"delta gave up after 2 steps; {SENTENCE}" in record.message
    first, last = record.tries
    assert (first.phase, first.ending, first.steps) == ("delta", "too_long", 2)
    assert (last.ending, last.steps) == ("saddle", record.steps - 2)
    assert first.gradients + last.gradients == record.n_gradient
    (own,) = search_starts(Job(paired(), tuple(guesses[:1]), DeltaHyperparameters(), "strict", 60))
    assert SENTENCE not in own.message


@pytest.fixture
def atoms(guesses):
    """The first guess on GFN2-xTB."""
    tblite = pytest.importorskip("tblite.ase")
    atoms = Atoms(numbers=guesses[0].atomic_numbers, positions=guesses[0].positions)
    atoms.calc = tblite.TBLite(method="GFN2-xTB", verbosity=0)
    return atoms


def test_saddles_of_atoms_are_handed_over_too(atoms):
    found = find_saddle(
        atoms, solver="delta", cheap="scine:DFTB0", criterion="strict", hyperparameters=AT_ONCE
    )
    assert SENTENCE in found.info["message"]


@pytest.mark.parametrize(("own", "chance"), [(AT_ONCE, CHANCE), (None, CHANCE_LEARNED)])
def test_an_optimizer_goes_on_and_proves_by_the_chance_of_who_ends(atoms, own, chance, monkeypatch):
    chances, ask = [], saddle_search.ask_products
    monkeypatch.setattr(
        saddle_search, "ask_products", lambda *given: chances.append(given[-1]) or ask(*given)
    )
    run = saddle_search.SaddleSearch(
        atoms,
        solver="delta",
        cheap="scine:DFTB0",
        criterion="strict",
        hyperparameters=own,
        logfile=None,
    )
    assert run.run(fmax=0.05, steps=60)
    assert set(chances) == {chance}
