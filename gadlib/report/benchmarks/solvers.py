"""Solvers side by side: how often they succeed, at what cost, and what they end at.

Reference: Dolan, More, Math. Program. 91, 201 (2002), doi:10.1007/s101070100263 (profiles; here
against the budget itself, not its ratio to the best).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from gadlib.benchmarks.solvers import Results
from gadlib.report.statistics import Rate, error_bars, median
from gadlib.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    axes_or_new,
    panels,
    say,
)
from gadlib.screening.costs import gradients_of, proof_of
from gadlib.screening.records import Record, judged
from gadlib.screening.references import is_recovered
from gadlib.settings.criteria import AT_POINTS, IMAGINARY_MIN_CM1

_COLOURS = {
    "trust": BLUE,
    "gad": SKY,
    "delta": GREEN,
    "sella": VERMILLION,
    "sella-internal": ORANGE,
    "sella-hessian": PURPLE,
    "find": BLUE,
    "idpp+sella": VERMILLION,
    "neb+sella": PURPLE,
}
_STYLES = {"sella-internal": ":", "sella-hessian": "--"}
"""Of lines that may lie on one another."""

_NOTHING = "There is no search to compare."


class Row(NamedTuple):
    """One solver from one kind of start.

    Attributes:
        rates: of success by each criterion; `recovered` tells how many of those whose reference
            saddle is known ended there, `intended` how many joined the reaction's ends, of all
            where saddles were followed.
        gradients: median gradient equivalents of the strict ones; None without any.
        mean: of all searches, failed ones too, in gradient equivalents.
        proof: gradient equivalents of what proves a strict saddle, in the median; it is
            in none of the other numbers.
        wall_s: wall time of all searches for each strict saddle, likewise.
        overhead: the part of that wall time that is not the calculator's.
        n_failed: searches that ended by an error.
    """

    solver: str
    start: str
    n: int
    rates: dict[str, Rate]
    gradients: float | None
    mean: float
    proof: float | None
    wall_s: float | None
    overhead: float
    n_failed: int


class Benchmark(NamedTuple):
    """A comparison, ready to be drawn.

    Attributes:
        runs: a row for every search: `solver`, `start`, `name`, each criterion that was judged,
            `recovered` (None where the reference saddle is unknown), `verdict` (what it joins,
            empty where it was not followed), `deviation` (A), `gradients`, `path_gradients`
            (downhill, apart), `proof`, `wall_s`, `calculator_s`, `imaginary_cm1`, `n_fragments`,
            `status`.
        rows: a row for every solver and kind of start.
        criteria: those that were judged, the weakest first.
    """

    runs: pd.DataFrame
    rows: tuple[Row, ...]
    criteria: tuple[str, ...] = AT_POINTS


def collect_benchmark(results: Results) -> Benchmark:
    """The comparison of the solvers' searches."""
    criteria = judged([record for records in results.records.values() for record in records])
    runs: Any = pd.DataFrame(
        [
            _run(solver, record, results.deviation(record), criteria)
            for solver, records in results.records.items()
            for record in records
        ]
    )
    if not len(runs):
        return Benchmark(runs, ())
    by_start = (group for _, group in runs.groupby("start", sort=False))
    groups = (pair for group in by_start for pair in group.groupby(["start", "solver"], sort=False))
    return Benchmark(runs, tuple(_row(key, group, criteria) for key, group in groups), criteria)


def _run(
    solver: str, record: Record, deviation: float | None, criteria: Sequence[str]
) -> dict[str, object]:
    return {
        "solver": solver,
        "start": record.start,
        "name": record.name,
        **{name: record.meets(name) for name in criteria},
        "recovered": is_recovered(record, deviation),
        "verdict": record.verdict,
        "deviation": deviation,
        "gradients": gradients_of(record),
        "path_gradients": record.n_path_gradient,
        "proof": proof_of(record),
        "wall_s": record.elapsed_s,
        "calculator_s": record.calculator_s,
        "imaginary_cm1": record.imaginary_cm1,
        "n_fragments": record.n_fragments,
        "status": record.status,
    }


_FAILED = ("calculator_failed", "process_ended", "timed_out", "solver_failed", "bad_start")


def _row(key: Any, group: Any, criteria: Sequence[str]) -> Row:
    start, solver = key
    strict = group[group["strict"]]
    wall = float(group["wall_s"].sum())
    answers = {name: group[name] for name in criteria}
    answers["recovered"] = group["recovered"].dropna()
    return Row(
        solver=solver,
        start=start,
        n=len(group),
        rates={name: Rate.of(values) for name, values in answers.items()},
        gradients=median(strict["gradients"].tolist()),
        mean=float(group["gradients"].mean()),
        proof=median(strict["proof"].tolist()),
        wall_s=wall / len(strict) if len(strict) else None,
        overhead=1 - float(group["calculator_s"].sum()) / wall if wall else 0.0,
        n_failed=int(group["status"].isin(_FAILED).sum()),
    )


def benchmark_table(benchmark: Benchmark) -> pd.DataFrame:
    """One row per kind of start and solver: rates with 95 % Wilson intervals, and costs.

    The strictest criterion that was judged stands first; `recovered` is left out where no reference
    saddle is known.
    """
    columns = (*reversed(benchmark.criteria), "recovered")
    known = [name for name in columns if any(row.rates[name].n for row in benchmark.rows)]
    return pd.DataFrame(
        [
            {
                "start": row.start,
                "solver": row.solver,
                "n": row.n,
                **{name: str(row.rates[name]) for name in known},
                "gradients": "-" if row.gradients is None else f"{row.gradients:.0f}",
                "mean": f"{row.mean:.0f}",
                "proof": "-" if row.proof is None else f"{row.proof:.0f}",
                "wall s": "-" if row.wall_s is None else f"{row.wall_s:.2f}",
                "overhead": f"{row.overhead:.0%}",
                "failed": row.n_failed,
            }
            for row in benchmark.rows
        ]
    )


