"""Guesses of saddles of reactions of 25 to 80 atoms, by hand: which atoms react, and how far apart.

Each is a SMILES whose reacting atoms have numbers. Distances between them are in A, one torsion of
four of them in degrees; RDKit embeds the rest around these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from scipy.spatial.distance import pdist

from gadlib.data.paths import Unsuitable

N_SHAPES = 16
"""Embedded for each guess, of which the one of least energy (UFF) is taken."""

CLOSEST = 0.9
"""A between any two atoms of a shape: closer ones are of molecules that lie in one another."""

HARD = 5e4
"""Of what holds the reacting atoms, in kcal/mol for A or degrees squared: UFF's bonds have 700."""


ROOM = 2.0
"""Least distance in A at which atoms of two molecules are embedded."""


@dataclass(frozen=True)
class Guess:
    """A guess of a saddle.

    Attributes:
        apart: pairs of atoms whose bonds change, with their distances in A.
        torsion: four atoms and their angle in degrees, of a rotation; else empty.
        reacting: all the atoms that are held while the rest is relaxed.
    """

    name: str
    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    multiplicity: int
    apart: dict[tuple[int, int], float]
    torsion: tuple[int, ...]
    angle: float
    reacting: tuple[int, ...]


HAND_MADE: dict[str, tuple[str, str]] = {
    "claisen": ("[CH2:1]=[C:2](c7ccccc7)[O:3][CH:4](CC)[CH:5]=[CH:6]C", "3-4 1.95, 1-6 2.25"),
    "cope": ("[CH2:1]=[CH:2][CH:3](c7ccccc7)[CH:4](C)[C:5](C)=[CH2:6]", "3-4 2.0, 1-6 2.0"),
    "amide_rotation": ("c1ccccc1C[N:3]([CH3:4])[C:2](=[O:1])CCc1ccccc1", "1-2-3-4 90"),
    "chloride_exchange_benzyl": ("[Cl-:1].[CH2:2]([Cl:3])c1ccc(C(C)(C)C)cc1", "1-2 2.35, 2-3 2.35"),
    "proton_in_salicylaldimine": (
        "[H:2][O:1]c1cc(OC)ccc1C=[N:3]c1ccc(C(C)C)cc1",
        "1-2 1.25, 2-3 1.25",
    ),
    "iminium_rotation": ("CN(C)c1ccc(cc1)[CH:1]=[CH:2][CH:3]=[N+:4]1CCOCC1", "1-2-3-4 90"),
    "azide_alkyne": ("[N:1](Cc1ccccc1)=[N+:5]=[N-:2].[C:3](c1ccccc1)#[CH:4]", "1-3 2.2, 2-4 2.15"),
    "ester_rotation": ("c1ccccc1CC[C:2](=[O:1])[O:3][CH2:4]CCCCC(C)C", "1-2-3-4 90"),
    "hydrogen_over_pentadiene": (
        "[CH:1](CCC)=[CH:3][C:4](c7ccccc7)=[CH:5][CH:2]([H:6])CC",
        "1-6 1.45, 2-6 1.45",
    ),
    "guanidinium_rotation": ("COC(=O)C(NC(=O)C)CC[CH2:1][NH:2][C:3](=[NH2+])[NH2:4]", "1-2-3-4 90"),
    "cyclobutene_opening": ("[CH:1]1(C(=O)OC)[CH:2](c2ccccc2)[C:3](CC)=[CH:4]1", "1-2 2.1"),
    "thiolate_octyl_bromide": ("C(CO)[S-:1].[CH2:2](CCCCCCC)[Br:3]", "1-2 2.5, 2-3 2.45"),
    "biaryl_rotation": ("C[c:1]1cc(C(C)(C)C)cc[c:2]1-[c:3]1[c:4](OC)cccc1C", "1-2-3-4 180"),
    "ester_pyrolysis": (
        "c1ccccc1C(=[O:1])[O:2][CH:3](CCC)[CH:4]([H:5])CC",
        "2-3 2.1, 4-5 1.32, 5-1 1.35",
    ),
    "peptide_rotation": ("CC(=O)NC(C)C(=O)[NH:1][CH:2](Cc1ccccc1)[C:3](=O)[NH:4]C", "1-2-3-4 60"),
    "hydrogen_to_benzyl": ("[CH2:1]c1ccc(C)cc1.[H:2][CH:3](CC)c1ccc(OC)cc1", "1-2 1.36, 2-3 1.36"),
    "ring_flip": ("[CH2:1]1[CH2:2][CH2:3][CH2:4]C(C(C)(C)C)C1c1ccccc1", "1-2-3-4 0"),
    "hexatriene_closure": (
        "[CH:1](C)=[CH:3]/[CH:4]=[CH:5]\\[CH:6]=[CH:2]c1ccc(C(C)(C)C)cc1",
        "1-2 2.2",
    ),
    "proton_in_dibenzoylmethane": (
        "c1ccccc1C(=[O:1])C=C([O:3][H:2])c1ccc(C(C)(C)C)cc1",
        "1-2 1.22, 2-3 1.22",
    ),
    "keto_acid_loses_co2": (
        "CC(C)(C)C(=[O:1])[C:2](CC)(CC)[C:3](=O)[O:4][H:5]",
        "2-3 2.0, 4-5 1.3, 5-1 1.15",
    ),
    "methyl_transfer_sulfonium": (
        "C1CCCC[N:1]1CCOC.[CH3:2][S+:3](C)Cc1ccccc1",
        "1-2 2.1, 2-3 2.35",
    ),
    "hydrogen_in_alkoxyl": ("[O:1]C(C)(C)CC[CH:2]([H:3])CCCCC", "1-3 1.25, 2-3 1.27"),
    "chain_rotation": ("CCCCCCC[CH2:1][CH2:2][CH2:3][CH2:4]CCCCCCCCCCC", "1-2-3-4 120"),
    "ene_reaction": (
        "[CH2:1]=[C:2](CCC)[CH:3]([H:4])CC.[CH:5](C(=O)OC)=[CH:6]C(=O)OC",
        "1-5 2.1, 3-4 1.35, 4-6 1.4",
    ),
    "peptide_bond": (
        "CC(=O)NC(C(C)C)[C:2](=[O:1])[NH:3][CH:4](C)C(=O)N1CCCC1C(=O)NC",
        "1-2-3-4 90",
    ),
    "diels_alder_diene_acrylate": (
        "[CH2:1]=[CH:5][C:6](C(C)(C)C)=[CH2:2].[CH2:3]=[CH:4]C(=O)OCC",
        "1-3 2.15, 2-4 2.3",
    ),
    "nitrone_styrene": (
        "[O-:1][N+:5](C)=[CH:2]c1ccccc1.[CH2:3]=[CH:4]c1ccc(OC)cc1",
        "2-3 2.1, 1-4 2.3",
    ),
    "protons_in_benzoic_acids": (
        "c1ccccc1C(=[O:1])[O:2][H:3].COc1ccc(cc1)C(=[O:4])[O:5][H:6]",
        "2-3 1.21, 3-4 1.21, 5-6 1.21, 6-1 1.21",
    ),
    "hydride_to_pyridinium": (
        "[H:2][CH:1]1C=CN(Cc2ccccc2)C=C1C(=O)N.[cH:3]1cc[n+](CC)cc1C(=O)N",
        "1-2 1.36, 2-3 1.36",
    ),
    "hydroboration": (
        "[B:1]([H:2])(C1CCCCC1)C1CCCCC1.[CH2:3]=[CH:4]CCCC",
        "1-3 1.8, 2-4 1.7, 1-2 1.27",
    ),
    "claisen_with_chains": (
        "[CH2:1]=[C:2](c7ccc(CCCCCC)cc7)[O:3][CH:4](CCCC)[CH:5]=[CH:6]CCCCC",
        "3-4 1.95, 1-6 2.25",
    ),
    "proton_in_dioctanoylmethane": (
        "CCCCCCCC(=[O:1])C=C([O:3][H:2])c1ccc(CCCCCC)cc1",
        "1-2 1.22, 2-3 1.22",
    ),
    "proton_in_salicylaldimine_with_chains": (
        "[H:2][O:1]c1cc(OCCCCCC)ccc1C=[N:3]c1ccc(CCCCC)cc1",
        "1-2 1.25, 2-3 1.25",
    ),
    "cyclobutene_with_chains": (
        "[CH:1]1(C(=O)OCCCCC)[CH:2](c2ccc(CCCC)cc2)[C:3](CC)=[CH:4]1",
        "1-2 2.1",
    ),
    "cope_with_chains": (
        "[CH2:1]=[CH:2][CH:3](CCCCCC)[CH:4](CCCCC)[C:5](CCc7ccccc7)=[CH2:6]",
        "3-4 2.0, 1-6 2.0",
    ),
}
"""By name the SMILES, and what is held: distances of pairs in A, or a torsion in degrees."""

