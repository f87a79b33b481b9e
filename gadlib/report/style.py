"""How every figure looks: one palette, one set of sizes, a sentence where there is nothing to draw.

The palette is that of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import sys
import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#8C8C8C"

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

LEGEND: Any = {"frameon": False, "fontsize": 8}
"""What every legend is given: a legend is styled when it is made, not when its axes are."""


def panels(
    n_rows: int = 1,
    n_columns: int = 1,
    *,
    width: float = 6.4,
    height: float = 3.4,
    figure: Figure | None = None,
    **options,
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes as an array of `n_rows` by `n_columns`; the size is in inches.

    A given `figure` is filled instead of a new one of pyplot's, which belongs to the main thread.
    """
    # The figure outside the context: making the first one sets up the backend, which a context
    # would undo when it ends.
    if figure is None:
        draw_into_notebook()
        figure = plt.figure(figsize=(width, height), layout="constrained")
    with plt.rc_context(_STYLE):
        axes = figure.subplots(n_rows, n_columns, squeeze=False, **options)
    return figure, axes


def draw_into_notebook() -> None:
    """Make pyplot's figures appear below their cell, from now on, in a kernel of Jupyter.

    Batch jobs often set MPLBACKEND=Agg, which shows nothing; outside of kernels that is as it was.
    """
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return
    silent = backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
    if plt.get_backend().lower() in silent:
        shell.enable_matplotlib("inline")


def label_bar(bar: Colorbar, label: str) -> None:
    """Label the colour bar in the sizes of the axes."""
    bar.set_label(label, size=_STYLE["axes.labelsize"])
    bar.ax.tick_params(labelsize=_STYLE["ytick.labelsize"])


def axes_or_new(ax: Axes | None, *, width: float = 6.4, height: float = 3.4) -> Axes:
    """The given axes, or those of a new figure."""
    return panels(width=width, height=height)[1][0, 0] if ax is None else ax


def wrapped(sentence: str) -> str:
    """The sentence in lines that fit under a cell of a notebook, broken between words."""
    return textwrap.fill(sentence, 96, break_on_hyphens=False)


def say(ax: Axes, sentence: str) -> Axes:
    """The axes, emptied, with a sentence instead of a drawing."""
    ax.clear()
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        textwrap.fill(sentence, 60),
        ha="center",
        va="center",
        fontsize=9,
        color=GREY,
        transform=ax.transAxes,
    )
    return ax
