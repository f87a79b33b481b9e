"""Figures as files for papers and talks: letters stay letters, nothing is overwritten unasked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gadlib.files.writing import write_bytes
from gadlib.settings.reading import InputError

FORMATS = ("pdf", "svg", "png")

_LETTERS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "gadlib"}
_UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save_figure(
    drawn: Figure | Axes, path: str | Path, *, overwrite: bool = False, dpi: int = 200
) -> Path:
    """The path, after the figure was written there, as PDF, SVG or PNG by the path's suffix.

    Text in PDF and SVG is text in a font (TrueType in PDF; SVG names it), to be searched and
    edited. The same figure gives the same bytes. A reader of the file sees all of it or none.

    Args:
        drawn: what a `draw_*` gave: a figure, or axes, of which the whole figure is written.
        path: ends with .pdf, .svg or .png.
        overwrite: replace a file that is there.
        dpi: pixels per inch of a PNG, and of pictures inside the others.

    Raises:
        InputError: when the suffix is another, the file is there, or it can't be written.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"{path}: expected a name that ends with .{', .'.join(FORMATS)}")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists: replace it with overwrite=True, or choose another name")
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    assert figure is not None
    data = io.BytesIO()
    with plt.rc_context(_LETTERS):
        figure.savefig(data, format=kind, dpi=dpi, bbox_inches="tight", metadata=_UNDATED[kind])
    return write_bytes(path, data.getvalue())
