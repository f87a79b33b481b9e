"""What each command does: settings read from its flags, work called for, results told in lines.

Nothing is computed here; what a command needs is imported when it is called. Floor 9.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gadlib.cli.flags import settings_of
from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings, TimingSettings
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.results import PathSettings, ReportSettings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import StudySettings, TuneSettings, ValidateSettings
from gadlib.solver.criteria import CRITERIA


def search(options: argparse.Namespace) -> int:
    """The exit status, after saddles were searched from reactions or a file of geometries."""
    from gadlib.files.writing import require_writable
    from gadlib.molecules import starting_points
    from gadlib.screening import screen

    settings = settings_of(SearchSettings, options)
    out = Path(options.out) if options.out else Path(settings.out_dir) / "search.json"
    require_writable(out.parent)
    starts = starting_points.read_geometries(options.geometries) if options.geometries else None
    records = screen.screen(settings, starts=starts, out=out)
    return _report(records, out)


def screen(options: argparse.Namespace) -> int:
    """The exit status, after the difficult reactions of a set were found and listed."""
    from gadlib.files.writing import require_writable
    from gadlib.screening import screen

    settings = settings_of(ScreenSettings, options)
    out = require_writable(settings.out_dir) / "screening.json"
    records = screen.screen(settings, out=out)
    print(f"{'reaction':<14}{'formula':<12}{'difficulty':>10}  status")
    for record in screen.difficult(records, settings):
        told = f"{screen.difficulty(record):>10}  {record.message}"
        print(f"{record.name:<14}{record.formula:<12}{told}")
    return _report(records, out)


def tune(options: argparse.Namespace) -> int:
    """The exit status, after a study of hyperparameters reached its number of trials."""
    from gadlib import report
    from gadlib.tuning import tune as hpo

    settings = settings_of(TuneSettings, options)
    study = hpo.tune(settings)
    print(report.best_sentence(report.collect_trials(study)))
    print(json.dumps(study.best_params, indent=1))
    print(f"results: {Path(settings.out_dir) / 'hpo_results.json'}")
    print(f"study:   {hpo.without_password(hpo.default_storage(settings))}")
    return 0


def write_results(options: argparse.Namespace) -> int:
    """The exit status, after a study's results were written from its storage alone."""
    from gadlib.tuning import tune as hpo

    settings = settings_of(StudySettings, options)
    study = hpo.load(hpo.default_storage(settings), settings.study_name)
    print(f"results: {hpo.write_results(study, Path(settings.out_dir) / 'hpo_results.json')}")
    return 0


def tell_standing(options: argparse.Namespace) -> int:
    """The exit status, after it was told how a study stands."""
    from gadlib.tuning import tune as hpo

    settings = settings_of(StudySettings, options)
    print(hpo.standing(hpo.load(hpo.default_storage(settings), settings.study_name)))
    return 0


def validate(options: argparse.Namespace) -> int:
    """The exit status, after defaults and tuned values were compared on other reactions."""
    from gadlib import report
    from gadlib.tuning import tune as hpo

    settings = settings_of(ValidateSettings, options)
    screened = report.screened_in(settings.screening, settings) if settings.screening else None
    validation = hpo.validate(settings)
    comparison = report.collect_comparison(validation.default, validation.tuned)
    print(report.comparison_table(comparison).to_string(index=False))
    print(comparison.verdict)
    if screened is not None:
        gain = report.collect_gain(validation.default, validation.tuned, screened)
        print(report.gain_table(gain).to_string(index=False))
        print(gain.sentence)
    out = Path(settings.out_dir)
    print(f"records: {out / 'default.json'}, {out / 'tuned.json'}")
    return _irc_of(settings, out) if options.irc else 0


def _irc_of(settings: ValidateSettings, out: Path) -> int:
    """The exit status, after the strict saddles of both sides were followed downhill."""
    from gadlib import report
    from gadlib.paths import intended

    shared = {n: getattr(settings, n) for n in PathSettings.model_fields if hasattr(settings, n)}
    for side in ("default", "tuned"):
        changed = {"records": str(out / f"{side}.json"), "out_dir": str(out / f"irc_{side}")}
        paths = intended.run(PathSettings.read(shared | changed))
        print(f"{side}: {report.verdict_sentence(paths)}")
    return 0


