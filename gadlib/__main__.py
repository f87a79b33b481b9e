"""The command line: `python -m gadlib search | screen | tune | results | status | ...`.

Every flag is derived from the settings and the hyperparameters, so none is declared here. Exit
status: 0 done, 2 unusable input (one sentence on stderr says what was expected), 75 the storage
went away (try again later), 130 interrupted (what was done is kept). Floor 7.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gadlib import __version__
from gadlib.criteria import CRITERIA
from gadlib.hyperparameters import SOLVERS
from gadlib.input import InputError, Settings
from gadlib.review import PathSettings, ReportSettings
from gadlib.settings import (
    BenchmarkSettings,
    CalculatorSettings,
    GrowthSettings,
    ScreenSettings,
    SearchSettings,
    StudySettings,
    TimingSettings,
    TuneSettings,
    ValidateSettings,
)

INTERRUPTED = 130
TRY_AGAIN = 75


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command line given."""
    from gadlib.patience import StorageLostError

    options = _parser().parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else list(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return options.command(options)
    except InputError as error:
        print(f"gadlib {options.name}: {error}", file=sys.stderr)
        return 2
    except StorageLostError as error:
        print(f"gadlib {options.name}: {error}", file=sys.stderr)
        return TRY_AGAIN
    except KeyboardInterrupt:
        kept = "; what was done is kept, --resume goes on" if hasattr(options, "resume") else ""
        print(f"gadlib {options.name}: interrupted{kept}", file=sys.stderr)
        return INTERRUPTED


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _search(options: argparse.Namespace) -> int:
    from gadlib import reactions, screen
    from gadlib.records import require_writable

    settings = _settings(SearchSettings, options)
    out = Path(options.out) if options.out else Path(settings.out_dir) / "search.json"
    require_writable(out.parent)
    starts = reactions.read_geometries(options.geometries) if options.geometries else None
    records = screen.screen(settings, starts=starts, out=out)
    return _report(records, out)


def _screen(options: argparse.Namespace) -> int:
    from gadlib import screen
    from gadlib.records import require_writable

    settings = _settings(ScreenSettings, options)
    out = require_writable(settings.out_dir) / "screening.json"
    records = screen.screen(settings, out=out)
    print(f"{'reaction':<14}{'formula':<12}{'difficulty':>10}  status")
    for record in screen.difficult(records, settings):
        told = f"{screen.difficulty(record):>10}  {record.message}"
        print(f"{record.name:<14}{record.formula:<12}{told}")
    return _report(records, out)


def _tune(options: argparse.Namespace) -> int:
    from gadlib import hpo, report

    settings = _settings(TuneSettings, options)
    study = hpo.tune(settings)
    print(report.best_sentence(report.collect_trials(study)))
    print(json.dumps(study.best_params, indent=1))
    print(f"results: {Path(settings.out_dir) / 'hpo_results.json'}")
    print(f"study:   {hpo.without_password(hpo.default_storage(settings))}")
    return 0


def _results(options: argparse.Namespace) -> int:
    from gadlib import hpo

    settings = _settings(StudySettings, options)
    study = hpo.load(hpo.default_storage(settings), settings.study_name)
    print(f"results: {hpo.write_results(study, Path(settings.out_dir) / 'hpo_results.json')}")
    return 0


def _status(options: argparse.Namespace) -> int:
    from gadlib import hpo

    settings = _settings(StudySettings, options)
    print(hpo.standing(hpo.load(hpo.default_storage(settings), settings.study_name)))
    return 0


def _validate(options: argparse.Namespace) -> int:
    from gadlib import hpo, report

    settings = _settings(ValidateSettings, options)
    validation = hpo.validate(settings)
    comparison = report.collect_comparison(validation.default, validation.tuned)
    print(report.comparison_table(comparison).to_string(index=False))
    print(comparison.verdict)
    out = Path(settings.out_dir)
    print(f"records: {out / 'default.json'}, {out / 'tuned.json'}")
    return _irc_of(settings, out) if options.irc else 0


def _irc_of(settings: ValidateSettings, out: Path) -> int:
    """The exit status, after the strict saddles of both sides were followed downhill."""
    from gadlib import pathways, report

    shared = {n: getattr(settings, n) for n in PathSettings.model_fields if hasattr(settings, n)}
    for side in ("default", "tuned"):
        changed = {"records": str(out / f"{side}.json"), "out_dir": str(out / f"irc_{side}")}
        paths = pathways.run(PathSettings.read(shared | changed))
        print(f"{side}: {report.verdict_sentence(paths)}")
    return 0


def _irc(options: argparse.Namespace) -> int:
    from gadlib import pathways, report

    settings = _settings(PathSettings, options)
    paths = pathways.run(settings)
    if paths:
        print(report.paths_table(paths).to_string(index=False))
    print(report.verdict_sentence(paths))
    print(f"paths: {Path(settings.out_dir) / 'paths.json'}")
    return 0


def _page(options: argparse.Namespace) -> int:
    from gadlib import report

    out, notes = report.write_page(_settings(ReportSettings, options), options.given)
    print("\n".join([*notes, f"page: {out}"]))
    return 0


def _calculators(options: argparse.Namespace) -> int:
    from gadlib import calculators

    print(calculators.table(_settings(CalculatorSettings, options)))
    return 0


def _benchmark(options: argparse.Namespace) -> int:
    from gadlib import benchmark, report

    settings = _settings(BenchmarkSettings, options)
    collected = report.collect_benchmark(benchmark.run(settings))
    print(report.benchmark_table(collected).to_string(index=False))
    print(f"records: {settings.out_dir}/*.json")
    return 0


def _timing(options: argparse.Namespace) -> int:
    import torch

    from gadlib import timing

    settings = _settings(TimingSettings, options)
    with tempfile.TemporaryDirectory() as folder:
        calculator, note = timing.calculator_of(settings, Path(folder))
        where = getattr(calculator, "device", "cpu")
        n = settings.threads or torch.get_num_threads()
        print(f"{settings.calculator} on {where}, {n} threads; {note}".rstrip("; "))
        print(timing.HEAD)
        for row in timing.rows(calculator, settings):
            print(timing.told(row), flush=True)
    return 0


def _growth(options: argparse.Namespace) -> int:
    from gadlib import growth, report

    found = []
    for row in growth.rows(_settings(GrowthSettings, options)):
        found.append(row)
        told = report.growth_table([row]).to_dict("records")[0]
        print(", ".join(f"{name}: {value}" for name, value in told.items()), flush=True)
    print(report.growth_sentence(found))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from gadlib import demo

    return demo.run(Path(options.out_dir), workers=options.workers)


def _job(options: argparse.Namespace) -> int:
    from gadlib import job

    return job.run(options.notebook, options.parameters)


def _report(records: Sequence[Any], out: Path) -> int:
    told = (f"{name} {sum(getattr(r, name) for r in records)}/{len(records)}" for name in CRITERIA)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gadlib", description="Transition states by gentlest-ascent dynamics."
    )
    parser.add_argument("--version", action="version", version=f"gadlib {__version__}")
    commands = parser.add_subparsers(dest="name", required=True)
    search = _add(
        commands,
        "search",
        _search,
        SearchSettings,
        "search saddle points from reactions or a file of geometries",
    )
    search.add_argument(
        "geometries", nargs="?", metavar="FILE.extxyz", help="starting geometries; none: --h5-path"
    )
    search.add_argument(
        "--out", metavar="FILE.json", help="result file; default search.json in --out-dir"
    )
    _add(commands, "screen", _screen, ScreenSettings, "find the difficult reactions of a set")
    _add(
        commands, "tune", _tune, TuneSettings, "tune the hyperparameters on the difficult reactions"
    )
    _add(
        commands,
        "results",
        _results,
        StudySettings,
        "write hpo_results.json of a study from its storage alone",
    )
    _add(
        commands,
        "status",
        _status,
        StudySettings,
        "say how a study stands: trials, best, rate, time left, workers",
    )
    validate = _add(
        commands,
        "validate",
        _validate,
        ValidateSettings,
        "compare defaults and tuned values on other reactions",
    )
    validate.add_argument(
        "--irc", action="store_true", help="follow the strict saddles of both sides downhill"
    )
    irc = _add(
        commands,
        "irc",
        _irc,
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
    _add(
        commands,
        "calculators",
        _calculators,
        CalculatorSettings,
        "list the potentials, what each needs, and which are usable here",
    )
    _add(
        commands,
        "benchmark",
        _benchmark,
        BenchmarkSettings,
        "compare solvers, Sella among them, from the same starts",
    )
    _add(
        commands,
        "timing",
        _timing,
        TimingSettings,
        "time a step with made-up molecules; hip without a checkpoint has random weights",
    )
    _add(
        commands,
        "growth",
        _growth,
        GrowthSettings,
        "measure how the cost of a saddle grows with the molecule, on longer and longer chains",
    )
    _add(
        commands,
        "report",
        _page,
        ReportSettings,
        "write a page of results that can be sent, one HTML file",
    )
    demo = commands.add_parser(
        "demo", help="screen, tune and prove the gain on the embedded reactions, in the notebooks"
    )
    demo.add_argument(
        "--out-dir",
        default="runs/demo",
        help="folder for notebooks and results (default %(default)s)",
    )
    demo.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    demo.set_defaults(command=_demo)
    job = commands.add_parser(
        "job", help="run a notebook as a cluster job: parameters from YAML and the environment"
    )
    job.add_argument("notebook", help="01_screen, 02_tune or 03_results")
    job.add_argument("--parameters", type=Path, metavar="FILE.yaml", help="parameters")
    job.set_defaults(command=_job)
    return parser


def _add(
    commands: Any,
    name: str,
    command: Callable[[argparse.Namespace], int],
    kind: type[Settings],
    doc: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=doc, description=f"gadlib {name}: {doc}.")
    for field_name, field in kind.model_fields.items():
        if field_name in ("hyperparameters", "ranges", "records"):
            continue
        flags = [_flag(field_name)] + (["--n-steps"] if field_name == "n_steps_per_sample" else [])
        shown = f"{field.description} (default {field.default})"
        if field.annotation is bool:
            parser.add_argument(*flags, action="store_true", help=field.description)
        else:
            parser.add_argument(
                *flags,
                dest=field_name,
                type=_type(field.annotation),
                default=None,
                metavar="X",
                help=shown,
            )
    parser.set_defaults(command=command)
    if "ranges" in kind.model_fields:
        parser.add_argument(
            "--range",
            dest="ranges",
            action="append",
            type=_range,
            metavar="KNOB=LOW:HIGH",
            help=f"{kind.model_fields['ranges'].description}; may be repeated",
        )
    if "hyperparameters" not in kind.model_fields:
        return parser
    knobs = parser.add_argument_group("hyperparameters")
    for knob in {
        knob.name: knob for solver in SOLVERS.values() for knob in solver.knobs()
    }.values():
        shown = f"{knob.doc}; {knob.range_text} (default {knob.default:g})"
        knobs.add_argument(_flag(knob.name), type=knob.type, default=None, metavar="X", help=shown)
    for choice in (choice for solver in SOLVERS.values() for choice in solver.choices()):
        shown = f"{choice.doc} (default {choice.default})"
        knobs.add_argument(_flag(choice.name), choices=choice.values, default=None, help=shown)
    return parser


def _range(text: str) -> tuple[str, list[float]]:
    name, _, span = text.partition("=")
    try:
        low, high = (float(part) for part in span.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected KNOB=LOW:HIGH, as in escape_delta=0.01:1.0"
        ) from None
    return name.replace("-", "_"), [low, high]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _type(annotation: Any) -> type:
    if typing.get_origin(annotation) is dict:
        return str  # JSON, which the settings read
    plain = [
        kind for kind in typing.get_args(annotation) or (annotation,) if kind is not type(None)
    ]
    return plain[0]


def _settings(kind: type[Settings], options: argparse.Namespace) -> Any:
    given = {k: v for k, v in vars(options).items() if v is not None}
    if "ranges" in given:
        given["ranges"] = dict(given["ranges"])
    names = {
        declared.name
        for solver in SOLVERS.values()
        for declared in (*solver.knobs(), *solver.choices())
    }
    values = {name: given[name] for name in kind.model_fields if name in given}
    knobs = {name: given[name] for name in names if name in given}
    return kind.read(values | ({"hyperparameters": knobs} if knobs else {}))


if __name__ == "__main__":
    sys.exit(main())
