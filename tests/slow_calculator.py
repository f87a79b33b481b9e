"""An ASE calculator whose every call takes a minute: for tests of what can be ended meanwhile."""

from __future__ import annotations

import time

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Slow(Calculator):
    """A spring on every coordinate; slow for all molecules but the little ones it is tried on."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if len(self.atoms) > 3:
            time.sleep(60)
        positions = self.atoms.positions
        self.results = {"energy": float(np.sum(positions**2)) / 2, "forces": -positions}
