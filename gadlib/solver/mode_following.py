"""Which mode a search climbs first: directions that it is to have most of.

A search climbs the lowest mode unless it is given more: the bonds that change from reactant to
product, or atoms or bonds by name. That is its aim; the solver takes the mode with the largest part
within it (mode following: Cerjan, Miller, J. Chem. Phys. 75, 2800 (1981), doi:10.1063/1.442352).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from ase.data import covalent_radii
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from gadlib.molecules.alignment import aligned
from gadlib.settings.reading import InputError
from gadlib.solver.aim import Aim
from gadlib.systems.batch import Batch

_ATOMS = re.compile(r"atoms:(\d+(?:,\d+)*)")
_BONDS = re.compile(r"bonds:(\d+-\d+(?:,\d+-\d+)*)")
_BOND_ORDER_DECAY = 0.3  # A; Pauling's 0.71 A for each power of ten
_CHANGED = 0.25
"""A bond whose order changes by less has no part in the reaction: it is longer by 0.09 A."""


def require_mode(mode: str) -> None:
    """Raise InputError unless the mode is one that can be asked for."""
    if mode in ("lowest", "reaction") or _ATOMS.fullmatch(mode) or _BONDS.fullmatch(mode):
        return
    raise InputError(
        f"mode {mode!r}: expected lowest, reaction, atoms:I,J,... or bonds:I-J,..."
        " (atoms count from 0)"
    )


def read_aim(
    mode: str,
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    ends: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]] | None = None,
) -> Aim | None:
    """The aim of one molecule, of which the climbed mode is to have most; None for the lowest.

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
    n = len(positions)
    if mode == "reaction":
        if ends is None:
            raise InputError("mode 'reaction': reactant and product are not known here")
        return _of_reaction(np.asarray(atomic_numbers), positions, ends)
    if mode.startswith("atoms:"):
        return _moves(np.eye(3 * n)[_coordinates(_numbers(mode, n))], atomic_numbers, positions)
    return _stretches(_of_bonds(_numbers(mode, n), n))


def stack(aims: Sequence[Aim | None], width: int) -> Aim | None:
    """The aims of many molecules as one, padded to as many atoms; None where nobody has any."""
    count = max((aim.moves.shape[2] for aim in aims if aim is not None), default=0)
    if not count:
        return None
    moves = torch.zeros(len(aims), 3 * width, count, dtype=torch.float64)
    stretches = torch.zeros(len(aims), count, width, width, dtype=torch.float64)
    for i, aim in enumerate(aims):
        if aim is not None:
            n, k = aim.stretches.shape[2], aim.moves.shape[2]
            moves[i, : 3 * n, :k] = aim.moves[0]
            stretches[i, :k, :n, :n] = aim.stretches[0]
    return Aim(moves, stretches)


def _of_reaction(
    numbers: np.ndarray, positions: np.ndarray, ends: tuple[np.ndarray, np.ndarray]
) -> Aim:
    """Distances weighted by what their bond orders lose from the nearer end to the farther one.

    Bond orders: Pauling, J. Am. Chem. Soc. 69, 542 (1947), doi:10.1021/ja01195a024. Where no bond
    changes, the straight way from the one end to the other.
    """
    placed = [aligned(end, positions) for end in ends]
    near, far = sorted(placed, key=lambda end: float(((end - positions) ** 2).sum()))
    lost = _bond_orders(numbers, near) - _bond_orders(numbers, far)
    weights = np.where(np.abs(lost) < _CHANGED, 0.0, lost)
    if weights.any():
        return _stretches(weights[None])
    return _moves((far - near).reshape(1, -1), numbers, positions)


def _bond_orders(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    radii = covalent_radii[numbers]
    longer = cdist(positions, positions) - radii[:, None] - radii
    orders = np.minimum(np.exp(-longer / _BOND_ORDER_DECAY), 1.0)
    np.fill_diagonal(orders, 0.0)
    return orders


def _numbers(mode: str, n_atoms: int) -> list[int]:
    numbers = [int(number) for number in re.findall(r"\d+", mode)]
    for number in numbers:
        if number >= n_atoms:
            raise InputError(
                f"mode {mode!r}: there is no atom {number}; expected 0 .. {n_atoms - 1}"
            )
    return numbers


def _coordinates(atoms: list[int]) -> list[int]:
    return [3 * atom + axis for atom in atoms for axis in range(3)]


def _of_bonds(atoms: list[int], n_atoms: int) -> np.ndarray:
    """Weights of distances, for each bond those of its own."""
    rows = []
    for i, j in zip(atoms[::2], atoms[1::2], strict=True):
        if i == j:
            raise InputError(f"mode 'bonds:{i}-{j}': expected two atoms")
        weights = np.zeros((n_atoms, n_atoms))
        weights[i, j] = weights[j, i] = 1.0
        rows.append(weights)
    return np.array(rows)


def _stretches(weights: Float[np.ndarray, "k n n"]) -> Aim:
    count, n = weights.shape[:2]
    moves = torch.zeros(1, 3 * n, count, dtype=torch.float64)
    return Aim(moves, torch.as_tensor(weights, dtype=torch.float64)[None])


def _moves(rows: Float[np.ndarray, "k d"], numbers: np.ndarray, positions: np.ndarray) -> Aim:
    """The aim of Cartesian displacements, mass-weighted."""
    n, batch = len(positions), Batch.pack([positions], [numbers])
    moves = torch.as_tensor(rows, dtype=torch.float64) * batch.sqrt_masses
    stretches = torch.zeros(1, len(rows), n, n, dtype=torch.float64)
    return Aim(moves.mT[None], stretches)
