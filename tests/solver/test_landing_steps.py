"""How far the steps of a landing go, and what the trials of an escape cost."""

import time
from dataclasses import replace

import pytest
import torch
from test_gad import escape, two_atoms

from gadlib.calculators.surfaces import quadratic
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.solver import gad, gad_newton
from gadlib.solver.image_step import STRIDE

GAD, TRUST = GadHyperparameters(), TrustHyperparameters()


def test_the_radius_of_a_landing_begins_and_ends_at_three_times_that_of_a_climb():
    surface = quadratic()
    state = gad_newton.init(surface, surface.start.moved_to(100 * surface.start.positions), GAD)
    assert state.memory.radius.tolist() == pytest.approx([STRIDE * TRUST.radius_start] * 2)
    radii, lengths = [], []
    for _ in range(12):
        before = state
        state = gad_newton.step(surface, state, GAD)
        moved = (state.batch.positions - before.batch.positions).norm(dim=-1).amax(-1)
        radii.append(before.memory.radius)
        lengths.append(moved)
    radii, lengths = torch.stack(radii), torch.stack(lengths)
    assert (lengths <= radii * (1 + 1e-9)).all()
    assert (lengths >= 0.95 * radii).all()
    grown = (STRIDE * TRUST.radius_start * TRUST.radius_grow ** torch.arange(12)).double()
    expected = grown.clamp(max=STRIDE * TRUST.radius_max)
    torch.testing.assert_close(radii, expected[:, None].expand(-1, 2))
    assert expected[-1] == STRIDE * TRUST.radius_max


def test_a_landing_step_that_was_taken_back_is_half_as_long():
    surface = quadratic()
    state = gad_newton.init(surface, surface.start.moved_to(100 * surface.start.positions), GAD)
    again = replace(state, rejected=state.rejected + 1)
    whole, half = (gad_newton.step(surface, s, GAD).batch.positions for s in (state, again))
    ratio = (half - state.batch.positions).norm() / (whole - state.batch.positions).norm()
    assert 0.4 < float(ratio) < 0.6


def test_the_time_of_all_trials_of_an_escape_is_the_calculators(monkeypatch):
    pause = 0.005
    asked = []
    evaluate = gad.evaluate

    def slow(calculator, batch, *, hessian):
        asked.append(hessian)
        time.sleep(pause)
        found, seconds = evaluate(calculator, batch, hessian=hessian)
        return found, seconds + pause

    monkeypatch.setattr(gad, "evaluate", slow)
    before, after, _ = escape(two_atoms(1.0, -0.1, limit=0.03), adaptive_delta_scale=0.0)
    assert len(asked) > 4
    spent = float(after.cost.calculator_s[0] - before.cost.calculator_s[0])
    assert spent >= len(asked) * pause
    assert int(after.cost.n_gradient[0] - before.cost.n_gradient[0]) >= len(asked)
