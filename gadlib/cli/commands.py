"""The commands, each declared once; help, flags and dispatch are derived from that.

Each calls what a notebook calls and prints what came of it; what it needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings, TimingSettings
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import Settings, listed
from gadlib.settings.results import DemoSettings, PathSettings, ReportSettings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import StudySettings, TuneSettings, ValidateSettings


class Command(NamedTuple):
    """A command.

    Attributes:
        run: called with the settings and all that was given; what it returns is the exit status,
            None stands for 0. Its docstring is the command's help.
        kind: of settings, each a flag.
        arguments: what may be given besides, as argparse takes it: names and options.
    """

    run: Callable[[Any, argparse.Namespace], int | None]
    kind: type[Settings]
    arguments: Sequence[tuple[str, dict[str, Any]]]

    @property
    def doc(self) -> str:
        """What it does, in one line."""
        doc = (self.run.__doc__ or "").rstrip(".")
        return doc[:1].lower() + doc[1:]

    @property
    def is_resumable(self) -> bool:
        """Whether what is done is written as it is done, and gone on with."""
        return {"resume", "out_dir"} <= self.kind.model_fields.keys()


COMMANDS: dict[str, Command] = {}


def command(name: str, kind: type[Settings], *arguments: tuple[str, dict[str, Any]]) -> Callable:
    """A decorator that declares a command."""

    def declare(run: Callable[[Any, argparse.Namespace], int | None]) -> Callable:
        COMMANDS[name] = Command(run, kind, arguments)
        return run

    return declare


def argument(name: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """What may be given to a command besides its settings, with the options of `add_argument`."""
    return name, options


@command(
    "search",
    SearchSettings,
    argument(
        "geometries", nargs="?", metavar="FILE.extxyz", help="starting points; none: --h5-path"
    ),
    argument("--out", metavar="FILE.json", help="result file; default search.json in --out-dir"),
)
def search(settings: SearchSettings, options: argparse.Namespace) -> None:
    """Search saddle points from reactions or a file of geometries."""
    from gadlib.files.writing import require_writable
    from gadlib.screening.search import search

    out = Path(options.out) if options.out else Path(settings.out_dir) / "search.json"
    require_writable(out.parent)
    _print_records(search(options.geometries, settings, out=out), out)


@command("screen", ScreenSettings)
def screen(settings: ScreenSettings, _: argparse.Namespace) -> None:
    """Find the difficult reactions of a set."""
    from gadlib.files.writing import require_writable
    from gadlib.screening import screen

    out = require_writable(settings.out_dir) / "screening.json"
    records = screen.screen(settings, out=out)
    print(f"{'reaction':<14}{'formula':<12}{'difficulty':>10}  status")
    for record in screen.select_difficult(records, settings):
        ended = f"{screen.difficulty(record):>10}  {record.message}"
        print(f"{record.name:<14}{record.formula:<12}{ended}")
    _print_records(records, out)


@command("tune", TuneSettings)
def tune(settings: TuneSettings, _: argparse.Namespace) -> None:
    """Tune the hyperparameters on the difficult reactions."""
    from gadlib import report
    from gadlib.tuning import tune

    study = tune.tune(settings)
    print(report.best_sentence(report.collect_trials(study)))
    print(json.dumps(study.best_params, indent=1))
    print(f"results: {Path(settings.out_dir) / 'hpo_results.json'}")
    print(f"study:   {tune.without_password(tune.default_storage(settings))}")


@command("results", StudySettings)
def write_results(settings: StudySettings, _: argparse.Namespace) -> None:
    """Write hpo_results.json of a study from its storage alone."""
    from gadlib.tuning import tune

    study = tune.load(tune.default_storage(settings), settings.study_name)
    print(f"results: {tune.write_results(study, Path(settings.out_dir) / 'hpo_results.json')}")


@command("status", StudySettings)
def print_status(settings: StudySettings, _: argparse.Namespace) -> None:
    """Say how a study stands: trials, best, rate, time left, workers."""
    from gadlib.tuning import tune

    print(tune.read_status(tune.load(tune.default_storage(settings), settings.study_name)))


@command(
    "validate",
    ValidateSettings,
    argument("--irc", action="store_true", help="follow the strict saddles of both sides downhill"),
)
def validate(settings: ValidateSettings, options: argparse.Namespace) -> None:
    """Compare defaults and tuned values on other reactions."""
    from gadlib import report
    from gadlib.tuning import tune

    screened = report.screened_in(settings.screening, settings) if settings.screening else None
    validation = tune.validate(settings)
    comparison = report.collect_comparison(validation.default, validation.tuned)
    print(report.comparison_table(comparison).to_string(index=False))
    print(comparison.verdict)
    if screened is not None:
        gain = report.collect_gain(validation.default, validation.tuned, screened)
        print(report.gain_table(gain).to_string(index=False))
        print(gain.sentence)
    out = Path(settings.out_dir)
    print(f"records: {out / 'default.json'}, {out / 'tuned.json'}")
    if options.irc:
        _follow_both(settings, out)


def _follow_both(settings: ValidateSettings, out: Path) -> None:
    """Follow the strict saddles of both sides downhill, and print what they join."""
    from gadlib import report
    from gadlib.paths import intended

    shared = {n: getattr(settings, n) for n in PathSettings.model_fields if hasattr(settings, n)}
    for side in ("default", "tuned"):
        changed = {"records": str(out / f"{side}.json"), "out_dir": str(out / f"irc_{side}")}
        paths = intended.follow(PathSettings.read(shared | changed))
        print(f"{side}: {report.verdict_sentence(paths)}")


@command(
    "irc",
    PathSettings,
    argument(
        "records",
        nargs="?",
        metavar="RECORDS.json",
        help=PathSettings.model_fields["records"].description,
    ),
)
def follow(settings: PathSettings, _: argparse.Namespace) -> None:
    """Follow saddles downhill: do they join the known reactant and product?."""
    from gadlib import report
    from gadlib.paths import intended

    paths = intended.follow(settings)
    if paths:
        print(report.paths_table(paths).to_string(index=False))
    print(report.verdict_sentence(paths))
    print(f"paths: {Path(settings.out_dir) / 'paths.json'}")


@command("calculators", CalculatorSettings)
def list_calculators(settings: CalculatorSettings, _: argparse.Namespace) -> None:
    """List the potentials, what each needs, and which are usable here."""
    from gadlib import calculators

    print(calculators.table(settings))


@command("starts", Settings)
def list_starts(*_: Any) -> None:
    """List the recipes of starting points."""
    from gadlib.molecules import recipes

    print(recipes.table())


@command("benchmark", BenchmarkSettings)
def compare(settings: BenchmarkSettings, _: argparse.Namespace) -> None:
    """Compare solvers, Sella among them, from the same starts."""
    from gadlib import report
    from gadlib.benchmarks import solvers

    collected = report.collect_benchmark(solvers.compare(settings))
    print(report.benchmark_table(collected).to_string(index=False))
    print(f"records: {settings.out_dir}/*.json")


@command("timing", TimingSettings)
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


@command("growth", GrowthSettings)
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


@command("report", ReportSettings)
def write_page(settings: ReportSettings, options: argparse.Namespace) -> None:
    """Write a page of results that can be sent, one HTML file."""
    from gadlib import report

    out, notes = report.write_page(settings, options.given)
    print("\n".join([*notes, f"page: {out}"]))


@command("demo", DemoSettings)
def run_demo(settings: DemoSettings, _: argparse.Namespace) -> int:
    """Screen, tune and prove the gain on the embedded reactions, in the notebooks."""
    from gadlib.cli import demo

    return demo.run(Path(settings.out_dir), workers=settings.workers)


@command(
    "job",
    Settings,
    argument("notebook", help="01_screen, 02_tune or 03_results"),
    argument("--parameters", type=Path, metavar="FILE.yaml", help="parameters"),
)
def run_job(_: Settings, options: argparse.Namespace) -> int:
    """Run a notebook as a cluster job: parameters from YAML and the environment."""
    from gadlib.cli import slurm

    return slurm.run(options.notebook, options.parameters)


def _print_records(records: Sequence[Any], out: Path) -> None:
    """Print how many searches met each criterion, and what a step took."""
    from gadlib.settings.criteria import CRITERIA
    from gadlib.solver.state import Status

    bad = [f"{r.name}: {r.message}" for r in records if r.status == Status.BAD_START]
    if bad:
        print(f"{len(bad)} of {len(records)} starts were not searched: {listed(bad)}")
    n_met = {name: sum(r.meets(name) for r in records) for name in CRITERIA}
    print(", ".join(f"{name} {n}/{len(records)}" for name, n in n_met.items()))
    elapsed, called = (sum(getattr(r, n) for r in records) for n in ("elapsed_s", "calculator_s"))
    steps = sum(r.steps for r in records)
    if steps and elapsed:
        print(
            f"{steps} steps, {1000 * elapsed / steps:.1f} ms each,"
            f" {100 * (1 - called / elapsed):.1f} % of it outside the calculator"
        )
    print(f"records: {out}")
