"""Systems leave and enter states, and padding goes, without a number being changed."""

from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from clusters import POTENTIAL, SEEDS, clusters, padded
from hypothesis import given
from hypothesis import strategies as st

from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.solver import gad, gad_newton
from gadlib.solver.state import State
from gadlib.solver.trust import rule as trust
from gadlib.systems.rows import concatenate, narrow, put, take

GAD, TRUST = GadHyperparameters(), TrustHyperparameters()
RULES = [(gad, GAD), (gad_newton, GAD), (trust, TRUST)]


def leaves(node) -> list[torch.Tensor]:
    if isinstance(node, torch.Tensor):
        return [node]
    parts = [getattr(node, f.name) for f in fields(node)] if is_dataclass(node) else []
    return [leaf for part in parts for leaf in leaves(part)]


def state_of(seed: int, rule, hyperparameters, *, is_padded: bool = False) -> State:
    batch = padded(clusters(seed)) if is_padded else clusters(seed)
    state = rule.init(POTENTIAL, batch, hyperparameters)
    return replace(rule.step(POTENTIAL, state, hyperparameters), message=("a", "b", "c"))


@pytest.mark.parametrize(("rule", "hyperparameters"), RULES)
@given(SEEDS, st.permutations([0, 1, 2]))
def test_systems_taken_out_and_joined_are_the_same_systems(rule, hyperparameters, seed, order):
    state = state_of(seed, rule, hyperparameters)
    whole = concatenate([take(state, torch.tensor([i])) for i in order])
    assert whole.message == tuple("abc"[i] for i in order)
    assert len(leaves(whole)) > 25
    for one, two in zip(leaves(whole), leaves(state), strict=True):
        assert torch.equal(one, two[list(order)])


@given(SEEDS)
def test_what_is_put_back_is_changed_and_nothing_else(seed):
    state = state_of(seed, *RULES[2])
    found = put(
        state,
        torch.tensor([0, 2]),
        lambda part: replace(part, steps=part.steps + 5, message=("d", "e")),
    )
    assert found.steps.tolist() == [6, 1, 6]
    assert found.message == ("d", "b", "e")
    assert found.hessian is state.hessian  # not copied
    assert found.batch is state.batch


def test_what_is_known_of_molecules_goes_along():
    state = state_of(0, *RULES[2])
    masses = state.batch.inverse_sqrt_masses
    taken = take(state, torch.tensor([2, 0])).batch
    assert torch.equal(taken.known["inverse_sqrt_masses"], masses[[2, 0]])
    joined = concatenate([taken, state.batch])
    assert torch.equal(joined.known["inverse_sqrt_masses"], masses[[2, 0, 0, 1, 2]])


@pytest.mark.parametrize(("rule", "hyperparameters"), RULES)
@given(SEEDS)
def test_without_padding_is_as_if_there_never_was_any(rule, hyperparameters, seed):
    expected = state_of(seed, rule, hyperparameters)
    found = narrow(state_of(seed, rule, hyperparameters, is_padded=True), 5)
    for one, two in zip(leaves(found), leaves(expected), strict=True):
        assert one.shape == two.shape
        assert one.is_contiguous()
    assert torch.equal(found.batch.atomic_numbers, expected.batch.atomic_numbers)
    assert torch.allclose(found.forces, expected.forces, atol=1e-9)
    assert torch.allclose(found.hessian, expected.hessian, atol=1e-9)
    again, once = (
        rule.step(POTENTIAL, found, hyperparameters),
        rule.step(POTENTIAL, expected, hyperparameters),
    )
    assert torch.allclose(again.batch.positions, once.batch.positions, atol=1e-7)
