"""The way from a reactant to a product that `find` has found: its levels, its steps, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from gadlib.molecules.endpoints import Connection
from gadlib.report.style import BLACK, BLUE, GREEN, GREY, axes_or_new, say
from gadlib.screening.records import Record

_SAME_LEVEL = 5e-3
"""eV within which minima of two steps are drawn as one; conformers differ by more."""

NO_ROUTE = "No saddle was followed downhill."


class Route(NamedTuple):
    """Minima and saddles in order.

    Attributes:
        names: of the levels; saddles are named by the bonds that change.
        energies: in eV, from the first minimum.
        is_saddle: which they are.
    """

    names: tuple[str, ...]
    energies: tuple[float, ...]
    is_saddle: tuple[bool, ...]


def collect_route(record: Record) -> Route:
    """The levels of a record of `find`, none where no saddle was followed.

    An end that is not known to be the reactant or the product is named a minimum.
    """
    levels: list[tuple[str, float, bool]] = []
    for step in record.passed:
        before = step.energy - step.barrier
        after = before + step.reaction_energy
        if not levels or abs(levels[-1][1] - before) > _SAME_LEVEL:
            levels.append(("minimum", before, False))
        levels += [(step.change, step.energy, True), ("minimum", after, False)]
    if not levels:
        return Route((), (), ())
    if record.verdict in (Connection.INTENDED, Connection.IN_STEPS):
        levels[0] = ("reactant", *levels[0][1:])
        levels[-1] = ("product", *levels[-1][1:])
    names, energies, is_saddle = zip(*levels, strict=True)
    return Route(names, tuple(e - energies[0] for e in energies), is_saddle)


def draw_route(record: Record, *, ax: Axes | None = None) -> Axes:
    """The levels of minima and saddles, from the reactant's side to the product's."""
    ax, route = axes_or_new(ax), collect_route(record)
    if not route.names:
        return say(ax, f"{record.name}: {record.message}")
    for x, (name, energy, is_saddle) in enumerate(zip(*route, strict=True)):
        ax.plot([x - 0.3, x + 0.3], [energy] * 2, color=BLUE if is_saddle else GREEN, linewidth=3)
        text = f"{energy:.2f}" if is_saddle else f"{name}\n{energy:.2f}"
        ax.annotate(text, (x, energy), (0, 5), textcoords="offset points", ha="center", fontsize=8)
        if x:
            ends = [route.energies[x - 1], energy]
            ax.plot([x - 0.7, x - 0.3], ends, color=GREY, linewidth=1, linestyle=":")
    changes = "\n".join(step.change for step in record.passed)
    ax.set(xticks=[], ylabel="energy (eV)")
    ax.set_title(f"{record.name}: {record.verdict}\n{changes}", fontsize=9, color=BLACK)
    ax.margins(y=0.2)
    return ax


def found_table(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each saddle on the way of each reaction: bonds, barriers, cost."""
    rows = []
    for record in records:
        common = {
            "reaction": record.name,
            "formula": record.formula,
            "verdict": record.verdict or "not found",
        }
        cost = {"gradients": record.n_gradient, "downhill": record.n_path_gradient}
        if not record.passed:
            rows.append(common | {"bonds": record.message} | cost)
        for step in record.passed:
            numbers = {
                "bonds": step.change,
                "barrier (eV)": f"{step.barrier:.2f}",
                "back (eV)": f"{step.barrier - step.reaction_energy:.2f}",
                "imaginary (cm⁻¹)": f"{step.imaginary_cm1:.0f}",
            }
            rows.append(common | numbers | cost)
    return pd.DataFrame(rows).fillna("-")


def found_sentence(records: Sequence[Record]) -> str:
    """The verdicts counted, in a sentence."""
    counts = Counter(record.verdict for record in records if record.verdict)
    if not counts:
        return NO_ROUTE
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    return f"Of {len(records)} reactions: {told}."
