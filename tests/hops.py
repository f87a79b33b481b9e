"""Systems of solids whose saddles follow from symmetry: an adatom and a vacancy that hop."""

from functools import cache

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS


def relaxed(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.002)
    return atoms


@cache
def _adatom(site: float) -> Atoms:
    slab = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    slab.positions[-1, 0] += site * slab.cell[0, 0] / 2
    return relaxed(slab)


def adatom(site: float = 0.0) -> Atoms:
    """Gold on Al(100), relaxed: in a hollow (0), or on the bridge to the next one (0.5).

    That of ASE's tutorial on diffusion, whose barrier is 0.374 eV: both sites are so symmetric that
    a relaxation stays there.
    """
    return copied(_adatom(site))


@cache
def _vacancy(share: float) -> Atoms:
    crystal = bulk("Cu") * 3
    hole = crystal.positions[0].copy()
    del crystal[0]
    crystal.positions[0] += share * (hole - crystal.positions[0])
    return relaxed(crystal)


def vacancy(share: float = 0.0) -> Atoms:
    """A vacancy in copper, relaxed, atom 0 at its place (0), or half way into the hole (0.5)."""
    return copied(_vacancy(share))


def copied(atoms: Atoms) -> Atoms:
    new = atoms.copy()
    new.calc = EMT()
    return new


def disturbed(atoms: Atoms, noise: float, seed: int = 1) -> Atoms:
    """The atoms that move, each coordinate shaken by so many A."""
    moves = np.ones((len(atoms), 1))
    for constraint in atoms.constraints:
        moves[constraint.get_indices()] = 0
    atoms.positions += noise * moves * np.random.default_rng(seed).normal(size=(len(atoms), 3))
    return atoms
