"""What searches cost in gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from gadlib.report.style import BLUE, axes_or_new
from gadlib.screening.records import Record, gradients_of


def collect_costs(records: Sequence[Record]) -> np.ndarray:
    """Gradient equivalents of each search."""
    return np.array([gradients_of(record) for record in records])


def draw_costs(costs: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """A histogram of the costs."""
    ax = axes_or_new(ax)
    ax.hist(costs, color=BLUE)
    return ax
