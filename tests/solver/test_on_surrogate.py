"""The way down on a surrogate: the ends of the costly potential, for few calls, all counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clusters import Recorded, spoiled

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.evaluation import Evaluation
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.delta.observations import SAME
from gadlib.solver.downhill import irc, on_surrogate
from gadlib.solver.downhill.learned import together
from gadlib.solver.downhill.relaxation import RELAXED_FORCE
from gadlib.solver.points import begin
from gadlib.solver.search import search
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))
NAMES = ("rxn0040", "rxn0062")
"""Of 6 and 7 atoms; the direct way of the first takes 104 gradients and three Hessians."""

NOT_LEARNED_THERE = f"{irc.INSTEAD}: no saddle was learned there."


@pytest.fixture(scope="module")
def guesses() -> list[Start]:
    found = {s.name: s for s in starts(read(split="all"), "ts")}
    return [found[name] for name in NAMES]


@pytest.fixture(scope="module")
def saddles(guesses) -> list[State]:
    """Where delta finds saddles of PM6."""
    found: dict[int, State] = {}
    calculator = Paired(PM6, DFTB0)
    for i, guess in enumerate(guesses):
        for frame in search(
            calculator, Batch.of([guess]), DeltaHyperparameters(), criterion="strict", n_steps=40
        ):
            found[i] = frame.state
        assert frame.status[0].is_met
    return [found[i] for i in range(len(guesses))]


@pytest.fixture(scope="module")
def costly() -> Recorded:
    """The costly potential, which notes what it was asked for by the ways of `followed`."""
    return Recorded(PM6)


@pytest.fixture(scope="module")
def followed(saddles, costly) -> list[irc.Path]:
    """The paths, followed together with what the searches have seen."""
    numbers = [state.batch.system(0)[0] for state in saddles]
    batch = Batch.pack([state.batch.system(0)[1] for state in saddles], numbers)
    known = [observations for state in saddles for observations in seen_by(state) or ()]
    return irc.follow(Paired(costly, DFTB0), batch, known=known)


def test_ends_are_those_of_the_direct_way(saddles, followed):
    state, path = saddles[0], followed[0]
    (direct,) = irc.follow(PM6, state.batch)
    numbers = np.array(state.batch.system(0)[0])
    for leg in path.legs:
        far = [
            rmsd(numbers, leg.positions[-1].numpy(), other.positions[-1].numpy())
            for other in direct.legs
        ]
        nearest = direct.legs[int(np.argmin(far))]
        assert min(far) < 0.02
        barriers = path.energy - leg.energy[-1], direct.energy - nearest.energy[-1]
        assert float(barriers[0]) == pytest.approx(float(barriers[1]), abs=1e-3)


def test_ends_are_minima_of_the_costly_potential(saddles, followed):
    for state, path in zip(saddles, followed, strict=True):
        assert not path.reasons
        for leg in path.legs:
            end = begin(state.batch.moved_to(leg.positions[-1][None]), PM6)
            assert float(end.max_force[0]) < RELAXED_FORCE
            assert int(end.order[0]) == 0
            assert leg.max_force == pytest.approx(float(end.max_force[0]), abs=1e-4)
            assert float(leg.energy[-1]) == pytest.approx(float(end.energy[0]), abs=1e-5)


def test_few_calls_are_made_all_counted_and_no_hessian(followed, costly):
    calls = [path.calls for path in followed]
    assert sum(n for n, _ in calls) == sum(map(len, costly.batches))
    assert max(n for n, _ in calls) <= 30
    assert not any(n for _, n in calls) and not any(costly.hessians)


def test_saddles_that_the_search_has_seen_are_not_asked_again(saddles, costly, followed):
    for state in saddles:
        place = state.batch.positions[0]
        for batch in costly.batches:
            moved = batch.positions[:, : len(place)] - place
            assert float(moved.norm(dim=-1).amax(-1).min()) > SAME


def test_a_saddle_in_company_ends_as_alone(saddles, followed):
    (alone,) = irc.follow(Paired(PM6, DFTB0), saddles[0].batch, known=seen_by(saddles[0]))
    assert alone.calls == followed[0].calls
    for leg, other in zip(alone.legs, followed[0].legs, strict=True):
        assert len(leg.positions) == len(other.positions)
        # Rounding of 2e-9 A at the saddle grows to 7e-5 along the way, by processor.
        assert torch.allclose(leg.positions, other.positions, atol=1e-3)


def test_energies_along_the_way_are_the_costly_ones_and_the_arc_grows(saddles, followed):
    for state, path in zip(saddles, followed, strict=True):
        for leg in path.legs:
            places = [*leg.positions]
            batch = Batch.pack(places, [state.batch.system(0)[0]] * len(places))
            true = PM6(batch, hessian=False).energy
            assert float((leg.energy - true).abs().max()) < 0.04  # of falls of 1.9 eV
            assert (leg.travelled.diff() >= 0).all()


def test_where_the_costly_potential_fails_a_leg_says_so(saddles):
    state = saddles[0]
    here = state.batch.positions[0]

    def is_off(batch: Batch) -> torch.Tensor:
        return (batch.positions - here).norm(dim=-1).amax(-1) > 0.2

    costly = spoiled(PM6, is_off, how="is not finite")
    (path,) = irc.follow(Paired(costly, DFTB0), state.batch, known=seen_by(state))
    assert len(path.reasons) == 2
    assert path.calls[0] < 20


def test_a_saddle_that_the_potential_cannot_compute_says_why(saddles):
    never = spoiled(PM6, lambda batch: torch.ones(len(batch)).bool(), how="is not finite")
    (path,) = irc.follow(Paired(never, DFTB0), saddles[0].batch)
    assert path.reasons and not path.legs


@pytest.mark.parametrize("is_short", [True, False])
def test_where_the_surrogate_leads_nowhere_the_potential_itself_is_followed(
    saddles, monkeypatch, is_short
):
    """Since the calls are spent on the way, or the cheap potential fails at the saddle."""
    calculator, why = Paired(PM6, DFTB0), "eV/A are left after 1 calls"
    if is_short:
        monkeypatch.setattr(on_surrogate, "MAX_ASKED", 1)
    else:
        never = spoiled(DFTB0, lambda batch: torch.ones(len(batch)).bool(), how="is not finite")
        calculator, why = Paired(PM6, never), "the cheap potential fails at the saddle"
    (path,) = irc.follow(calculator, saddles[0].batch)
    (itself,) = irc.follow(PM6, saddles[0].batch)
    assert path.told.startswith(f"{irc.INSTEAD}: ") and path.told.endswith(f"{why}.")
    assert not path.reasons
    ends, others = ([float(leg.energy[-1]) for leg in one.legs] for one in (path, itself))
    assert ends == pytest.approx(others, abs=1e-4)
    assert path.calls[0] > itself.calls[0] and path.calls[1] == itself.calls[1]


def test_a_minimum_has_no_way_down(followed, saddles):
    end = saddles[0].batch.moved_to(followed[0].legs[0].positions[-1][None])
    (path,) = irc.follow(Paired(PM6, DFTB0), end)
    assert path.reasons == ["There is no mode with a negative eigenvalue to follow."]
    assert path.told == NOT_LEARNED_THERE  # it is the potential itself that has none


def test_where_the_surrogate_learns_no_saddle_the_potential_itself_is_followed():
    """Its order is nine there after all looks; its ways down led 2 eV up, and nobody said so."""
    (guess,) = (s for s in starts(read(split="all"), "ts") if s.name == "rxn0018")
    *_, frame = search(
        PM6, Batch.of([guess]), TrustHyperparameters(), criterion="strict", n_steps=100
    )
    assert frame.status[0].is_met
    (found,) = irc.follow(Paired(PM6, DFTB0), frame.state.batch)
    (itself,) = irc.follow(PM6, frame.state.batch)
    assert found.told == NOT_LEARNED_THERE and not found.reasons
    assert found.calls[0] > itself.calls[0]
    ends, others = ([float(leg.energy[-1]) for leg in path.legs] for path in (found, itself))
    assert ends == pytest.approx(others, abs=1e-4)


def test_each_of_several_askings_gets_its_own_answers():
    def asks(n: int, rounds: int):
        energies = []
        for _ in range(rounds):
            answer = yield torch.full((n, 1, 3), float(n))
            energies.append(answer.energy.tolist())
        return energies

    both = together([asks(1, 1), asks(2, 2)])
    wish = next(both)
    assert wish[:, 0, 0].tolist() == [1.0, 2.0, 2.0]
    wish = both.send(Evaluation(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, 1, 3)))
    assert wish[:, 0, 0].tolist() == [2.0, 2.0]
    with pytest.raises(StopIteration) as end:
        both.send(Evaluation(torch.tensor([4.0, 5.0]), torch.zeros(2, 1, 3)))
    assert end.value.value == [[[1.0]], [[2.0, 3.0], [4.0, 5.0]]]
