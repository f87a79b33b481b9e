from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, Recorded, clusters, spoiled

from gadlib.state import Status, arrive, begin, evaluate


def second(batch):
    """Of the clusters the one with five atoms."""
    return batch.n_atoms == 5


def test_beginning_costs_one_gradient_and_one_hessian():
    calculator = Recorded(POTENTIAL)
    state = begin(clusters(0), calculator)
    assert calculator.hessians == [True]
    assert state.n_gradient.tolist() == state.n_hessian.tolist() == [1, 1, 1]
    assert state.steps.tolist() == state.escapes.tolist() == [0, 0, 0]
    assert state.index.tolist() == [0, 1, 2]
    assert (state.calculator_s > 0).all()


def test_arriving_costs_a_step_a_gradient_and_a_hessian_and_adds_what_else_was_spent():
    state = begin(clusters(0), POTENTIAL)
    target = clusters(1).positions
    moved = arrive(state, target, POTENTIAL, n_gradient=torch.tensor([0, 2, 4]))
    assert torch.equal(moved.batch.positions, target)
    assert torch.equal(moved.forces, POTENTIAL(clusters(1)).forces)
    assert moved.steps.tolist() == [1, 1, 1]
    assert moved.n_gradient.tolist() == [2, 4, 6]
    assert moved.n_hessian.tolist() == [2, 2, 2]
    assert state.steps.tolist() == [0, 0, 0]


def test_max_force_is_that_of_the_atom_pulled_hardest():
    state = begin(clusters(0), POTENTIAL)
    pulled = torch.zeros_like(state.forces)
    pulled[1, 2] = torch.tensor([0.3, 0.0, -0.4])
    assert replace(state, forces=pulled).max_force.tolist() == pytest.approx([0, 0.5, 0])


@pytest.mark.parametrize("how", ["raises", "returns NaN"])
def test_one_bad_system_costs_only_itself(how):
    batch = clusters(0)
    evaluation, _ = evaluate(spoiled(POTENTIAL, second, how=how), batch, hessian=True)
    assert set(evaluation.failures) == {1}
    expected = {"raises": "RuntimeError: this one is cursed", "returns NaN": "not finite"}[how]
    assert expected in evaluation.failures[1]
    told = POTENTIAL(batch)
    for name in ("energy", "forces", "hessian"):
        assert torch.allclose(getattr(evaluation, name)[[0, 2]], getattr(told, name)[[0, 2]])
    assert evaluation.energy[1].isnan()
    assert not evaluation.forces[1].any()
    assert not evaluation.hessian[1].any()


def test_a_start_at_nan_is_a_failure_and_not_an_exception():
    batch = clusters(0)
    positions = batch.positions.clone()
    positions[0, 1, 2] = torch.nan
    state = begin(batch.moved_to(positions), POTENTIAL)
    assert state.message[0] and not any(state.message[1:])
    assert torch.equal(
        state.spectrum.eigenvalues[1:],
        begin(batch, POTENTIAL).spectrum.eigenvalues[1:],
    )


def test_a_calculator_without_hessians_is_refused_and_not_a_failure_of_the_molecule():
    def blind(batch, *, hessian=True):
        return POTENTIAL(batch, hessian=False)

    with pytest.raises(ValueError, match="gave no Hessian"):
        begin(clusters(0), blind)


def test_every_status_has_a_sentence():
    sentences = [status.sentence for status in Status]
    assert all(sentence.endswith(".") and " " in sentence for sentence in sentences)
    assert len(set(sentences)) == len(Status)
