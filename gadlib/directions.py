"""Which mode a search climbs first: directions that it is to have most of.

A search climbs the lowest mode unless it is told more: the way from reactant to product, or atoms
or bonds. What is wanted is told as orthonormal mass-weighted directions; the solver takes the
mode with the largest part within them (mode following: Cerjan, Miller, J. Chem. Phys. 75, 2800
(1981), doi:10.1063/1.442352). Floor 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from ase.data import atomic_masses
from jaxtyping import Float, Int
from torch import Tensor

from gadlib.alignment import aligned
from gadlib.batch import Batch
from gadlib.modes import remove_rigid, rigid_motions
from gadlib.settings import InputError

_ATOMS = re.compile(r"atoms:(\d+(?:,\d+)*)")
_BONDS = re.compile(r"bonds:(\d+-\d+(?:,\d+-\d+)*)")
_ALONG_TOL = 1e-6


def require_mode(mode: str) -> None:
    """Nothing, when the mode is one that can be asked for.

    Raises:
        InputError: when it is not.
    """
    if mode in ("lowest", "reaction") or _ATOMS.fullmatch(mode) or _BONDS.fullmatch(mode):
        return
    raise InputError(
        f"mode {mode!r}: expected lowest, reaction, atoms:I,J,... or bonds:I-J,..."
        " (atoms count from 0)"
    )


def wanted(
    mode: str,
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]] | None = None,
) -> Float[np.ndarray, "d k"] | None:
    """Orthonormal mass-weighted directions that the mode is to have most of; None for the lowest.

    Args:
        mode: `lowest`, `reaction`, `atoms:I,J,...` or `bonds:I-J,...`; atoms count from 0.
        atomic_numbers: of the molecule.
        positions: where the search begins, in A.
        ends: reactant and product in A, for `reaction`.

    Raises:
        InputError: when the mode is unknown, an atom is not there, or the ends are not known.
    """
    require_mode(mode)
    if mode == "lowest":
        return None
    if mode == "reaction":
        if ends is None:
            raise InputError("mode 'reaction': reactant and product are not known here")
        first, last = (aligned(end, positions) for end in ends)
        rows = [(last - first).ravel()]
    elif mode.startswith("atoms:"):
        rows = _of_atoms(_numbers(mode, len(positions)), len(positions))
    else:
        masses = atomic_masses[np.asarray(atomic_numbers)]
        rows = _of_bonds(_numbers(mode, len(positions)), positions, masses)
    return _orthonormal(np.array(rows), Batch.pack([positions], [atomic_numbers]))


def stack(
    directions: Sequence[Float[np.ndarray, "d k"] | None], width: int
) -> Float[Tensor, "B D K"] | None:
    """Directions of many molecules as one tensor, padded with zeros; None where nobody has any."""
    count = max((d.shape[1] for d in directions if d is not None), default=0)
    if not count:
        return None
    padded = torch.zeros(len(directions), 3 * width, count, dtype=torch.float64)
    for place, d in zip(padded, directions, strict=True):
        if d is not None:
            place[: d.shape[0], : d.shape[1]] = torch.as_tensor(d)
    return padded


def _numbers(mode: str, n_atoms: int) -> list[int]:
    numbers = [int(number) for number in re.findall(r"\d+", mode)]
    for number in numbers:
        if number >= n_atoms:
            raise InputError(
                f"mode {mode!r}: there is no atom {number}; expected 0 .. {n_atoms - 1}"
            )
    return numbers


def _of_atoms(atoms: list[int], n_atoms: int) -> list[np.ndarray]:
    return list(np.eye(3 * n_atoms)[[3 * atom + axis for atom in atoms for axis in range(3)]])


def _of_bonds(atoms: list[int], positions: np.ndarray, masses: np.ndarray) -> list[np.ndarray]:
    """Displacements of which a mode's part tells how much it stretches the bonds, M^-1 B^T.

    Wilson, Decius, Cross, Molecular Vibrations, McGraw-Hill (1955), chapter 4.
    """
    rows = []
    for i, j in zip(atoms[::2], atoms[1::2], strict=True):
        if i == j:
            raise InputError(f"mode 'bonds:{i}-{j}': expected two atoms")
        stretch = np.zeros_like(positions)
        unit = (positions[i] - positions[j]) / np.linalg.norm(positions[i] - positions[j])
        stretch[i], stretch[j] = unit / masses[i], -unit / masses[j]
        rows.append(stretch.ravel())
    return rows


def _orthonormal(rows: np.ndarray, batch: Batch) -> np.ndarray | None:
    """An orthonormal basis of Cartesian displacements, mass-weighted, without rigid motions."""
    weighted = torch.as_tensor(rows, dtype=torch.float64) * batch.sqrt_masses
    rigid = rigid_motions(batch).expand(len(weighted), -1, -1)
    weighted = remove_rigid(weighted, rigid)
    basis, strength, _ = torch.linalg.svd(weighted.mT, full_matrices=False)
    kept = basis[:, strength > _ALONG_TOL * max(1.0, float(strength.max()))]
    return kept.numpy() if kept.shape[1] else None
