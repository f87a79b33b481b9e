"""Several suites come into one table; what one lacks is said, and costs the others nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gadlib import report
from gadlib.benchmarks import series
from gadlib.benchmarks.series import Part
from gadlib.benchmarks.solvers import Results
from gadlib.cli.parser import main
from gadlib.molecules import reactions, starting_points
from gadlib.screening.records import Record
from gadlib.settings.benchmarks import SUITES, BenchmarkSettings
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status


def test_all_stands_for_every_suite_and_a_list_keeps_its_order():
    assert BenchmarkSettings(suite="all").suites == list(SUITES)
    assert BenchmarkSettings(suite="ends, embedded,ends").suites == ["ends", "embedded"]
    with pytest.raises(InputError, match="suite 'other': expected some of embedded, rdb7"):
        _ = BenchmarkSettings(suite="ends,other").suites


def test_what_is_given_goes_to_the_suites_that_it_concerns():
    given = {"h5_path": "r.h5", "geometries": "g.xyz", "solvers": "trust,find,neb+sella,sella"}
    settings = BenchmarkSettings(suite="all", out_dir="out", max_samples=3, **given)
    parts = {name: settings.of_suite(name) for name in settings.suites}
    assert [(p.h5_path, p.geometries) for p in (parts["embedded"], parts["rdb7"])] == [
        (None, None),
        ("r.h5", None),
    ]
    assert (parts["calls"].h5_path, parts["calls"].geometries) == (None, "g.xyz")
    assert parts["ends-gfn2"].h5_path == "embedded-gfn2"
    assert parts["ends"].solvers == "find,neb+sella"
    assert parts["calls"].solvers == "trust,sella"
    assert {p.max_samples for p in parts.values()} == {3}
    assert parts["gfn2"].out_dir == "out/gfn2"


def test_suite_without_solvers_that_it_could_run_keeps_its_own():
    settings = BenchmarkSettings(suite="embedded,ends", solvers="trust")
    assert settings.of_suite("ends").solvers == BenchmarkSettings(suite="ends").solvers


def test_potential_of_a_suite_gives_way_to_the_one_that_is_asked_for():
    assert series.potential_of(BenchmarkSettings(suite="calls")) == "GFN2-xTB"
    assert series.potential_of(BenchmarkSettings(suite="gfn2", threads=1)) == "GFN2-xTB"
    settings = BenchmarkSettings(suite="all", scine_functional="PM6")
    assert series.potential_of(settings.of_suite("gfn2")) == "PM6"
    assert series.potential_of(BenchmarkSettings()) == "DFTB0"


def test_table_of_two_suites_is_kept_and_a_third_that_lacks_its_file_is_named(tmp_path, capsys):
    pytest.importorskip("scine_sparrow")
    out = tmp_path / "out"
    command = "benchmark --suite embedded,rdb7,ends --solvers trust,find --starts ts --quiet"
    given = [
        *command.split(),
        "--max-samples",
        "1",
        "--sample",
        "first",
        "--workers",
        "0",
        "--out-dir",
        str(out),
    ]
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "suite rdb7 is left out: h5_path is not given; expected a file in the" in told
    assert "100 % (21-100)" in told  # Wilson's interval of 1 in 1
    lines = (out / "table.md").read_text().splitlines()
    assert [line.split("|")[1:5] for line in lines[2:4]] == [
        [" embedded ", " DFTB0 ", " ts ", " trust "],
        [" ends ", " DFTB0 ", " ends ", " find "],
    ]
    before = (out / "ends" / "find.json").read_bytes()
    assert main(given) == 2  # nothing is overwritten unasked
    assert main([*given, "--resume"]) == 0
    assert (out / "ends" / "find.json").read_bytes() == before
    assert (out / "table.csv").read_text().count("\n") == 3


def test_peers_that_are_not_installed_are_left_out_in_a_sentence(tmp_path, capsys, monkeypatch):
    pytest.importorskip("scine_sparrow")
    monkeypatch.setattr(series.sella.importlib.util, "find_spec", lambda name: None)
    given = {"max_samples": 1, "workers": 0, "starts": "ts", "solvers": "trust,sella,neb+sella"}
    settings = BenchmarkSettings(suite="embedded,ends", out_dir=str(tmp_path), **given)
    (part,) = series.compare_suites(settings)
    assert list(part.results.records) == ["trust"]
    told = capsys.readouterr().out
    assert "suite embedded: Sella is not installed: pip install" in told
    assert "suite ends is left out: Sella is not installed" in told


def test_series_of_which_nothing_can_be_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="none can be run; suite rdb7 is left out: h5_path is not"):
        next(series.compare_suites(BenchmarkSettings(suite="rdb7,calls", out_dir=str(tmp_path))))


def made(name: str, *, is_bound: bool, n: int) -> Record:
    reaction = reactions.read(max_samples=1)[0]
    (start,) = starting_points.starts([reaction], "ts")
    record = Record.blank(replace(start, name=name), Status.SADDLE, "")
    criteria = {"strict": is_bound, "bound": is_bound}
    return replace(record, criteria=criteria, order=1, n_gradient=n, n_fragments=1)


def part_of(**found: str) -> Part:
    """A part whose solvers find those of ten that their text names, each for their own cost."""
    costs = {"trust": 10, "sella": 40, "sella-internal": 20}
    names = {"trust": "trust", "sella": "sella", "internal": "sella-internal"}
    records = {
        names[key]: [made(x, is_bound=x in letters, n=costs[names[key]]) for x in "abcdefghij"]
        for key, letters in found.items()
    }
    return Part(BenchmarkSettings(), "DFTB0", Results(records, {}))


def test_lines_of_the_table_are_worked_out_by_hand():
    collected = report.collect_suites([part_of(trust="abcdefgh", sella="ab", internal="abc")])
    trust, sella, internal = collected.lines
    assert (trust.found, trust.gradients, trust.mean) == ((8, 10), 10, 10)
    assert (trust.rival, trust.n_both, trust.ratio) == ("sella-internal", 3, 0.5)
    assert (sella.n_both, sella.ratio) == (2, 2.0)
    assert (internal.rival, internal.n_both, internal.ratio) == ("sella-internal", 0, None)
    assert report.suites_table(collected)["cost"].tolist() == [
        "0.50 of sella-internal (3)",
        "2.00 of sella-internal (2)",
        "-",
    ]


def test_peer_that_finds_more_is_named_with_what_its_lead_proves():
    behind = report.collect_suites([part_of(trust="ab", internal="bcdefghij", sella="ac")])
    (told,) = report.lag_sentences(behind)
    # Of nine discordant pairs one is trust's: p = 2 (1 + 9) / 2^9.
    assert told == (
        "embedded, ts: trust has 7 fewer bound than sella-internal (1 and 8 alone, p 0.039)"
    )
    even = report.collect_suites([part_of(trust="ab", sella="ac")])
    assert report.lag_sentences(even) == [
        "Nowhere has any of Sella's more found, or more recovered, than gadlib's solvers."
    ]
