"""Cheap potentials that fail: the next one takes over below that molecule, and it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clusters import Recorded, spoiled

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import DeltaHyperparameters
from gadlib.solver.delta.below import evaluate_below, take_over
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.delta.observations import SAME, Observations
from gadlib.solver.downhill import irc
from gadlib.solver.downhill.relaxation import RELAXED_FORCE
from gadlib.solver.goal import Frame
from gadlib.solver.points import begin
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

PM6, AM1, DFTB0 = (get("scine", functional=name) for name in ("PM6", "AM1", "DFTB0"))
NAMES = ("rxn0040", "rxn0062")
"""Of 6 and 7 atoms."""


@pytest.fixture(scope="module")
def guesses() -> list[Start]:
    found = {s.name: s for s in starts(read(split="all"), "ts")}
    return [found[name] for name in NAMES]


class Tired:
    """A potential that fails from some call on."""

    name = "tired"

    def __init__(self, calculator: Calculator, n_calls: int) -> None:
        self.calculator, self.n_left = calculator, n_calls

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        self.n_left -= 1
        if self.n_left < 0:
            raise RuntimeError("it is tired")
        return self.calculator(batch, hessian=hessian)


def searched(calculator: Calculator, guesses, on_frame=None):
    job = Job(calculator, tuple(guesses), DeltaHyperparameters(), "strict", 40)
    return search_starts(job, on_frame=on_frame)


def is_larger(batch: Batch):
    return batch.n_atoms > 6


def test_where_the_cheap_potential_fails_at_a_start_the_next_takes_over_there_alone(guesses):
    cheap = spoiled(DFTB0, is_larger, how="raises")
    calculator = Paired(PM6, cheap, (DFTB0,), ("one", "two"))
    here, there = searched(calculator, guesses)
    assert (here.status, there.status) == (Status.SADDLE, Status.SADDLE)
    assert "cheap" not in here.message
    assert "The cheap potential failed (" in there.message and "cursed" in there.message
    assert there.message.endswith("; two took its place.")
    (alone,) = searched(Paired(PM6, DFTB0), guesses[1:])
    assert alone.n_gradient == there.n_gradient
    assert np.allclose(alone.positions, there.positions, atol=1e-4)


@pytest.mark.parametrize("n_calls", [12, 25])
def test_a_search_goes_on_where_its_cheap_potential_fails_on_the_way(n_calls, guesses):
    """Nothing that the costly potential was asked is asked again."""
    costly = Recorded(PM6)
    calculator = Paired(costly, Tired(DFTB0, n_calls), (AM1,))
    (record,) = searched(calculator, guesses[:1])
    assert record.status == Status.SADDLE, record.message
    assert "failed (tired: RuntimeError: it is tired); AM1 took its place." in record.message
    gradients = [
        batch.positions[0]
        for batch, hessian in zip(costly.batches, costly.hessians, strict=True)
        if not hessian
    ]
    assert len(gradients) == record.n_gradient
    for i, place in enumerate(gradients[1:], start=1):
        apart = [float((place - other).norm(dim=-1).max()) for other in gradients[:i]]
        assert min(apart) > SAME


def test_one_that_fails_in_the_first_climb_is_followed_by_a_first_climb(guesses):
    (record,) = searched(Paired(PM6, Tired(DFTB0, 1), (DFTB0,)), guesses[:1])
    (alone,) = searched(Paired(PM6, DFTB0), guesses[:1])
    assert record.message.startswith(alone.message) and record.message != alone.message
    assert record.n_gradient == alone.n_gradient
    assert np.allclose(alone.positions, record.positions, atol=1e-4)


def test_each_that_fails_is_said_and_the_last_one_is_the_end(guesses):
    calculator = Paired(PM6, Tired(DFTB0, 9), (Tired(DFTB0, 4),), ("one", "two"))
    (record,) = searched(calculator, guesses[:1])
    assert record.status == Status.CALCULATOR_FAILED
    assert "it is tired" in record.message and "two took its place." in record.message


def observed(one: Calculator, other: Calculator, batch: Batch) -> Observations:
    known = Observations.none(batch.positions.shape[1])
    (above, _), (below, _) = (evaluate(each, batch, hessian=False) for each in (one, other))
    for i in range(len(batch)):
        costly, cheap = ((each.energy[i], -each.forces[i]) for each in (above, below))
        known = known.plus(batch.positions[i], costly, cheap)
    return known


def test_what_was_seen_is_against_the_next_cheap_potential_then(guesses):
    start = guesses[0]
    places = [start.positions, start.positions * 1.02]
    batch = Batch.pack(places, [start.atomic_numbers] * 2)
    known = observed(PM6, DFTB0, batch)
    calculator = Paired(PM6, DFTB0, (Tired(AM1, 0), AM1), ("one", "two", "three"))
    found = take_over(calculator, batch.take(torch.tensor([1])), known, "it was bad")
    assert found is not None
    expected = observed(PM6, AM1, batch)
    after = found.known
    assert after.which == 2
    for name in ("energies", "gradients", "cheap_energies", "cheap_gradients"):
        assert torch.allclose(getattr(after, name), getattr(expected, name), atol=1e-6)
    assert found.here.hessian is not None
    assert found.told == "The cheap potential failed (it was bad); three took its place."
    assert take_over(calculator, batch.take(torch.tensor([1])), after, "so was this") is None


def test_each_system_is_asked_of_its_own_cheap_potential(guesses):
    batch = Batch.of([guesses[1], guesses[0], guesses[1]])
    bad = spoiled(AM1, lambda part: part.n_atoms == 6, how="raises")
    found = evaluate_below((DFTB0, bad, AM1), batch, hessian=True)
    assert list(found.failures) == [1] and "cursed" in found.failures[1]
    for row, one in ((0, DFTB0), (2, AM1)):
        alone, _ = evaluate(one, batch.take(torch.tensor([row])), hessian=True)
        assert torch.allclose(found.energy[row], alone.energy[0])
        assert torch.allclose(found.forces[row], alone.forces[0])
        assert found.hessian is not None and alone.hessian is not None
        assert torch.allclose(found.hessian[row], alone.hessian[0])


@pytest.fixture(scope="module")
def saddle(guesses):
    """A saddle of PM6, found on DFTB0, with what was seen."""
    frames: list[Frame] = []
    searched(Paired(PM6, DFTB0), guesses[:1], frames.append)
    return frames[-1].state


@pytest.mark.parametrize("is_at_saddle", [True, False])
def test_ways_down_go_on_with_the_next_cheap_potential(saddle, is_at_saddle):
    top = saddle.batch.positions[0]

    def is_beyond(batch: Batch):
        """From 0.4 A off, or everywhere."""
        return (batch.positions - top).norm(dim=-1).amax(-1) > (-1.0 if is_at_saddle else 0.4)

    cheap = spoiled(DFTB0, is_beyond, how="raises")
    costly = Recorded(PM6)
    known = seen_by(saddle)
    calculator = Paired(costly, cheap, (DFTB0,), ("one", "two"))
    (path,) = irc.follow(calculator, saddle.batch, known=known)
    assert not path.reasons
    assert "cursed" in path.told and path.told.endswith("two took its place.")
    assert path.calls == (sum(map(len, costly.batches)), 0)
    for leg in path.legs:
        end = begin(saddle.batch.moved_to(leg.positions[-1][None]), PM6)
        assert float(end.max_force[0]) < RELAXED_FORCE and int(end.order[0]) == 0


def test_a_way_down_without_another_cheap_potential_is_on_the_potential_itself(saddle):
    top = saddle.batch.positions[0]

    def is_beyond(batch: Batch):
        return (batch.positions - top).norm(dim=-1).amax(-1) > 0.4

    cheap = spoiled(DFTB0, is_beyond, how="raises")
    (path,) = irc.follow(Paired(PM6, cheap), saddle.batch, known=seen_by(saddle))
    assert not path.reasons and len(path.legs) == 2
    assert path.told.startswith(irc.INSTEAD) and "cursed" in path.told
