"""Default against tuned values from the same starts: rates, intervals, a paired test, a verdict.

References: as in `statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gadlib.report.statistics import SIGNIFICANT, Rate, error_bars, mcnemar
from gadlib.report.style import BLUE, GREY, LEGEND, ORANGE, VERMILLION, panels, say
from gadlib.screening.records import Record, judged
from gadlib.settings.reading import InputError


class Paired(NamedTuple):
    """Both sides under one criterion.

    Attributes:
        criterion: its name, or `converged`, the one that ended the searches.
        default, tuned: each side by itself.
        default_steps, tuned_steps: mean steps of the searches that succeeded; None without any.
        gained, lost: reactions where only the tuned, only the default search succeeded.
    """

    criterion: str
    default: Rate
    tuned: Rate
    default_steps: float | None
    tuned_steps: float | None
    gained: int
    lost: int

    @property
    def p(self) -> float:
        """How likely a split of `gained + lost` at least as uneven is by chance."""
        return mcnemar(self.gained, self.lost)


class Comparison(NamedTuple):
    """Default against tuned on the same starting points.

    Attributes:
        criteria: all that were judged.
        converged: by the criterion that ended the searches.
        steps: steps of the default and of the tuned search per start.
        both_converged: which starts converged on both sides.
        verdict: whether tuning helped, in a sentence.
    """

    criteria: tuple[Paired, ...]
    converged: Paired
    steps: np.ndarray
    both_converged: np.ndarray
    verdict: str


def collect_comparison(default: Sequence[Record], tuned: Sequence[Record]) -> Comparison:
    """The comparison of searches from the same starting points, paired by name and noise seed.

    Raises:
        InputError: when there is no record, or a starting point is on one side only or twice.
    """
    pairs = _pairs(default, tuned)
    converged = _paired("converged", pairs)
    steps = np.array([(a.steps, b.steps) for a, b in pairs])
    both = np.array([a.converged and b.converged for a, b in pairs])
    return Comparison(
        criteria=tuple(_paired(name, pairs) for name in judged([*default, *tuned])),
        converged=converged,
        steps=steps,
        both_converged=both,
        verdict=_verdict(converged, steps[both]) + _starts_said(default, tuned),
    )


def _pairs(default: Sequence[Record], tuned: Sequence[Record]) -> list[tuple[Record, Record]]:
    sides, key = [], key_of_pairs(default, tuned)
    for label, records in (("default", default), ("tuned", tuned)):
        side = {key(r): r for r in records}
        if len(side) < len(records):
            raise InputError(f"the {label} records have a starting point twice; expected each once")
        sides.append(side)
    if alone := set(sides[0]) ^ set(sides[1]):
        name, of, seed = min(alone, key=str)
        raise InputError(
            f"{len(alone)} starting points are on one side only, as {name} ({of}, noise_seed"
            f" {seed}); expected the same ones on both"
        )
    if not sides[0]:
        raise InputError("there is no record to compare; expected the same starting points twice")
    return [(record, sides[1][key]) for key, record in sides[0].items()]


def key_of_pairs(
    default: Sequence[Record], tuned: Sequence[Record]
) -> Callable[[Record], tuple[str, str, int | None]]:
    """By what the records of both sides are paired: by their starting point.

    Where all of one side begin from another recipe than all of the other, which a study may have
    chosen, by their reaction.
    """
    if _recipes_apart(default, tuned):
        return lambda record: (record.name, record.formula, None)
    return lambda record: (record.name, record.start, record.noise_seed)


def _recipes_apart(default: Sequence[Record], tuned: Sequence[Record]) -> tuple[str, ...]:
    """The recipe of either side, where each has one and they differ; else nothing."""
    recipes = [{record.start for record in side} for side in (default, tuned)]
    is_apart = all(len(of) == 1 for of in recipes) and recipes[0] != recipes[1]
    return tuple(of.pop() for of in recipes) if is_apart else ()


def _is_met(record: Record, criterion: str) -> bool:
    return record.converged if criterion == "converged" else record.meets(criterion)


def _paired(criterion: str, pairs: Sequence[tuple[Record, Record]]) -> Paired:
    success = np.array([[_is_met(r, criterion) for r in pair] for pair in pairs])
    steps = np.array([[r.steps for r in pair] for pair in pairs])
    default, tuned = success.T
    return Paired(
        criterion,
        Rate.of(default),
        Rate.of(tuned),
        *(_mean(steps[is_success, side]) for side, is_success in enumerate((default, tuned))),
        gained=int((tuned & ~default).sum()),
        lost=int((default & ~tuned).sum()),
    )


def _mean(steps: np.ndarray) -> float | None:
    return float(steps.mean()) if len(steps) else None


def _starts_said(default: Sequence[Record], tuned: Sequence[Record]) -> str:
    """A sentence on where searches begin, if it is not the same on both sides."""
    apart = _recipes_apart(default, tuned)
    if not apart:
        return ""
    return f" Searches with the tuned values begin from {apart[1]}, the others from {apart[0]}."


def _verdict(converged: Paired, steps: np.ndarray) -> str:
    default, tuned = converged.default, converged.tuned
    counts = (
        f"{tuned.n_success} of {tuned.n} converge with the tuned values, {default.n_success} with"
        f" the defaults (gained {converged.gained}, lost {converged.lost}, exact McNemar"
        f" p = {converged.p:.2g})"
    )
    if converged.p >= SIGNIFICANT:
        verdict = f"No gain shown: {counts}."
    elif converged.gained > converged.lost:
        verdict = f"Tuning helped: {counts}."
    else:
        verdict = f"Tuning made it worse, keep the defaults: {counts}."
    if not len(steps):
        return verdict
    fewer, more = int((steps[:, 1] < steps[:, 0]).sum()), int((steps[:, 1] > steps[:, 0]).sum())
    before, after = steps.mean(axis=0)
    return (
        f"{verdict} On the {len(steps)} that converge with both, {after:.0f} steps on average"
        f" instead of {before:.0f} (fewer on {fewer}, more on {more}, sign test"
        f" p = {mcnemar(fewer, more):.2g})."
    )


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """One row per criterion: rates with 95 % intervals, discordant pairs, exact p, mean steps."""
    return pd.DataFrame([_table_row(paired) for paired in comparison.criteria])


def _table_row(paired: Paired) -> dict[str, object]:
    row: dict[str, object] = {"criterion": paired.criterion, "n": paired.default.n}
    for side in ("default", "tuned"):
        rate: Rate = getattr(paired, side)
        low, high = rate.interval
        row[side] = f"{rate.n_success} ({rate.fraction:.0%})"
        row[f"{side} 95 %"] = f"{low:.0%} - {high:.0%}"
    row |= {"gained": paired.gained, "lost": paired.lost, "McNemar p": float(f"{paired.p:.2g}")}
    for side in ("default", "tuned"):
        steps: float | None = getattr(paired, f"{side}_steps")
        row[f"{side} steps"] = "-" if steps is None else f"{steps:.1f}"
    return row


def draw_comparison(comparison: Comparison) -> Figure:
    """Left: rates under the criteria with 95 % intervals; right: steps on both sides."""
    figure, axes = panels(1, 2, width=9.0, height=3.6)
    left, right = axes[0]
    for shift, side, colour in ((-0.2, "default", GREY), (0.2, "tuned", BLUE)):
        rates = [getattr(paired, side) for paired in comparison.criteria]
        bars: Any = {"yerr": error_bars(rates), "capsize": 3, "ecolor": "black"}
        x = np.arange(len(rates)) + shift
        left.bar(x, [rate.fraction for rate in rates], 0.38, color=colour, label=side, **bars)
    left.set_xticks(range(len(comparison.criteria)), [p.criterion for p in comparison.criteria])
    left.set(ylim=(0, 1.18), yticks=np.linspace(0, 1, 6), ylabel="fraction of the searches")
    left.set_title(f"{comparison.converged.default.n} reactions, 95 % Wilson intervals")
    left.legend(loc="upper center", ncols=2, **LEGEND)
    if not comparison.steps.any():
        say(right, "No search made a step.")
        return figure
    groups = (
        (comparison.both_converged, BLUE, "o", "both converged"),
        (~comparison.both_converged, VERMILLION, "x", "not both"),
    )
    for rows, colour, marker, label in groups:
        points = comparison.steps[rows]
        label = f"{label} ({len(points)})"
        right.scatter(points[:, 0], points[:, 1], s=24, color=colour, marker=marker, label=label)
    top = comparison.steps.max() * 1.05
    right.plot([0, top], [0, top], color=ORANGE, linewidth=1, label="equal")
    right.set(xlim=(0, top), ylim=(0, top), title="Steps, one point per reaction")
    right.set(xlabel="steps with the defaults", ylabel="steps with the tuned values")
    right.set_aspect("equal")
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return figure
