"""How the cost of a saddle grows with the molecule: a table, a sentence, a figure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from gadlib.benchmarks.scaling import GrowthRow, exponent
from gadlib.report.style import BLUE, GREY, LEGEND, ORANGE, axes_or_new, say

_NOTHING = "No chain has ended at a strict saddle yet."


def growth_table(rows: Sequence[GrowthRow]) -> pd.DataFrame:
    """A line for each chain; times in s of wall time for each strict saddle."""
    return pd.DataFrame(
        [
            {
                "atoms": row.n_atoms,
                "strict": f"{row.strict} of {row.n}",
                "steps": "-" if row.steps is None else f"{row.steps:g}",
                "gradients": "-" if row.gradients is None else f"{row.gradients:g}",
                "wall s": _seconds(row.wall_s),
                "calculator s": _seconds(row.calculator_s),
            }
            for row in rows
        ]
    )


def growth_sentence(rows: Sequence[GrowthRow]) -> str:
    """The exponents of wall time, calculator, the rest and gradients, in words."""
    if len({row.n_atoms for row in rows if row.wall_s is not None}) < 2:
        return "Exponents need strict saddles at two sizes at least."
    atoms, parts = _parts(rows)
    powers = ", ".join(f"{name} {exponent(atoms, values):.1f}" for name, values in parts.items())
    steps = exponent(atoms, [row.gradients for row in rows if row.gradients is not None])
    return f"Exponents of the number of atoms: {powers}; gradients {steps:.1f}."


def draw_growth(rows: Sequence[GrowthRow], *, ax: Axes | None = None) -> Axes:
    """Wall time for each strict saddle against the number of atoms, with its two parts."""
    ax = axes_or_new(ax, width=5.2)
    if all(row.wall_s is None for row in rows):
        return say(ax, _NOTHING)
    atoms, parts = _parts(rows)
    for (name, values), colour in zip(parts.items(), (BLUE, ORANGE, GREY), strict=True):
        power = exponent(atoms, values)
        label = name if power != power else f"{name}, ~ atoms$^{{{power:.1f}}}$"
        ax.plot(atoms, values, marker="o", markersize=4, color=colour, label=label)
    ax.set(xscale="log", yscale="log", xlabel="atoms", ylabel="wall time for a strict saddle (s)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.legend(loc="upper left", **LEGEND)
    return ax


def _parts(rows: Sequence[GrowthRow]) -> tuple[list[int], dict[str, list[float]]]:
    known = [
        (row.n_atoms, row.wall_s, row.calculator_s)
        for row in rows
        if row.wall_s is not None and row.calculator_s is not None
    ]
    return [n for n, _, _ in known], {
        "all": [wall for _, wall, _ in known],
        "calculator": [inside for _, _, inside in known],
        "solver": [wall - inside for _, wall, inside in known],
    }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
