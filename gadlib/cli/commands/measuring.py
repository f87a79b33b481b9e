"""Commands that measure: solvers side by side, what a step and a saddle cost."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from gadlib.cli.commands.table import QUIET, command
from gadlib.cli.lines import told
from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings, TimingSettings


@command(
    "benchmark",
    BenchmarkSettings,
    QUIET,
    group="measure",
    examples=(
        ("benchmark --max-samples 10", "all solvers on ten reactions of the embedded set"),
        (
            "benchmark --solvers trust,sella --starts midpoint_rp --criterion strict",
            "two of them, from half way between reactant and product",
        ),
        (
            "benchmark --suite ends --max-samples 30",
            "the search from reactant and product, beside what is usual, all followed downhill",
        ),
        (
            "benchmark --suite calls --geometries guesses.extxyz",
            "guesses of a file, beside the calls that others published for them",
        ),
        (
            "benchmark --suite all --h5-path rdb7.h5 --geometries guesses.extxyz",
            "every suite, in one table",
        ),
    ),
)
def compare(settings: BenchmarkSettings, options: argparse.Namespace) -> None:
    """Compare solvers, Sella among them, from the same starts."""
    from gadlib import report
    from gadlib.benchmarks import published, solvers

    if len(settings.suites) > 1:
        _compare_suites(settings, options)
        return
    is_of_calls = settings.suite == "calls" and settings.geometries is not None
    known = published.read_calls(settings.geometries or "") if is_of_calls else {}
    with told(quietly=options.quiet):
        results = solvers.compare(settings)
    collected = report.collect_benchmark(results)
    print(report.benchmark_table(collected).to_string(index=False))
    success = "intended" if settings.check_ends else settings.criterion
    if pairs := report.pair_solvers(collected, success):
        print(f"\nin pairs, by {success}:")
        print(report.paired_table(pairs).to_string(index=False))
    if known:
        calls = report.collect_calls(known, results.records)
        print(report.calls_table(calls).to_string(index=False))
        drawn = report.draw_profiles(report.call_profiles(calls), unit="calls of the search")
        print(
            f"figure: {report.save_figure(drawn, f'{settings.out_dir}/calls.png', overwrite=True)}"
        )
    print(f"records: {settings.out_dir}/*.json")


def _compare_suites(settings: BenchmarkSettings, options: argparse.Namespace) -> None:
    """Compare on several suites; the table of those that have ended is there after each."""
    from gadlib import report
    from gadlib.benchmarks import series

    parts = []
    with told(quietly=options.quiet):
        for part in series.compare_suites(settings):
            parts.append(part)
            collected = report.collect_suites(parts)
            files = report.write_suites(collected, settings.out_dir)
    print(report.suites_table(collected).to_string(index=False))
    print("\n".join(report.lag_sentences(collected)))
    print(f"records: {settings.out_dir}/*/*.json; table: {', '.join(map(str, files))}")


@command(
    "timing",
    TimingSettings,
    group="measure",
    examples=(
        ("timing --atoms 8,16 --batches 1,8", "small molecules alone and in a batch of eight"),
        (
            "timing --calculator hip --checkpoint-path hip_v2.ckpt --device cuda",
            "HIP on a graphics card",
        ),
    ),
)
def time_steps(settings: TimingSettings, _: argparse.Namespace) -> None:
    """Time a step with made-up molecules; hip without a checkpoint has random weights."""
    import torch

    from gadlib.benchmarks import step_times

    with tempfile.TemporaryDirectory() as folder:
        calculator, note = step_times.calculator_of(settings, Path(folder))
        where = getattr(calculator, "device", "cpu")
        n = settings.threads or torch.get_num_threads()
        print(f"{settings.calculator} on {where}, {n} threads; {note}".rstrip("; "))
        print(step_times.HEAD)
        for row in step_times.measure_steps(calculator, settings):
            print(step_times.format_row(row), flush=True)


@command(
    "growth",
    GrowthSettings,
    group="measure",
    examples=(
        ("growth --carbons 2,4,6 --n-starts 1", "three alkanes, from one start each"),
        ("growth --solver gad --noise 0.05", "the other solver, from starts that are less shaken"),
    ),
)
def measure_growth(settings: GrowthSettings, _: argparse.Namespace) -> None:
    """Measure how the cost of a saddle grows with the molecule, on longer and longer chains."""
    from gadlib import report
    from gadlib.benchmarks import scaling

    found = []
    for row in scaling.measure_growth(settings):
        found.append(row)
        shown = report.growth_table([row]).to_dict("records")[0]
        print(", ".join(f"{name}: {value}" for name, value in shown.items()), flush=True)
    print(report.growth_sentence(found))
