"""Commands that go downhill from saddles."""

from __future__ import annotations

import argparse
from pathlib import Path

from gadlib.cli.commands.table import QUIET, argument, command
from gadlib.cli.lines import told
from gadlib.settings.results import FrequencySettings, PathSettings

_MOST_TOLD = 5
"""Saddles of which a command tells in sentences; of more the table says enough."""


@command(
    "irc",
    PathSettings,
    argument(
        "records",
        nargs="?",
        metavar="FILE",
        help=PathSettings.model_fields["records"].description,
    ),
    QUIET,
    group="follow",
    examples=(
        ("irc saddle.json", "what the saddles of a search join"),
        ("irc saddle.xyz --scine-functional PM6", "what a saddle of your own joins on PM6"),
        (
            "irc saddle.json --reactant reactant.xyz --product product.xyz --temperature 350",
            "whether that is what was meant, and the barriers at 350 K",
        ),
        (
            "irc --split test --max-samples 5 --out-dir runs/references",
            "five reference saddles of the embedded set on this potential",
        ),
        (
            "irc saddle.json --cheap tblite:GFN2-xTB --out-dir runs/few",
            "with few calls of a potential that costs much, on a cheap one that learns",
        ),
    ),
)
def follow(settings: PathSettings, options: argparse.Namespace) -> None:
    """Follow saddles downhill: what they join, over which barriers."""
    from gadlib import report
    from gadlib.paths import intended
    from gadlib.paths.atoms import ENDS
    from gadlib.screening.atoms import beside

    with told(quietly=options.quiet):
        paths = intended.follow(settings)
    if paths:
        print(report.paths_table(paths).to_string(index=False))
    for path in paths[:_MOST_TOLD]:
        print(report.barrier_sentence(path))
    print(report.verdict_sentence(paths))
    out = Path(settings.out_dir) / "paths.json"
    print(f"paths: {out}")
    if beside(out).exists():
        print(f"geometries: {beside(out)}, {out.with_name(ENDS)}")


@command(
    "frequencies",
    FrequencySettings,
    argument(
        "points",
        metavar="FILE",
        help="minima or saddles: xyz, extxyz, what else ASE reads, or a result file (JSON), whose"
        " calculator is taken where none is given",
    ),
    argument("--out", metavar="FILE.json", help="result file, with the modes; none: it is printed"),
    QUIET,
    group="follow",
    examples=(
        ("frequencies saddle.json", "vibrations and Gibbs energy of the saddles of a search"),
        (
            "frequencies water.xyz --calculator scine --scine-functional PM6 --temperature 400"
            " --out water.json",
            "of a minimum of your own, at 400 K",
        ),
    ),
)
def list_frequencies(settings: FrequencySettings, options: argparse.Namespace) -> None:
    """Compute vibrations, zero-point energy, enthalpy and Gibbs energy of minima and saddles."""
    from gadlib import report
    from gadlib.paths.frequencies import frequencies

    with told(quietly=options.quiet):
        records = frequencies(options.points, settings, out=options.out)
    for record in records[:_MOST_TOLD]:
        print(f"{record.name} {record.formula}, {record.kind}")
        print(report.frequencies_table(record).to_string(index=False))
    print(report.thermochemistry_table(records).to_string(index=False))
    for record in records:
        if record.message:
            print(f"{record.name}: {record.message}")
    if gases := [gas for record in records for gas in record.thermochemistry]:
        print(report.conditions_sentence(gases[0]))
    if options.out:
        print(f"frequencies: {options.out}")
