"""Solvers compared by intended saddles, Sella's judged by the same paths."""

from __future__ import annotations

import json

import pytest

from gadlib import report
from gadlib.benchmarks import solvers
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.criteria import SAME_SADDLE

pytest.importorskip("scine_sparrow")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    pytest.importorskip("sella")
    out = tmp_path_factory.mktemp("intended")
    given = BenchmarkSettings(
        solvers="trust,gad,sella-hessian", starts="ts_noise0.1A", criterion="intended",
        split="test", max_samples=2, sample="first", n_steps_per_sample=60, workers=0,
        out_dir=str(out),
    )  # fmt: skip
    solvers.compare(given)
    return solvers.read_results(out)


def test_every_solver_is_judged_by_the_same_paths(results):
    for records in results.records.values():
        for record in records:
            if record.bound:
                assert record.criteria["intended"] is not None or record.verdict == "failed"
                assert record.verdict and record.n_path_gradient > 0
            assert record.converged == record.meets("intended")
    assert any(record.converged for record in results.records["trust"])


def test_what_is_intended_is_the_reactions_own_saddle_where_it_is_recovered(results):
    for records in results.records.values():
        for record in records:
            deviation = results.deviation(record)
            if record.strict and deviation is not None and deviation < SAME_SADDLE:
                assert record.meets("intended")


def test_references_were_followed_and_counted_apart(results):
    assert results.references
    for record in results.references.values():
        assert record.meets("intended") and record.n_path_gradient > 0


def test_intended_stands_first_in_the_table_and_can_be_drawn(results):
    collected = report.collect_benchmark(results)
    table = report.benchmark_table(collected)
    columns = ["start", "solver", "n", "intended", "bound", "strict", "index1", "recovered"]
    assert [*table.columns][:8] == columns
    assert (collected.runs["path_gradients"] > 0).any()
    profiles = report.collect_profiles(collected, "ts_noise0.1A", success="intended")
    assert sum(len(profile.cost) for profile in profiles) == collected.runs["intended"].sum()
    assert report.draw_rates(collected, criterion="intended").get_ylabel().startswith("intended")
    json.dumps(table.to_dict("records"))
