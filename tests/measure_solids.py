"""Hops on slabs and in a crystal, by gadlib and by Sella: `python tests/measure_solids.py`.

Every system is searched from the same starts, at a part of the way to the known saddle, some of
them disturbed by 0.1 A on each coordinate of what moves.
"""

from __future__ import annotations

import logging
import statistics
import warnings
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS
from hops import disturbed
from sella import Sella

from gadlib import SaddleSearch

STARTS = ((0.5, None), (0.35, None), (0.1, None), (0.5, 1), (0.35, 2), (0.2, 3), (0.1, 4))
"""Parts of the way from minimum to minimum, and the seeds of the noise."""


class Counted(EMT):
    """EMT that counts its calls."""

    n_calls = 0

    def calculate(self, *args, **options):
        Counted.n_calls += 1
        super().calculate(*args, **options)


def relaxed(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.005)
    return atoms


def adatom(surface: str, adsorbate: str, size: tuple[int, int, int], site: float) -> Atoms:
    slab = fcc100(surface, size=size)
    add_adsorbate(slab, adsorbate, 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    slab.positions[-1, 0] += site * slab.cell[0, 0] / size[0]
    return slab


def vacancy(share: float) -> Atoms:
    crystal = bulk("Cu") * 3
    hole = crystal.positions[0].copy()
    del crystal[0]
    crystal.positions[0] += share * (hole - crystal.positions[0])
    return crystal


SYSTEMS: dict[str, Callable[[float], Atoms]] = {
    "Au on Al(100), 2x2x3": lambda part: adatom("Al", "Au", (2, 2, 3), part),
    "Cu on Cu(100), 3x3x3": lambda part: adatom("Cu", "Cu", (3, 3, 3), part),
    "Au on Cu(100), 3x3x3": lambda part: adatom("Cu", "Au", (3, 3, 3), part),
    "vacancy in Cu, 26 atoms": vacancy,
}


def starts(make: Callable[[float], Atoms]) -> list[Atoms]:
    """Atoms along the straight way from minimum to saddle."""
    low, top = relaxed(make(0.0)), relaxed(make(0.5))
    found = []
    for part, seed in STARTS:
        atoms = low.copy()
        atoms.positions += part / 0.5 * (top.positions - low.positions)
        found.append(atoms if seed is None else disturbed(atoms, 0.1, seed))
    return found


def by_gadlib(atoms: Atoms) -> tuple[bool, int, int]:
    """Whether it converged, its gradients, and the calls of the proof."""
    atoms.calc, before = Counted(), Counted.n_calls
    search = SaddleSearch(atoms, logfile=None)
    is_found = search.run(fmax=0.01, steps=300)
    return is_found, search.n_gradient, Counted.n_calls - before - search.n_gradient


def by_sella(atoms: Atoms) -> tuple[bool, int, int]:
    """Whether it converged, its gradients, and no proof."""
    atoms.calc, before = Counted(), Counted.n_calls
    np.random.seed(0)  # noqa: NPY002 - Sella draws from numpy's global state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_found = bool(Sella(atoms, order=1, logfile=None).run(fmax=0.01, steps=300))
    return is_found, Counted.n_calls - before, 0


def main() -> None:
    logging.disable(logging.WARNING)
    print("| system | barrier (eV) | solver | found | gradients, median (range) | proof |")
    print("|---|---|---|---|---|---|")
    for name, make in SYSTEMS.items():
        barrier = (
            relaxed(make(0.5)).get_potential_energy() - relaxed(make(0.0)).get_potential_energy()
        )
        low = relaxed(make(0.0)).get_potential_energy()
        for solver, run in (("`trust`", by_gadlib), ("Sella", by_sella)):
            spent, proofs, n_found = [], [], 0
            for atoms in starts(make):
                is_found, n_gradients, proof = run(atoms)
                height = atoms.get_potential_energy() - low
                n_found += is_found and abs(height - barrier) < 0.005
                spent.append(n_gradients)
                proofs.append(proof)
            told = f"{statistics.median(spent):.0f} ({min(spent)}-{max(spent)})"
            n, proof = len(STARTS), max(proofs)
            print(f"| {name} | {barrier:.3f} | {solver} | {n_found} of {n} | {told} | {proof} |")


if __name__ == "__main__":
    main()
