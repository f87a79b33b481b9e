"""A molecule in three dimensions as a widget, with arrows; its drawing is `molecule.js` beside it.

The script travels over the kernel's own connection: no request leaves the machine. It draws on a
plain canvas, where fifty moments of benzene with arrows, ten a second, arrive within 5 s.
weas-widget 0.2.6 works offline as well, but builds its meshes anew for each moment (32 s on the
same processor, without a GPU, in which the page once stood still for 4 s), deletes atoms at a key,
and needs WebGL, and packages of 14 MB for grids that no molecule has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from jaxtyping import Float, Int
from matplotlib.colors import to_hex

from gadlib.molecules.bonds import bonds
from gadlib.systems.batch import Batch

LOOKS = ("ball and stick", "sticks", "spheres")

_BALL = 0.45
"""Balls are this fraction of the covalent radii."""

_MARGIN = 1.2
_SEEN_FROM = [0.921, 0.0, 0.389, 0.115, 0.955, -0.272, -0.372, 0.296, 0.88]
"""The rotation in which a molecule is first shown: a little from the side and from above."""


class MoleculeView(anywidget.AnyWidget):
    """Balls, sticks and arrows; drag or arrow keys turn the molecule, the wheel zooms.

    Attributes:
        picked: the atoms with a ring around them.
        is_vibrating: whether the atoms move along the mode, instead of arrows.
        view: the rotation, row by row; linked, two views turn together.
    """

    _esm = Path(__file__).with_name("molecule.js").read_text(encoding="utf-8")

    positions = traitlets.List(traitlets.Float()).tag(sync=True)
    mode = traitlets.List(traitlets.Float()).tag(sync=True)
    bonds = traitlets.List().tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    radii = traitlets.List(traitlets.Float()).tag(sync=True)
    extent = traitlets.Float(3.0).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    is_small = traitlets.Bool(False).tag(sync=True)
    look = traitlets.Enum(LOOKS, LOOKS[0]).tag(sync=True)
    is_numbered = traitlets.Bool(True).tag(sync=True)
    is_vibrating = traitlets.Bool(False).tag(sync=True)
    picked = traitlets.List(traitlets.Int()).tag(sync=True)
    clicked = traitlets.List(traitlets.Int(), [-1, 0]).tag(sync=True)
    view = traitlets.List().tag(sync=True)
    revision = traitlets.Int(0).tag(sync=True)

    @traitlets.default("view")
    def _first_view(self) -> list[list[float]]:
        return np.reshape(_SEEN_FROM, (3, 3)).tolist()

    def on_pick(self, act: Callable[[int], None]) -> None:
        """Have the place of every atom that is clicked told to `act`."""
        self.observe(lambda change: act(change["new"][0]), "clicked")

    def show(
        self,
        atomic_numbers: Int[np.ndarray, " n"],
        positions: Float[np.ndarray, "n 3"],
        mode: Float[np.ndarray, "n 3"] | None = None,
        *,
        caption: str = "",
        is_new: bool = False,
    ) -> None:
        """Draw the molecule, at a scale of its own where it `is_new`."""
        batch = Batch.pack([positions], [atomic_numbers])
        pairs = np.argwhere(np.triu(bonds(batch)[0].numpy())).tolist()
        with self.hold_sync():
            if is_new or len(self.colours) != len(atomic_numbers):
                reach = np.linalg.norm(positions - positions.mean(0), axis=-1).max(initial=0.5)
                self.extent = float(reach) + _MARGIN
                self.colours = [to_hex(tuple(jmol_colors[z])) for z in atomic_numbers]
                self.radii = [float(_BALL * covalent_radii[z]) for z in atomic_numbers]
            self.positions = np.nan_to_num(positions).round(4).ravel().tolist()
            is_moved = mode is not None and mode.any()
            self.mode = np.asarray(mode).round(3).ravel().tolist() if is_moved else []
            self.bonds = pairs
            self.caption = caption
            self.revision += 1

    def clear(self) -> None:
        """Draw nothing."""
        with self.hold_sync():
            self.positions, self.mode, self.bonds, self.colours = [], [], [], []
            self.caption = ""
            self.revision += 1
