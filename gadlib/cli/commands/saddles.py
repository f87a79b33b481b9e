"""Commands that find saddles, and which reactions are difficult."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gadlib.cli.commands.table import argument, command
from gadlib.settings.reading import listed
from gadlib.settings.searches import ScreenSettings, SearchSettings


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
