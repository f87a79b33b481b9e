"""Which kinds of molecules and reactions fail: what one would tune for.

References: Fisher, J. R. Stat. Soc. 85, 87 (1922) (the exact test); Holm, Scand. J. Stat. 6, 65
(1979) (correction for the number of groups).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from scipy.stats import fisher_exact

from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.ends import bonds_changed
from gadlib.molecules.reactions import Reaction
from gadlib.report.searches.screening import NO_RECORD
from gadlib.report.statistics import SIGNIFICANT, Rate, error_bars
from gadlib.report.style import BLUE, GREY, VERMILLION, axes_or_new, say
from gadlib.screening.records import Record
from gadlib.screening.references import key_of
from gadlib.screening.setup import reactions_of
from gadlib.settings.searches import SearchSettings

LEAST = 3
"""Searches of a group, below which it says nothing and is left out."""


class Group(NamedTuple):
    """Searches of molecules that have something in common.

    Attributes:
        what: the property, as in `bonds that change`.
        label: what it is in this group, as in `C-H`.
        failed: how many of its searches did not converge.
        p: of the exact test against all others, corrected for the number of groups.
    """

    what: str
    label: str
    failed: Rate
    p: float


class Chemistry(NamedTuple):
    """Failures by kind of molecule and reaction.

    Attributes:
        groups: by property; a search may be in several of one property.
        failed: of all searches.
    """

    groups: tuple[Group, ...]
    failed: Rate

    @property
    def sentence(self) -> str:
        """Which groups fail more often than the others, in a sentence."""
        if not self.failed.n:
            return NO_RECORD
        worse = [
            f"{group.what} {group.label} ({group.failed}, p = {group.p:.2g})"
            for group in sorted(self.groups, key=lambda group: group.p)
            if group.p < SIGNIFICANT and group.failed.fraction > self.failed.fraction
        ]
        told = f"{self.failed} of {self.failed.n} searches failed"
        if not worse:
            return f"{told}; no group of molecules fails significantly more often than the others."
        return f"{told}; more often than the others: {'; '.join(worse)}."


def collect_chemistry(
    records: Sequence[Record], settings: SearchSettings | None = None
) -> Chemistry:
    """Failures by elements, atoms, rings, charge, and what is known of the reactions.

    Args:
        records: of a run.
        settings: of a run on a set of reactions, whose ends tell the bonds that change and the
            pieces; None: geometries of one's own, of which only the last point is known.
    """
    known = {} if settings is None else {_key(r): r for r in reactions_of(settings)}
    sizes = [len(record.atomic_numbers) for record in records]
    edges = np.unique(np.quantile(sizes, (0, 1 / 3, 2 / 3, 1)).round()) if sizes else np.zeros(0)
    members: dict[tuple[str, str], list[int]] = {}
    for row, record in enumerate(records):
        for group in _labels(record, known.get(key_of(record)), edges):
            members.setdefault(group, []).append(row)
    failed = np.array([not record.converged for record in records], dtype=bool)
    found = []
    for (what, label), rows in members.items():
        if LEAST <= len(rows) <= len(records) - LEAST:
            inside = np.isin(np.arange(len(records)), rows)
            counts = [
                [int((failed & part).sum()), int((~failed & part).sum())]
                for part in (inside, ~inside)
            ]
            rate = Rate(counts[0][0], len(rows))
            found.append(Group(what, label, rate, _p(counts)))
    found.sort(key=lambda group: (_ORDER.index(group.what), -group.failed.fraction))
    return Chemistry(_corrected(found), Rate.of(failed))


def _p(counts: list[list[int]]) -> float:
    found: Any = fisher_exact(counts)
    return float(found.pvalue)


_MANY = 5
"""Bonds that change, from which on reactions are one group."""

_ORDER = ("atoms", "element", "rings", "pieces", "bonds that change", "change of", "electrons")


def _key(reaction: Reaction) -> tuple[str, str, str]:
    return reaction.split, reaction.formula, reaction.name


def _labels(
    record: Record, reaction: Reaction | None, edges: np.ndarray
) -> Iterable[tuple[str, str]]:
    numbers = np.array(record.atomic_numbers)
    place = int(np.clip(np.searchsorted(edges, len(numbers), "left"), 1, max(1, len(edges) - 1)))
    if len(edges) > 1:
        low = int(edges[place - 1]) + (place > 1)
        yield "atoms", f"{low} to {int(edges[place])}"
    others = sorted({chemical_symbols[z] for z in numbers.tolist()} - {"C", "H"})
    yield from (("element", symbol) for symbol in others or ["only C, H"])
    if record.charge or record.multiplicity != 1:
        yield "electrons", f"charge {record.charge:+d}, multiplicity {record.multiplicity}"
    if reaction is None:
        yield "rings", _rings(bond_graph_of(numbers, np.array(record.positions)))
        return
    ends = [bond_graph_of(numbers, end) for end in (reaction.reactant, reaction.product)]
    yield "rings", _rings(min(ends, key=_n_rings))
    pieces = [nx.number_connected_components(end) for end in ends]
    yield (
        "pieces",
        "one" if max(pieces) == 1 else "one and several" if min(pieces) == 1 else "several",
    )
    changed = bonds_changed(numbers, reaction.reactant, reaction.product)
    yield "bonds that change", str(len(changed)) if len(changed) < _MANY else f"{_MANY} or more"
    pairs = {"-".join(sorted(chemical_symbols[numbers[i]] for i in pair)) for pair in changed}
    yield from (("change of", pair) for pair in sorted(pairs))


def _n_rings(graph: nx.Graph) -> int:
    return graph.number_of_edges() - len(graph) + nx.number_connected_components(graph)


def _rings(graph: nx.Graph) -> str:
    n = _n_rings(graph)
    return ("none", "1")[n] if n < 2 else "2 or more"


def _corrected(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups with p values after Holm."""
    order = np.argsort([group.p for group in groups])
    corrected: dict[int, float] = {}
    highest = 0.0
    for rank, row in enumerate(order.tolist()):
        highest = max(highest, min(1.0, groups[row].p * (len(groups) - rank)))
        corrected[row] = highest
    return tuple(group._replace(p=corrected[row]) for row, group in enumerate(groups))


