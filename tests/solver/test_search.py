import time
from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, Recorded, clusters, padded, spoiled

from gadlib.calculators.surfaces import SURFACES
from gadlib.evaluation import Evaluation
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver.goal import Frame
from gadlib.solver.put_back import MAX_REJECTED
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

H = GadHyperparameters()
NUMBERS = ([6, 1, 8], [7, 1, 1, 6, 8], [18, 6, 18, 1], [6, 6, 8, 1, 1], [1, 1, 1])
STARTS = clusters(10, numbers=NUMBERS)


def frames(calculator=POTENTIAL, batch=STARTS, **settings) -> list[Frame]:
    return list(search(calculator, batch, H, **{"n_steps": 12, **settings}))


def endings(history: list[Frame]) -> dict[int, tuple]:
    """How each system ended: status, steps, energy and message, by its place in the batch."""
    found: dict[int, tuple] = {}
    for frame in history:
        state = frame.state
        for row in frame.is_done:
            place = int(state.index[row])
            assert place not in found, "a system ended twice"
            energy = float(state.energy[row])
            found[place] = (frame.status[row], int(state.steps[row]), energy, state.message[row])
    return found


def rows(frame: Frame) -> list[int]:
    return frame.state.index.tolist()


@pytest.fixture(scope="module")
def whole() -> list[Frame]:
    return frames()


def test_starts_end_in_different_ways(whole):
    """Otherwise the tests below would show little."""
    ended = endings(whole)
    assert {status for status, *_ in ended.values()} == {Status.ORDER_ONE, Status.OUT_OF_STEPS}
    assert len({steps for _, steps, *_ in ended.values()}) > 2


def test_the_first_frame_holds_the_starting_points(whole):
    assert rows(whole[0]) == [0, 1, 2, 3, 4]
    assert torch.equal(whole[0].state.batch.positions, STARTS.positions)
    assert whole[0].state.steps.tolist() == [0] * 5


def test_a_system_is_in_every_frame_until_its_end_and_in_none_after(whole):
    for place, (_, steps, *_) in endings(whole).items():
        present = [place in rows(frame) for frame in whole]
        assert present == [True] * (steps + 1) + [False] * (len(whole) - steps - 1)


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_capacity_changes_no_result(whole, capacity):
    found, expected = endings(frames(capacity=capacity)), endings(whole)
    assert found.keys() == expected.keys() == set(range(5))
    for place, (status, steps, energy, message) in expected.items():
        assert found[place] == (status, steps, pytest.approx(energy, abs=1e-9), message)


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_a_finished_system_makes_room_for_the_next_waiting_one(capacity):
    seen: list[int] = []
    n_done = n_short = 0
    for frame in frames(capacity=capacity):
        seen += [place for place in rows(frame) if place not in seen]
        assert len(rows(frame)) == len(seen) - n_done <= capacity
        n_short = n_short + 1 if len(rows(frame)) < min(capacity, 5 - n_done) else 0
        assert n_short < 2  # those that enter wait for an even number of steps
        n_done += len(frame.is_done)
    assert seen == [0, 1, 2, 3, 4]
    assert n_done == 5


def test_those_that_enter_are_in_step_with_the_others():
    together = [set((frame.state.steps % 2).tolist()) for frame in frames(capacity=2)]
    assert all(len(parities) == 1 for parities in together)


@pytest.mark.parametrize("capacity", [2, 5])
def test_a_batch_is_no_wider_than_the_molecules_still_searched(whole, capacity):
    """The largest ones first, as sets are searched."""
    order = STARTS.n_atoms.argsort(descending=True, stable=True)
    wide = padded(STARTS.take(order))
    history = frames(batch=wide, capacity=capacity)
    still, widths = set(range(5)), []
    for frame in history:
        widths.append(frame.state.batch.positions.shape[1])
        assert len(still) == 5 or widths[-1] == int(wide.n_atoms[list(still)].max())
        still -= {rows(frame)[i] for i in frame.is_done}
    assert len(set(widths)) > 1
    found, expected = endings(history), endings(whole)
    for place, name in enumerate(order.tolist()):
        assert found[place][:2] == expected[name][:2]
        assert found[place][2] == pytest.approx(expected[name][2], abs=1e-9)


