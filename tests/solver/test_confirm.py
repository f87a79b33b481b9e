"""What a fresh calculation says of a claimed saddle, and which saddles are put aside."""

from dataclasses import replace

import pytest
import torch
from hand_made import flat, ring, search_state

from gadlib.evaluation import Evaluation
from gadlib.solver.criteria import judge
from gadlib.solver.points import compute
from gadlib.solver.proof import confirm, prove
from gadlib.solver.put_back import give_back, keep_strict
from gadlib.solver.state import PastTry, Status
from gadlib.systems.rows import take


class Remembering:
    """A calculator whose fresh copies answer by so much more, and fail for some systems."""

    def __init__(self, energy=(), force=(), failures=None):
        self.energy, self.force, self.failures = energy, force, failures or {}
        self.asked = []

    def __call__(self, batch, *, hessian=True):
        raise AssertionError("it remembers what it computed")

    def fresh(self):
        def calculator(batch, *, hessian=True):
            self.asked.append((len(batch), hessian))
            energy = torch.tensor(self.energy).double()
            forces = torch.zeros_like(batch.positions)
            forces[:, 0, 0] = torch.tensor(self.force).double()
            return Evaluation(energy, forces, None, self.failures)

        return calculator


def claimed(state, *rows):
    found = torch.zeros(len(state.batch), dtype=torch.bool)
    found[list(rows)] = True
    return found


@pytest.mark.parametrize(
    ("energy", "force", "is_doubted"),
    [
        (0.0099, 0.0, False),
        (-0.0099, 0.0, False),
        (0.0101, 0.0, True),
        (-0.0101, 0.0, True),
        (-0.0101, 9.0, True),
        (0.0, 0.0499, False),
        (0.0, 0.0501, True),
        (0.0, -0.0501, True),
    ],
)
def test_another_energy_or_other_forces_are_another_solution(energy, force, is_doubted):
    state = search_state(ring(2))
    told = confirm(Remembering((0.0, energy), (0.0, force)), state, claimed(state, 0, 1))
    assert told.doubt[0] == ""
    expected = (
        f"A fresh calculation of it finds another solution: {energy:+.3f} eV,"
        f" forces that differ by {abs(force):.3f} eV/A."
    )
    assert told.doubt[1] == (expected if is_doubted else "")


class Carrying(Remembering):
    """One that carries its solution by intent."""

    def adopt(self, fresh):
        raise AssertionError("nobody goes on")


@pytest.mark.parametrize(
    ("energy", "force", "is_doubted"),
    [
        (0.0101, 0.0, False),
        (0.0101, 9.0, False),
        (0.0099, 0.0501, True),
        (-0.0101, 0.0, True),
        (-0.0101, 9.0, True),
    ],
)
def test_of_a_solution_that_is_carried_by_intent_a_higher_one_is_no_doubt(
    energy, force, is_doubted
):
    state = search_state(ring(2))
    told = confirm(Carrying((0.0, energy), (0.0, force)), state, claimed(state, 1, 0))
    assert [bool(doubt) for doubt in told.doubt] == [False, is_doubted]


def test_a_claim_that_can_not_be_computed_again_is_doubted_for_that_reason():
    state = search_state(ring(2))
    calculator = Remembering((0.0, 0.0), (0.0, 0.0), {1: "it does not converge"})
    told = confirm(calculator, state, claimed(state, 0, 1))
    assert told.doubt == ("", "A fresh calculation of it fails: it does not converge")


def test_only_claims_are_computed_again_and_each_is_counted():
    state = search_state(ring(3))
    calculator = Remembering((9.0,), (0.0,))
    told = confirm(calculator, state, claimed(state, 1))
    assert calculator.asked == [(1, False)]
    assert [bool(doubt) for doubt in told.doubt] == [False, True, False]
    assert (told.cost.n_gradient - state.cost.n_gradient).tolist() == [0, 1, 0]
    assert torch.equal(told.cost.n_hessian, state.cost.n_hessian)
    assert (told.cost.calculator_s > state.cost.calculator_s).tolist() == [False, True, False]


