"""Molecules with a charge or an odd electron, and guesses of saddles between two of them.

The guesses are substitutions at methyl, X + CH3Y -> XCH3 + Y, and transfers of a hydrogen atom,
X + HY -> XH + Y, put together along an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LIBRARY = """
C[OH2+] CC=[OH+] CC(=[OH+])N C1C[OH+]1 CC(C)=[OH+] C=C[CH2+] C[CH+]C NC=[OH+] C=[NH+]C C[N+]#C
OC=[NH2+] CC#[NH+] C=CC=[OH+] C1C[NH2+]1 NCC=[OH+] [CH2+]c1ccccc1 C[O+]=C OCC[OH2+] C=C[OH+]C
NC(=[NH2+])N c1cc[nH+]cc1 C=CC[OH2+] CC[NH+]=C
CC(=O)[O-] [O-]C=C [CH2-]C#N [CH2-]C=O [O-]C=O O=C[CH-]C=O [O-]CC=C CC(=O)[CH2-] [NH-]C=O C=C[CH2-]
[O-]CCO [O-]OC N#C[NH-] C=N[O-] [O-]N=C [O-]CC=O C[NH-] [CH2-]C=N [CH2-][N+](=O)[O-] NC(=O)[NH-]
[O-]c1ccccc1 CC#[C-] C=[C-]C
C[CH2] [CH2]C=C CC[CH2] [CH2]CC=C C[O] CC[O] [CH2]O C[CH]O CO[O] CCO[O] [CH]=C C[C]=O [NH]C=O
[CH2]C(C)C [CH2]CC=O [O]CC=C [CH2]C1CC1 C1CC[CH]1 [CH2]OO CC(=O)[O] [CH2]C=O CCCC[O] [CH2]N
C[NH] [CH2]OC [CH2]C#N [CH]=CC=O
"""
"""SMILES of cations, anions and radicals, whose bonds are driven at random."""

FRAGMENTS: dict[str, list[tuple[int, tuple[float, float, float]]]] = {
    "F": [(9, (0, 0, 0))],
    "Cl": [(17, (0, 0, 0))],
    "Br": [(35, (0, 0, 0))],
    "OH": [(8, (0, 0, 0)), (1, (0.93, 0, 0.26))],
    "SH": [(16, (0, 0, 0)), (1, (1.33, 0, 0.1))],
    "CN": [(6, (0, 0, 0)), (7, (0, 0, 1.17))],
    "OMe": [
        (8, (0, 0, 0)),
        (6, (1.2, 0, 0.7)),
        (1, (2.1, 0.3, 0.1)),
        (1, (1.2, -0.9, 1.3)),
        (1, (1.1, 0.8, 1.4)),
    ],
    "NH3": [
        (7, (0, 0, 0)),
        (1, (0.95, 0, 0.36)),
        (1, (-0.475, 0.823, 0.36)),
        (1, (-0.475, -0.823, 0.36)),
    ],
    "OH2": [(8, (0, 0, 0)), (1, (0.77, 0, 0.58)), (1, (-0.77, 0, 0.58))],
    "CH3": [
        (6, (0, 0, 0)),
        (1, (1.03, 0, 0.33)),
        (1, (-0.515, 0.892, 0.33)),
        (1, (-0.515, -0.892, 0.33)),
    ],
    "NH2": [(7, (0, 0, 0)), (1, (0.8, 0.6, 0.25)), (1, (-0.8, 0.6, 0.25))],
}
"""Atoms in A: the first is bonded along -z."""

SUBSTITUTIONS = (
    "F-Cl F-Br Cl-Br OH-F OH-Cl OH-Br SH-F SH-Cl SH-Br CN-Cl CN-Br CN-F OMe-Cl OMe-F OMe-Br"
    " NH3-OH2 OH2-Cl+ NH3-Cl+"
)
TRANSFERS = "CH3-OH CH3-Cl CH3-NH2 CH3-SH CH3-Br NH2-OH NH2-SH CH3-OMe CH3-F CH3-CN OH-Cl NH2-Cl"

_TO_CARBON = {"F": 2.0, "Cl": 2.35, "Br": 2.5, "SH": 2.45, "CN": 2.2}
_TO_HYDROGEN = {"OH": 1.2, "OMe": 1.2, "CH3": 1.3, "Cl": 1.5, "Br": 1.6, "SH": 1.55}
"""A, of the bonds that are half formed."""


@dataclass(frozen=True)
class Guess:
    """A guess of a saddle: its first atom moves along z, from one fragment to the other.

    Attributes:
        n_middle: atoms in the middle, after which the fragments come.
        n_last: atoms of the last fragment.
    """

    name: str
    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    multiplicity: int
    n_middle: int
    n_last: int


def guesses() -> Iterator[Guess]:
    """All of them."""
    methyl = [(6, (0.0, 0.0, 0.0))]
    methyl += [(1, (1.08 * np.cos(a), 1.08 * np.sin(a), 0.0)) for a in (0.3, 2.394, 4.489)]
    for pair in SUBSTITUTIONS.split():
        ends = pair.rstrip("+").split("-")
        charge = 1 if pair.endswith("+") or pair == "NH3-OH2" else -1
        lengths = [_TO_CARBON.get(end, 2.05) for end in ends]
        yield _assembled("...CH3...".join(ends), methyl, ends, lengths, charge, 1)
    for pair in TRANSFERS.split():
        ends = pair.split("-")
        lengths = [_TO_HYDROGEN.get(end, 1.25) for end in ends]
        yield _assembled("...H...".join(ends), [(1, (0.0, 0.0, 0.0))], ends, lengths, 0, 2)


def _assembled(
    name: str,
    middle: list[tuple[int, tuple[float, float, float]]],
    ends: Sequence[str],
    lengths: Sequence[float],
    charge: int,
    multiplicity: int,
) -> Guess:
    numbers = [z for z, _ in middle]
    positions = [np.array(at) for _, at in middle]
    for end, length, sign in zip(ends, lengths, (1, -1), strict=True):
        for z, (x, y, height) in FRAGMENTS[end]:
            numbers.append(z)
            positions.append(np.array([x, y, sign * (height + length)]))
    counts = len(middle), len(FRAGMENTS[ends[1]])
    return Guess(name, np.array(numbers), np.array(positions), charge, multiplicity, *counts)
