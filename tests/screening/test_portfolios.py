"""Portfolios of starts: searched in turn, batched, paid for, told; each search as it is alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import numpy as np
import pytest
from faulty import Springs
from little_reactions import LITTLE, write_h5
from little_searches import start_of

from gadlib.calculators.sparrow import Sparrow
from gadlib.molecules import reactions, starting_points
from gadlib.screening import screen as screening
from gadlib.screening.jobs import Job, search_each, search_starts
from gadlib.screening.portfolios import SUMMED, joined, kept_start, search_in_turn
from gadlib.screening.processes import run
from gadlib.screening.records import Record, read_results
from gadlib.screening.trajectories import point_of, repeat_search
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status

TWO = "midpoint_rt_noise1.0A+ts"
N_STEPS = 25
SECONDS = ("elapsed_s", "calculator_s")
OWN = ("start", "noise_seed", "message", "searches", *SUMMED)
"""What a portfolio's record has of its own; all else is that of the search that it is kept from."""


def starts_from(recipe: str, n: int = 5, split: str = "test"):
    return tuple(starting_points.starts(reactions.read(split=split, max_samples=n), recipe))


def job_of(starts, *, calculator=None, criterion: str = "bound", **more) -> Job:
    knobs = more.pop("hyperparameters", TrustHyperparameters())
    return Job(calculator or Sparrow(), starts, knobs, criterion, N_STEPS, **more)


def several(*names: str, at=None):
    """A little molecule with as many starts, shaken more and more; the first where `at` says."""
    start = start_of("H2CO", split="")
    shift = np.cos(np.arange(start.positions.size)).reshape(-1, 3)
    places = [start.positions + 0.1 * i * shift for i in range(len(names))]
    first, *further = places if at is None else [at, *places[1:]]
    return replace(start, start="+".join(names), positions=first, further=tuple(further))


def record_of(start, *, energy=1.0, converged=False, **criteria) -> Record:
    blank = Record.blank(start, Status.SADDLE if converged else Status.OUT_OF_STEPS, "It ended.")
    spent = {name: 2.0 if name in SECONDS else 3 for name in SUMMED}
    met = {**blank.criteria, **criteria}
    return replace(blank, energy=energy, converged=converged, criteria=met, **spent)


@pytest.fixture(scope="module")
def searched():
    """Of each reaction the records of its searches by themselves, and that of the portfolio.

    The second ones in the batch in which they are searched, as padding changes the last digits.
    """
    pytest.importorskip("scine_sparrow")
    recipes = TWO.split("+")
    made = [[record] for record in search_starts(job_of(starts_from(recipes[0])))]
    failed = [i for i, (record,) in enumerate(made) if not record.converged]
    others = starts_from(recipes[1])
    for i, record in zip(
        failed, search_starts(job_of(tuple(others[i] for i in failed))), strict=True
    ):
        made[i].append(record)
    assert 0 < len(failed) < len(made) and any(made[i][1].converged for i in failed)
    return list(zip(made, search_starts(job_of(starts_from(TWO))), strict=True))


def test_each_search_is_as_it_is_alone_and_all_are_paid_for(searched):
    for made, record in searched:
        kept = made[-1] if made[-1].converged else made[0]
        alone, own = asdict(kept), asdict(record)
        assert {k: v for k, v in own.items() if k not in OWN} == {
            k: v for k, v in alone.items() if k not in OWN
        }
        for name in set(SUMMED) - set(SECONDS):
            assert own[name] == sum(getattr(one, name) for one in made), name
        assert (record.start, record.noise_seed) == (TWO, made[0].noise_seed)
        told = [(s.start, s.status, s.steps, s.n_gradient, s.n_hessian) for s in record.searches]
        assert told == [(m.start, m.status, m.steps, m.n_gradient, m.n_hessian) for m in made]
        assert [s.is_kept for s in record.searches] == [one is kept for one in made]


def test_a_record_says_which_start_it_came_from_and_that_the_others_failed(searched):
    told = "It began from ts, as the search from midpoint_rt_noise1.0A had failed."
    for made, record in searched:
        if len(made) == 1:
            assert record.message == made[0].message
        elif made[1].converged:
            assert told in record.message
        else:
            assert "None of its 2 searches met the criterion; this is the one" in record.message


