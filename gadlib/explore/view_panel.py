"""The molecule of the page: a large view with a slider through moments, small ones of two ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets as w
import numpy as np
from jaxtyping import Float, Int

from gadlib.explore.fields import classed
from gadlib.explore.molecule import LOOKS, MoleculeView
from gadlib.molecules.alignment import aligned

_INTERVAL_MS = 120


class End(NamedTuple):
    """A geometry that is shown small beside the large one, in A."""

    caption: str
    positions: Float[np.ndarray, "n 3"]


class ViewPanel:
    """Shows moments of something, one at a time, and its two ends.

    Attributes:
        box: the widget.
        molecule: the large view; `ends` the two small ones.
        frame: the slider through the moments.
        subject: what the moments are of.
    """

    def __init__(self) -> None:
        self.molecule = MoleculeView()
        self.ends = [MoleculeView(is_small=True, is_numbered=False) for _ in range(2)]
        for end in self.ends:
            w.jslink((self.molecule, "view"), (end, "view"))
        self.frame: Any = w.IntSlider(
            min=0,
            max=0,
            description="frame",
            tooltip="which moment is shown",
            style={"description_width": "45px"},
            layout={"flex": "1 1 150px", "width": "auto"},
        )
        self._play: Any = w.Play(min=0, max=0, interval=_INTERVAL_MS, layout={"width": "135px"})
        self.vibrate = w.ToggleButton(
            value=False,
            description="Vibrate",
            icon="exchange",
            layout={"width": "auto"},
            tooltip="move the atoms along the mode, instead of arrows",
        )
        self.look: Any = w.Dropdown(
            options=LOOKS, value=LOOKS[0], tooltip="how atoms are drawn", layout={"width": "130px"}
        )
        self.numbers = w.Checkbox(
            value=True,
            description="numbers",
            indent=False,
            layout={"width": "auto"},
            tooltip="the atoms' numbers, as the setting mode has them",
        )
        self._draw: Callable[[int], None] = lambda place: None
        self.subject: object = None
        self._connect()
        looks = classed(w.HBox([self.vibrate, self.look, self.numbers]), "bar")
        self._ends_box = classed(w.HBox(self.ends, layout={"display": "none"}), "ends")
        moments = w.HBox([self._play, self.frame], layout={"width": "100%"})
        self.box = classed(w.VBox([self.molecule, moments, looks, self._ends_box]), "view")

    def _connect(self) -> None:
        w.jslink((self._play, "value"), (self.frame, "value"))
        self.frame.observe(lambda change: self._draw(change["new"]), "value")
        w.jslink((self.vibrate, "value"), (self.molecule, "is_vibrating"))
        w.jslink((self.numbers, "value"), (self.molecule, "is_numbered"))
        for view in (self.molecule, *self.ends):
            w.dlink((self.look, "value"), (view, "look"))

    def show_moments(self, of: object, n: int, draw: Callable[[int], None], at: int) -> None:
        """Offer `n` moments of something, each drawn by `draw`, and show that at `at`."""
        self._draw, self.subject = draw, of
        self._play.max = self.frame.max = max(n - 1, 0)
        self.frame.disabled = self._play.disabled = n < 2
        if self.frame.value == at:
            draw(at)
        self.frame.value = at

    def clear(self) -> None:
        """Show nothing."""
        self.show_moments(None, 1, lambda place: None, 0)
        self.molecule.clear()
        self._ends_box.layout.display = "none"

    def show_ends(
        self,
        atomic_numbers: Int[np.ndarray, " n"],
        ends: Sequence[End],
        like: Float[np.ndarray, "n 3"],
    ) -> None:
        """Show two ends, each turned onto `like`; or none."""
        for view, end in zip(self.ends, ends, strict=False):
            positions = aligned(end.positions, like)
            view.show(atomic_numbers, positions, caption=end.caption, is_new=True)
        self._ends_box.layout.display = "flex" if ends else "none"
