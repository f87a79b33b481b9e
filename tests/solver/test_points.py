"""States computed at their points, and what each call costs."""

from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, Recorded, clusters
from hand_made import flat, ring, search_state

from gadlib.evaluation import Evaluation
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS, GadHyperparameters, TrustHyperparameters
from gadlib.solver import gad, gad_newton
from gadlib.solver.points import add_hessian, begin, compute, try_hessian
from gadlib.solver.rules import RULES, rule_for
from gadlib.solver.state import Cost
from gadlib.solver.trust import rule as trust


def test_a_cost_adds_up_and_calls_share_their_time():
    none = Cost.none(ring(2))
    evaluation = Evaluation(torch.zeros(2).double(), torch.zeros(2, 5, 3).double(), asked=3)
    found = none.after(evaluation, 4.0, hessian=True).after(evaluation, 1.0, hessian=False)
    assert found.n_gradient.tolist() == [6, 6]
    assert found.n_hessian.tolist() == [3, 3]
    assert found.calculator_s.tolist() == [2.5, 2.5]
    assert found.plus(own_s=0.5).elapsed_s.tolist() == [3.0, 3.0]
    assert none.n_gradient.tolist() == [0, 0]


def test_a_hessian_is_asked_for_only_where_it_is_to_be_exact():
    calculator = Recorded(POTENTIAL)
    state = begin(clusters(0), POTENTIAL)
    state = replace(state, hessian=0 * state.hessian, energy=state.energy + 9)
    found = compute(calculator, state, torch.tensor([True, False, True]))
    assert [len(batch) for batch in calculator.batches] == [2, 1]
    assert calculator.hessians == [True, False]
    assert (found.cost.n_gradient - state.cost.n_gradient).tolist() == [1, 1, 1]
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist() == [1, 0, 1]
    assert [bool(h.any()) for h in found.hessian] == [True, False, True]
    torch.testing.assert_close(found.energy, state.energy - 9)


def test_a_hessian_added_to_a_known_point_counts_no_gradient():
    state = begin(clusters(0), POTENTIAL, model=torch.zeros(3, 15, 15).double())
    assert not state.is_exact.any() and not state.cost.n_hessian.any()
    found = add_hessian(POTENTIAL, state)
    assert (found.cost.n_gradient - state.cost.n_gradient).tolist() == [0, 0, 0]
    assert found.cost.n_hessian.tolist() == [1, 1, 1]
    torch.testing.assert_close(
        found.spectrum.eigenvalues, begin(clusters(0), POTENTIAL).spectrum.eigenvalues
    )


def test_where_no_hessian_can_be_computed_the_point_stays_as_it_was():
    def partly(batch, *, hessian=True):
        told = flat(batch, hessian=hessian)
        return replace(told, energy=told.energy - 7, failures={1: "no second derivatives"})

    state = search_state(ring(2))
    found, reasons = try_hessian(partly, state)
    assert reasons == ("", "no second derivatives")
    assert found.is_exact.tolist() == [True, False]
    assert found.message == ("", "")
    assert found.energy.tolist() == [-7.0, 0.0]
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist() == [1, 1]


def test_a_criterion_is_searched_for_by_a_rule_that_reaches_it():
    assert set(RULES) == set(SOLVERS)
    found = [rule_for(GadHyperparameters(), criterion) for criterion in CRITERIA]
    assert found == [gad if name == "index1" else gad_newton for name in CRITERIA]
    assert {rule_for(TrustHyperparameters(), criterion) for criterion in CRITERIA} == {trust}


@pytest.mark.parametrize("rejected", [0, 1, 4])
def test_a_step_is_half_as_long_for_each_one_taken_back(rejected):
    state = search_state(rejected=rejected)
    assert state.shortened.tolist() == [0.5**rejected]


def test_a_point_is_computed_where_its_energy_is_finite():
    state = replace(search_state(ring(2)), energy=torch.tensor([torch.nan, 1.0]).double())
    assert state.is_computed.tolist() == [False, True]