def test_second_starts_are_a_batch_of_those_that_failed_alone():
    one, other = several("a", "b", "c"), replace(several("a", "b"), name="other")
    single = start_of("HCN")
    turns = []

    def search(job, places):
        turns.append(
            [(start.start, place) for start, place in zip(job.starts, places, strict=True)]
        )
        assert not any(start.further for start in job.starts)
        for i, start in reversed([*enumerate(job.starts)]):
            yield i, record_of(start, converged=start.name == "other" and start.start == "b")

    found = dict(search_in_turn(job_of((one, single, other)), search))
    assert turns == [[("a", 0), ("reactant", 1), ("a", 2)], [("b", 0), ("b", 2)], [("c", 0)]]
    assert sorted(found) == [0, 1, 2]
    assert [s.start for s in found[0].searches] == ["a", "b", "c"]
    assert found[1] == record_of(single) and not found[1].searches
    assert found[2].converged and found[2].steps == 6
    assert found[2].elapsed_s == 4.0


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ([{}, {}, {}], 0),
        ([{}, {"index1": True, "strict": True}, {}], 1),
        ([{"strict": True}, {"strict": True}, {"strict": True, "index1": True}], 2),
        ([{"energy": None}, {"energy": None}, {}], 2),
        ([{}, {"energy": None}], 0),
        ([{"strict": True, "bound": True, "index1": True}, {"converged": True}], 1),
    ],
)
def test_where_none_meets_the_criterion_that_which_meets_most_is_kept_and_the_first_of_equals(
    of, expected
):
    start = several(*"abc"[: len(of)])
    made = [record_of(one, **more) for one, more in zip(start.each, of, strict=True)]
    record = joined(start, made)
    assert [one.is_kept for one in record.searches].index(True) == expected
    assert kept_start(start, record).start == "abc"[expected]
    assert record.steps == 3 * len(of)


def test_what_is_far_from_its_start_is_said_last_as_of_one_start():
    start = several("a", "b")
    first, second = (record_of(one) for one in start.each)
    far = {"near": False, "rmsd_start": 1.0, "criteria": {"bound": True}, "converged": True}
    second = replace(second, **far, message="Met. It is not near its start: 1.0 A off.")
    message = joined(start, [first, second]).message
    assert message == (
        "Met. It began from b, as the search from a had failed."
        " It is not near its start: 1.0 A off."
    )


def test_a_start_at_which_no_search_can_begin_passes_on_to_the_next():
    start = several("a", "b", at=np.zeros((4, 3)))
    job = job_of((start,), calculator=Springs(), hyperparameters=GadHyperparameters())
    (record,) = search_starts(job)
    assert [one.status for one in record.searches] == ["bad_start", "out_of_steps"]
    assert (record.status, record.steps) == ("out_of_steps", N_STEPS)
    assert record.searches[1].is_kept
    flat = replace(start, further=(np.zeros((4, 3)),))
    (record,) = search_starts(replace(job, starts=(flat,)))
    assert record.status == "bad_start" and len(record.searches) == 2
    with pytest.raises(InputError, match=r"a\+b: no start can be searched"):
        starting_points.require_some([flat], "a+b")


def test_a_saddle_that_another_start_leads_to_again_is_not_followed_again():
    pytest.importorskip("scine_sparrow")
    (start,) = starts_from("ts+ts_noise0.05A", 1)
    start = replace(start, ends=(start.ends[0], start.ends[0]))  # which no saddle joins
    job = replace(job_of((start,), criterion="intended"), n_steps=12)
    (alone,) = search_starts(replace(job, starts=start.each[:1]))
    (again,) = search_starts(replace(job, starts=start.each[1:]))
    (both,) = search_starts(job)
    assert alone.n_path_gradient > 20 and again.n_path_gradient > 20
    assert [one.status for one in both.searches] == [alone.status, again.status]
    assert not both.converged and both.criteria["intended"] is False
    assert both.n_path_gradient == alone.n_path_gradient
    assert both.n_gradient == alone.n_gradient + again.n_gradient


def test_a_start_whose_saddle_is_not_intended_passes_on_to_one_whose_is():
    pytest.importorskip("scine_sparrow")
    (one,) = starts_from("ts", 1)
    start = replace(one, start="wrong+ts", further=(one.positions,))
    wrong = start.positions + 0.6 * np.cos(np.arange(start.positions.size)).reshape(-1, 3)
    start = replace(start, positions=wrong)
    job = replace(job_of((start,), criterion="intended"), n_steps=12)
    (record,) = search_starts(job)
    assert record.converged and record.verdict == "intended"
    assert [s.start for s in record.searches] == ["wrong", "ts"]
    assert [s.is_kept for s in record.searches] == [False, True]


def test_frames_of_a_portfolio_are_those_of_one_search():
    points = []
    pair = (start_of("HCN"), several("a", "b"))
    job = job_of(pair, calculator=Springs(), hyperparameters=GadHyperparameters())
    search_starts(job, on_frame=points.append)
    of_second = [
        point_of(frame, row).steps
        for frame in points
        for row, index in enumerate(frame.state.index.tolist())
        if index == 1
    ]
    assert of_second == [*range(N_STEPS + 1), *range(N_STEPS, 2 * N_STEPS + 1)]


