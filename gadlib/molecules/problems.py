"""Which molecules can be searched: free, of elements, with electrons that fit; else why not."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from gadlib.molecules.bonds import BOND_SCALE
from gadlib.molecules.formats.frame import Frame
from gadlib.systems.batch import Batch, atom_label
from gadlib.units import ANGSTROM_PER_BOHR

MAX_ATOMS = 5000
"""Atoms of a molecule at most: its Hessian takes 2 GB."""
_MOST_FAR = 1e5  # A from the origin
_MASS_TOL = 0.05  # amu
_MOST_ADDED = 4  # electrons on an atom, as in C4-


def atoms_problem(numbers: np.ndarray, positions: np.ndarray) -> str:
    """Why these atoms are no molecule that can be computed, in words; empty where they are one."""
    if not len(numbers):
        return "no atoms; expected at least one"
    if not ((numbers > 0) & (numbers < len(chemical_symbols))).all():
        wrong = next(z for z in numbers.tolist() if not 0 < z < len(chemical_symbols))
        return f"atomic number {wrong}; expected 1 .. {len(chemical_symbols) - 1}"
    if len(numbers) > MAX_ATOMS:
        return f"{len(numbers)} atoms; expected at most {MAX_ATOMS}"
    if not np.isfinite(positions).all():
        return "positions that are not finite; expected numbers in A"
    if np.abs(positions).max() > _MOST_FAR:
        return (
            f"a coordinate of {np.abs(positions).max():.3g} A; expected at most {_MOST_FAR:.0e} A"
        )
    return ""


def lowest_multiplicity(numbers: np.ndarray, charge: int) -> int:
    """The lowest multiplicity that a molecule can have: 1, or 2 where its electrons are odd."""
    return 1 + (int(numbers.sum()) - charge) % 2


def electrons_problem(numbers: np.ndarray, charge: int, multiplicity: int) -> str:
    """Why a molecule has no such electrons, in words; empty where it can have them.

    Args:
        numbers: atomic numbers.
        charge: in e.
        multiplicity: 2S + 1, one more than the unpaired electrons.
    """
    n = int(numbers.sum()) - charge
    if n < 0:
        return (
            f"a charge of {charge:+.4g} e, more than its {int(numbers.sum())} electrons;"
            " expected fewer"
        )
    if charge < -_MOST_ADDED * len(numbers):
        return (
            f"a charge of {charge:+.4g} e on {len(numbers)} atoms; expected at least"
            f" {-_MOST_ADDED * len(numbers)}, {_MOST_ADDED} electrons more for each"
        )
    least = lowest_multiplicity(numbers, charge)
    fitting = [str(least + 2 * i) for i in range(3) if least + 2 * i <= n + 1]
    if multiplicity > 0 and (n - multiplicity) % 2 and multiplicity <= n + 1:
        return ""
    charged = f" at a charge of {charge:+d}" if charge else ""
    return (
        f"{n} electrons{charged} and a multiplicity of {multiplicity}; expected"
        f" {' or '.join(fitting)}, or another charge (charge=... and multiplicity=... in the file,"
        " or --charge and --multiplicity)"
    )


def masses_problem(frame: Frame) -> str:
    """Why the masses of a frame are not the standard ones, in words; empty where they are."""
    if frame.masses is None:
        return ""
    usual = atomic_masses[frame.atomic_numbers]
    k = int(np.abs(frame.masses - usual).argmax())
    if abs(frame.masses[k] - usual[k]) < _MASS_TOL:
        return ""
    return (
        f"a mass of {frame.masses[k]:g} amu at atom {atom_label(frame.atomic_numbers, k)};"
        f" expected {usual[k]:g}, as standard atomic masses are all that is known here"
    )


def unit_problem(frame: Frame) -> str:
    """Why it is not clear whether lengths are in A or in Bohr, in words; empty where it is."""
    if frame.unit in ("bohr", "angstrom") or not 1 < len(frame.atomic_numbers) <= 1000:
        return ""
    scaled = Batch.pack([frame.positions], [frame.atomic_numbers]).scaled_distances
    nearest = scaled[0].amin(1).numpy()
    if frame.unit == "bohr?":
        if np.median(nearest) > BOND_SCALE:
            return ""
        return (
            "the word Bohr in its comment and distances of angstrom; expected units=angstrom or"
            " units=bohr in the comment"
        )
    in_bohr = nearest * ANGSTROM_PER_BOHR
    if len(nearest) < 3 or frame.atomic_numbers.max() == 1 or nearest.min() < BOND_SCALE:
        return ""
    if in_bohr.max() > BOND_SCALE or in_bohr.min() < 0.7:
        return ""
    return (
        "no two atoms at the distance of a bond, and all of them in Bohr; expected A, or"
        " units=bohr, or units=angstrom in the comment if they are"
    )