def follow(options: argparse.Namespace) -> int:
    """The exit status, after saddles were followed downhill to what they join."""
    from gadlib import report
    from gadlib.paths import intended

    settings = settings_of(PathSettings, options)
    paths = intended.run(settings)
    if paths:
        print(report.paths_table(paths).to_string(index=False))
    print(report.verdict_sentence(paths))
    print(f"paths: {Path(settings.out_dir) / 'paths.json'}")
    return 0


def write_page(options: argparse.Namespace) -> int:
    """The exit status, after a page of results was written."""
    from gadlib import report

    out, notes = report.write_page(settings_of(ReportSettings, options), options.given)
    print("\n".join([*notes, f"page: {out}"]))
    return 0


def list_starts(_: argparse.Namespace) -> int:
    """List the recipes of starting points."""
    from gadlib.molecules import recipes

    print(recipes.table())
    return 0


def list_calculators(options: argparse.Namespace) -> int:
    """The exit status, after the potentials were listed."""
    from gadlib import calculators

    print(calculators.table(settings_of(CalculatorSettings, options)))
    return 0


def compare(options: argparse.Namespace) -> int:
    """The exit status, after solvers were compared from the same starts."""
    from gadlib import report
    from gadlib.benchmarks import solvers

    settings = settings_of(BenchmarkSettings, options)
    collected = report.collect_benchmark(solvers.run(settings))
    print(report.benchmark_table(collected).to_string(index=False))
    print(f"records: {settings.out_dir}/*.json")
    return 0


def time_steps(options: argparse.Namespace) -> int:
    """The exit status, after steps on made-up molecules were timed."""
    import torch

    from gadlib.benchmarks import step_times

    settings = settings_of(TimingSettings, options)
    with tempfile.TemporaryDirectory() as folder:
        calculator, note = step_times.calculator_of(settings, Path(folder))
        where = getattr(calculator, "device", "cpu")
        n = settings.threads or torch.get_num_threads()
        print(f"{settings.calculator} on {where}, {n} threads; {note}".rstrip("; "))
        print(step_times.HEAD)
        for row in step_times.rows(calculator, settings):
            print(step_times.told(row), flush=True)
    return 0


def measure_growth(options: argparse.Namespace) -> int:
    """The exit status, after searches on longer and longer chains were measured."""
    from gadlib import report
    from gadlib.benchmarks import scaling

    found = []
    for row in scaling.rows(settings_of(GrowthSettings, options)):
        found.append(row)
        told = report.growth_table([row]).to_dict("records")[0]
        print(", ".join(f"{name}: {value}" for name, value in told.items()), flush=True)
    print(report.growth_sentence(found))
    return 0


def run_demo(options: argparse.Namespace) -> int:
    """The exit status of the notebooks run on the embedded reactions."""
    from gadlib.cli import demo

    ScreenSettings.read({"workers": options.workers, "out_dir": options.out_dir})
    return demo.run(Path(options.out_dir), workers=options.workers)


def run_job(options: argparse.Namespace) -> int:
    """The exit status of a notebook run as a cluster job."""
    from gadlib.cli import slurm

    return slurm.run(options.notebook, options.parameters)


def _report(records: Sequence[Any], out: Path) -> int:
    from gadlib.settings.reading import listed
    from gadlib.solver.state import Status

    bad = [f"{r.name}: {r.message}" for r in records if r.status == Status.BAD_START]
    if bad:
        print(f"{len(bad)} of {len(records)} starts were not searched: {listed(bad)}")
    told = (
        f"{name} {sum(bool(getattr(r, name)) for r in records)}/{len(records)}" for name in CRITERIA
    )
    print(", ".join(told))
    elapsed, called = (sum(getattr(r, n) for r in records) for n in ("elapsed_s", "calculator_s"))
    steps = sum(r.steps for r in records)
    if steps and elapsed:
        print(
            f"{steps} steps, {1000 * elapsed / steps:.1f} ms each,"
            f" {100 * (1 - called / elapsed):.1f} % of it outside the calculator"
        )
    print(f"records: {out}")
    return 0
