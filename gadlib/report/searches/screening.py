"""What a screening found: how difficult reactions are, how long searches took, how they ended."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gadlib.report.style import BLUE, LEGEND, VERMILLION, axes_or_new, panels, say, wrapped
from gadlib.screening.records import Record, read_records
from gadlib.screening.screen import difficulty, select_difficult
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings, SearchSettings

NO_RECORD = "There is no record to show."


Reaction = tuple[str, str]
"""Its name and formula."""


class Screened(NamedTuple):
    """What a screening with the defaults says of the reactions that it searched.

    Attributes:
        difficult, easy: those that it kept as difficult, and the rest.
        starts: the start and noise seed of each of its searches, after name and formula.
    """

    difficult: frozenset[Reaction]
    easy: frozenset[Reaction]
    starts: frozenset[tuple[str, str, str, int | None]]


def collect_screened(records: Sequence[Record], settings: ScreenSettings) -> Screened:
    """What these records of a screening say."""
    hard = {id(record) for record in select_difficult(records, settings)}
    return Screened(
        difficult=frozenset((r.name, r.formula) for r in records if id(r) in hard),
        easy=frozenset((r.name, r.formula) for r in records if id(r) not in hard),
        starts=frozenset((r.name, r.formula, r.start, r.noise_seed) for r in records),
    )


def screened_in(path: str | Path, like: SearchSettings) -> Screened:
    """What the screening in a file says of searches as these settings ask for.

    Raises:
        InputError: when the file can't be read, or what is easy in it need not be so with these
            settings, as with another calculator.
    """
    before, records = read_records(path)
    asked = ("calculator", *like.calculator_options(), *_SAME)
    now = {name: getattr(like, name) for name in asked} | {"hyperparameters": {}}
    if differing := [n for n in now if n in before and before[n] != now[n]]:
        changes = "; ".join(f"{n} was {before[n]!r}, now {now[n]!r}" for n in differing)
        raise InputError(f"{path} says nothing of what is easy here, as it was screened: {changes}")
    known = {n: before[n] for n in ScreenSettings.model_fields if n in before}
    return collect_screened(records, ScreenSettings.read(known))


_SAME = ("solver", "criterion", "mode", "start_from")


def read_screened(path: str | None, like: SearchSettings) -> Screened | None:
    """As `screened_in`; None where no file is named, or, after a sentence, it can't be used."""
    try:
        return None if path is None else screened_in(path, like)
    except InputError as error:
        print(wrapped(str(error)))
        return None


def difficulty_table(records: Sequence[Record], settings: ScreenSettings) -> pd.DataFrame:
    """One row per reaction, hardest first; `difficult` marks those that the settings keep."""
    kept = {id(record) for record in select_difficult(records, settings)}
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