def chemistry_table(chemistry: Chemistry) -> pd.DataFrame:
    """A row for each group."""
    rows = [
        {
            "property": group.what,
            "of": group.label,
            "searches": group.failed.n,
            "failed": str(group.failed),
            "p": float(f"{group.p:.2g}"),
        }
        for group in chemistry.groups
    ]
    return pd.DataFrame(rows)


def draw_chemistry(chemistry: Chemistry, *, ax: Axes | None = None) -> Axes:
    """The share that failed in each group, with its interval; in red what differs significantly."""
    n = len(chemistry.groups)
    ax = axes_or_new(ax, width=6.4, height=max(2.2, 0.24 * n + 1.0))
    if not n:
        return say(ax, NO_RECORD if not chemistry.failed.n else "No group has enough searches.")
    rates = [group.failed for group in chemistry.groups]
    bars = error_bars(rates)
    for row, group in enumerate(chemistry.groups):
        colour = VERMILLION if group.p < SIGNIFICANT else BLUE
        low, high = bars[:, row]
        ax.errorbar(group.failed.fraction, row, xerr=[[low], [high]], fmt="o", color=colour)
    ax.axvline(chemistry.failed.fraction, color=GREY, linestyle="--")
    labels = [f"{g.what}: {g.label} ({g.failed.n})" for g in chemistry.groups]
    ax.set_yticks(range(n), labels)
    ax.invert_yaxis()
    ax.set(xlim=(-0.03, 1.03), xlabel="share of the searches that failed, and of all (dashed)")
    ax.set_title("Failures by kind", loc="left")
    return ax
