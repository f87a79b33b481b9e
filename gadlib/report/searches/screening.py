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

from gadlib.report.searches.tries import count_given_up, tries_sentence
from gadlib.report.style import BLUE, LEGEND, ORANGE, VERMILLION, axes_or_new, panels, say, wrapped
from gadlib.screening.nearness import far_sentence
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
        given_up: tries that were followed by another, by why they ended; of a solver that makes
            tries.
    """

    messages: dict[str, int]
    is_success: tuple[bool, ...]
    orders: dict[int | None, int]
    given_up: dict[str, int]


def collect_endings(records: Sequence[Record]) -> Endings:
    """How the searches ended, and at which order those stood that did not converge."""
    counts = Counter((_ending(r), r.converged) for r in records).most_common()
    orders = Counter(r.order for r in records if not r.converged)
    return Endings(
        {message: n for (message, _), n in counts},
        tuple(converged for (_, converged), _ in counts),
        dict(sorted(orders.items(), key=lambda item: (item[0] is None, item[0] or 0))),
        count_given_up(records),
    )


def _ending(record: Record) -> str:
    """How a search ended, in sentences that those of others are counted with."""
    return record.message.removesuffix(far_sentence(record)).strip()


def draw_endings(endings: Endings) -> Figure:
    """How searches ended, at which orders they failed, and, where there are any, why tries did."""
    n_panels = 3 if endings.given_up else 2
    widths = {"width_ratios": [3, 2, 2][:n_panels]}
    figure, axes = panels(1, n_panels, width=3.5 + 2.8 * n_panels, height=2.6, gridspec_kw=widths)
    left, middle = axes[0, :2]
    if not endings.messages:
        say(left, NO_RECORD)
        say(middle, NO_RECORD)
        return figure
    colours = [BLUE if success else VERMILLION for success in endings.is_success]
    labels = [textwrap.fill(textwrap.shorten(m, 120), 34) for m in endings.messages]
    _draw_counts(left, labels, [*endings.messages.values()], colours)
    left.set(xlabel="searches", title="How the searches ended")
    _draw_orders(middle, endings.orders)
    if endings.given_up:
        counts = [*endings.given_up.values()]
        _draw_counts(axes[0, 2], [*endings.given_up], counts, [ORANGE] * len(counts))
        axes[0, 2].set(xlabel="tries", title="Why tries were given up")
    return figure


def _draw_counts(
    ax: Axes, labels: Sequence[str], counts: Sequence[int], colours: Sequence[str]
) -> None:
    bars = ax.barh(range(len(labels)), counts, color=colours)
    ax.bar_label(bars, padding=3, fontsize=8)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_orders(ax: Axes, orders: dict[int | None, int]) -> None:
    if not orders:
        say(ax, "Every search converged.")
        return
    names = ["unknown" if order is None else str(order) for order in orders]
    bars = ax.bar(range(len(names)), [*orders.values()], color=VERMILLION)
    ax.set_xticks(range(len(names)), names)
    ax.bar_label(bars, padding=2, fontsize=8)
    ax.margins(y=0.15)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="negative eigenvalues at the last point", ylabel="searches")
    ax.set_title("Where the others stood")


def failure_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per search that did not converge: the sentence that says why, and what it tried."""
    has_tries = any(record.tries for record in records)
    rows = [
        {
            "reaction": r.name,
            "formula": r.formula,
            "status": r.status,
            "order": r.order,
            "fmax (eV/Å)": None if r.fmax is None else round(r.fmax, 3),
            "escapes": r.escapes,
            "message": r.message,
            **({"tries": tries_sentence(r)} if has_tries else {}),
        }
        for r in records
        if not r.converged
    ]
    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame()


def hardest_converged(records: Sequence[Record]) -> Record:
    """The record of the longest search that converged; the first record where none did."""
    converged = [r for r in records if r.converged]
    return max(converged, key=lambda r: r.steps) if converged else records[0]
