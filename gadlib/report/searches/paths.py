"""What saddles join: verdicts counted, energy profiles, a row of chemistry for each saddle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gadlib.molecules.endpoints import Connection
from gadlib.paths.records import PathRecord
from gadlib.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    SKY,
    VERMILLION,
    axes_or_new,
    panels,
    say,
)

NO_PATH = "No saddle was followed: there is no strict one among the records."

_COLOURS = {
    Connection.INTENDED: GREEN,
    Connection.IN_STEPS: SKY,
    Connection.HALF: ORANGE,
    Connection.UNINTENDED: VERMILLION,
    Connection.NO_REACTION: GREY,
    Connection.NO_REFERENCE: BLUE,
    Connection.FAILED: BLACK,
}


class Connections(NamedTuple):
    """How many saddles got each verdict, and barriers beside those of the references.

    Attributes:
        counts: by verdict, all of them.
        barriers: of the intended ones in eV, reference and found, a row each.
        names: of those.
    """

    counts: dict[str, int]
    barriers: np.ndarray
    names: tuple[str, ...]


def collect_connections(paths: Sequence[PathRecord]) -> Connections:
    """The verdicts and barriers of saddles that were followed."""
    counts = {str(v): sum(p.verdict == v for p in paths) for v in Connection}
    both = [
        (p.name, p.reference_barrier, p.barrier)
        for p in paths
        if p.verdict == Connection.INTENDED and None not in (p.reference_barrier, p.barrier)
    ]
    barriers = np.array([row[1:] for row in both], dtype=float).reshape(-1, 2)
    return Connections(counts, barriers, tuple(row[0] for row in both))


def verdict_sentence(paths: Sequence[PathRecord]) -> str:
    """The verdicts counted, in a sentence."""
    if not paths:
        return NO_PATH
    counted = [f"{n} {verdict}" for verdict, n in collect_connections(paths).counts.items() if n]
    return f"Of {len(paths)} saddles followed: {', '.join(counted)}."


def paths_table(paths: Sequence[PathRecord]) -> pd.DataFrame:
    """One row per saddle: verdict, chemistry, barrier and frequency beside the reference's."""
    rows = [
        {
            "reaction": p.name,
            "formula": p.formula,
            "verdict": p.verdict,
            "bonds": p.change or p.message,
            "mode": p.mode,
            "barrier (eV)": _beside(p.barrier, p.reference_barrier, 2),
            "ΔG‡ (eV)": _gibbs(p, 0),
            "back (eV)": _back(p),
            "back ΔG‡ (eV)": _gibbs(p, 1),
            "reaction energy (eV)": _beside(p.reaction_energy, p.reference_reaction_energy, 2),
            "imaginary (cm⁻¹)": _beside(p.imaginary_cm1, p.reference_cm1, 0),
            "saddle off (Å)": "-" if p.saddle_rmsd is None else f"{p.saddle_rmsd:.2f}",
        }
        for p in paths
    ]
    return pd.DataFrame(rows)


def _beside(found: float | None, reference: float | None, digits: int) -> str:
    """A number, with the reference's in brackets where there is one."""
    one, two = ("-" if v is None else f"{v:.{digits}f}" for v in (found, reference))
    return one if reference is None else f"{one} [{two}]"


def _back(path: PathRecord) -> str:
    """The barrier from the product's end, in eV."""
    if path.barrier is None or path.reaction_energy is None:
        return "-"
    return f"{path.barrier - path.reaction_energy:.2f}"


def _gibbs(path: PathRecord, place: int) -> str:
    """The Gibbs energy's barrier from one of the ends, in eV."""
    return f"{path.barriers[place].gibbs:.2f}" if path.barriers else "-"


