"""Commands that find saddles, and which reactions are difficult."""

from __future__ import annotations

import argparse
from pathlib import Path

from gadlib.cli.commands.table import QUIET, argument, command
from gadlib.cli.lines import searches_summary, told
from gadlib.settings.searches import ScreenSettings, SearchSettings


@command(
    "search",
    SearchSettings,
    argument(
        "geometries", nargs="?", metavar="FILE.extxyz", help="starting points; none: --h5-path"
    ),
    argument("--out", metavar="FILE.json", help="result file; default search.json in --out-dir"),
    QUIET,
)
def search(settings: SearchSettings, options: argparse.Namespace) -> None:
    """Search saddle points from reactions or a file of geometries."""
    from gadlib.files.writing import require_writable
    from gadlib.screening.search import search

    out = Path(options.out) if options.out else Path(settings.out_dir) / "search.json"
    require_writable(out.parent)
    with told(quietly=options.quiet):
        records = search(options.geometries, settings, out=out)
    print("\n".join(searches_summary(records, out)))


@command("screen", ScreenSettings, QUIET)
def screen(settings: ScreenSettings, options: argparse.Namespace) -> None:
    """Find the difficult reactions of a set."""
    from gadlib.files.writing import require_writable
    from gadlib.screening import screen

    out = require_writable(settings.out_dir) / "screening.json"
    with told(quietly=options.quiet):
        records = screen.screen(settings, out=out)
    print(f"{'reaction':<14}{'formula':<12}{'difficulty':>10}  status")
    for record in screen.select_difficult(records, settings):
        ended = f"{screen.difficulty(record):>10}  {record.message}"
        print(f"{record.name:<14}{record.formula:<12}{ended}")
    print("\n".join(searches_summary(records, out)))
