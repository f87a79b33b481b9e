"""What is told of the point where a search ends: exact, confirmed, and every call of it counted."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from clusters import POTENTIAL, clusters

from gadlib.calculators import get
from gadlib.evaluation import Evaluation
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.starting_points import Start
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.criteria import AT_POINTS
from gadlib.settings.hyperparameters import SOLVERS, TrustHyperparameters
from gadlib.solver.criteria import judge
from gadlib.solver.points import begin
from gadlib.solver.put_back import MAX_REJECTED
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.solver.trust.phases import Ending
from gadlib.systems.batch import Batch


def start_of(name: str, *, noise: float = 0.0, seed: int = 0, positions=None) -> Start:
    atoms = molecule(name)
    moved = atoms.positions if positions is None else np.asarray(positions, dtype=float)
    moved = moved + np.random.default_rng(seed).normal(scale=noise, size=moved.shape)
    pieces = int(n_fragments(Batch.pack([moved], [atoms.numbers]))[0])
    numbers = atoms.numbers.astype(np.int64)
    return Start(f"{name}-{seed}", name, "", "given", None, numbers, moved, pieces)


def records_of(calculator, starts, *, solver="trust", criterion="bound", n_steps=60, **more):
    hyperparameters = SOLVERS[solver](**more.pop("hyperparameters", {}))
    return search_starts(
        Job(calculator, tuple(starts), hyperparameters, criterion, n_steps, **more)
    )


class Counting:
    """A calculator that counts what it is asked for, by molecule; it may lose every n-th call."""

    def __init__(self, potential, *, lose=0, raises=False, **said):
        self.potential, self.lose, self.raises = potential, lose, raises
        self.calls, self.gradients, self.hessians = 0, Counter(), Counter()
        vars(self).update(said)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = self.potential(batch, hessian=hessian)
        for numbers in batch.atomic_numbers:
            kind = tuple(numbers[numbers > 0].tolist())
            (self.hessians if hessian else self.gradients)[kind] += 1
        self.calls += 1
        if self.raises and len(batch) > 1:
            raise RuntimeError("not together")
        if self.lose and self.calls % self.lose == 0:
            return replace(told, failures={0: "the SCF did not converge"})
        return told


STARTS = [start_of("CH3OH", noise=0.1), start_of("NH3", noise=0.15), start_of("H2CO", noise=0.1)]


@pytest.mark.parametrize("raises", [False, True], ids=["together", "one by one"])
@pytest.mark.parametrize(("solver", "criterion"), [("trust", "bound"), ("gad", "strict")])
def test_every_call_is_counted_whoever_makes_it(solver, criterion, raises):
    """Groups that enter later, probes, escapes, proofs, and what is asked again one by one."""
    pytest.importorskip("scine_sparrow")
    calculator = Counting(get("scine"), raises=raises)
    found = records_of(calculator, STARTS, solver=solver, criterion=criterion, capacity=2)
    for record in found:
        kind = tuple(record.atomic_numbers)
        assert record.n_hessian == calculator.hessians[kind]
        # A Hessian comes with its gradient; where that is of a new point, it is counted as well.
        at_new_points = record.n_gradient - calculator.gradients[kind]
        assert 0 <= at_new_points <= record.n_hessian
        if solver == "trust":
            assert at_new_points == 0


def test_the_tries_of_a_record_have_taken_its_steps_and_gradients_the_last_one_succeeded():
    """With little patience, so that there are several."""
    pytest.importorskip("scine_sparrow")
    calculator = get("scine")
    hyperparameters = {"try_steps": 6, "settle_steps": 2}
    found = records_of(calculator, STARTS, n_steps=150, hyperparameters=hyperparameters)
    found += records_of(calculator, STARTS[:1], n_steps=10, hyperparameters=hyperparameters)
    assert any(r.converged for r in found)
    for record in found:
        assert sum(t.steps for t in record.tries) == record.steps
        assert sum(t.gradients for t in record.tries) == record.n_gradient
        assert record.tries[-1].ending == record.status
    tries = [t for r in found for t in r.tries[:-1]]
    assert {t.ending for t in tries} <= {ending.word for ending in Ending} - {"goes_on"}
    assert "too_long" in {t.ending for t in tries}
    [dynamics] = records_of(calculator, STARTS[:1], solver="gad", criterion="index1", n_steps=2)
    assert dynamics.tries == []


def exact(record):
    state = begin(Batch.pack([np.array(record.positions)], [record.atomic_numbers]), get("scine"))
    return state, judge(state, torch.tensor([1]))


@pytest.mark.parametrize("n_steps", [0, 1, 5, 12])
@pytest.mark.parametrize("exact_hessians", ["proof", "often"])
def test_what_runs_out_is_told_of_by_an_exact_hessian(n_steps, exact_hessians):
    pytest.importorskip("scine_sparrow")
    for record in records_of(
        get("scine"), STARTS, n_steps=n_steps, hyperparameters={"exact_hessians": exact_hessians}
    ):
        state, verdict = exact(record)
        assert record.status == Status.OUT_OF_STEPS or record.converged
        told = record.criteria
        assert told == {name: bool(verdict.meets(name)[0]) for name in AT_POINTS} | {
            "intended": None
        }
        assert record.order == int(state.order[0])
        assert record.imaginary_cm1 == pytest.approx(float(verdict.imaginary_cm1[0]), abs=0.5)


def test_where_no_exact_hessian_can_be_had_the_criteria_are_null_with_a_reason():
    pytest.importorskip("scine_sparrow")

    class Gradients(Counting):
        def __call__(self, batch, *, hessian=True):
            told = super().__call__(batch, hessian=hessian)
            lost = dict.fromkeys(range(len(batch)), "no second derivatives") if hessian else {}
            return replace(told, failures=lost)

    start = start_of("NH3", noise=0.1)
    [record] = records_of(Gradients(get("scine")), [start], n_steps=4)
    assert record.status == Status.OUT_OF_STEPS
    assert {*record.criteria.values(), record.order, record.imaginary_cm1} == {None}
    assert record.energy is not None and record.fmax is not None
    assert "no second derivatives" in record.message
    assert record.n_hessian == 1


# One failure of the calculator costs a step.


@pytest.mark.parametrize(("solver", "criterion"), [("trust", "bound"), ("gad", "index1")])
def test_a_calculation_that_fails_now_and_then_takes_a_step_back(solver, criterion):
    pytest.importorskip("scine_sparrow")
    calculator = Counting(get("scine"), lose=5)
    [record] = records_of(calculator, STARTS[:1], solver=solver, criterion=criterion, n_steps=200)
    assert record.status == (Status.SADDLE if record.strict else Status.ORDER_ONE)
    assert record.converged
    assert record.steps > 5
    assert exact(record)[1].meets(criterion)[0]


def test_a_probe_that_fails_invents_no_curvature():
    pytest.importorskip("scine_sparrow")
    found = records_of(Counting(get("scine"), lose=3), STARTS[:1], n_steps=300)
    assert [r.status for r in found] == [Status.SADDLE]


def test_a_step_is_halved_each_time_it_fails():
    start = clusters(3).positions[:1]
    batch = Batch(start, clusters(3).atomic_numbers[:1])
    moves = []

    def stuck(batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = POTENTIAL(batch, hessian=hessian)
        move = float((batch.positions - start).norm(dim=-1).max())
        if move:
            moves.append(move)
        return replace(told, failures={0: "lost"}) if move else told

    *_, last = search(stuck, batch, SOLVERS["gad"](), n_steps=100)
    assert last.status == (Status.CALCULATOR_FAILED,)
    assert len(moves) == MAX_REJECTED + 1
    assert [a / b for a, b in itertools.pairwise(moves)] == pytest.approx([2] * 4)
    assert torch.equal(last.state.batch.positions, batch.positions)


# A saddle is confirmed by a calculator that knows nothing of the search.


class Remembering:
    """DFTB0, 5 eV too low for whoever has computed before; `fresh` has computed nothing."""

    is_hessian_costly = True

    def __init__(self):
        self.n_fresh, self.remembers = 0, False

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = get("scine")(batch, hessian=hessian)
        return replace(told, energy=told.energy - 5.0 * self.remembers)

    def fresh(self):
        self.n_fresh += 1
        return get("scine")


@pytest.mark.parametrize("remembers", [False, True])
def test_a_saddle_that_a_fresh_calculation_does_not_find_is_not_strict(remembers):
    pytest.importorskip("scine_sparrow")
    calculator = Remembering()
    calculator.remembers = remembers
    [record] = records_of(calculator, STARTS[:1], n_steps=200)
    assert calculator.n_fresh == 1
    assert bool(record.strict) is record.converged is not remembers
    assert record.status == (Status.STOPPED if remembers else Status.SADDLE)
    assert ("another solution: +5.000 eV" in record.message) is remembers


# A bend is no rotation.


def straight_water(bend: float) -> Batch:
    """Water at its straight stationary point on DFTB0, its oxygen moved out by so much (A)."""
    r = 0.9691025877276171
    places = [[0.0, bend, 0.0], [0.0, 0.0, r], [0.0, 0.0, -r]]
    return Batch.pack([np.array(places)], [[8, 1, 1]])


@pytest.mark.parametrize("bend", [0.0, 1e-5, 0.0009, 0.003, 0.004, 0.0051, 0.01, 0.02, 0.05])
def test_the_order_of_a_chain_does_not_jump_as_it_bends(bend):
    pytest.importorskip("scine_sparrow")
    state = begin(straight_water(bend), get("scine"))
    assert state.order.tolist() == [2]
    assert not judge(state, torch.tensor([1])).meets("index1").any()


def test_a_search_from_a_straight_chain_does_not_claim_it():
    pytest.importorskip("scine_sparrow")
    places = straight_water(0.004).positions[0].numpy()
    for solver, criterion in (("trust", "strict"), ("gad", "index1"), ("trust", "index1")):
        start = start_of("H2O", positions=places)
        [record] = records_of(get("scine"), [start], solver=solver, criterion=criterion, n_steps=40)
        assert record.status != Status.SADDLE or exact(record)[0].order.tolist() == [1]


def test_a_bent_molecule_at_rest_keeps_its_three_rotations():
    pytest.importorskip("scine_sparrow")
    [record] = records_of(get("scine"), [start_of("CH3OH", noise=0.05)], n_steps=200)
    state, _ = exact(record)
    assert int(state.spectrum.eigenvalues.isfinite().sum()) == 3 * 6 - 6


# Pieces that may be apart do not go from one another for ever.


def test_pieces_that_go_from_one_another_end_a_try_and_are_told():
    """Hypochlorous acid with its chlorine just beyond a bond: no wall holds it."""
    pytest.importorskip("scine_sparrow")
    atoms = molecule("HOCl")
    symbols = atoms.get_chemical_symbols()
    atoms.set_distance(symbols.index("O"), symbols.index("Cl"), 2.6, fix=0)
    start = start_of("HOCl", positions=atoms.positions)
    assert start.max_fragments == 2
    pm6 = get("scine", functional="PM6")
    [trust] = records_of(pm6, [start], n_steps=150)
    far = np.linalg.norm(np.diff(np.array(trust.positions), axis=0), axis=1).max()
    assert far < 8  # it was 22 A away after 300 steps
    [gad] = records_of(pm6, [start], solver="gad", criterion="index1", n_steps=100)
    assert gad.converged or "gone from one another" in gad.message


def test_whether_hessians_are_spared_is_the_same_on_a_busy_machine():
    """Nothing is timed: what a calculator declares decides."""
    hyperparameters = TrustHyperparameters()
    assert hyperparameters.exact_hessians == "auto"
    quiet, busy = (
        Counting(POTENTIAL, is_hessian_costly=False),
        Counting(POTENTIAL, is_hessian_costly=False),
    )
    for calculator in (quiet, busy):
        for _ in search(calculator, clusters(1), hyperparameters, criterion="strict", n_steps=6):
            pass
    assert quiet.hessians == busy.hessians and quiet.gradients == busy.gradients
