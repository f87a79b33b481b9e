"""A molecule rebuilt from what noise has made of it, without a calculator.

Which atoms are to be bonded follows from where they are and from how many neighbours each element
takes (`bonds`): the heavy atoms are joined to one tree, every hydrogen is hung on one of them,
and more bonds are kept where atoms that are near have places left. Then the atoms move to where
these bonds have their lengths and nothing else is too near.

References: Kruskal, Proc. Am. Math. Soc. 7, 48 (1956), doi:10.1090/S0002-9939-1956-0078686-7 (the
tree); Crouse, IEEE Trans. Aerosp. Electron. Syst. 52, 1679 (2016), doi:10.1109/TAES.2016.140952
(the assignment of the hydrogens, as in SciPy).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gadlib.hessians.springs import pair_hessian
from gadlib.molecules.bonds import ANY_NUMBER, BOND_SCALE, full_shells, most_neighbours
from gadlib.systems.batch import Batch, longest

_KEPT = 1.5  # scaled distance up to which atoms with places left are bonded
_TETRAHEDRAL = 2 / 3  # -2 times the cosine of the angle
_BESIDE = 1.2  # A more than the radii, for atoms that share no neighbour
_PUSH = 0.3  # of a bond's pull
_EVERYWHERE = 0.01
_STEPS = 40
_LONGEST = 0.5  # A in a step
_ENOUGH = 0.2  # A


def mended(batch: Batch) -> Batch:
    """The molecules rebuilt; metal clusters, hydrogen, particles on a surface as they are.

    So are systems in a cell or with frozen atoms: by valence, as here, no solid is put together.

    Least squares by Gauss and Newton: bonds are to be as long as the radii of their atoms together,
    atoms with a common neighbour at least as far apart as a tetrahedral angle has them, others at
    least as far as the radii and 1.2 A.
    """
    if not batch.is_free or batch.positions.shape[1] < 2:
        return batch
    is_held = None if batch.boundary is None else batch.boundary.is_held
    if is_held is not None and is_held.all():
        return batch
    known = (
        batch.atomic_numbers,
        batch.scaled_distances,
        full_shells(batch),
        most_neighbours(batch),
    )
    molecules = zip(*(values.cpu().numpy() for values in known), strict=True)
    is_bond = torch.from_numpy(np.stack([_bonds_to_be(*molecule) for molecule in molecules]))
    is_bond = is_bond.to(batch.positions.device)
    if is_held is not None:
        is_bond = is_bond & ~is_held[:, None, None]
    apart = _apart(batch, is_bond)
    weight = torch.where(is_bond, 1.0, _PUSH)
    width = 3 * batch.positions.shape[1]
    ridge = _EVERYWHERE * torch.eye(width, dtype=weight.dtype, device=weight.device)
    is_open = is_bond.flatten(1).any(-1)
    for _ in range(_STEPS):
        off = torch.where(batch.is_pair, batch.distances - apart, 0.0)
        off = torch.where(is_bond, off, off.clamp(max=0))
        gradient = ((weight * off)[:, None] * batch.units).sum(-1).mT.flatten(1)
        hessian = pair_hessian(batch, torch.where(off != 0, weight, 0.0)) + ridge
        move = -torch.linalg.solve(hessian, gradient)
        length = longest(move)
        scale = is_open * _LONGEST / length.clamp(min=_LONGEST)
        move = (scale[:, None] * move).unflatten(1, (-1, 3))
        batch = batch.moved_to(batch.positions + move)
        is_open = is_open & (length > _ENOUGH)
        if not is_open.any():
            break
    return batch


def _apart(batch: Batch, is_bond: Bool[Tensor, "B N N"]) -> Float[Tensor, "B N N"]:
    """How far two atoms are to be apart in A, exactly where they are bonded, else at least."""
    length = torch.where(is_bond, batch.radii_sum, 0.0)
    one, other = length[:, :, :, None], length[:, None, :, :]  # i to k, k to j
    square = one.square() + other.square() + _TETRAHEDRAL * one * other
    across = torch.where((one > 0) & (other > 0), square, torch.inf).amin(2).sqrt()
    beside = batch.radii_sum + _BESIDE
    return torch.where(is_bond, length, torch.where(across.isfinite(), across, beside))


def _bonds_to_be(
    numbers: Int[np.ndarray, " N"],
    scaled: Float[np.ndarray, "N N"],
    full: Int[np.ndarray, " N"],
    most: Int[np.ndarray, " N"],
) -> Bool[np.ndarray, "N N"]:
    """The bonds of one molecule; none where no heavy atom has a shell to be filled."""
    bonds = _Bonds(numbers, scaled, full, most)
    if bonds.is_of_shells:
        bonds.join_heavy()
        bonds.hang_hydrogens()
        bonds.keep_near()
    return bonds.made


class _Bonds:
    """Bonds of one molecule while they are made, short ones first.

    An atom takes as many neighbours as fill its shell; of bonds that are there, as many as it can.
    """

    def __init__(
        self,
        numbers: Int[np.ndarray, " N"],
        scaled: Float[np.ndarray, "N N"],
        full: Int[np.ndarray, " N"],
        most: Int[np.ndarray, " N"],
    ) -> None:
        self.heavy = np.flatnonzero(numbers > 1).tolist()
        self.hydrogens = np.flatnonzero(numbers == 1).tolist()
        self.is_of_shells = bool((full[self.heavy] < ANY_NUMBER).any())
        self.made = np.zeros_like(scaled, dtype=bool)
        self._scaled, self._places, self._spare = scaled, full.copy(), most - full
        pairs = [(scaled[a, b], a, b) for n, a in enumerate(self.heavy) for b in self.heavy[:n]]
        self._links = [(a, b) for _, a, b in sorted(pairs)]

    def join_heavy(self) -> None:
        """The heavy atoms as one tree; where no other way is left, beyond what an atom takes."""
        piece = {a: a for a in self.heavy}
        for is_strict in (True, False):
            for a, b in self._links:
                if piece[a] != piece[b] and (self._has_place(a, b) or not is_strict):
                    self._join(a, b)
                    piece = {k: piece[a] if v == piece[b] else v for k, v in piece.items()}

    def hang_hydrogens(self) -> None:
        """Each hydrogen on a heavy atom with a place left; where there are too few, on any."""
        n = len(self.hydrogens)
        slots = np.repeat(self.heavy, self._places[self.heavy].clip(0, n))
        slots = np.append(slots, np.resize(self.heavy, max(0, n - len(slots))))
        chosen = linear_sum_assignment(self._scaled[self.hydrogens][:, slots])[1]
        for hydrogen, slot in zip(self.hydrogens, chosen, strict=True):
            self._join(hydrogen, int(slots[slot]))

    def keep_near(self) -> None:
        """More bonds between heavy atoms that are near and have places left, as of rings."""
        for a, b in self._links:
            if self._scaled[a, b] < _KEPT and self._has_place(a, b) and not self.made[a, b]:
                self._join(a, b)

    def _join(self, a: int, b: int) -> None:
        self.made[a, b] = self.made[b, a] = True
        self._places[[a, b]] -= 1

    def _has_place(self, a: int, b: int) -> bool:
        is_there = self._scaled[a, b] < BOND_SCALE
        return all(self._places[k] + is_there * self._spare[k] > 0 for k in (a, b))