def test_a_point_is_confirmed_once():
    state = search_state(ring(2))
    calculator = Remembering((0.0,), (0.0,))
    told = confirm(calculator, state, claimed(state, 0))
    assert told.is_confirmed.tolist() == [True, False]
    confirm(calculator, told, claimed(state, 0, 1))
    assert calculator.asked == [(1, False), (1, False)]
    again = compute(flat, told, told.is_exact)
    assert not again.is_confirmed.any()


def test_a_point_that_is_doubted_costs_no_hessian():
    state = search_state(ring(2))
    state = replace(state, doubt=("A fresh calculation of it fails", ""))
    told = prove(flat, state, claimed(state, 0, 1))
    assert told.is_exact.tolist() == [False, True]
    assert (told.cost.n_hessian - state.cost.n_hessian).tolist() == [0, 1]
    assert told.doubt == state.doubt


def test_a_calculator_without_memory_is_not_asked_again():
    state = search_state(ring(2))

    def calculator(batch, *, hessian=True):
        raise AssertionError("asked again")

    assert confirm(calculator, state, claimed(state, 0, 1)) is state


def test_a_strict_saddle_is_put_aside_where_it_does_not_suffice():
    state = search_state(ring(3), is_exact=True)
    values = torch.arange(15.0).double().expand(3, -1).clone() - 0.5
    values[1] += 1.0  # no saddle
    state = replace(state, spectrum=replace(state.spectrum, eigenvalues=values))
    state = replace(state, index=torch.tensor([7, 8, 9]))
    verdict = judge(state, torch.tensor([0, 0, 1]))  # the first is in more pieces than allowed
    assert verdict.meets("strict").tolist() == [True, False, True]
    kept = {}
    keep_strict(kept, verdict, "strict")
    assert kept == {}
    keep_strict(kept, verdict, "bound")
    assert list(kept) == [7]
    assert len(kept[7].batch) == 1
    assert torch.equal(kept[7].batch.positions, state.batch.positions[:1])


def test_a_bound_saddle_that_was_declined_stays_put_aside_and_one_that_is_not_bound_does_not():
    state = search_state(ring(3), is_exact=True)
    values = torch.arange(15.0).double().expand(3, -1).clone() - 0.5
    state = replace(state, spectrum=replace(state.spectrum, eigenvalues=values))
    later = replace(state, energy=state.energy - 1.0)
    for n_pieces, is_first in ((1, True), (0, False)):
        kept = {}
        for met in (state, later):
            keep_strict(kept, judge(met, torch.full((3,), n_pieces)), "intended")
        stayed = [torch.equal(kept[i].energy, state.energy[i : i + 1]) for i in range(3)]
        assert stayed == [is_first] * 3


@pytest.mark.parametrize(("status", "is_back"), [
    (Status.OUT_OF_STEPS, True), (Status.STOPPED, True), (Status.CALCULATOR_FAILED, True),
    (Status.SADDLE, False), (Status.RUNNING, False),
])  # fmt: skip
def test_a_search_without_success_is_put_back_to_its_saddle_with_all_that_it_spent(status, is_back):
    state = search_state(ring(3))
    best = take(replace(state, energy=state.energy - 5.0), torch.tensor([1]))
    now = replace(state, steps=state.steps + 9, cost=state.cost.plus(n_gradient=4),
                  tries=((), (PastTry("climbing", "circles", 3, 4),), ()))  # fmt: skip
    kept = {1: best}
    found = give_back(kept, now, (Status.RUNNING, status, Status.OUT_OF_STEPS))
    assert (found.energy - state.energy).tolist() == [0.0, -5.0 if is_back else 0.0, 0.0]
    assert list(kept) == ([1] if status is Status.RUNNING else [])
    assert found.steps.tolist() == [9, 9, 9]
    assert torch.equal(found.cost.n_gradient, now.cost.n_gradient)
    assert found.tries == now.tries
    assert found.index.tolist() == [0, 1, 2]
