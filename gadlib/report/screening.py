"""What a screening found: how difficult reactions are, how long searches took, how they ended."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gadlib.records import Record
from gadlib.report.style import BLUE, LEGEND, VERMILLION, axes_or_new, panels, say
from gadlib.screen import difficult, difficulty
from gadlib.settings import ScreenSettings

NO_RECORD = "There is no record to show."


def difficulty_table(records: Sequence[Record], settings: ScreenSettings) -> pd.DataFrame:
    """One row per reaction, hardest first; `difficult` marks those that the settings keep."""
    kept = {id(record) for record in difficult(records, settings)}
    ordered = sorted(records, key=lambda record: -difficulty(record))
    rows = [
        {
            "reaction": r.name,
            "formula": r.formula,
            "split": r.split,
            "difficulty": difficulty(r),
            "difficult": id(r) in kept,
            "status": r.status,
            "steps": r.steps,
            "escapes": r.escapes,
            "order": r.order,
            "fmax (eV/Å)": None if r.fmax is None else round(r.fmax, 3),
        }
        for r in ordered
    ]
    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame()


class Steps(NamedTuple):
    """The steps of the searches that converged, and of those that did not."""

    converged: tuple[int, ...]
    not_converged: tuple[int, ...]


def collect_steps(records: Sequence[Record]) -> Steps:
    """The steps of each search, by whether it converged."""
    return Steps(
        tuple(r.steps for r in records if r.converged),
        tuple(r.steps for r in records if not r.converged),
    )


def draw_steps(steps: Steps, *, ax: Axes | None = None, n_bins: int = 20) -> Axes:
    """A histogram of the steps, searches that did not converge on top of those that did."""
    ax = axes_or_new(ax, height=3.0)
    both = steps.converged + steps.not_converged
    if not both:
        return say(ax, NO_RECORD)
    edges = np.linspace(0, max(both) + 1, n_bins + 1).tolist()
    labels = [
        f"converged ({len(steps.converged)})",
        f"not converged ({len(steps.not_converged)})",
    ]
    colours = [BLUE, VERMILLION]
    ax.hist([*steps], edges, stacked=True, label=labels, color=colours, edgecolor="white")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="steps", ylabel="searches", title=f"Steps of {len(both)} searches")
    ax.legend(loc="best", **LEGEND)
    return ax


class Endings(NamedTuple):
    """How searches ended.

    Attributes:
        messages: searches by the sentence that says how they ended, most frequent first.
        is_success: whether a sentence is that of searches that converged.
        orders: searches that did not converge, by the order of the point where they stood; None
            where nothing could be computed.
    """

    messages: dict[str, int]
    is_success: tuple[bool, ...]
    orders: dict[int | None, int]


def collect_endings(records: Sequence[Record]) -> Endings:
    """How the searches ended, and at which order those stood that did not converge."""
    counts = Counter((r.message, r.converged) for r in records).most_common()
    orders = Counter(r.order for r in records if not r.converged)
    return Endings(
        {message: n for (message, _), n in counts},
        tuple(converged for (_, converged), _ in counts),
        dict(sorted(orders.items(), key=lambda item: (item[0] is None, item[0] or 0))),
    )


def draw_endings(endings: Endings) -> Figure:
    """Left: how many searches ended in which way; right: the orders at which they failed."""
    figure, axes = panels(1, 2, width=9.0, height=2.6, gridspec_kw={"width_ratios": [3, 2]})
    left, right = axes[0]
    if not endings.messages:
        say(left, NO_RECORD)
    else:
        labels = [textwrap.fill(textwrap.shorten(m, 120), 34) for m in endings.messages]
        colours = [BLUE if success else VERMILLION for success in endings.is_success]
        bars = left.barh(range(len(labels)), list(endings.messages.values()), color=colours)
        left.bar_label(bars, padding=3, fontsize=8)
        left.set_yticks(range(len(labels)), labels)
        left.invert_yaxis()
        left.margins(x=0.12)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.set(xlabel="searches", title="How the searches ended")
    if not endings.orders:
        say(right, "Every search converged." if endings.messages else NO_RECORD)
        return figure
    names = ["unknown" if order is None else str(order) for order in endings.orders]
    bars = right.bar(range(len(names)), list(endings.orders.values()), color=VERMILLION)
    right.set_xticks(range(len(names)), names)
    right.bar_label(bars, padding=2, fontsize=8)
    right.margins(y=0.15)
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="negative eigenvalues at the last point", ylabel="searches")
    right.set_title("Where the others stood")
    return figure


def failure_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per search that did not converge, with the sentence that says why."""
    rows = [
        {
            "reaction": r.name,
            "formula": r.formula,
            "status": r.status,
            "order": r.order,
            "fmax (eV/Å)": None if r.fmax is None else round(r.fmax, 3),
            "escapes": r.escapes,
            "message": r.message,
        }
        for r in records
        if not r.converged
    ]
    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame()


def hardest_converged(records: Sequence[Record]) -> Record:
    """The record of the longest search that converged; the first record where none did."""
    converged = [r for r in records if r.converged]
    return max(converged, key=lambda r: r.steps) if converged else records[0]
