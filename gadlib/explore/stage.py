"""Figures as PNG without a background, which a browser shows in light and in dark.

They are drawn without pyplot, because they are drawn beside the main thread.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

_DPI = 130
DRAWING = threading.Lock()
"""matplotlib sets its style for the whole process, so that one figure is drawn at a time."""


def blank(width: float, height: float, **more: object) -> Figure:
    """A figure without anything in it, in inches."""
    return Figure(figsize=(width, height), dpi=_DPI, facecolor="none", **more)  # pyright: ignore


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    for ax in figure.axes:
        ax.set_facecolor("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


class Stage:
    """A figure whose axes and labels are drawn once, and artists upon it anew: that is quick."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._canvas = FigureCanvasAgg(figure)
        self.redraw()

    def redraw(self) -> None:
        """Draw axes and labels."""
        for ax in self._figure.axes:
            ax.set_facecolor("none")
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self._figure.bbox)

    def png(self, artists: Sequence[Artist]) -> bytes:
        """The figure with the artists, which are taken off it afterwards, as a PNG."""
        self._canvas.restore_region(self._background)
        for artist in artists:
            assert artist.axes is not None
            artist.axes.draw_artist(artist)
            artist.remove()
        buffer = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())
        imsave(buffer, pixels, format="png", pil_kwargs={"compress_level": 1})
        return buffer.getvalue()
