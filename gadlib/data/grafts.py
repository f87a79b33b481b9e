"""Larger molecules of small ones: groups put in the place of hydrogens that do not react.

A group is placed along the bond that it takes over, turned to where it has most room, and relaxed
while the reacting core is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from ase.data import covalent_radii
from numpy.random import Generator
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from scipy.spatial.transform import Rotation

from gadlib.data.paths import Unsuitable
from gadlib.data.reactions import Reaction

GROUPS = (
    "C CC OC C(F)(F)F N(C)C C(C)C C(C)(C)C c1ccccc1 C1CCCCC1 CCCC OCC CCOC C(=O)OC Si(C)(C)C"
    " c1ccc(F)cc1 c1ccc(OC)cc1 Cc1ccccc1 CCCCCC c1ccc(C(C)(C)C)cc1 C1CCCC1 c1ccsc1 C#CC CCN(C)C"
)
"""SMILES whose first atom takes the place of a hydrogen."""

LEAST_ROOM = 0.8
"""How close atoms of a group may come to others, in sums of covalent radii times 2."""

LEAST_ATOMS = 25
TURNS = 24
MOST_GROUPS = 3


@dataclass(frozen=True)
class Grafted:
    """A start of a saddle search of a larger molecule.

    Attributes:
        smiles: of the groups, joined by dots.
        kept: the atoms of the small molecule that are left, by their places there; they come first.
        positions: in A.
    """

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    kept: np.ndarray


@cache
def template(smiles: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions of a group, its first atom at 0, its free bond along -z."""
    first = smiles[:2] if smiles[:2] == "Si" else smiles[0]
    rest = smiles[len(first) :]
    text = f"[SiH]{rest}" if first == "Si" else smiles
    molecule = Chem.AddHs(Chem.MolFromSmiles(text))
    bonded = [n.GetIdx() for n in molecule.GetAtomWithIdx(0).GetNeighbors()]
    gone = next(i for i in bonded if molecule.GetAtomWithIdx(i).GetAtomicNum() == 1)
    rdDistGeom.EmbedMolecule(molecule, randomSeed=seed + 1)
    rdForceFieldHelpers.UFFOptimizeMolecule(molecule)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    positions = molecule.GetConformer().GetPositions()
    positions = positions - positions[0]
    free = positions[gone] / np.linalg.norm(positions[gone])
    turn = Rotation.align_vectors([[0, 0, -1]], [free])[0]
    keep = np.arange(len(numbers)) != gone
    return numbers[keep], turn.apply(positions[keep])


def spectators(reaction: Reaction) -> list[tuple[int, int]]:
    """The hydrogens that keep their one neighbour over the whole reaction, with these."""
    found = []
    neighbours = [
        (np.linalg.norm(p[:, None] - p[None], axis=-1) / _sums(reaction.numbers) < 1.3)
        & ~np.eye(len(p), dtype=bool)
        for p in reaction.positions
    ]
    for i in np.flatnonzero(reaction.numbers == 1):
        own = [np.flatnonzero(near[i]) for near in neighbours]
        is_same = all(len(one) == 1 for one in own) and len({int(one[0]) for one in own}) == 1
        if is_same and reaction.numbers[own[0][0]] in (6, 7, 14):
            found.append((int(i), int(own[0][0])))
    return found


def _sums(numbers: np.ndarray) -> np.ndarray:
    radii = covalent_radii[numbers]
    return radii[:, None] + radii[None]


def graft(reaction: Reaction, n_atoms: int, rng: Generator, seed: int) -> Grafted:
    """The saddle of a reaction with groups drawn at random, of at least about that many atoms.

    Raises:
        Unsuitable: when no hydrogen is free, or no group has room.
    """
    places = _one_of_each(spectators(reaction), reacting(reaction), rng)
    numbers, positions = reaction.numbers.copy(), reaction.positions[1].copy()
    gone: list[int] = []
    names: list[str] = []
    for place, (hydrogen, parent) in enumerate(places[:MOST_GROUPS]):
        missing = n_atoms - len(numbers) + len(gone)
        if missing <= 0:
            break
        share = missing / (min(len(places), MOST_GROUPS) - place)
        name = _drawn(share, rng, seed)
        gone.append(hydrogen)
        own, shape = template(name, seed)
        present = np.delete(np.arange(len(numbers)), gone)
        at = _placed(numbers, positions, present, (hydrogen, parent), own, shape)
        numbers = np.concatenate([numbers, own])
        positions = np.concatenate([positions, at])
        names.append(name)
    if not names or len(numbers) - len(gone) < LEAST_ATOMS:
        raise Unsuitable("no room for groups")
    kept = np.delete(np.arange(len(reaction.numbers)), gone)
    all_kept = np.delete(np.arange(len(numbers)), gone)
    return Grafted(".".join(names), numbers[all_kept], positions[all_kept], kept)


def changes(reaction: Reaction) -> list[tuple[int, int]]:
    """The bonds that break or are made."""
    before, after = ({frozenset(edge) for edge in graph.edges} for graph in reaction.graphs)
    return sorted((min(bond), max(bond)) for bond in before ^ after)


def reacting(reaction: Reaction) -> set[int]:
    """The atoms whose bonds change."""
    return {i for bond in changes(reaction) for i in bond}


def _one_of_each(
    places: Sequence[tuple[int, int]], avoided: set[int], rng: Generator
) -> list[tuple[int, int]]:
    """One hydrogen of each neighbour in random order, last those of the neighbours to avoid.

    Groups on atoms that react change the reaction: two on the carbon of a bond that breaks moved
    most saddles too far to be found again.
    """
    drawn = [places[i] for i in rng.permutation(len(places))]
    own = {parent: (hydrogen, parent) for hydrogen, parent in drawn}
    return sorted(own.values(), key=lambda place: place[1] in avoided)


def _drawn(share: float, rng: Generator, seed: int) -> str:
    """A group of about as many atoms as are missing, at random among the five nearest."""
    by_size = sorted(GROUPS.split(), key=lambda name: abs(len(template(name, seed)[0]) - 1 - share))
    return str(by_size[rng.integers(5)])


def _placed(
    numbers: np.ndarray,
    positions: np.ndarray,
    present: np.ndarray,
    bond: tuple[int, int],
    own: np.ndarray,
    shape: np.ndarray,
) -> np.ndarray:
    """The positions of the group's atoms, turned about the bond to where they have most room."""
    hydrogen, parent = bond
    along = positions[hydrogen] - positions[parent]
    along = along / np.linalg.norm(along)
    length = covalent_radii[numbers[parent]] + covalent_radii[own[0]]
    onto = Rotation.align_vectors([along], [[0, 0, 1]])[0]
    others = present[present != parent]
    sums = covalent_radii[numbers[others]][:, None] + covalent_radii[own[1:]][None]
    best, most = None, 0.0
    for angle in np.linspace(0, 2 * np.pi, TURNS, endpoint=False):
        turned = Rotation.from_rotvec(angle * along).apply(onto.apply(shape))
        at = positions[parent] + length * along + turned
        apart = np.linalg.norm(positions[others][:, None] - at[None, 1:], axis=-1) / sums
        room = float(apart.min()) if apart.size else 9.0
        if room > most:
            best, most = at, room
    if best is None or most < 2 * LEAST_ROOM:
        raise Unsuitable("no room for groups")
    return best
