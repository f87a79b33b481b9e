"""The command line: `python -m gadlib search | screen | tune | results | status | ...`.

Which commands there are, and how they end; what each does is in `commands`, how its flags are made
in `flags`. Exit status: 0 done, 2 unusable input (one sentence on stderr says what was expected),
75 the storage went away (try again later), 130 interrupted (what was done is kept). Floor 10.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gadlib import __version__
from gadlib.cli import commands
from gadlib.cli.flags import add_command
from gadlib.files.writing import leave_no_empty_folder
from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings, TimingSettings
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.settings.results import PathSettings, ReportSettings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import StudySettings, TuneSettings, ValidateSettings

INTERRUPTED = 130
TRY_AGAIN = 75
KEEPING = ("search", "screen", "tune", "validate", "irc", "benchmark")
"""The commands that write down what is done as it is done, and go on from there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command line given."""
    from gadlib.cluster.retries import StorageLostError

    options = _parser().parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else list(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return options.command(options)
    except InputError as error:
        leave_no_empty_folder()
        print(f"gadlib {options.name}: {error}", file=sys.stderr)
        return 2
    except StorageLostError as error:
        print(f"gadlib {options.name}: {error}", file=sys.stderr)
        return TRY_AGAIN
    except KeyboardInterrupt:
        kept = "; what was done is kept, --resume goes on" if options.name in KEEPING else ""
        print(f"gadlib {options.name}: interrupted{kept}", file=sys.stderr)
        return INTERRUPTED


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gadlib", description="Transition states by gentlest-ascent dynamics."
    )
    parser.add_argument("--version", action="version", version=f"gadlib {__version__}")
    parsers = parser.add_subparsers(dest="name", required=True)
    search = add_command(
        parsers,
        "search",
        commands.search,
        SearchSettings,
        "search saddle points from reactions or a file of geometries",
    )
    search.add_argument(
        "geometries", nargs="?", metavar="FILE.extxyz", help="starting geometries; none: --h5-path"
    )
    search.add_argument(
        "--out", metavar="FILE.json", help="result file; default search.json in --out-dir"
    )
    add_command(
        parsers, "screen", commands.screen, ScreenSettings, "find the difficult reactions of a set"
    )
    add_command(
        parsers,
        "tune",
        commands.tune,
        TuneSettings,
        "tune the hyperparameters on the difficult reactions",
    )
    add_command(
        parsers,
        "results",
        commands.write_results,
        StudySettings,
        "write hpo_results.json of a study from its storage alone",
    )
    add_command(
        parsers,
        "status",
        commands.tell_standing,
        StudySettings,
        "say how a study stands: trials, best, rate, time left, workers",
    )
    validate = add_command(
        parsers,
        "validate",
        commands.validate,
        ValidateSettings,
        "compare defaults and tuned values on other reactions",
    )
    validate.add_argument(
        "--irc", action="store_true", help="follow the strict saddles of both sides downhill"
    )
    irc = add_command(
        parsers,
        "irc",
        commands.follow,
        PathSettings,
        "follow saddles downhill: do they join the known reactant and product?",
    )
    irc.add_argument(
        "records",
        nargs="?",
        default=None,
        metavar="RECORDS.json",
        help="result file of searches; none: the reference saddles of the set",
    )
    add_command(
        parsers,
        "calculators",
        commands.list_calculators,
        CalculatorSettings,
        "list the potentials, what each needs, and which are usable here",
    )
    starts = parsers.add_parser("starts", help="list the recipes of starting points")
    starts.set_defaults(command=commands.list_starts)
    add_command(
        parsers,
        "benchmark",
        commands.compare,
        BenchmarkSettings,
        "compare solvers, Sella among them, from the same starts",
    )
    add_command(
        parsers,
        "timing",
        commands.time_steps,
        TimingSettings,
        "time a step with made-up molecules; hip without a checkpoint has random weights",
    )
    add_command(
        parsers,
        "growth",
        commands.measure_growth,
        GrowthSettings,
        "measure how the cost of a saddle grows with the molecule, on longer and longer chains",
    )
    add_command(
        parsers,
        "report",
        commands.write_page,
        ReportSettings,
        "write a page of results that can be sent, one HTML file",
    )
    demo = parsers.add_parser(
        "demo", help="screen, tune and prove the gain on the embedded reactions, in the notebooks"
    )
    demo.add_argument(
        "--out-dir",
        default="runs/demo",
        help="folder for notebooks and results (default %(default)s)",
    )
    demo.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    demo.set_defaults(command=commands.run_demo)
    job = parsers.add_parser(
        "job", help="run a notebook as a cluster job: parameters from YAML and the environment"
    )
    job.add_argument("notebook", help="01_screen, 02_tune or 03_results")
    job.add_argument("--parameters", type=Path, metavar="FILE.yaml", help="parameters")
    job.set_defaults(command=commands.run_job)
    return parser


if __name__ == "__main__":
    sys.exit(main())
