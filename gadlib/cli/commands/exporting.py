"""Commands that write results for other programs."""

from __future__ import annotations

import argparse

from gadlib.cli.commands.table import argument, command
from gadlib.settings.results import ExportSettings


@command(
    "export",
    ExportSettings,
    argument("result", metavar="RESULT.json", help="of search, screen, validate or irc"),
    group="look",
    examples=(
        (
            "export runs/search/search.json --to molden",
            "the saddles, with the mode that is climbed",
        ),
        ("export runs/irc/paths.json --to xyz", "all points of the paths"),
    ),
)
def export(settings: ExportSettings, options: argparse.Namespace) -> None:
    """Write results as xyz, extxyz, Molden or a table, for other programs."""
    from gadlib.exchange.export import export

    print(export(options.result, settings).sentence)
