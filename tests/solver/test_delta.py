"""The solver delta: what it finds on the costly potential, what it asks, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from clusters import Recorded, spoiled

from gadlib.calculators import check, get
from gadlib.calculators.paired import Paired
from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.normal_modes import exact_spectrum
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import (
    DeltaHyperparameters,
    Hyperparameters,
    TrustHyperparameters,
)
from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.process import learn
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.goal import Frame
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch
from gadlib.systems.boundary import Boundary

pytest.importorskip("scine_sparrow")

DELTA = DeltaHyperparameters()
NAMES = ("rxn0095", "rxn0041", "rxn0062")
"""Reactions of 7 and 8 atoms whose saddle on DFTB0, the start, is near one on PM6."""


def potential(functional: str) -> Calculator:
    return get("scine", functional=functional)


def paired(costly: Calculator | None = None, cheap: Calculator | None = None) -> Paired:
    """PM6 with DFTB0 beside it, where no others are given."""
    return Paired(costly or potential("PM6"), cheap or potential("DFTB0"))


@pytest.fixture(scope="module")
def guesses() -> list[Start]:
    found = {s.name: s for s in starts(read(split="all"), "ts")}
    return [found[name] for name in NAMES]


def ended(
    calculator: Calculator, batch: Batch, hyperparameters: Hyperparameters = DELTA, **changes
):
    """How each search ended: its status, and its state alone."""
    asked = {"criterion": "strict", "n_steps": 40} | changes
    found: dict[int, tuple[Status, Frame, int]] = {}
    for frame in search(calculator, batch, hyperparameters, **asked):
        for row in frame.is_done:
            found[int(frame.state.index[row])] = (frame.status[row], frame, row)
    return [found[i] for i in range(len(batch))]


@pytest.fixture(scope="module")
def found(guesses):
    """The searches from all guesses together, and what the costly potential was asked."""
    costly = Recorded(potential("PM6"))
    return costly, ended(paired(costly), Batch.of(guesses))


def cost_of(frame: Frame, row: int) -> tuple[int, int]:
    return int(frame.state.cost.n_gradient[row]), int(frame.state.cost.n_hessian[row])


def point_of(frame: Frame, row: int) -> Batch:
    """The last point of a search, alone."""
    numbers, positions = frame.state.batch.system(row)
    return Batch.pack([positions], [numbers])


def test_searches_end_at_strict_saddles_of_the_costly_potential(found):
    for status, frame, row in found[1]:
        assert status is Status.SADDLE
        here = point_of(frame, row)
        answer, _ = evaluate(potential("PM6"), here, hessian=True)
        assert answer.hessian is not None
        assert int(exact_spectrum(answer.hessian, here, answer.forces).order[0]) == 1
        assert answer.forces.norm(dim=-1).max() < 0.01
        assert float(answer.energy[0]) == pytest.approx(float(frame.state.energy[row]), abs=1e-4)


def test_they_are_where_trust_ends_for_fewer_gradients(found, guesses):
    of_trust = ended(potential("PM6"), Batch.of(guesses), TrustHyperparameters(), n_steps=100)
    for (_, mine, i), (status, other, j) in zip(found[1], of_trust, strict=True):
        assert status is Status.SADDLE
        (numbers, here), (_, there) = mine.state.batch.system(i), other.state.batch.system(j)
        assert rmsd(numbers, here, there) < 0.05
    n_mine, n_other = (
        sum(cost_of(frame, row)[0] for _, frame, row in each) for each in (found[1], of_trust)
    )
    assert n_mine < n_other


def test_the_start_is_no_saddle_of_it_yet(guesses):
    answer, _ = evaluate(potential("PM6"), Batch.of(guesses), hessian=False)
    assert (answer.forces.norm(dim=-1).amax(-1) > 0.3).all()


def test_every_call_of_the_costly_potential_is_counted(found):
    costly, ends = found
    asked = [0, 0]
    for batch, hessian in zip(costly.batches, costly.hessians, strict=True):
        asked[hessian] += len(batch)
    costs = [cost_of(frame, row) for _, frame, row in ends]
    assert asked == [sum(part) for part in zip(*costs, strict=True)]


def test_a_step_is_one_gradient(found):
    for _, frame, row in found[1]:
        n_gradient, n_hessian = cost_of(frame, row)
        assert n_gradient == 1 + int(frame.state.steps[row])
        assert 1 <= n_hessian <= 3


def test_a_batch_gives_what_each_molecule_gives_alone(found, guesses):
    for (status, together, row), guess in list(zip(found[1], guesses, strict=True))[1:]:
        ((alone, frame, _),) = ended(paired(), Batch.of([guess]))
        assert alone is status
        assert cost_of(frame, 0) == cost_of(together, row)
        here, there = (frame.state.batch.system(0)[1], together.state.batch.system(row)[1])
        assert abs(here - there).max() < 1e-4


def test_where_both_potentials_are_one_the_first_step_ends_it(guesses):
    both = potential("DFTB0")
    ((status, frame, _),) = ended(paired(both, both), Batch.of(guesses[:1]))
    assert status is Status.SADDLE
    assert int(frame.state.steps[0]) <= 1


def difference_of_diatomics() -> Surrogate:
    """DFTB0 and a process that has seen PM6 at some distances of carbon and oxygen."""
    seen = Observations.none(2)
    costly, cheap = potential("PM6"), potential("DFTB0")
    for distance in (1.0, 1.15, 1.3):
        batch = Batch.pack([torch.tensor([[0.0, 0, 0], [0, 0, distance]])], [[6, 8]])
        (above, _), (below, _) = (evaluate(c, batch, hessian=False) for c in (costly, cheap))
        told = ((one.energy[0], -one.forces[0]) for one in (above, below))
        seen = seen.plus(batch.positions[0], *told)
    return Surrogate((cheap,), (learn(seen),))


def test_a_surrogate_keeps_the_contract():
    """Of two atoms, which a process does not tell one from the other."""
    one = difference_of_diatomics()

    def surrogate(batch: Batch, *, hessian: bool = True):
        return Surrogate(one.cheap * len(batch), one.processes * len(batch))(batch, hessian=hessian)

    places = [torch.tensor([[0.0, 0, 0], [0.1, 0.2, d]]) for d in (1.05, 1.2)]
    batch = Batch.pack(places, [[6, 8], [6, 8]])
    check(surrogate, batch)
    above, _ = evaluate(surrogate, batch, hessian=False)
    below, _ = evaluate(one.cheap[0], batch, hessian=False)
    assert (above.energy - below.energy).abs().min() > 0.1


def test_a_surrogate_says_what_the_costly_potential_said_where_it_was_asked():
    one = difference_of_diatomics()
    batch = Batch.pack([torch.tensor([[0.0, 0, 0], [0, 0, 1.15]])], [[6, 8]])
    (said, _), (known, _) = (
        evaluate(calculator, batch, hessian=False) for calculator in (one, potential("PM6"))
    )
    assert float(said.energy - known.energy) == pytest.approx(0, abs=0.02)
    assert (said.forces - known.forces).abs().max() < 1e-3


def test_a_calculator_without_a_cheap_one_is_refused(guesses):
    with pytest.raises(ValueError, match="delta: the calculator has no cheap one beside it; exp"):
        list(search(potential("PM6"), Batch.of(guesses[:1]), DELTA, criterion="strict"))


def is_larger(batch: Batch):
    """The systems of eight atoms, of which there are two in three."""
    return batch.n_atoms > 7


@pytest.mark.parametrize(("which", "how"), [("costly", "nan"), ("cheap", "raises")])
def test_a_start_that_one_potential_fails_at_is_a_record_and_others_go_on(which, how, guesses):
    bad = {"costly": potential("PM6"), "cheap": potential("DFTB0")}
    bad[which] = spoiled(bad[which], is_larger, how=how)
    job = Job(paired(**bad), tuple(guesses), DELTA, "strict", 40)
    well, *failed = search_starts(job)
    assert well.status == Status.SADDLE
    for record in failed:
        assert record.status == Status.BAD_START
        assert ("The cheap potential fails: " in record.message) == (which == "cheap")
        assert ("cursed" if how == "raises" else "not finite") in record.message


class Tired:
    """A potential that fails in some of its calls, which are counted from 0."""

    def __init__(self, calculator: Calculator, fails: range) -> None:
        self.calculator, self.fails, self.n_calls = calculator, fails, 0
        self.asked: list[torch.Tensor] = []

    def __call__(self, batch: Batch, *, hessian: bool = True):
        self.n_calls += 1
        self.asked.append(batch.positions.clone())
        if self.n_calls - 1 in self.fails:
            raise RuntimeError("it is tired")
        return self.calculator(batch, hessian=hessian)


@pytest.mark.parametrize("first", [12, 25])
def test_a_cheap_potential_that_fails_for_a_while_ends_no_search(guesses, first):
    """Where a climb can't make its first step, the next one begins at the start."""
    cheap = Tired(potential("DFTB0"), range(first, first + 6))
    job = Job(paired(cheap=cheap), tuple(guesses[:1]), DELTA, "strict", 40)
    (record,) = search_starts(job)
    assert cheap.n_calls > first + 6
    assert record.status == Status.SADDLE, record.message


