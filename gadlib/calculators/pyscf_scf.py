"""How PySCF's SCF is brought to convergence, and to a solution that is stable.

Stability: Seeger, Pople, J. Chem. Phys. 66, 3045 (1977), doi:10.1063/1.434318.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_MAX_DESCENTS = 5  # from one solution of the SCF to a lower one
_LEVEL_SHIFT = 0.5  # hartree
_SAME_HARTREE = 1e-5  # within which two energies are those of one solution

_NEARLY = 10.0
"""Times its thresholds within which an SCF has converged where no way leads below them: rounding
keeps some above. A radical of 13 atoms, HF/3-21G, ends at an orbital gradient of 1.3e-7."""


def solved(mean_field: Any, density: np.ndarray | None = None) -> Any:
    """The mean field after its SCF has converged, from a density or from PySCF's own first guess.

    Without a density, its solution is then followed to one that no small rotation of the orbitals
    lowers. A density that leads nowhere is given up.

    Raises:
        RuntimeError: when it does not converge, by a second-order solver and with shifted levels
            neither.
    """
    if density is not None and _reaches(mean_field, density):
        return mean_field
    _converge(mean_field)
    return descended(mean_field)


def lower(fresh: Any, carried: Any) -> Any:
    """Of two mean fields at one point, the second one not known to be stable, the lower one."""
    if carried.e_tot > fresh.e_tot - _SAME_HARTREE:
        return fresh
    return descended(carried)


def descended(mean_field: Any) -> Any:
    """The mean field, converged, after it was followed to a stable solution."""
    for _ in range(_MAX_DESCENTS if can_rotate(mean_field) else 0):
        orbitals, _, is_stable, _ = mean_field.stability(return_status=True)
        if is_stable:
            break
        lower = mean_field.make_rdm1(orbitals, mean_field.mo_occ)
        _converge(mean_field, lower)
    return mean_field


def can_rotate(mean_field: Any) -> bool:
    """Whether there are occupied and unoccupied orbitals, of either spin; PySCF asks for both."""
    is_occupied = np.atleast_2d(mean_field.mo_occ) > 0
    return bool((is_occupied.any(1) & ~is_occupied.all(1)).all())


def _converge(mean_field: Any, density: np.ndarray | None = None) -> None:
    """Run an SCF to its end, at last with unoccupied levels shifted up."""
    if _reaches(mean_field, density):
        return
    mean_field.level_shift = _LEVEL_SHIFT
    mean_field.kernel(dm0=density)
    mean_field.level_shift = 0
    if not _reaches(mean_field, mean_field.make_rdm1()):
        raise RuntimeError(
            f"the SCF did not converge in {mean_field.max_cycle} cycles, by a second-order solver"
            " and with shifted levels neither"
        )


def _reaches(mean_field: Any, density: np.ndarray | None) -> bool:
    """Whether an SCF converges from a density, or nearly: by DIIS, then to second order."""
    mean_field.kernel(dm0=density)
    if mean_field.converged:
        return True
    second = mean_field.newton()
    second.kernel(mean_field.mo_coeff, mean_field.mo_occ)
    mean_field.kernel(dm0=second.make_rdm1())
    if mean_field.converged:
        return True
    thresholds = mean_field.conv_tol, mean_field.conv_tol_grad
    mean_field.conv_tol, mean_field.conv_tol_grad = (_NEARLY * one for one in thresholds)
    mean_field.kernel(dm0=mean_field.make_rdm1())
    mean_field.conv_tol, mean_field.conv_tol_grad = thresholds
    return bool(mean_field.converged)
