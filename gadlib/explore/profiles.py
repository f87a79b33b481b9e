"""The energy along a path as PNG, with a mark at the point that is looked at."""

from __future__ import annotations

import numpy as np

from gadlib.explore.stage import DRAWING, Stage, blank, png
from gadlib.paths.records import PathRecord
from gadlib.report.searches.paths import draw_profile
from gadlib.report.style import VERMILLION, panels, say


class Profile:
    """The profile of a path.

    Attributes:
        top: the place of the saddle among the points.
    """

    def __init__(self, path: PathRecord) -> None:
        self.top = int(np.argmin(np.abs(path.travelled)))
        self._arc = np.array(path.travelled)
        self._energies = np.array(path.energies) - path.energies[0]
        with DRAWING:
            figure, axes = panels(figure=blank(6.6, 3.6, layout="constrained"))
            self._ax = draw_profile(path, ax=axes[0, 0])
            self._stage = Stage(figure)

    def png(self, place: int) -> bytes:
        """The profile with a mark at one of its points, as a PNG."""
        x, y = self._arc[place], self._energies[place]
        with DRAWING:
            mark = self._ax.plot(
                [x], [y], "o", color=VERMILLION, markersize=9, fillstyle="none", markeredgewidth=2
            )
            return self._stage.png(mark)

    def caption(self, place: int) -> str:
        """Where a point is, in words."""
        where = "the saddle" if place == self.top else f"{self._arc[place]:+.2f} amu½ Å from it"
        return f"{where}, {self._energies[place]:+.2f} eV from the first end"


def no_profile_png(sentence: str) -> bytes:
    """A sentence where there is no profile, as a PNG."""
    with DRAWING:
        figure, axes = panels(figure=blank(6.6, 3.6))
        say(axes[0, 0], sentence)
        return png(figure)
