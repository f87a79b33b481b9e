"""Nothing chosen is nothing done, never an error: the descent, the paths and the curvature."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from clusters import POTENTIAL, clusters
from torch import Tensor

from gadlib.evaluation import Evaluation
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver import points
from gadlib.solver.criteria import judge
from gadlib.solver.downhill import descent, irc, relaxation, sharpening
from gadlib.solver.points import begin
from gadlib.solver.trust import curvature, rule
from gadlib.systems.batch import Batch
from gadlib.systems.rows import take

NOBODY = torch.tensor([], dtype=torch.int64)
H = TrustHyperparameters()


def state_of(seed=0):
    return begin(clusters(seed), POTENTIAL)


def climbing():
    return rule.init(POTENTIAL, clusters(0), H)


def nobody_of(state):
    return take(state, NOBODY)


def n_systems(node) -> set[int]:
    """The lengths of all tensors and tuples of a node."""
    found: set[int] = set()
    for field in fields(node):
        leaf = getattr(node, field.name)
        if isinstance(leaf, Tensor | tuple):
            found.add(len(leaf))
        elif is_dataclass(leaf):
            found |= n_systems(leaf)
    return found


NONE_CHOSEN = torch.zeros(0, dtype=torch.bool)
WITH_NOBODY = {
    "relax": lambda s: relaxation.relax(POTENTIAL, s),
    "make_exact": lambda s: relaxation.make_exact(POTENTIAL, s, NONE_CHOSEN),
    "move": lambda s: relaxation.move(POTENTIAL, s, torch.zeros(0, s.hessian.shape[1]).double()),
    "keep": lambda s: relaxation.keep(NONE_CHOSEN, s, s),
    "learn": lambda s: relaxation.learn(s, s),
    "relaxation.relax_step": lambda s: relaxation.relax_step(POTENTIAL, s, s.energy)[0],
    "compute": lambda s: points.compute(POTENTIAL, s, NONE_CHOSEN),
    "add_hessian": lambda s: points.add_hessian(POTENTIAL, s),
    "sharpen": lambda s: sharpening.sharpen(POTENTIAL, s, is_exact=False)[0],
    "depart": lambda s: descent.depart(POTENTIAL, s, s.energy),
    "step_down": lambda s: descent.step_down(POTENTIAL, descent.depart(POTENTIAL, s, s.energy), 5),
}


@pytest.mark.parametrize("name", WITH_NOBODY)
def test_function_of_no_system_gives_none(name):
    after = WITH_NOBODY[name](nobody_of(state_of()))
    assert n_systems(after) == {0}


@pytest.mark.parametrize(
    "function",
    [
        lambda s: curvature.sharpen(POTENTIAL, s, H),
        lambda s: rule.step(POTENTIAL, s, H),
    ],
)
def test_trust_steps_of_no_system_give_none(function):
    assert n_systems(function(nobody_of(climbing()))) >= {0}
    assert len(function(nobody_of(climbing())).batch) == 0


def test_whether_nobody_is_sound_is_a_truth_value():
    sound = relaxation.can_go_on(nobody_of(state_of()))
    assert sound.dtype == torch.bool
    assert (~sound & NONE_CHOSEN).shape == (0,)


def test_no_legs_of_no_saddle():
    assert list(irc._descend(POTENTIAL, nobody_of(state_of()), 5, 10)) == []
    batch: Batch = clusters(0).take(NOBODY)
    assert irc.follow(POTENTIAL, batch) == []


def test_nothing_is_judged_of_nobody():
    verdict = judge(nobody_of(state_of()), NOBODY)
    assert n_systems(verdict) == {0}


@pytest.mark.parametrize("seed", range(3))
def test_some_beside_none_are_as_alone(seed):
    """What is chosen of a batch is moved, whether or not another selection is empty."""
    state = state_of(seed)
    chosen = torch.zeros(len(state.batch), dtype=torch.bool)
    assert relaxation.make_exact(POTENTIAL, state, chosen) is state
    after = points.compute(POTENTIAL, state, chosen)
    assert torch.allclose(after.energy, state.energy)


class Rising:
    """Every answer is higher than the one before, so that each step is taken back."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        self.n_calls += 1
        told = POTENTIAL(batch, hessian=hessian)
        return replace(told, energy=told.energy + self.n_calls)


def test_descent_in_which_all_are_stuck_ends_in_order():
    after = relaxation.relax(Rising(), state_of(), n_steps=60)
    assert len(after.batch) == 3
    assert after.is_exact.all()
