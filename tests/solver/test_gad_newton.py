"""Dynamics that hand over to trust-region steps once the order is one."""

import pytest
import torch

from gadlib.calculators import get
from gadlib.calculators.surfaces import muller_brown, quadratic
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver import gad, gad_newton
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

GAD = GadHyperparameters()


def _embedded(recipe, count):
    found = starts(read(split="test", max_samples=count), recipe, 42)
    return Batch.pack([s.positions for s in found], [s.atomic_numbers for s in found])


def test_a_quadratic_saddle_is_reached_from_order_one_by_newton_steps():
    surface = quadratic()
    state = gad_newton.init(surface, surface.start, GAD)
    assert state.memory.is_landing.all()
    for _ in range(20):
        state = gad_newton.step(surface, state, GAD)
    assert state.max_force.max() < 1e-6


def test_before_order_one_the_steps_are_those_of_the_dynamics():
    surface = muller_brown()
    ours, published = (rule.init(surface, surface.start, GAD) for rule in (gad_newton, gad))
    is_flying = ~ours.memory.is_landing
    assert is_flying.any()
    ours, published = (
        rule.step(surface, s, GAD) for rule, s in ((gad_newton, ours), (gad, published))
    )
    assert torch.equal(ours.batch.positions[is_flying], published.batch.positions[is_flying])


def test_gad_ends_at_strict_saddles_where_strict_is_asked_for():
    pytest.importorskip("scine_sparrow")
    batch = _embedded("midpoint_rt", 6)
    ends = {}
    for frame in search(get("scine"), batch, GAD, criterion="strict", n_steps=150):
        for row in frame.is_done:
            ends[int(frame.state.index[row])] = frame.status[row]
            if frame.status[row] is Status.SADDLE:
                assert frame.state.max_force[row] < 0.01
                assert frame.state.order[row] == 1
    assert sum(status is Status.SADDLE for status in ends.values()) >= 4


def test_gad_with_the_published_criterion_does_not_land():
    surface = muller_brown()
    frames = list(search(surface, surface.start, GAD, criterion="index1", n_steps=3))
    assert isinstance(frames[0].state.memory, gad.GadMemory)
