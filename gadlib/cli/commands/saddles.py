"""Commands that find saddles, and which reactions are difficult."""

from __future__ import annotations

import argparse
from pathlib import Path

from gadlib.cli.commands.table import QUIET, argument, command
from gadlib.cli.lines import found_summary, searches_summary, told
from gadlib.settings.searches import FindSettings, GuessSettings, ScreenSettings, SearchSettings


@command(
    "search",
    SearchSettings,
    argument(
        "geometries",
        nargs="?",
        metavar="FILE",
        help="starting points (xyz, extxyz, or what else ASE reads); none: --h5-path",
    ),
    argument("--out", metavar="FILE.json", help="result file; default search.json in --out-dir"),
    QUIET,
    group="find",
    of_file=GuessSettings,
    examples=(
        (
            "search guess.xyz --out saddle.json",
            "the saddle near a guess of your own, proved by an exact Hessian",
        ),
        (
            "search guess.xyz --mode bonds:1-3 --calculator ase --ase-calculator tblite.ase:TBLite",
            "another potential, and the mode that stretches the bond of atoms 1 and 3, from 0 on",
        ),
        (
            "search --start-from midpoint_rt_noise0.3A --max-samples 5 --workers 2",
            "five reactions of the embedded set, from shaken midpoints, on two processes",
        ),
    ),
)
def search(settings: SearchSettings, options: argparse.Namespace) -> None:
    """Search saddle points from reactions or a file of geometries."""
    from gadlib.files.writing import require_writable
    from gadlib.screening.search import search

    out = Path(options.out) if options.out else Path(settings.out_dir) / "search.json"
    require_writable(out.parent)
    with told(quietly=options.quiet) as teller:
        records = search(options.geometries, settings, out=out)
    print("\n".join(searches_summary(records, out, n_told=teller.n)))


@command(
    "find",
    FindSettings,
    argument("reactant", nargs="?", metavar="REACTANT", help="file with one molecule"),
    argument(
        "product",
        nargs="?",
        metavar="PRODUCT",
        help="file with the same atoms, in whatever order; neither end: all reactions of a set",
    ),
    argument("--out", metavar="FILE.json", help="result file; default find.json in --out-dir"),
    QUIET,
    group="find",
    examples=(
        ("find reactant.xyz product.xyz --out saddle.json", "the saddle that joins two minima"),
        ("find reactant.xyz product.xyz --guess guess.xyz", "the same from a guess of it, first"),
        ("find --split test --max-samples 5 --workers 2", "those of a set, on two processes"),
    ),
)
def find(settings: FindSettings, options: argparse.Namespace) -> None:
    """Find the saddle of a reaction from its reactant and product."""
    from gadlib.files.writing import require_writable
    from gadlib.paths.find import find

    out = Path(options.out) if options.out else Path(settings.out_dir) / "find.json"
    require_writable(out.parent)
    with told(quietly=options.quiet) as teller:
        records = find(options.reactant, options.product, settings, out=out)
    summary = searches_summary(records, out, n_told=teller.n)
    print("\n".join([*found_summary(records), *summary]))


@command(
    "screen",
    ScreenSettings,
    QUIET,
    group="find",
    examples=(
        ("screen --split train --workers 2", "the embedded set, on two processes"),
        (
            "screen --h5-path Transition1x.h5 --split train --max-samples 300 --resume",
            "a sample of a file of reactions, gone on with where it was interrupted",
        ),
    ),
)
def screen(settings: ScreenSettings, options: argparse.Namespace) -> None:
    """Find the difficult reactions of a set."""
    from gadlib.files.writing import require_writable
    from gadlib.screening import screen

    out = require_writable(settings.out_dir) / "screening.json"
    with told(quietly=options.quiet) as teller:
        records = screen.screen(settings, out=out)
    print(f"{'reaction':<14}{'formula':<12}{'difficulty':>10}  status")
    for record in screen.select_difficult(records, settings):
        ended = f"{screen.difficulty(record):>10}  {record.message}"
        print(f"{record.name:<14}{record.formula:<12}{ended}")
    print("\n".join(searches_summary(records, out, n_told=teller.n)))
