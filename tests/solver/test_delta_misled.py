"""Cheap potentials that mislead: what was seen is likelier without them, and searches go on so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.calculators.springs import WITHOUT_CHEMISTRY
from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import DeltaHyperparameters
from gadlib.solver.delta.below import observed, without_misleading
from gadlib.solver.delta.learning import NEAR_START
from gadlib.solver.delta.memory import DeltaMemory
from gadlib.solver.delta.observations import Observations
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))
NOTHING = WITHOUT_CHEMISTRY["none"]


class Inverted:
    """A potential with its sign turned: what is a valley is a ridge."""

    name = "inverted"
    is_hessian_costly = False

    def __init__(self, calculator: Calculator) -> None:
        self.calculator = calculator

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        found = self.calculator(batch, hessian=hessian)
        second = None if found.hessian is None else -found.hessian
        return replace(found, energy=-found.energy, forces=-found.forces, hessian=second)


@pytest.fixture(scope="module")
def guess() -> Start:
    return next(s for s in starts(read(split="all"), "ts_noise0.1A") if s.name == "rxn0062")


def seen_near(guess: Start, cheap: Calculator, n: int) -> tuple[Batch, Observations]:
    """The system of a guess, and what PM6 and a cheap potential say at places near it."""
    system = Batch.of([guess])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, *system.positions.shape[1:], generator=generator, dtype=torch.float64)
    places = system.positions + 0.05 * noise
    many = system.take(torch.zeros(n, dtype=torch.int64)).moved_to(places)
    answer, _ = evaluate(PM6, many, hessian=False)
    known = Observations.none(system.positions.shape[1])
    return system, observed(cheap, system, places, answer, known)


def test_one_that_is_of_use_stays(guess):
    system, known = seen_near(guess, DFTB0, 8)
    assert without_misleading(Paired(PM6, DFTB0, (NOTHING,)), system, known) is None


def test_one_that_is_worse_than_nothing_goes_and_it_is_told(guess):
    cheap = Inverted(DFTB0)
    system, known = seen_near(guess, cheap, 8)
    calculator = Paired(PM6, cheap, (DFTB0, NOTHING), ("a bad one", "DFTB0", "none"))
    turn = without_misleading(calculator, system, known)
    assert turn is not None
    assert turn.known.which == 2 and len(turn.known) == 8
    assert torch.equal(turn.known.energies, known.energies)
    assert not turn.known.cheap_energies.any() and not turn.known.cheap_gradients.any()
    assert turn.here.hessian is not None and not turn.here.hessian.any()
    assert turn.told == "a bad one misled; after 8 points the search began anew without it."
    assert without_misleading(calculator, system, turn.known) is None
    assert without_misleading(Paired(PM6, cheap, (DFTB0,)), system, known) is None


def test_what_was_seen_far_from_a_place_goes(guess):
    _, known = seen_near(guess, DFTB0, 6)
    place = known.positions[2]
    radius = float(known.distances(place).sort().values[3])
    kept = known.within(radius, place)
    assert len(kept) == 4 and float(kept.distances(place).max()) == pytest.approx(radius)
    assert (
        kept.cheap_energies.tolist()
        == known.cheap_energies[known.distances(place) <= radius].tolist()
    )


def test_a_search_that_is_misled_begins_anew_at_its_start(guess):
    frames = []

    def keep(frame) -> None:
        frames.append(frame.state)

    calculator = Paired(PM6, Inverted(DFTB0), (NOTHING,), ("a bad one", "none"))
    job = Job(calculator, (guess,), DeltaHyperparameters(give_up=80), "strict", 80)
    (record,) = search_starts(job, on_frame=keep)
    assert record.status == Status.SADDLE, record.message
    assert "a bad one misled; after" in record.message
    whiches = [state.memory.observations[0].which for state in frames]
    turned = whiches.index(1)
    assert turned >= 5 and set(whiches[turned:]) == {1}
    before, after = (frames[i].memory for i in (turned - 1, turned))
    assert isinstance(after, DeltaMemory)
    assert float(after.observations[0].distances(after.start[0]).max()) <= NEAR_START
    assert int(after.n_returns) == int(before.n_returns)
    assert int(frames[turned + 1].memory.n_returns) == int(before.n_returns) + 1


def test_what_was_left_out_is_said_where_trust_takes_over_too(guess):
    calculator = Paired(PM6, Inverted(DFTB0), (NOTHING,), ("a bad one", "none"))
    job = Job(calculator, (guess,), DeltaHyperparameters(give_up=10), "strict", 80)
    (record,) = search_starts(job)
    misled, gave_up = (record.message.find(said) for said in ("a bad one misled", "delta gave up"))
    assert 0 <= misled < gave_up, record.message
    assert record.tries[0].told.startswith("a bad one misled; after")