def test_no_start_is_searched_from_when_all_are_to_stop():
    job = job_of((several("a", "b"),), calculator=Springs(), hyperparameters=GadHyperparameters())
    ((place, record),) = search_each(job, is_enough=lambda frame: int(frame.state.steps[0]) == 3)
    assert (place, record.status, record.steps) == (0, "stopped", 3)
    assert len(record.searches) == 1


def test_searches_of_a_portfolio_do_not_rest(tmp_path):
    job = replace(job_of((several("a", "b"),)), rest_after=2, rest_files=(tmp_path / "rest",))
    with pytest.raises(ValueError, match="can't rest"):
        search_starts(job)


def die_in_the_first(job: Job):
    """Each process, by a start named so; the others end out of steps."""
    for place, start in enumerate(job.starts):
        if start.each[0].start == "dies":
            os._exit(3)
        yield place, record_of(start.each[0])


@pytest.mark.timeout(120)
def test_a_process_that_dies_costs_one_search_and_the_next_start_is_searched_from():
    starts = (start_of("HCN"), several("dies", "b"), several("a", "dies"))
    job = job_of(starts, calculator=Springs())
    parts = list(run([job], workers=1, compute=die_in_the_first))
    found = {place: record for _, part in parts for place, record in part.items()}
    assert sorted(found) == [0, 1, 2] and sum(len(part) for _, part in parts) == 3
    told = {place: [one.status for one in found[place].searches] for place in (1, 2)}
    assert told == {1: ["process_ended", "out_of_steps"], 2: ["out_of_steps", "process_ended"]}
    assert [found[i].steps for i in range(3)] == [3, 3, 3]
    assert (found[1].start, found[2].start) == ("dies+b", "a+dies")
    assert not found[0].searches


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_processes_give_what_one_gives(workers):
    starts = (several("a", "b"), start_of("HCN"), several("a", "b", "c"))
    job = job_of(starts, calculator=Springs(), hyperparameters=GadHyperparameters(), capacity=2)
    expected = search_starts(job)
    found = {i: r for _, part in run([job], workers) for i, r in part.items()}
    for place, record in enumerate(expected):
        own, other = (
            asdict(replace(r, elapsed_s=0, calculator_s=0)) for r in (found[place], record)
        )
        assert own == other


def without_times(record: Record) -> Record:
    return replace(record, elapsed_s=0.0, calculator_s=0.0)


def screened(tmp_path, **more):
    given = {
        **{"solver": "trust", "criterion": "bound", "n_steps_per_sample": 2, "workers": 0},
        **{"start_from": "idpp_rp+midpoint_rp_noise0.1A", "split": "train"},
    }
    path = tmp_path / "little.h5"
    h5 = path if path.exists() else write_h5(path)
    return SearchSettings(**given, h5_path=str(h5), batch_size=1, **more)


def test_an_interrupted_run_goes_on_to_what_an_undisturbed_one_gives(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    records = screening.screen(screened(tmp_path), out=whole)
    assert len(records) == len(LITTLE["train"])
    assert all(len(record.searches) == 2 for record in records)
    content = json.loads(whole.read_text())
    part.write_text(json.dumps({**content, "records": content["records"][:1]}))
    again = screening.screen(screened(tmp_path, resume=True), out=part)
    assert [*map(without_times, again)] == [*map(without_times, records)]
    assert read_results(part)[1] == again
    with pytest.raises(InputError, match=r"start_from was 'idpp_rp\+midpoint_rp_noise0\.1A', now"):
        one = screened(tmp_path, resume=True).model_copy(update={"start_from": "idpp_rp"})
        screening.screen(one, out=part)
    with pytest.raises(InputError, match="noise_seed was 42, now 7"):
        screening.screen(screened(tmp_path, resume=True, noise_seed=7), out=part)


def test_what_is_written_of_one_start_says_nothing_of_portfolios(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    out = tmp_path / "one.json"
    one = screened(tmp_path).model_copy(update={"start_from": "idpp_rp"})
    screening.screen(one, out=out)
    assert not any("searches" in record for record in json.loads(out.read_text())["records"])


def test_the_search_of_a_record_is_made_again_from_the_start_that_it_was_kept_from(tmp_path):
    pytest.importorskip("scine_sparrow")
    asked = SearchSettings(
        solver="trust", criterion="bound", start_from=TWO, n_steps_per_sample=N_STEPS, workers=0,
        max_samples=5, sample="first",
    )  # fmt: skip
    out = tmp_path / "search.json"
    for record in screening.screen(asked, out=out):
        kept = [one.is_kept for one in record.searches].index(True)
        points = repeat_search(record, asked).points
        assert points[-1].steps == record.searches[kept].steps
        np.testing.assert_allclose(points[-1].positions, record.positions, atol=1e-9)
