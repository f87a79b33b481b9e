"""A climb from rest goes the way of its aim, since no force tells which way is up."""

from dataclasses import replace

import pytest
import torch
from hand_made import pulled, ring, search_state

from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.solver.aim import Aim
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.rule import move


def resting(sign: float, **changes):
    """A climb that stretches one bond, or presses it, with the guess of the Hessian."""
    state = search_state(ring(), Phase.CLIMBING, **changes)
    stretches = torch.zeros(1, 1, 5, 5).double()
    stretches[0, 0, 0, 1] = stretches[0, 0, 1, 0] = sign
    wanted = Aim(torch.zeros(1, 15, 1).double(), stretches)
    model = model_hessian(state.batch)
    return replace(state, wanted=wanted, hessian=model, spectrum=spectrum(model, state.batch))


def length_after(state) -> float:
    there, _ = move(state)
    before, after = (b.distances[0, 0, 1] for b in (state.batch, there))
    return float(after - before)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_from_rest_the_bond_that_is_aimed_at_is_stretched_or_pressed(sign):
    along = float(resting(sign).wanted.along(ring()).sum(-1)[0, 0])
    assert length_after(resting(sign)) * along < 0  # the first atom's x, towards the second
    assert abs(length_after(resting(sign))) > 0.01


@pytest.mark.parametrize("changes", [{"steps": 1}, {"force": 0.031}])
def test_once_under_way_or_under_force_the_way_up_is_the_forces(changes):
    changes = dict(changes)
    force = changes.pop("force", 1e-3)
    moves = []
    for sign in (1.0, -1.0):
        state = resting(sign, **changes)
        state = replace(state, forces=pulled(state, force))
        moves.append(length_after(state))
    assert moves[0] == pytest.approx(moves[1])
    assert abs(moves[0]) > 1e-6
