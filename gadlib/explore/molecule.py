"""A molecule in three dimensions as a widget, with arrows; its drawing is `molecule.js` beside it.

The script travels over the kernel's own connection: no request leaves the machine.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import numpy as np
import traitlets
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from jaxtyping import Float, Int
from matplotlib.colors import to_hex

from gadlib.batch import Batch
from gadlib.molecules.bonds import bonds

_BALL = 0.45
"""Balls are this fraction of the covalent radii."""

_MARGIN = 1.4


class MoleculeView(anywidget.AnyWidget):
    """Balls, sticks and arrows; drag or arrow keys turn the molecule, the wheel zooms."""

    _esm = Path(__file__).with_name("molecule.js").read_text(encoding="utf-8")

    positions = traitlets.List(traitlets.Float()).tag(sync=True)
    mode = traitlets.List(traitlets.Float()).tag(sync=True)
    bonds = traitlets.List().tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    radii = traitlets.List(traitlets.Float()).tag(sync=True)
    extent = traitlets.Float(3.0).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Int(400).tag(sync=True)
    height = traitlets.Int(300).tag(sync=True)
    revision = traitlets.Int(0).tag(sync=True)

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
            if is_new:
                reach = np.linalg.norm(positions - positions.mean(0), axis=-1).max(initial=0.5)
                self.extent = float(reach) + _MARGIN
                self.colours = [to_hex(tuple(jmol_colors[z])) for z in atomic_numbers]
                self.radii = [float(_BALL * covalent_radii[z]) for z in atomic_numbers]
            self.positions = np.nan_to_num(positions).round(4).ravel().tolist()
            self.mode = [] if mode is None else np.asarray(mode).round(3).ravel().tolist()
            self.bonds = pairs
            self.caption = caption
            self.revision += 1
