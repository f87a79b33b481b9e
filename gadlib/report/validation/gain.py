"""Is the gain real? Default against tuned on all, on difficult and on easy reactions, and the cost.

A reaction is difficult or easy where a screening says so, never by the searches that are compared:
what the default side solves could only fall.

References: as in `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gadlib.report.searches.screening import Screened
from gadlib.report.statistics import error_bars
from gadlib.report.style import BLUE, GREY, LEGEND, VERMILLION, panels, say
from gadlib.report.validation.comparison import (
    Comparison,
    Paired,
    collect_comparison,
    key_of_pairs,
)
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record

RED = VERMILLION
"""The colour of a rate that fell where it was not to fall."""

_NOTHING = "There is no search to compare."


class Gain(NamedTuple):
    """Default against tuned, by groups of reactions.

    Attributes:
        groups: the comparison on `overall` and, as a screening tells them, on `difficult` and
            `easy` reactions, of those that have one.
        easy_fell: whether fewer easy reactions converge with the tuned values.
        sentence: what became of the easy ones, or why that can't be said.
        changes: a row for each search that only one side solves.
        differences: for the searches that converge on both sides, tuned minus default: `steps`, and
            `gradients` as gradient equivalents.
    """

    groups: dict[str, Comparison]
    easy_fell: bool
    sentence: str
    changes: pd.DataFrame
    differences: dict[str, np.ndarray]


def collect_gain(
    default: Sequence[Record],
    tuned: Sequence[Record],
    screened: Screened | None = None,
) -> Gain:
    """The comparison of searches from the same starting points, group by group.

    Args:
        default: the records with the default values.
        tuned: the records with the tuned ones.
        screened: what a screening says of them; without it there is no group but `overall`.

    Raises:
        InputError: when a starting point is on one side only or twice, or there is none.
    """
    overall = collect_comparison(default, tuned)
    groups = {"overall": overall}
    if screened is not None:
        for name, those in (("difficult", screened.difficult), ("easy", screened.easy)):
            own = [[r for r in s if (r.name, r.formula) in those] for s in (default, tuned)]
            if own[0]:
                groups[name] = collect_comparison(*own)
    easy = groups["easy"].converged if "easy" in groups else None
    key = key_of_pairs(default, tuned)
    other = {key(r): r for r in tuned}
    pairs = [(a, other[key(a)]) for a in default]
    both = [(a, b) for a, b in pairs if a.converged and b.converged]
    return Gain(
        groups=groups,
        easy_fell=easy is not None and easy.tuned.n_success < easy.default.n_success,
        sentence=_sentence(easy, default, screened),
        changes=pd.DataFrame([_change(a, b) for a, b in pairs if a.converged != b.converged]),
        differences={
            "steps": np.array([b.steps - a.steps for a, b in both]),
            "gradients": np.array([gradients_of(b) - gradients_of(a) for a, b in both]),
        },
    )


def _sentence(easy: Paired | None, default: Sequence[Record], screened: Screened | None) -> str:
    if screened is None:
        return "No screening of these reactions says which are easy, so nothing is said of those."
    limits = _limits(default, screened)
    if easy is None:
        return f"No reaction is easy by the screening, so nothing can be said of those{limits}."
    before, after = easy.default.n_success, easy.tuned.n_success
    counts = f"{after} of {easy.tuned.n} converge with the tuned values, {before} with the defaults"
    if after < before:
        return f"EASY REACTIONS FELL: {counts}, exact McNemar p = {easy.p:.2g}{limits}."
    return f"The easy reactions did not fall: {counts}{limits}."


def _limits(default: Sequence[Record], screened: Screened) -> str:
    """What else is to be known of the groups, after a semicolon; empty where it is nothing."""
    known = screened.easy | screened.difficult
    n_unknown = sum((r.name, r.formula) not in known for r in default)
    n_same = sum(
        (r.name, r.formula, r.start, r.noise_seed) in screened.starts
        for r in default
        if (r.name, r.formula) in screened.easy
    )
    limits = ""
    if n_unknown:
        limits += f"; {n_unknown} of all {len(default)} were not screened and are in neither group"
    if n_same:
        limits += f"; {n_same} were screened from the same start, which favours the defaults"
    return limits


def _change(default: Record, tuned: Record) -> dict[str, object]:
    return {
        "reaction": default.name,
        "formula": default.formula,
        "change": "gained" if tuned.converged else "lost",
        "default": f"{default.status}, {default.steps} steps",
        "tuned": f"{tuned.status}, {tuned.steps} steps",
        "strict": f"{default.strict} -> {tuned.strict}",
    }


def gain_table(gain: Gain) -> pd.DataFrame:
    """One row per group: rates with 95 % Wilson intervals, discordant pairs, exact McNemar p."""
    rows = []
    for name, comparison in gain.groups.items():
        paired = comparison.converged
        rows.append(
            {
                "reactions": name,
                "n": paired.default.n,
                "default": str(paired.default),
                "tuned": str(paired.tuned),
                "gained": paired.gained,
                "lost": paired.lost,
                "McNemar p": float(f"{paired.p:.2g}"),
                "": "FELL" if name == "easy" and gain.easy_fell else "",
            }
        )
    return pd.DataFrame(rows)


def draw_gain(gain: Gain) -> Figure:
    """Rates by group with 95 % Wilson intervals, tuned in red where easy ones fell; differences."""
    figure, axes = panels(1, 3, width=10.0, height=3.4)
    left, steps, cost = axes[0]
    names = list(gain.groups)
    for shift, side in ((-0.2, "default"), (0.2, "tuned")):
        rates = [getattr(gain.groups[name].converged, side) for name in names]
        heights, error = [rate.fraction for rate in rates], error_bars(rates)
        fell = [name == "easy" and gain.easy_fell for name in names]
        colours = [GREY if side == "default" else RED if bad else BLUE for bad in fell]
        left.bar(np.arange(len(names)) + shift, heights, 0.38, yerr=error, color=colours, capsize=3)
    for label, colour in (("default", GREY), ("tuned", BLUE), ("tuned, fell", RED)):
        if colour != RED or gain.easy_fell:
            left.bar(0, 0, color=colour, label=label)
    counted = [f"{name}\n({gain.groups[name].converged.default.n})" for name in names]
    left.set_xticks(range(len(names)), counted)
    left.set(ylim=(0, 1.25), yticks=np.linspace(0, 1, 6), ylabel="fraction that converges")
    left.legend(loc="upper center", ncols=3, **LEGEND)
    labels = {"steps": "steps", "gradients": "gradient equivalents"}
    for ax, (name, unit) in zip((steps, cost), labels.items(), strict=True):
        _draw_differences(ax, gain.differences[name], unit)
    return figure


def _draw_differences(ax, differences: np.ndarray, unit: str) -> None:
    if not len(differences):
        say(ax, "No search converges on both sides.")
        return
    bins = min(30, max(5, len(differences) // 2))
    ax.hist(differences, bins=bins, color=BLUE, edgecolor="white", linewidth=0.5)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(float(np.median(differences)), color=VERMILLION, linestyle="--", label="median")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.margins(y=0.25)
    ax.set(xlabel=f"tuned − default, {unit}", ylabel="searches that both solve")
    ax.legend(loc="best", **LEGEND)
