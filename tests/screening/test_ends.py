"""The criterion `intended`: bound saddles followed downhill, from searches to their records."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from little_reactions import write_xyz

from gadlib.molecules import reactions, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.screening import screen as screening
from gadlib.screening.ends import SAME_SADDLE, UNKNOWN
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record, judged, read_records
from gadlib.screening.references import keep_intended, reference_plan
from gadlib.screening.search import search
from gadlib.settings.reading import InputError
from gadlib.settings.searches import FindSettings, SearchSettings
from gadlib.solver.downhill import irc
from gadlib.solver.state import Status

pytest.importorskip("scine_sparrow")

FOUND = reactions.read(split="test", max_samples=3)
SETTINGS = SearchSettings.read(
    {"solver": "trust", "criterion": "intended", "start_from": "ts_noise0.1A", "split": "test",
     "max_samples": 3, "sample": "first", "workers": 0, "n_steps_per_sample": 200}
)  # fmt: skip


def settings_with(**changes) -> SearchSettings:
    return SETTINGS.model_copy(update=changes)


def records_of(starts, **changes) -> list[Record]:
    return search_starts(Job.of(settings_with(**changes), starts))


def starts_from(recipe: str):
    return starting_points.starts(FOUND, recipe)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    out = tmp_path_factory.mktemp("intended") / "search.json"
    return screening.screen(SETTINGS, out=out), out


def test_a_search_ends_at_an_intended_saddle_whose_paths_are_counted_apart(searched):
    records, _ = searched
    found = [r for r in records if r.meets("intended")]
    assert found
    for record in found:
        assert (record.status, record.converged, record.verdict) == ("saddle", True, "intended")
        assert record.message.startswith(f"{Status.SADDLE.sentence} It joins the reactant and the")
        assert record.n_path_gradient > 20 and record.n_path_hessian >= 3
    for record in records:
        if not record.converged:
            assert record.criteria["intended"] is False or record.verdict in ("", "failed")


def test_what_is_spent_downhill_is_in_no_count_of_the_search(searched):
    intended, _ = searched
    plain = records_of(starts_from("ts_noise0.1A"), criterion="bound")
    for record, other in zip(intended, plain, strict=True):
        if record.meets("intended") and len(record.tries) == 1:
            assert (record.n_gradient, record.n_hessian) == (other.n_gradient, other.n_hessian)
            assert other.n_path_gradient == 0


def test_the_reactions_own_saddles_are_kept_beside_the_results_and_not_searched_again(
    searched, monkeypatch
):
    _, out = searched
    kept = read_records(out.with_name("search_reference.json"))[1]
    assert [record.start for record in kept] == ["ts"] * len(FOUND)
    assert all(record.meets("intended") for record in kept)

    def never(*_, **__):
        raise AssertionError("followed again")

    monkeypatch.setattr(irc, "follow", never)
    again = screening.screen(settings_with(resume=True), out=out)
    assert [r.n_path_gradient for r in again] == [r.n_path_gradient for r in searched[0]]


def test_with_check_ends_every_bound_end_is_judged_whatever_the_criterion():
    starts = starts_from("ts")
    [record, *_] = records_of(starts[:1], criterion="bound", check_ends=True)
    assert record.criteria["intended"] is True and record.verdict == "intended"
    [unasked] = records_of(starts[:1], criterion="bound")
    assert unasked.criteria["intended"] is None and unasked.verdict == ""
    assert judged([unasked]) == ("index1", "strict", "bound")
    assert judged([unasked, record]) == ("index1", "strict", "bound", "intended")


def test_saddles_that_join_other_ends_are_declined_and_each_is_followed_once(monkeypatch):
    [first, *_] = starts_from("ts")
    strange = replace(first, ends=(first.ends[0], first.ends[0]))  # which nothing joins
    followed, follow = [], irc.follow

    def noted(calculator, batch, **known):
        followed.extend(batch.system(i)[1] for i in range(len(batch)))
        return follow(calculator, batch, **known)

    monkeypatch.setattr(irc, "follow", noted)
    [record] = records_of([strange], n_steps_per_sample=60)
    assert record.status == "out_of_steps" and len(record.tries) > 1
    assert record.criteria["bound"] is True and record.criteria["intended"] is False
    assert record.message.count("lead") == 1
    np.testing.assert_array_equal(record.positions, followed[0])  # put back to the nearest one
    far = [rmsd(first.atomic_numbers, a, b) for a, b in combinations(followed, 2)]
    assert all(each > SAME_SADDLE for each in far)


def test_a_saddle_that_cannot_be_followed_is_neither_intended_nor_not_and_says_why(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no way down")

    monkeypatch.setattr(irc, "follow", broken)
    [record] = records_of(starts_from("ts")[:1], criterion="bound", check_ends=True)
    assert record.criteria["bound"] is True and record.criteria["intended"] is None
    assert "could not be followed downhill: RuntimeError: no way down" in record.message


def test_where_no_ends_are_known_a_search_for_intended_is_refused_and_a_check_says_so(tmp_path):
    guesses = write_xyz(tmp_path / "guesses.xyz", ["NH3"])
    with pytest.raises(InputError, match="reactant and product are not known"):
        search(guesses, criterion="intended", solver="trust", workers=0)
    one = replace(starts_from("ts")[0], ends=None)
    [record] = records_of([one], criterion="bound", check_ends=True)
    assert record.criteria["intended"] is None and UNKNOWN in record.message
    two = search_starts(Job.of(settings_with(criterion="intended"), [one, starts_from("ts")[1]]))
    assert [r.status for r in two] == ["bad_start", "saddle"]


def test_reactions_whose_own_saddle_joins_other_ends_are_left_out_with_a_sentence(capsys):
    starts = starts_from("ts_noise0.1A")
    met = {"index1": True, "strict": True, "bound": True}
    own = [
        replace(Record.blank(start, Status.SADDLE, ""), criteria={**met, "intended": is_met})
        for start, is_met in zip(starts, (True, False, None), strict=True)
    ]
    assert keep_intended(starts, own) == starts[:1]
    said = capsys.readouterr().out
    assert said == (
        "2 of 3 reactions are left out: their own saddle joins other ends on this potential (1),"
        " or is not found on this potential, or can't be followed (1).\n"
    )
    assert keep_intended(starts[:2], own[:2]) == starts[:1]
    said = capsys.readouterr().out
    assert said.endswith(" left out: their own saddle joins other ends on this potential.\n")
    with pytest.raises(InputError, match="2 of 2 reactions are left out"):
        keep_intended(starts[1:], own[1:])


def test_references_are_searched_alike_whatever_is_asked_of_the_run():
    plan = reference_plan(settings_with(mode="reaction", workers=2), check_ends=True)
    assert (plan.criterion, plan.start_from, plan.mode) == ("bound", "ts", "lowest")
    assert plan.check_ends and plan.resume and plan.workers == 2 and plan.split == "test"


def test_records_of_three_criteria_are_read_as_those_that_nobody_asked(tmp_path, searched):
    content = json.loads(searched[1].read_text())
    for values in content["records"]:
        del values["criteria"]["intended"]
        for name in ("near", "rmsd_start", "bonds_changed"):
            del values[name]
    (tmp_path / "old.json").write_text(json.dumps(content))
    for record in read_records(tmp_path / "old.json")[1]:
        assert not record.meets("intended") and record.near is None
        np.testing.assert_equal(record.criteria["bound"], True)


def test_find_follows_its_saddles_itself_and_takes_no_other_judge():
    for given in ({"criterion": "intended"}, {"check_ends": True}):
        with pytest.raises(InputError, match="followed and judged here anyway"):
            FindSettings.read(given)


def test_saddles_of_a_costly_potential_are_followed_for_few_calls_and_no_hessian():
    [start] = [s for s in starting_points.starts(reactions.read(), "ts") if s.name == "rxn0062"]
    costly = {"solver": "delta", "scine_functional": "PM6", "cheap": "scine:DFTB0"}
    settings = SearchSettings.read(
        {"criterion": "bound", "check_ends": True, "n_steps_per_sample": 40} | costly
    )
    [record] = search_starts(Job.of(settings, [start]))
    assert (record.verdict, record.n_path_hessian) == ("intended", 0)
    assert 5 < record.n_path_gradient <= 25
