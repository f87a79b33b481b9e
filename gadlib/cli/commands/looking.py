"""Commands that show: what there is to choose from, and results."""

from __future__ import annotations

import argparse
from typing import Any

from gadlib.cli.commands.table import command
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import Settings
from gadlib.settings.results import ReportSettings


@command(
    "calculators",
    CalculatorSettings,
    group="look",
    examples=(
        ("calculators", "which potentials there are"),
        (
            "calculators --calculator ase --ase-calculator tblite.ase:TBLite",
            "whether one of ASE's can be used",
        ),
    ),
)
def list_calculators(settings: CalculatorSettings, _: argparse.Namespace) -> None:
    """List the potentials, what each needs, and which are usable here."""
    from gadlib import calculators

    print(calculators.table(settings))


@command(
    "starts",
    Settings,
    group="look",
    examples=(
        ("starts", "the recipes that --start-from takes"),
        ("starts | grep midpoint", "those of midpoints"),
    ),
)
def list_starts(*_: Any) -> None:
    """List the recipes of starting points."""
    from gadlib.molecules import recipes

    print(recipes.table())


@command(
    "report",
    ReportSettings,
    group="look",
    examples=(
        ("report", "of the study in runs/tune and its validation"),
        (
            "report --screening runs/screen/screening.json --paths runs/irc/paths.json"
            " --out page.html",
            "with a screening and paths beside them",
        ),
    ),
)
def write_page(settings: ReportSettings, options: argparse.Namespace) -> None:
    """Write a page of results that can be sent, one HTML file."""
    from gadlib import report

    out, notes = report.write_page(settings, options.given)
    print("\n".join([*notes, f"page: {out}"]))
