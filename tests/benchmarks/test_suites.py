"""Suites begin where they say; what starts from ends is judged by what its saddle joins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadlib import calculators, report
from gadlib.benchmarks import published, solvers, suites
from gadlib.benchmarks.judging import certify
from gadlib.benchmarks.solvers import Results
from gadlib.cli.flags import settings_of
from gadlib.cli.parser import build, main
from gadlib.molecules import reactions, starting_points
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record
from gadlib.settings.benchmarks import SUITES, BenchmarkSettings
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status

GUESSES = """3
Properties=species:S:1:pos:R:3 name=water sella_calls=12 dimer_calls=-1
O 0.0 0.0 0.0
H 0.96 0.0 0.0
H -0.96 0.1 0.0
4
Properties=species:S:1:pos:R:3 name=ammonia sella_calls=20 dimer_calls=101
N 0.0 0.0 0.0
H 1.0 0.0 0.02
H -0.5 0.87 0.0
H -0.5 -0.87 0.0
"""


@pytest.fixture
def guesses(tmp_path):
    path = tmp_path / "guesses.extxyz"
    path.write_text(GUESSES)
    return path


@pytest.fixture(scope="module")
def from_ends(tmp_path_factory) -> Results:
    """One small reaction of the embedded set, from its ends."""
    pytest.importorskip("scine_sparrow")
    pytest.importorskip("sella")
    out = tmp_path_factory.mktemp("ends")
    given = {"suite": "ends", "max_samples": 1, "sample": "first", "workers": 0}
    return solvers.compare(BenchmarkSettings(out_dir=str(out), **given))


def test_what_a_suite_asks_for_gives_way_to_what_is_given():
    assert BenchmarkSettings(suite="ends").check_ends
    assert BenchmarkSettings(suite="ends", solvers="find").solvers == "find"
    assert BenchmarkSettings().solvers == BenchmarkSettings(suite="embedded").solvers


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"suite": "some"}, f"suite 'some': expected one of {', '.join(SUITES)}"),
        ({"suite": "rdb7"}, "suite rdb7: h5_path is not given"),
        ({"suite": "calls"}, "suite calls: geometries is not given"),
        ({"solvers": "find"}, "solver 'find': begins at a reaction's ends; expected --suite ends"),
    ],
)
def test_a_suite_that_lacks_something_is_refused_before_anything_is_computed(given, told, tmp_path):
    pytest.importorskip("sella")
    with pytest.raises(InputError, match=told):
        solvers.compare(BenchmarkSettings.read({**given, "out_dir": str(tmp_path)}))


def test_command_takes_from_the_suite_what_no_flag_says():
    parsed = build().parse_args(["benchmark", "--suite", "ends"])
    settings = settings_of(BenchmarkSettings, parsed)
    assert (settings.check_ends, settings.solvers) == (True, "find,idpp+sella,neb+sella")


def test_starts_from_ends_know_nothing_of_the_transition_state():
    found = reactions.read(max_samples=3)
    moved = [replace(one, transition_state=one.transition_state + 9.0) for one in found]
    settings = BenchmarkSettings(suite="ends")
    for one, other in zip(*(suites.starts_of(settings, x) for x in (found, moved)), strict=True):
        assert one.start == "ends"
        assert np.array_equal(one.positions, other.positions)
        assert one.max_fragments == other.max_fragments


def test_all_solvers_from_ends_are_judged_by_what_their_saddles_join(from_ends):
    assert set(from_ends.records) == {"find", "idpp+sella", "neb+sella"}
    for (record,) in from_ends.records.values():
        assert record.start == "ends"
        assert bool(record.verdict) == bool(record.bound)
        assert (record.n_path_gradient > 0) == bool(record.bound)


def test_gradients_of_images_are_counted_with_the_search(from_ends):
    (idpp,), (neb,) = (from_ends.records[name] for name in ("idpp+sella", "neb+sella"))
    assert idpp.n_image == 7
    assert neb.n_image > 9  # both ends, and seven images more than once
    assert min(idpp.n_gradient - idpp.n_image, neb.n_gradient - neb.n_image) > 0
    assert idpp.energy_start is not None


def test_known_saddle_followed_by_the_judge_is_intended():
    pytest.importorskip("scine_sparrow")
    reaction = next(r for r in reactions.read(split="test") if len(r.atomic_numbers) < 8)
    (start,) = starting_points.starts([reaction], "ts")
    record = Record.blank(start, Status.SADDLE, "It is one.")
    potential = calculators.get("scine")
    assert certify(record, start, potential, "bound").criteria["intended"] is None  # not asked
    found = certify(record, start, potential, "bound", check_ends=True)
    assert (found.verdict, found.criteria["intended"]) == ("intended", True)
    assert gradients_of(found) == gradients_of(record)  # what the judge spends is no one's cost
    other = replace(start, ends=(start.positions, start.positions))
    missed = certify(record, other, potential, "bound", check_ends=True)
    assert missed.verdict != "intended"
    assert missed.criteria["intended"] is False


def test_published_calls_stand_beside_those_counted_here(guesses, tmp_path, capsys):
    pytest.importorskip("scine_sparrow")
    known = published.read_calls(guesses)
    assert known == {
        "sella": {"water": 12, "ammonia": 20},
        "dimer": {"water": None, "ammonia": 101},
    }
    command = f"benchmark --suite calls --geometries {guesses} --solvers trust --workers 0"
    where = ["--calculator", "scine", "--out-dir", str(tmp_path / "out")]
    assert main([*command.split(), *where]) == 0
    told = capsys.readouterr().out
    assert "dimer, published" in told
    assert "50 % (9-91)" in told  # Wilson's interval of 1 in 2
    assert (tmp_path / "out" / "calls.png").stat().st_size > 1000


def test_file_without_published_calls_is_refused(tmp_path):
    path = tmp_path / "plain.xyz"
    path.write_text(
        "\n".join(GUESSES.splitlines()[:5]).replace(" sella_calls=12 dimer_calls=-1", "")
    )
    with pytest.raises(InputError, match="no published calls in its comments"):
        published.read_calls(path)


def made(name: str, solver: str, *, is_strict: bool, n: int) -> Record:
    reaction = reactions.read(max_samples=1)[0]
    (start,) = starting_points.starts([reaction], "ts")
    record = Record.blank(replace(start, name=name), Status.SADDLE, solver)
    return replace(record, criteria={"strict": is_strict}, n_gradient=n, n_fragments=1)


def test_calls_of_search_and_proof_are_told_apart_and_failures_are_not_solved():
    found = [made("a", "trust", is_strict=True, n=7), made("b", "trust", is_strict=False, n=9)]
    known = {"sella": {"a": 30, "b": None, "elsewhere": 3}}
    calls = report.collect_calls(known, {"trust": found})
    n_atoms = len(found[0].atomic_numbers)
    assert calls == [
        ("sella, published", 2, (30,), ()),
        ("trust", 2, (7,), (6 * n_atoms,)),
    ]
    published_one, own = report.call_profiles(calls)
    assert (published_one.cost.tolist(), published_one.rate.tolist()) == ([30.0], [0.5])
    assert (own.cost.tolist(), own.rate.tolist()) == ([7.0], [0.5])
    assert report.calls_table(calls)["proof"].tolist() == ["-", str(6 * n_atoms)]


def test_pairs_are_worked_out_by_hand():
    first = [made(name, "trust", is_strict=True, n=10) for name in "abcdef"]
    other = [made(name, "sella", is_strict=name < "c", n=20) for name in "abcdef"]
    collected = report.collect_benchmark(Results({"trust": first, "sella": other}, {}))
    (pair,) = report.pair_solvers(collected)
    assert (pair.only_first, pair.only_other, pair.n_both) == (4, 0, 2)
    assert pair.p_success == pytest.approx(2 / 2**4)  # exact: four of four discordant pairs
    assert pair.ratio == 2.0
    assert list(report.paired_table([pair])["pair"]) == ["trust, sella"]
