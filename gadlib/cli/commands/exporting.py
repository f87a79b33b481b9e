"""Commands that write results for other programs."""

from __future__ import annotations

import argparse

from gadlib.cli.commands.table import argument, command
from gadlib.settings.results import ExportSettings


@command(
    "export",
    ExportSettings,
    argument("result", metavar="FILE.json", help="of search, screen, validate or irc"),
    group="look",
    examples=(
        ("export saddle.json --to molden", "the normal modes of a saddle, for Molden or Jmol"),
        (
            "export runs/irc/paths.json --out paths.extxyz",
            "paths as frames with their energies, for ASE, Avogadro or VMD",
        ),
        ("export runs/screen/screening.json --to csv", "a table with a row for each search"),
    ),
)
def export(settings: ExportSettings, options: argparse.Namespace) -> None:
    """Write results as xyz, extxyz, Molden or a table, for other programs."""
    from gadlib.report.exchange.export import export

    print(export(options.result, settings).sentence)
