"""Solvers start from the same points and are judged alike; what is told follows from records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faulty import Springs

from gadlib import calculators, report
from gadlib.benchmarks import solvers
from gadlib.benchmarks.judging import certify
from gadlib.benchmarks.solvers import Results
from gadlib.cli.parser import main
from gadlib.molecules.starting_points import Start
from gadlib.screening import screen
from gadlib.screening.records import Record
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status

SMALL = {"max_samples": 2, "n_steps_per_sample": 60, "workers": 0, "starts": "ts,ts_noise0.1A"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small comparison of gadlib's two solvers and Sella."""
    pytest.importorskip("scine_sparrow")
    pytest.importorskip("sella")
    out = tmp_path_factory.mktemp("benchmark")
    solvers.compare(
        BenchmarkSettings(solvers="trust,gad,sella,sella-hessian", out_dir=str(out), **SMALL)
    )
    return out


@pytest.fixture(scope="module")
def results(folder) -> Results:
    return solvers.read_results(folder)


def test_all_solvers_start_from_the_same_points_in_the_same_order(results):
    keys = {name: [screen.key(r) for r in records] for name, records in results.records.items()}
    assert set(keys) == {"gad", "trust", "sella", "sella-hessian"}
    assert len({tuple(k) for k in keys.values()}) == 1
    assert [k[3] for k in keys["gad"]] == ["ts"] * 2 + ["ts_noise0.1A"] * 2


def test_what_is_told_of_a_last_point_is_what_an_exact_hessian_says_there(results):
    potential = calculators.get("scine")
    for records in results.records.values():
        for r in records:
            numbers, positions = np.array(r.atomic_numbers), np.array(r.positions)
            start = Start(r.name, r.formula, r.split, r.start, r.noise_seed, numbers, positions, 1)
            again = certify(
                replace(r, criteria={"strict": not r.strict}, order=9), start, potential, "bound"
            )
            told = {"imaginary_cm1": r.imaginary_cm1, "eigenvalues": r.eigenvalues}
            told |= {n: getattr(r, n) for n in ("rmsd_start", "bonds_changed", "near")}
            assert replace(again, **told) == r
            assert again.imaginary_cm1 == pytest.approx(r.imaginary_cm1, abs=1e-6)
            assert again.eigenvalues == pytest.approx(r.eigenvalues, abs=1e-9)
            assert r.strict == (r.order == 1 and r.fmax < 0.01)


def test_reference_saddle_is_recovered_from_the_transition_state_itself(results):
    from_ts = [r for r in results.records["trust"] if r.start == "ts"]
    assert [r.bound for r in from_ts] == [True, True]
    assert all(results.deviation(r) < 0.01 for r in from_ts)


def test_final_certificate_is_counted_apart(results):
    for r in results.records["gad"]:  # a Hessian at the start and after every step
        assert r.n_hessian == r.steps + 1 - r.strict
    strict = [r for r in results.records["trust"] if r.strict]
    assert strict
    assert all(r.n_hessian < r.steps + 1 for r in strict)


def test_resumed_run_computes_nothing_anew_and_takes_another_solver(folder, results):
    before = (folder / "trust.json").read_bytes()
    settings = BenchmarkSettings(solvers="trust", out_dir=str(folder), resume=True, **SMALL)
    again = solvers.compare(settings)
    assert (folder / "trust.json").read_bytes() == before
    assert again.records["trust"] == results.records["trust"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "trust.json exists; resume it"),
        ({"solvers": "trust,newton"}, "solver 'newton': expected some of gad, trust, delta, sella"),
        ({"starts": "ts,middle"}, "start 'middle': expected one of"),
        ({"hyperparameters": {"dt_min": 1e-6}}, "dt_min: no hyperparameter of trust"),
        ({"criterion": "best"}, "criterion 'best': expected one of"),
        ({"n_steps_per_sample": 61, "resume": True}, "n_steps_per_sample was 60, now 61"),
    ],
)
def test_what_can_not_be_compared_is_refused_before_anything_is_computed(folder, changes, told):
    settings = {**SMALL, "solvers": "trust", "out_dir": str(folder), **changes}
    with pytest.raises(InputError, match=told):
        solvers.compare(BenchmarkSettings(**settings))


def test_folder_without_results_is_told(tmp_path):
    with pytest.raises(InputError, match="no results of a benchmark"):
        solvers.read_results(tmp_path)


