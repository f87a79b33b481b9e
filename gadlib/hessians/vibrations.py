"""Vibrations of a molecule as chemists read them: wavenumbers, reduced masses, displacements.

Rigid motions are removed where everything is projected, in `normal_modes`.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm as norm

from gadlib.hessians.normal_modes import exact_spectrum
from gadlib.systems.batch import Batch
from gadlib.units import frequency_cm1


class Vibrations(NamedTuple):
    """The V vibrations of one molecule of N atoms, the most imaginary one first.

    Attributes:
        wavenumbers_cm1: in cm-1; imaginary ones are negative.
        reduced_masses: in amu: one over the squared length of a mode's Cartesian displacements,
            where the mass-weighted mode has length one (Ochterski, Vibrational Analysis in
            Gaussian, 1999).
        displacements: of the atoms, Cartesian, each vibration's of length one.
    """

    wavenumbers_cm1: list[float]
    reduced_masses: list[float]
    displacements: Float[Tensor, "V N 3"]


def vibrations_of(
    batch: Batch, hessian: Float[Tensor, "B D D"], forces: Float[Tensor, "B N 3"]
) -> list[Vibrations]:
    """The vibrations of each molecule, from exact Hessians in eV/A^2 and the forces there in eV/A.

    The forces tell a bend of a nearly straight chain from a rotation (`exact_spectrum`).
    """
    spectrum = exact_spectrum(hessian, batch, forces)
    found = []
    for i, n_atoms in enumerate(batch.n_atoms.tolist()):
        is_vibration = spectrum.eigenvalues[i].isfinite()
        modes = spectrum.modes[i, : 3 * n_atoms, is_vibration]
        moved = (batch.inverse_sqrt_masses[i, : 3 * n_atoms, None] * modes).mT
        length = norm(moved, dim=-1)
        found.append(
            Vibrations(
                [frequency_cm1(x) for x in spectrum.eigenvalues[i, is_vibration].tolist()],
                (1 / length.square()).tolist(),
                (moved / length[:, None]).unflatten(1, (n_atoms, 3)),
            )
        )
    return found