def barrier_sentence(path: PathRecord) -> str:
    """What happens on a path and over which barriers, in a sentence or two."""
    if path.barrier is None or path.reaction_energy is None:
        return f"{path.name}: {path.message}"
    over = f"ΔE‡ {path.barrier:.3f} eV"
    back = f"ΔE‡ {path.barrier - path.reaction_energy:.3f}"
    rate = ""
    if path.barriers:
        on, off = path.barriers
        over, back = f"{over}, ΔG‡ {on.gibbs:.3f}", f"{back}, ΔG‡ {off.gibbs:.3f}"
        at = f"at {path.thermochemistry[0].temperature_k:g} K"
        told = "no barrier" if on.rate is None else f"about {on.rate:.1e} per second"
        rate = f" {at[:1].upper()}{at[1:]} {told} (Eyring, Wigner factor {on.tunnelling:.2f})."
    return f"{path.name}: {path.change}; {over}, back {back} eV.{rate} {path.message}"


def draw_verdicts(paths: Sequence[PathRecord]) -> Figure:
    """Left: saddles by verdict; right: barriers of the intended ones against the references'."""
    figure, axes = panels(1, 2, width=9.0)
    left, right = axes[0]
    connections = collect_connections(paths)
    if not paths:
        say(left, NO_PATH)
        say(right, "")
        return figure
    names = list(connections.counts)
    colours = [_COLOURS[Connection(name)] for name in names]
    bars = left.barh(names, list(connections.counts.values()), color=colours)
    left.bar_label(bars, padding=2, fontsize=8)
    left.invert_yaxis()
    left.margins(x=0.1)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set(xlabel="saddles", title=f"{len(paths)} saddles followed both ways")
    if not len(connections.barriers):
        n_joining = connections.counts.get(Connection.INTENDED, 0)
        nobody = "No saddle joins the reactant and the product."
        say(right, "No barrier of a reference to compare with." if n_joining else nobody)
        return figure
    ends = np.array([connections.barriers.min(), connections.barriers.max()])
    right.plot(ends, ends, color=GREY, linewidth=1, label="equal")
    right.scatter(*connections.barriers.T, s=18, color=BLUE, label="intended saddle")
    right.set(xlabel="barrier of the reference (eV)", ylabel="barrier found (eV)")
    right.legend(loc="upper left", **LEGEND)
    return figure


def draw_profile(path: PathRecord, *, ax: Axes | None = None) -> Axes:
    """The energy along the path, from the reactant's side to the product's."""
    ax = axes_or_new(ax)
    if not path.travelled:
        return say(ax, f"{path.name}: {path.message}")
    energies = np.array(path.energies) - path.energies[0]
    ax.plot(path.travelled, energies, color=_COLOURS[Connection(path.verdict)], marker=".")
    top = int(np.argmin(np.abs(path.travelled)))
    ax.plot(path.travelled[top], energies[top], "o", color=BLACK, markersize=5)
    known = (path.reference_barrier, path.reference_reaction_energy)
    for x, y in zip((0.0, path.travelled[-1]), known, strict=True):
        if y is not None:
            ax.plot(x, y, "_", color=GREY, markersize=16, markeredgewidth=2, zorder=1)
    if any(y is not None for y in known):
        ax.plot([], [], "_", color=GREY, markeredgewidth=2, label="reference")
        ax.legend(loc="best", **LEGEND)
    ax.set(xlabel="reaction coordinate (amu$^{1/2}$ Å)", ylabel="energy (eV)")
    ax.set_title(f"{path.name} {path.formula}: {path.verdict}\n{path.change}", fontsize=9)
    return ax


def draw_profiles_of(paths: Sequence[PathRecord], *, n_most: int = 6) -> Figure:
    """The profiles of the first saddles, unintended ones before intended."""
    shown = sorted(paths, key=lambda p: p.verdict == Connection.INTENDED)[:n_most]
    n_rows = max(1, -(-len(shown) // 3))
    figure, axes = panels(n_rows, 3, width=10.0, height=2.9 * n_rows)
    if not shown:
        say(axes[0, 1], NO_PATH)
    for ax, path in zip(axes.flat, shown, strict=False):
        draw_profile(path, ax=ax)
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    return figure