def test_a_cheap_potential_that_fails_from_some_point_on_is_the_reason_of_the_end(guesses):
    cheap = Tired(potential("DFTB0"), range(12, 10_000))
    job = Job(paired(cheap=cheap), tuple(guesses[:1]), DELTA, "strict", 40)
    (record,) = search_starts(job)
    assert record.status == Status.CALCULATOR_FAILED
    assert "The climb on the surrogate leads nowhere" in record.message
    assert "it is tired" in record.message


def test_a_costly_potential_that_fails_is_asked_again_nearer_and_nearer_then_no_more(guesses):
    costly = Tired(potential("PM6"), range(3, 1000))
    job = Job(paired(costly), tuple(guesses[:1]), DELTA, "strict", 40)
    (record,) = search_starts(job)
    assert record.status == Status.CALCULATOR_FAILED
    assert "it is tired" in record.message
    assert (record.steps, record.n_gradient) == (7, 8)
    *_, last = costly.asked[:3]
    ways = [float((one - last).norm(dim=-1).max()) for one in costly.asked[3:8]]
    assert all(after <= before for before, after in pairwise(ways))
    assert 0 < ways[-1] < ways[0] / 4


def test_a_costly_potential_that_fails_once_does_not_end_the_search(guesses):
    costly = Tired(potential("PM6"), range(2, 3))
    (record,) = search_starts(Job(paired(costly), tuple(guesses[:1]), DELTA, "strict", 40))
    assert record.status == Status.SADDLE


