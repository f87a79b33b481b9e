"""One table of several suites: who finds how much, at what cost beside Sella's, and who lags.

Found is what meets the criterion that was asked for; in suites from a reaction's ends, what joins
these. Costs are gradients, a Hessian counted as 6N, the proof of a saddle left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from gadlib.benchmarks.series import Part
from gadlib.files.writing import write_bytes
from gadlib.report.benchmarks.paired import Paired, pair_solvers
from gadlib.report.benchmarks.solvers import Benchmark, Row, collect_benchmark
from gadlib.report.statistics import SIGNIFICANT, Rate, median
from gadlib.settings.benchmarks import BenchmarkSettings

OWN = ("trust", "find")
"""Who is held against the peers: gadlib's solvers of choice, from guesses and from ends."""

RIVALS = ("sella-internal", "idpp+sella", "sella")
"""Peers whose costs all others' are told in; of these the first that was run."""


class Line(NamedTuple):
    """One solver from one kind of start of a suite.

    Attributes:
        suite, potential, start, solver: what was run.
        n: searches.
        found, recovered, intended: rates; `recovered` of those whose reference saddle is known.
        gradients: median of those that found; None without any.
        mean: of all searches.
        rival: whose costs these are compared with; empty where there is none.
        n_both: starts on which both find.
        ratio: median over these of the cost over the rival's; None without any.
    """

    suite: str
    potential: str
    start: str
    solver: str
    n: int
    found: Rate
    recovered: Rate
    intended: Rate
    gradients: float | None
    mean: float
    rival: str
    n_both: int
    ratio: float | None


class Suites(NamedTuple):
    """Several suites, ready for a table.

    Attributes:
        lines: one for each solver and kind of start.
        pairs: of each suite, by what counts as a success, gadlib's solver of choice beside each
            peer.
    """

    lines: tuple[Line, ...]
    pairs: tuple[tuple[str, str, Paired], ...]


def collect_suites(parts: Iterable[Part]) -> Suites:
    """What the suites have measured, in their order."""
    lines: list[Line] = []
    pairs: list[tuple[str, str, Paired]] = []
    for part in parts:
        benchmark = collect_benchmark(part.results)
        success = success_of(part.settings)
        lines += [_line(part, benchmark, row, success) for row in benchmark.rows]
        for by in (success, "recovered"):
            pairs += [(part.settings.suite, by, pair) for pair in _against_peers(benchmark, by)]
    return Suites(tuple(lines), tuple(pairs))


def success_of(settings: BenchmarkSettings) -> str:
    """What counts as found."""
    return "intended" if settings.check_ends else settings.criterion


def _line(part: Part, benchmark: Benchmark, row: Row, success: str) -> Line:
    runs: Any = benchmark.runs
    here = runs[runs["start"] == row.start]
    own = here[here["solver"] == row.solver]
    is_found = own[success].eq(True)
    solvers = set(here["solver"])
    rival = next((name for name in RIVALS if name in solvers), "")
    (pair,) = _pairs(benchmark, row.start, rival, row.solver, success) or (None,)
    return Line(
        part.settings.suite,
        part.potential,
        row.start,
        row.solver,
        row.n,
        Rate.of(is_found),
        row.rates["recovered"],
        row.rates.get("intended", Rate(0, 0)),
        median(own.loc[is_found, "gradients"].tolist()),
        row.mean,
        rival,
        0 if pair is None else pair.n_both,
        None if pair is None else pair.ratio,
    )


def _against_peers(benchmark: Benchmark, by: str) -> list[Paired]:
    """The solver of choice beside each peer, from each kind of start."""
    found = []
    for start in dict.fromkeys(row.start for row in benchmark.rows):
        names = [row.solver for row in benchmark.rows if row.start == start]
        own = next((name for name in OWN if name in names), None)
        for peer in [name for name in names if own and "sella" in name]:
            found += _pairs(benchmark, start, str(own), peer, by)
    return found


def _pairs(benchmark: Benchmark, start: str, first: str, other: str, by: str) -> list[Paired]:
    """Two solvers from one kind of start; nothing where they are one, or the first was not run."""
    if first in ("", other):
        return []
    runs: Any = benchmark.runs
    here = runs[(runs["start"] == start) & runs["solver"].isin([first, other])]
    ordered = here.sort_values("solver", key=lambda names: names != first, kind="stable")
    return pair_solvers(benchmark._replace(runs=ordered), by)


def suites_table(suites: Suites) -> pd.DataFrame:
    """One row for each suite, kind of start and solver; rates with 95 % Wilson intervals."""
    return pd.DataFrame(
        [
            {
                "suite": line.suite,
                "potential": line.potential,
                "start": line.start,
                "solver": line.solver,
                "n": line.n,
                "found": str(line.found),
                "recovered": str(line.recovered),
                "intended": str(line.intended),
                "gradients": "-" if line.gradients is None else f"{line.gradients:.0f}",
                "mean": f"{line.mean:.0f}",
                "cost": _cost(line),
            }
            for line in suites.lines
        ]
    )


def _cost(line: Line) -> str:
    if line.ratio is None:
        return "-"
    return f"{line.ratio:.2f} of {line.rival} ({line.n_both})"


def lag_sentences(suites: Suites) -> list[str]:
    """Where gadlib's solver of choice finds, or recovers, fewer than a peer; else that it doesn't.

    Told are all that are fewer, by however little, with the p value of McNemar's test.
    """
    told = []
    for suite, by, pair in suites.pairs:
        behind = pair.only_other - pair.only_first
        if behind > 0:
            sure = "" if pair.p_success < SIGNIFICANT else ", which proves no difference"
            told.append(
                f"{suite}, {pair.start}: {pair.first} has {behind} fewer {by} than {pair.other}"
                f" ({pair.only_first} and {pair.only_other} alone, p {pair.p_success:.2g}{sure})"
            )
    if suites.pairs and not told:
        return ["Nowhere has any of Sella's more found, or more recovered, than gadlib's solvers."]
    return told


def write_suites(suites: Suites, folder: str | Path) -> list[Path]:
    """The files `table.md` and `table.csv` in the folder, after they were written or replaced."""
    table = suites_table(suites)
    rows = [list(table.columns), ["---"] * len(table.columns), *table.values.tolist()]
    lines = [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    text = "\n".join([*lines, "", *(f"* {one}" for one in lag_sentences(suites)), ""])
    return [
        write_bytes(Path(folder) / "table.md", text.encode()),
        write_bytes(Path(folder) / "table.csv", table.to_csv(index=False).encode()),
    ]
