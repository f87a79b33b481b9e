"""Commands of tuning: a study, how it stands, what its best values are worth."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from gadlib.cli.commands.table import QUIET, argument, command
from gadlib.cli.lines import told
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError, Settings
from gadlib.settings.results import DemoSettings, PathSettings
from gadlib.settings.studies import ProfileSettings, StudySettings, TuneSettings, ValidateSettings


@command(
    "tune",
    TuneSettings,
    QUIET,
    group="tune",
    examples=(
        (
            "tune --screening runs/screen/screening.json --n-trials 50 --workers 2",
            "fifty trials on the difficult reactions of a screening",
        ),
        (
            "tune --solver trust --criterion bound --range radius_max=0.05:0.3 --sampler gp",
            "the other solver, with a range and a sampler of your own",
        ),
        (
            "tune --solver trust --criterion bound --objective bound,gradients --n-race 20",
            "for two objectives, and a race of the best on other reactions",
        ),
        (
            "tune --solver trust --criterion bound --choice mode=lowest,reaction",
            "with a choice of the mode that is climbed first beside the numbers",
        ),
        ("tune --seeds 3 --n-trials 30", "three studies, and how far they agree"),
    ),
)
def tune(settings: TuneSettings, options: argparse.Namespace) -> None:
    """Tune the hyperparameters on the difficult reactions."""
    from gadlib import report
    from gadlib.tuning import tune

    if settings.seeds > 1:
        _tune_seeds(settings, quietly=options.quiet)
        return
    with told(quietly=options.quiet):
        study = tune.tune(settings)
    print(report.best_sentence(report.collect_trials(study)))
    if len(study.directions) > 1:
        print(report.collect_front(study).sentence)
    print(report.easy_sentence(study))
    if report.collect_words(study).tried:
        print(report.choices_sentence(study))
    best = tune.preferred(study)
    print(report.ends_sentence(study))
    print(json.dumps(best.params if best else {}, indent=1))
    out = Path(settings.out_dir) / "hpo_results.json"
    with contextlib.suppress(InputError):  # it was said that it can't be written
        report.write_results_with_shares(study, out)
    print(f"results: {out}")
    print(f"study:   {tune.without_password(tune.default_storage(settings))}")


def _tune_seeds(settings: TuneSettings, *, quietly: bool) -> None:
    """Make the studies of several seeds, and print what they agree on."""
    from gadlib import report
    from gadlib.tuning import seeds

    with told(quietly=quietly):
        studies = seeds.tune_seeds(settings)
    found = report.collect_seeds(studies)
    report.write_results_of_seeds(studies, settings)
    print(report.seeds_table(found).to_string(index=False))
    print(report.agreement_sentence(found))
    print(report.held_out_sentence(report.collect_held_out(studies)))
    print(f"report:  gadlib report --storage {seeds.storages_shown(settings)}")


@command(
    "results",
    StudySettings,
    group="tune",
    examples=(
        ("results", "of the study in runs/tune"),
        (
            "results --storage sqlite:///study.db --study-name gad_hpo --out-dir .",
            "of a storage by its URL, into this folder",
        ),
    ),
)
def write_results(settings: StudySettings, _: argparse.Namespace) -> None:
    """Write hpo_results.json of a study from its storage alone."""
    from gadlib import report
    from gadlib.tuning import tune

    study = tune.load(tune.default_storage(settings), settings.study_name)
    print(report.ends_sentence(study, settings.prefer))
    out = Path(settings.out_dir) / "hpo_results.json"
    print(f"results: {report.write_results_with_shares(study, out, settings.prefer)}")


@command(
    "status",
    StudySettings,
    group="tune",
    examples=(
        ("status", "of the study in runs/tune"),
        ("status --storage postgresql://me@host/studies", "of one that many machines work on"),
    ),
)
def print_status(settings: StudySettings, _: argparse.Namespace) -> None:
    """Say how a study stands: trials, best, rate, time left, workers."""
    from gadlib.tuning import tune

    print(tune.read_status(tune.load(tune.default_storage(settings), settings.study_name)))


@command(
    "validate",
    ValidateSettings,
    argument(
        "--irc",
        action="store_true",
        help="follow the strict saddles of both sides downhill",
        topic="path",
    ),
    QUIET,
    group="tune",
    examples=(
        ("validate --best runs/tune/hpo_results.json", "the best values of a study"),
        (
            "validate --solver trust --criterion bound --radius-max 0.2 --irc",
            "a value of your own, and what the saddles of both sides join",
        ),
    ),
)
def validate(settings: ValidateSettings, options: argparse.Namespace) -> None:
    """Compare defaults and tuned values on other reactions."""
    from gadlib import report
    from gadlib.tuning import tune

    settings = tune.as_tuned(settings)
    screened = report.screened_in(settings.screening, settings) if settings.screening else None
    with told(quietly=options.quiet):
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
        with told(quietly=options.quiet):
            _follow_both(settings, out)


def _follow_both(settings: ValidateSettings, out: Path) -> None:
    """Follow the strict saddles of both sides downhill, and print what they join."""
    from gadlib import report
    from gadlib.paths import intended

    shared = {n: getattr(settings, n) for n in PathSettings.model_fields if hasattr(settings, n)}
    if not SOLVERS[settings.solver].needs_cheap:  # whose `cheap` is a default that nobody asked for
        del shared["cheap"]
    for side in ("default", "tuned"):
        changed = {"records": str(out / f"{side}.json"), "out_dir": str(out / f"irc_{side}")}
        paths = intended.follow(PathSettings.read(shared | changed))
        print(f"{side}: {report.verdict_sentence(paths)}")


@command(
    "profiles",
    ProfileSettings,
    group="tune",
    examples=(
        ("profiles", "the tuned values that are shipped, and what they gained"),
        (
            "profiles --name mine --best runs/tune/hpo_results.json --validation runs/validate",
            "write one of your own, mine.json, with its study and its proof",
        ),
    ),
)
def list_profiles(settings: ProfileSettings, _: argparse.Namespace) -> None:
    """List the shipped profiles, or write one from a study and its validation."""
    from gadlib.report.exchange.profile import write_profile
    from gadlib.settings import profiles

    if settings.best is None:
        print(profiles.markdown_table())
        return
    path = write_profile(settings.name, settings.best, settings.validation, settings.out_dir)
    print(profiles.read_profile(str(path)).sentence)
    print(f"profile: {path}; --profile {path} searches with it")


@command(
    "demo",
    DemoSettings,
    group="tune",
    examples=(
        ("demo", "on two processes, into runs/demo"),
        ("demo --workers 8 --out-dir /scratch/demo", "on eight, into another folder"),
    ),
)
def run_demo(settings: DemoSettings, _: argparse.Namespace) -> int:
    """Screen, tune and prove the gain on the embedded reactions, in the notebooks."""
    from gadlib.cli import demo

    return demo.run(Path(settings.out_dir), workers=settings.workers)


@command(
    "job",
    Settings,
    argument("notebook", metavar="NOTEBOOK", help="01_screen, 02_tune or 03_results"),
    argument("--parameters", type=Path, metavar="FILE.yaml", help="its parameters"),
    group="tune",
    examples=(
        (
            "job 02_tune --parameters papermill_jobs/scine_multi_mode_eckartmw_hpo.yaml",
            "a worker of a study, as papermill_jobs/*.slurm start it",
        ),
        ("job 01_screen", "a screening, with parameters from the environment alone"),
    ),
)
def run_job(_: Settings, options: argparse.Namespace) -> int:
    """Run a notebook as a cluster job: parameters from YAML and the environment."""
    from gadlib.cli import slurm

    return slurm.run(options.notebook, options.parameters)