@pytest.mark.parametrize("n_calls", [1, 5, 20])
def test_a_cheap_potential_that_fails_on_the_way_ends_the_search_with_a_sentence(n_calls, guesses):
    cheap = Tired(potential("DFTB0"), range(n_calls, 10_000))
    (record,) = search_starts(Job(paired(cheap=cheap), tuple(guesses[:1]), DELTA, "strict", 40))
    assert record.status == Status.CALCULATOR_FAILED
    assert "it is tired" in record.message


def test_a_start_at_positions_that_are_not_finite_is_a_bad_one(guesses):
    numbers, positions = Batch.of(guesses).system(0)
    batch = Batch.pack([torch.full((3, 3), torch.nan), positions], [[8, 1, 1], numbers])
    (bad, _, _), (well, _, _) = ended(paired(), batch)
    assert (bad, well) == (Status.BAD_START, Status.SADDLE)


def held(kind: str) -> Batch:
    batch = Batch.pack([torch.tensor([[0.0, 0, 0], [0, 0, 1.1]])], [[6, 8]])
    if kind == "a surface":
        return replace(batch, is_free=False)
    is_frozen = torch.tensor([[kind == "frozen atoms", False]])
    is_periodic = torch.full((1, 3), kind == "a cell")
    cell = 10 * torch.eye(3, dtype=torch.float64)[None]
    return replace(batch, boundary=Boundary(is_frozen, cell, is_periodic))


@pytest.mark.parametrize("kind", ["a surface", "frozen atoms", "a cell"])
def test_what_is_not_free_is_refused_in_one_sentence(kind):
    with pytest.raises(ValueError, match=r"^solver delta: [^\n]*expected free molecules$"):
        list(search(paired(), held(kind), DELTA, criterion="strict"))


def test_a_saddle_that_is_not_bound_ends_the_search():
    """One of GFN2-xTB in two pieces, where one piece is asked for."""
    pytest.importorskip("tblite")
    start = next(s for s in starts(read("embedded-gfn2", split="all"), "ts") if s.name == "rxn0025")
    assert start.max_fragments == 2
    gfn2 = get("ase", calculator="tblite.ase:TBLite", options={"verbosity": 0})
    for allowed, expected in ((2, Status.SADDLE), (1, Status.STOPPED)):
        job = Job(paired(gfn2, gfn2), (replace(start, max_fragments=allowed),), DELTA, "bound", 20)
        (record,) = search_starts(job)
        assert record.status == expected
        assert record.criteria["strict"] and record.order == 1
        assert record.criteria["bound"] == (allowed == 2)
        assert (
            "It is a saddle, but does not meet the criterion; delta makes" in record.message
        ) == (allowed == 1)