class Profile(NamedTuple):
    """Success against budget: `rate` of all searches were successes at a cost of up to `cost`."""

    solver: str
    cost: np.ndarray
    rate: np.ndarray


def collect_profiles(
    benchmark: Benchmark, start: str, *, cost: str = "gradients", success: str = "bound"
) -> list[Profile]:
    """The profile of each solver from one kind of start.

    Args:
        benchmark: the comparison.
        start: the recipe.
        cost: `gradients` or `wall_s`.
        success: a criterion, or `recovered`.
    """
    if not len(benchmark.runs):
        return []
    runs: Any = benchmark.runs[benchmark.runs["start"] == start]
    profiles = []
    for solver, group in runs.groupby("solver", sort=False):
        is_success = group[success].eq(True)
        paid = np.sort(group.loc[is_success, cost].to_numpy(dtype=float))
        rate = np.arange(1, len(paid) + 1) / len(group)
        profiles.append(Profile(str(solver), paid, rate))
    return profiles


def draw_profiles(profiles: Sequence[Profile], *, unit: str, ax: Axes | None = None) -> Axes:
    """Steps of success against budget on a logarithmic axis, one line a solver."""
    ax = axes_or_new(ax)
    paid = [cost for profile in profiles for cost in profile.cost]
    if not paid:
        return say(ax, "No search succeeded.")
    end = 1.3 * max(paid)
    others = itertools.cycle((BLACK, GREY, GREEN))
    for profile in profiles:
        x = np.concatenate([[min(paid) / 1.3], profile.cost, [end]])
        y = np.concatenate([[0], profile.rate, [profile.rate[-1] if len(profile.rate) else 0]])
        colour = _COLOURS.get(profile.solver) or next(others)
        style = _STYLES.get(profile.solver, "-")
        ax.step(x, y, where="post", color=colour, linestyle=style, label=profile.solver)
    ax.set(xscale="log", xlim=(min(paid) / 1.3, end), ylim=(0, 1.02))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=unit, ylabel="fraction of the searches")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return ax


def draw_rates(benchmark: Benchmark, *, criterion: str = "bound", ax: Axes | None = None) -> Axes:
    """Bars of success by start, one for each solver, with 95 % Wilson intervals."""
    ax = axes_or_new(ax, width=7.2)
    if not benchmark.rows:
        return say(ax, _NOTHING)
    starts = list(dict.fromkeys(row.start for row in benchmark.rows))
    solvers = list(dict.fromkeys(row.solver for row in benchmark.rows))
    width = 0.8 / len(solvers)
    for i, solver in enumerate(solvers):
        own = {row.start: row.rates[criterion] for row in benchmark.rows if row.solver == solver}
        shown = {start: rate for start, rate in own.items() if rate.n}
        x = np.array([starts.index(start) for start in shown]) - 0.4 + width * (i + 0.5)
        heights = [rate.fraction for rate in shown.values()]
        bars: Any = {"yerr": error_bars([*shown.values()]), "capsize": 2, "label": solver}
        ax.bar(x, heights, 0.95 * width, color=_COLOURS.get(solver, GREY), **bars)
    ax.set_xticks(range(len(starts)), starts)
    ax.set(ylim=(0, 1.02), ylabel=f"{criterion}: fraction of the searches")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return ax


def draw_ends(benchmark: Benchmark) -> Figure:
    """What strict saddles are like: their imaginary wavenumbers, and the pieces they are in."""
    figure, axes = panels(1, 2, width=9.0)
    left, right = axes[0]
    runs: Any = benchmark.runs
    strict = runs[runs["strict"]] if len(runs) else runs
    if not len(strict):
        say(left, "No search ended at a strict saddle.")
        say(right, "")
        return figure
    solvers = list(dict.fromkeys(strict["solver"]))
    most = int(strict["n_fragments"].max())
    for i, solver in enumerate(solvers):
        own = strict[strict["solver"] == solver]
        colour = _COLOURS.get(solver, GREY)
        waves = np.sort(own["imaginary_cm1"].to_numpy(dtype=float))
        below = np.arange(1, len(waves) + 1) / len(waves)
        style = _STYLES.get(solver, "-")
        left.step(waves, below, where="post", color=colour, linestyle=style)
        counts = own["n_fragments"].value_counts()
        x = np.arange(1, most + 1) - 0.4 + 0.8 * (i + 0.5) / len(solvers)
        heights = [counts.get(pieces, 0) / len(own) for pieces in range(1, most + 1)]
        right.bar(x, heights, 0.75 / len(solvers), color=colour, label=f"{solver} ({len(own)})")
    left.axvline(IMAGINARY_MIN_CM1, color=GREEN, linewidth=1, label="least of a bound one")
    left.legend(loc="upper left", **LEGEND)
    left.set(xlabel="imaginary wavenumber (cm⁻¹)", ylabel="fraction below", ylim=(0, 1.15))
    right.set(xlabel="fragments", ylabel="fraction of the strict saddles", ylim=(0, 1.15))
    right.set_xticks(range(1, most + 1))
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return figure
