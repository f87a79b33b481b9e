import re
from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, Recorded, clusters, spoiled

from gadlib.evaluation import Evaluation, evaluate
from gadlib.solver.points import arrive, begin
from gadlib.solver.state import Status


def second(batch):
    """Of the clusters the one with five atoms."""
    return batch.n_atoms == 5


def test_beginning_costs_one_gradient_and_one_hessian():
    calculator = Recorded(POTENTIAL)
    state = begin(clusters(0), calculator)
    assert calculator.hessians == [True]
    assert state.cost.n_gradient.tolist() == state.cost.n_hessian.tolist() == [1, 1, 1]
    assert state.steps.tolist() == state.escapes.tolist() == [0, 0, 0]
    assert state.index.tolist() == [0, 1, 2]
    assert (state.cost.calculator_s > 0).all()


def test_arriving_costs_a_step_a_gradient_and_a_hessian_and_adds_what_else_was_spent():
    state = begin(clusters(0), POTENTIAL)
    target = clusters(1).positions
    spent = state.cost.plus(n_gradient=torch.tensor([0, 2, 4]))
    moved = arrive(state, target, POTENTIAL, cost=spent)
    assert torch.equal(moved.batch.positions, target)
    assert torch.equal(moved.forces, POTENTIAL(clusters(1)).forces)
    assert moved.steps.tolist() == [1, 1, 1]
    assert moved.cost.n_gradient.tolist() == [2, 4, 6]
    assert moved.cost.n_hessian.tolist() == [2, 2, 2]
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


def test_float32_is_taken_as_float64():
    def rough(batch, *, hessian=True):
        told = POTENTIAL(batch, hessian=hessian)
        return Evaluation(told.energy.float(), told.forces.float(), told.hessian.float())

    told, _ = evaluate(rough, clusters(0), hessian=True)
    assert not told.failures
    assert {told.energy.dtype, told.forces.dtype, told.hessian.dtype} == {torch.float64}


def test_a_hessian_that_was_not_asked_for_is_not_taken():
    def talkative(batch, *, hessian=True):
        return POTENTIAL(batch, hessian=True)

    assert evaluate(talkative, clusters(0), hessian=False)[0].hessian is None


@pytest.mark.parametrize("name", ["energy", "forces", "hessian"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -1e300, 1e12])
def test_numbers_that_no_molecule_has_are_refused_with_the_calculators_name(name, value):
    batch = clusters(0)

    def absurd(batch, *, hessian=True):
        told = POTENTIAL(batch, hessian=hessian)
        tensor = getattr(told, name).clone()
        tensor[(1, *[0] * (tensor.ndim - 1))] = value
        return replace(told, **{name: tensor})

    told, _ = evaluate(absurd, batch, hessian=True)
    assert list(told.failures) == [1]
    assert told.failures[1].startswith("absurd: ") and name in told.failures[1]
    assert told.energy[1].isnan() and not told.forces[1].any() and not told.hessian[1].any()
    assert torch.equal(told.hessian[[0, 2]], POTENTIAL(batch).hessian[[0, 2]])


def test_large_numbers_that_a_molecule_may_have_are_kept():
    def heavy(batch, *, hessian=True):
        told = POTENTIAL(batch, hessian=hessian)
        energy = told.energy - 1.4e6 * batch.n_atoms  # about what an atom of charge 118 has
        return replace(told, energy=energy, forces=7e7 * torch.ones_like(told.forces))

    assert not evaluate(heavy, clusters(0), hessian=True)[0].failures


def of_another_form(told, batch, form):
    hessian = told.hessian
    return {
        "a tuple": lambda: (told.energy, told.forces),
        "nothing": lambda: None,
        "complex": lambda: replace(told, energy=told.energy.to(torch.complex128)),
        "arrays": lambda: SimpleEvaluation(told.energy.numpy(), told.forces.numpy(), hessian),
        "another Hessian": lambda: replace(told, hessian=hessian[:, :3, :3]),
        "strange failures": lambda: replace(told, failures={-7: "who?"}),
    }[form]()


class SimpleEvaluation(Evaluation):
    """One whose tensors nobody looked at."""

    def __init__(self, energy, forces, hessian):
        values = {"energy": energy, "forces": forces, "hessian": hessian, "failures": {}}
        for name, value in values.items():
            object.__setattr__(self, name, value)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("a tuple", "TypeError: it returned tuple, expected an Evaluation"),
        ("nothing", "TypeError: it returned NoneType, expected an Evaluation"),
        ("complex", "(TypeError: its energy is of torch.complex128|energy.*Float)"),
        ("arrays", "TypeError: its energy is of ndarray, expected a tensor of torch.float64"),
        ("another Hessian", r"its hessian has shape \(1, 3, 3\), expected \(1, 15, 15\)"),
        ("strange failures", "its failures name system -7, expected 0 to 0"),
    ],
)
def test_an_answer_of_another_form_is_a_failure_of_the_molecule_that_it_is_about(form, reason):
    batch = clusters(0)

    def odd(batch, *, hessian=True):
        told = POTENTIAL(batch, hessian=hessian)
        return of_another_form(told, batch, form) if second(batch).any() else told

    told, _ = evaluate(odd, batch, hessian=True)
    assert list(told.failures) == [1]
    assert told.failures[1].startswith("odd: ")
    assert re.search(reason, told.failures[1])
    assert torch.equal(told.forces[[0, 2]], POTENTIAL(batch).forces[[0, 2]])


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_calculator_that_would_end_the_program_costs_one_record(ending):
    batch = clusters(0)

    def leaving(batch, *, hessian=True):
        if second(batch).any():
            raise ending
        return POTENTIAL(batch, hessian=hessian)

    told, _ = evaluate(leaving, batch, hessian=True)
    assert list(told.failures) == [1]
    assert f"leaving: ForeignExit: it raised {type(ending).__name__}" in told.failures[1]
    assert torch.equal(told.forces[[0, 2]], POTENTIAL(batch).forces[[0, 2]])


def test_every_status_has_a_sentence():
    sentences = [status.sentence for status in Status]
    assert all(sentence.endswith(".") and " " in sentence for sentence in sentences)
    assert len(set(sentences)) == len(Status)