def test_a_calculator_may_use_autograd_and_the_caller_is_left_alone(whole):
    def by_autograd(batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = POTENTIAL(batch, hessian=hessian)
        positions = batch.positions.requires_grad_()
        work = (told.forces.detach() * positions).sum()
        return replace(told, forces=torch.autograd.grad(work, positions)[0])

    history = []
    for frame in search(by_autograd, STARTS, H, n_steps=12):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        history.append(frame)
    assert endings(history) == endings(whole)


def test_padding_changes_no_result(whole):
    found = endings(frames(batch=padded(STARTS)))
    for place, (status, steps, energy, _) in endings(whole).items():
        assert found[place][:3] == (status, steps, pytest.approx(energy, abs=1e-9))


def test_a_start_that_meets_the_criterion_ends_without_a_step():
    surface = SURFACES["lennard_jones"]
    calculator = Recorded(surface)
    ended = endings(frames(calculator, surface.stationary(1), criterion="strict"))
    assert ended[0][:2] == (Status.SADDLE, 0)
    assert len(calculator.batches) == 1


def test_without_steps_every_search_ends_at_its_start():
    history = frames(n_steps=0, criterion="strict")
    assert len(history) == 1
    assert set(history[0].status) == {Status.OUT_OF_STEPS}


def test_out_of_steps_is_after_exactly_that_many_moves():
    ended = endings(frames(n_steps=4, criterion="strict"))
    assert {ending[:2] for ending in ended.values()} == {(Status.OUT_OF_STEPS, 4)}


@pytest.mark.parametrize("criterion", ["index1", "strict", "bound"])
def test_the_criterion_that_ends_a_search_is_met(criterion):
    surface = SURFACES["leps"]
    history = frames(
        surface, surface.start.take(torch.tensor([0])), criterion=criterion, n_steps=200
    )
    found = Status.ORDER_ONE if criterion == "index1" else Status.SADDLE
    assert history[-1].status == (found,)
    assert history[-1].verdict.meets(criterion).tolist() == [True]
    assert not any(frame.verdict.meets(criterion).any() for frame in history[:-1])


def test_a_strict_search_finds_the_known_saddle():
    surface = SURFACES["leps"]
    batch = surface.start.take(torch.tensor([0]))
    final = frames(surface, batch, criterion="strict", n_steps=200)[-1].state
    (saddle,) = (point for point in surface.points if point.order == 1)
    assert float(final.energy) == pytest.approx(saddle.energy, abs=1e-4)
    lengths = final.batch.positions[0].diff(dim=0).norm(dim=-1)
    known = torch.tensor(saddle.positions).diff(dim=0).norm(dim=-1)
    assert lengths.tolist() == pytest.approx(known.tolist(), abs=2e-3)


def test_a_stuck_search_escapes_and_finds_a_saddle():
    surface = SURFACES["double_well"]
    history = frames(surface, surface.stationary(2), criterion="strict", n_steps=200)
    final = history[-1].state
    assert final.escapes.tolist() == [1]
    assert history[-1].status == (Status.SADDLE,)
    assert float(final.energy) == pytest.approx(1.0, abs=1e-4)


def test_fragments_are_compared_with_the_start_unless_told():
    surface = SURFACES["lennard_jones"]
    whole_ = surface.stationary(1)
    apart = whole_.moved_to(3.0 * whole_.positions)
    for batch, told, expected in ((whole_, None, [1]), (apart, None, [4]), (apart, [2], [2])):
        limit = None if told is None else torch.tensor(told)
        frame = next(search(surface, batch, H, criterion="bound", max_fragments=limit))
        assert frame.verdict.max_fragments.tolist() == expected


def test_every_system_keeps_its_own_reference_when_others_have_ended():
    references = torch.tensor([3, 1, 4, 2, 5])
    for frame in frames(max_fragments=references, capacity=2):
        assert torch.equal(frame.verdict.max_fragments, references[frame.state.index])


# Failures


def five_atoms(batch: Batch) -> torch.Tensor:
    return batch.atomic_numbers[:, 0] == 7


@pytest.mark.parametrize("how", ["raises", "returns NaN"])
@pytest.mark.parametrize("capacity", [2, 5])
def test_a_system_that_the_calculator_cannot_do_costs_only_itself(whole, how, capacity):
    found = endings(frames(spoiled(POTENTIAL, five_atoms, how=how), capacity=capacity))
    status, steps, _, message = found.pop(1)
    assert (status, steps) == (Status.BAD_START, 0)
    assert ("cursed" if how == "raises" else "not finite") in message
    expected = endings(whole)
    for place, ending in found.items():
        assert ending[:2] == expected[place][:2]
        assert ending[2] == pytest.approx(expected[place][2], abs=1e-9)
    assert len(found) == 4


@pytest.mark.parametrize("how", ["raises", "returns NaN"])
def test_a_calculator_that_fails_wherever_a_search_goes_ends_it_where_it_was(whole, how):
    """The longest search fails once it has left its start, however short the step."""
    place = next(p for p, ending in endings(whole).items() if ending[1] == 12)
    start = STARTS.positions[place]

    def has_moved(batch: Batch) -> torch.Tensor:
        is_it = (batch.atomic_numbers == STARTS.atomic_numbers[place]).all(-1)
        return is_it & ((batch.positions - start).abs().amax((1, 2)) > 0)

    found = endings(frames(spoiled(POTENTIAL, has_moved, how=how)))
    assert found[place][:2] == (Status.CALCULATOR_FAILED, 1 + MAX_REJECTED)
    assert found[place][2] == pytest.approx(float(POTENTIAL(STARTS).energy[place]))
    assert found[place][3]
    assert [found[p][:2] for p in range(5) if p != place] == [
        endings(whole)[p][:2] for p in range(5) if p != place
    ]


def test_a_start_at_nan_is_a_bad_start():
    positions = STARTS.positions.clone()
    positions[2, 0, 0] = torch.nan
    found = endings(frames(batch=STARTS.moved_to(positions)))
    assert found[2][:2] == (Status.BAD_START, 0)
    assert len(found) == 5


def test_breaking_off_and_starting_again_gives_the_same(whole):
    for frame in search(POTENTIAL, STARTS, H, n_steps=12):
        if frame.state.steps.max() == 2:
            break
    assert endings(frames()) == endings(whole)


# Arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_steps": -1}, "n_steps >= 0"),
        ({"capacity": 0}, "capacity >= 1"),
    ],
)
def test_settings_out_of_range_are_refused_with_what_is_allowed(settings, message):
    with pytest.raises(ValueError, match=message):
        frames(**settings)


