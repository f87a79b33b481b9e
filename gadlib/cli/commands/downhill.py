"""Commands that go downhill from saddles."""

from __future__ import annotations

import argparse
from pathlib import Path

from gadlib.cli.commands.table import QUIET, argument, command
from gadlib.cli.lines import told
from gadlib.settings.results import PathSettings


@command(
    "irc",
    PathSettings,
    argument(
        "records",
        nargs="?",
        metavar="FILE.json",
        help=PathSettings.model_fields["records"].description,
    ),
    QUIET,
    group="follow",
    examples=(
        ("irc saddle.json", "what the saddles of a search join"),
        (
            "irc --split test --max-samples 5 --out-dir runs/references",
            "five reference saddles of the embedded set on this potential",
        ),
    ),
)
def follow(settings: PathSettings, options: argparse.Namespace) -> None:
    """Follow saddles downhill: do they join the known reactant and product?."""
    from gadlib import report
    from gadlib.paths import intended

    with told(quietly=options.quiet):
        paths = intended.follow(settings)
    if paths:
        print(report.paths_table(paths).to_string(index=False))
    print(report.verdict_sentence(paths))
    print(f"paths: {Path(settings.out_dir) / 'paths.json'}")