def test_command_prints_a_row_for_each_start_and_solver(tmp_path, capsys):
    pytest.importorskip("scine_sparrow")
    command = "benchmark --solvers trust --starts ts --max-samples 1 --workers 0 --n-steps 20"
    assert main([*command.split(), "--out-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "100 % (21-100)" in told  # Wilson's interval of 1 in 1
    assert (tmp_path / "trust.json").is_file()


def test_failed_search_stays_a_record():
    numbers, places = np.array([7, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]])
    start = Start("NH", "HN", "", "given", None, numbers, places, 1)
    record = Record.blank(start, Status.CALCULATOR_FAILED, "Why.")
    found = certify(record, start, Springs("raises"), "bound")
    assert (found.strict, found.order, found.status) == (None, None, "calculator_failed")
    assert "the nitrogen leaked out" in found.message


def made(solver: str, name: str, *, strict: bool, n_gradient: int, n_hessian: int) -> Record:
    """A record of hydrogen with round numbers; it takes 2 s, half of it in the calculator."""
    places = np.array([[0.0, 0, 0], [0, 0, 1.0 if strict else 3.0]])
    start = Start(name, "H2", "test", "ts", None, np.array([1, 1]), places, 1)
    return replace(
        Record.blank(start, Status.SADDLE if strict else Status.OUT_OF_STEPS, solver),
        criteria={"index1": True, "strict": strict, "bound": strict},
        order=1,
        n_gradient=n_gradient,
        n_hessian=n_hessian,
        elapsed_s=2.0,
        calculator_s=1.0,
        imaginary_cm1=500.0 if strict else 0.0,
        n_fragments=1,
    )


@pytest.fixture
def round_numbers() -> report.Benchmark:
    records = [
        made("trust", "a", strict=True, n_gradient=10, n_hessian=1),
        made("trust", "b", strict=True, n_gradient=20, n_hessian=3),
        made("trust", "c", strict=False, n_gradient=90, n_hessian=0),
    ]
    peer = [made("sella", name, strict=False, n_gradient=5, n_hessian=0) for name in "abc"]
    peer[0] = replace(peer[0], order=None, status="process_ended")
    references = {("test", "H2", "a"): records[0], ("test", "H2", "c"): records[0]}
    return report.collect_benchmark(Results({"trust": records, "sella": peer}, references))


def test_rows_are_worked_out_by_hand(round_numbers):
    trust, sella = round_numbers.rows
    rates = {"index1": (3, 3), "strict": (2, 3), "bound": (2, 3), "recovered": (1, 2)}
    assert (trust.n, trust.rates) == (3, rates)
    assert trust.gradients == np.median([10 + 12 * 1, 20 + 12 * 3])  # 6N = 12
    assert trust.mean == pytest.approx((22 + 56 + 90) / 3)
    assert trust.proof == 12
    assert (trust.wall_s, trust.overhead) == (3.0, 0.5)
    assert (sella.gradients, sella.wall_s) == (None, None)
    assert (sella.rates["recovered"], sella.n_failed) == ((0, 2), 1)


def test_table_has_a_row_for_each_solver_with_wilsons_interval(round_numbers):
    table = report.benchmark_table(round_numbers)
    assert list(table["solver"]) == ["trust", "sella"]
    assert table["strict"][0] == "67 % (21-94)"  # 2 of 3, Wilson (1927)
    assert table["strict"][1] == "0 % (0-56)"
    assert table["gradients"][1] == "-"


def test_profile_rises_at_the_cost_of_each_success(round_numbers):
    trust, sella = report.collect_profiles(round_numbers, "ts", success="strict")
    assert trust.cost.tolist() == [22, 56]
    assert trust.rate == pytest.approx([1 / 3, 2 / 3])
    assert len(sella.cost) == 0


def test_drawings_show_every_solver_or_say_that_there_is_nothing(round_numbers):
    labels = {"trust", "sella"}
    profiles = report.collect_profiles(round_numbers, "ts")
    ax = report.draw_profiles(profiles, unit="gradients")
    assert set(ax.get_legend_handles_labels()[1]) == labels
    assert set(report.draw_rates(round_numbers).get_legend_handles_labels()[1]) == labels
    assert report.draw_ends(round_numbers).axes[1].get_legend_handles_labels()[1] == ["trust (2)"]
    nothing = report.collect_benchmark(Results({}, {}))
    assert report.benchmark_table(nothing).empty
    assert "no search" in report.draw_rates(nothing).texts[0].get_text()
    assert report.draw_profiles([], unit="gradients").texts
    assert report.draw_ends(nothing).axes[0].texts


def test_all_solvers_search_a_portfolio_from_its_starts_in_turn(tmp_path):
    pytest.importorskip("scine_sparrow")
    pytest.importorskip("sella")
    given = SMALL | {"starts": "reactant+ts,ts", "n_steps_per_sample": 15, "max_samples": 1}
    settings = BenchmarkSettings(solvers="trust,sella", out_dir=str(tmp_path), **given)
    for of in solvers.compare(settings).records.values():
        several, one = of
        assert (several.start, one.start) == ("reactant+ts", "ts")
        first, second = several.searches
        assert not first.is_kept and second.is_kept and several.converged and one.converged
        assert second.steps == one.steps
        assert several.steps == first.steps + one.steps
        assert several.n_gradient == first.n_gradient + second.n_gradient