def test_an_unknown_criterion_is_refused():
    """By the type checker of the tests, or without it by the search."""
    with pytest.raises(Exception, match="index2"):
        frames(criterion="index2")


@pytest.mark.parametrize("capacity", [2, 5])
def test_time_at_the_calculator_is_each_systems_own_and_the_rest_is_shared(capacity):
    """Those that enter cost a Hessian, which is not billed to those that have long been there."""
    entering = set()
    before = {}
    for frame in frames(capacity=capacity):
        state = frame.state
        places = rows(frame)
        rest = (state.cost.elapsed_s - state.cost.calculator_s).tolist()
        more = [rest[i] - before.get(place, 0.0) for i, place in enumerate(places)]
        assert (state.cost.calculator_s > 0).all()
        assert more == pytest.approx([more[0]] * len(more)) and more[0] > 0
        entering.add(len([place for place in places if place not in before]))
        before |= dict(zip(places, rest, strict=True))
    assert entering > {0}


def test_time_of_the_systems_is_together_that_of_the_search():
    spent = {}
    started = time.perf_counter()
    for frame in frames(capacity=2):
        spent |= dict(zip(rows(frame), frame.state.cost.elapsed_s.tolist(), strict=True))
    assert sum(spent.values()) == pytest.approx(time.perf_counter() - started, rel=0.2)