RADICALS = ("hydrogen_in_alkoxyl", "hydrogen_to_benzyl")


def hand_made(name: str, seed: int) -> Guess:
    """The guess of that name.

    Raises:
        Unsuitable: when RDKit can't embed it.
    """
    smiles, held = HAND_MADE[name]
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = False
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles, parameters))
    place = {a.GetAtomMapNum(): a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomMapNum()}
    apart, torsion, angle = _read(held, place)
    positions = _embedded(molecule, apart, torsion, angle, seed)
    return Guess(
        name,
        np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()]),
        positions,
        Chem.GetFormalCharge(molecule),
        2 if name in RADICALS else 1,
        apart,
        torsion,
        angle,
        torsion or tuple(sorted({i for pair in apart for i in pair})),
    )


def _read(
    held: str, place: dict[int, int]
) -> tuple[dict[tuple[int, int], float], tuple[int, ...], float]:
    """The pairs with their distances, and the torsion with its angle."""
    apart: dict[tuple[int, int], float] = {}
    for part in held.split(","):
        atoms, value = part.split()
        places = tuple(place[int(i)] for i in atoms.split("-"))
        if len(places) == 4:
            return {}, places, float(value)
        apart[places[0], places[1]] = float(value)
    return apart, (), 0.0


def _embedded(
    molecule: Chem.Mol,
    apart: dict[tuple[int, int], float],
    torsion: tuple[int, ...],
    angle: float,
    seed: int,
) -> np.ndarray:
    """The positions of the shape of least energy (UFF) of some embedded ones, in A."""
    Chem.SanitizeMol(molecule)
    bounds = rdDistGeom.GetMoleculeBoundsMatrix(molecule)
    piece = np.zeros(len(bounds), dtype=int)
    for k, atoms in enumerate(Chem.GetMolFrags(molecule)):
        piece[list(atoms)] = k
    far = np.tril(piece[:, None] != piece[None])
    bounds[far] = np.maximum(bounds[far], ROOM)
    for (i, j), distance in apart.items():
        low, high = sorted((i, j))
        bounds[low, high], bounds[high, low] = distance + 0.05, distance - 0.05
    shapes = rdDistGeom.EmbedParameters()
    shapes.randomSeed, shapes.useRandomCoords = seed + 1, True
    shapes.SetBoundsMat(bounds)
    best, least = None, np.inf
    for shape in rdDistGeom.EmbedMultipleConfs(molecule, N_SHAPES, shapes):
        field = rdForceFieldHelpers.UFFGetMoleculeForceField(
            molecule, confId=shape, ignoreInterfragInteractions=False
        )
        field.Initialize()
        for (i, j), distance in apart.items():
            field.UFFAddDistanceConstraint(i, j, False, distance, distance, HARD)
        if torsion:
            field.UFFAddTorsionConstraint(*torsion, False, angle, angle, HARD)
        for _ in range(4):
            field.Minimize(maxIts=500)
        positions, energy = molecule.GetConformer(shape).GetPositions(), field.CalcEnergy()
        if energy < least and pdist(positions).min() > CLOSEST:
            best, least = positions, energy
    if best is None:
        raise Unsuitable("atoms too close in all shapes")
    return best
