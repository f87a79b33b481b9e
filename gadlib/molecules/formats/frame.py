"""One frame of a file of geometries, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Frame:
    """One frame of a file, in A, as it stands there.

    Attributes:
        name: that it has in the file, empty without one.
        charge: of the molecule in e, None where the file does not say.
        multiplicity: 2S + 1, None where the file does not say.
        is_periodic: whether it is in a cell that repeats.
        masses: of the atoms in amu where the file has them.
        unit: of length, where the file says so: `angstrom`, `bohr`, or `bohr?` where only the
            comment has the word; the positions are as they stand then.
        problem: why it can't be read, in words; empty where it can.
    """

    atomic_numbers: Int[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))
    positions: Float[np.ndarray, "n 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    name: str = ""
    charge: int | None = None
    multiplicity: int | None = None
    is_periodic: bool = False
    masses: Float[np.ndarray, " n"] | None = None
    unit: str = ""
    problem: str = ""
