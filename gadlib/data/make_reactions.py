"""The embedded reaction set: elementary reactions at DFTB0, found by this script alone.

For each molecule of a library, bonds drawn at random are pulled apart and together; the highest
point of the driven path starts a saddle search. From a saddle the intrinsic reaction coordinate is
followed both ways, and both ends are relaxed (`paths`). What passes every criterion is written in
the layout of Transition1x. The reactant is the end with fewer fragments, then the one lower in
energy. On the same machine and with the same versions the same seed gives the same file. Nothing
imports this module; it needs scine-sparrow, rdkit and networkx, and takes some ten minutes:

    python -m gadlib.data.make_reactions --out reactions.h5
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import networkx as nx
import numpy as np
import torch
from numpy.random import Generator
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from gadlib import calculators
from gadlib.data import paths, reactions
from gadlib.data.paths import Surface, Unsuitable, aligned, descend, drive, follow, propose
from gadlib.data.reactions import CRITERIA, Reaction, hill, require_new, require_reaction
from gadlib.molecules import bonds as chemistry
from gadlib.units import frequency_cm1

LIBRARY = """
C=O N=N OO N=C=O OC=O CO C=N NC#N C=C=O NC=O C=NO CC=O C=CO C1CO1 CC#N CC#C C=C=C C[N+](=O)[O-]
O=CC=O CC(=O)O COC=O CCO COC C1CN1 C1CC1 CC=C C=CC=C C1=CCC1 C#CCC C=CC=O C#CC=O O=CC=CO CC(=O)N
NC(=O)N NCC(=O)O C1CCO1 CC(=O)C CC(O)=C C1CNC1 C1CCC1 CCC=C c1ccoc1 c1cc[nH]c1 c1cocn1 c1ccon1
c1c[nH]cn1 c1cc[nH]n1 C1=CCC=C1 C1=CCCC1 c1ccccc1 c1ccncc1 Oc1ccccc1 Nc1ccccc1 Oc1ccccn1 CN(C)C=O
CCCO C=COC=C C=CCOC=C CCC(C)=O CCCC=O C=CC1CC1 C1C2C=CC1C=C2 C1=CCC=CC=C1 C1C2CC12 C=CN=[N+]=[N-]
CN=[N+]=[N-] C=[N+]=[N-] CC[N+](=O)[O-] CNC=O CC=NO CC(C)=NO CN=C=O CNN c1nn[nH]n1 c1nc[nH]n1
O=c1cc[nH]c(=O)[nH]1 O=C1C=CC(=O)O1 O=C1C=CCO1 C1CCOC=C1 O=C1CCN1 O=C1CCO1 C#CC(=O)O C=CC(=O)O
CC(=O)OC CCOC=O CC(=O)C(=O)O CNC(C)=O C=CC#N CC(N)C(=O)O NCCO OCCO OCC=O CC(O)C#N NC=CC=O ON=CC=O
C1=CC=CC1=O CC1CO1 C1OCO1 CC(=O)C=C C#CC=C CN1CC1 NC(N)=N COC=C CCN CC(C)=C=O C1=COC=CO1 OCC=C
O=C1C=CC=CN1 Cc1ccno1 Cc1ncc[nH]1
"""
LEVEL = "DFTB0"
POINTS = ("reactant", "transition_state", "product")
SPLITS = {"train": 0.6, "val": 0.2, "test": 0.2}
MAX_ROUNDS = 60


@dataclass(frozen=True)
class Molecule:
    """A molecule of the library at its minimum, with random numbers of its own."""

    smiles: str
    surface: Surface
    positions: np.ndarray
    rng: Generator


def find_reaction(molecule: Molecule) -> Reaction:
    """One reaction from a random drive of the molecule.

    Raises:
        Unsuitable: with the reason, when the attempt does not end in an acceptable reaction.
    """
    surface = molecule.surface
    bonds = propose(surface.graph(molecule.positions), molecule.rng)
    top, along = drive(surface, molecule.positions, *bonds)
    saddle = follow(surface, top, order=1, along=along)
    saddle = saddle - saddle.mean(0)
    if not nx.is_connected(surface.graph(saddle)):
        raise Unsuitable("saddle in fragments")
    peak = surface.at(saddle)
    if -frequency_cm1(peak.eigenvalues[0]) < CRITERIA.min_imaginary_cm1:
        raise Unsuitable("saddle too soft")
    ends = [descend(surface, saddle, sign * peak.modes[:, 0]) for sign in (1, -1)]
    ends.sort(key=lambda p: (chemistry.n_fragments(surface.batch(p)).item(), surface.at(p).energy))
    positions = np.stack([aligned(ends[0], saddle), saddle, aligned(ends[1], saddle)])
    points = [surface.at(p) for p in positions]
    reaction = Reaction(
        smiles=molecule.smiles,
        numbers=surface.numbers,
        positions=positions,
        energy=np.array([p.energy for p in points]),
        forces=np.stack([p.forces for p in points]),
        graphs=(surface.graph(positions[0]), surface.graph(positions[2])),
        imaginary_cm1=-frequency_cm1(points[1].eigenvalues[0]),
    )
    if [p.order for p in points] != [0, 1, 0]:
        raise Unsuitable("wrong number of negative eigenvalues")
    if max(p.max_force for p in points) > CRITERIA.max_force:
        raise Unsuitable("forces left")
    require_reaction(reaction)
    return reaction


def build_molecules(seed: int) -> Iterator[Molecule]:
    """The library, relaxed."""
    calculator = calculators.get("scine", functional=LEVEL)
    for i, smiles in enumerate(LIBRARY.split()):
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMolecule(molecule, randomSeed=seed + 1)
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        if not CRITERIA.min_atoms <= len(numbers) <= CRITERIA.max_atoms:
            raise ValueError(f"{smiles} has {len(numbers)} atoms")
        surface = Surface(calculator, numbers)
        try:
            minimum = follow(surface, molecule.GetConformer().GetPositions(), order=0)
        except Unsuitable as reason:
            logging.warning("%s is left out: %s", smiles, reason)
            continue
        yield Molecule(smiles, surface, minimum, np.random.default_rng([seed, i]))


def collect(seed: int, count: int) -> tuple[list[Reaction], Counter[str]]:
    """The first `count` reactions of rounds over the library, and why attempts were rejected."""
    found: list[Reaction] = []
    rejected: Counter[str] = Counter()
    per_formula: Counter[str] = Counter()
    per_molecule: Counter[str] = Counter()
    molecules = list(build_molecules(seed))
    for molecule in molecules * MAX_ROUNDS:
        formula = hill(molecule.surface.numbers)
        is_full = per_formula[formula] >= CRITERIA.max_per_formula
        if is_full or per_molecule[molecule.smiles] >= CRITERIA.max_per_molecule:
            continue
        if len(found) == count:
            break
        try:
            reaction = find_reaction(molecule)
            require_new(reaction, found)
        except Unsuitable as reason:
            rejected[str(reason)] += 1
            continue
        found.append(reaction)
        per_formula[formula] += 1
        per_molecule[molecule.smiles] += 1
        logging.info("%d %s %s", len(found), formula, np.round(np.diff(reaction.energy), 2))
    return found, rejected


def split_by_formula(
    found: Sequence[Reaction], known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[str]]:
    """The formulas of each split: by size, each to the split that lacks most reactions so far.

    Those whose split is known are counted first, and stay in theirs.
    """
    sizes = Counter(reaction.formula for reaction in found)
    n_atoms = {reaction.formula: len(reaction.numbers) for reaction in found}
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    filled: Counter[str] = Counter()
    for formula in sorted(sizes, key=lambda f: (f not in known, n_atoms[f], f)):
        total = filled.total() + sizes[formula]
        lacking = max(SPLITS, key=lambda s: SPLITS[s] * total - filled[s])
        name = known.get(formula, lacking)
        splits[name].append(formula)
        filled[name] += sizes[formula]
    return splits


def write_reaction(group: h5py.Group, reaction: Reaction) -> None:
    """The reaction in Transition1x's layout, with where it came from as attributes."""
    group.attrs["library_smiles"] = reaction.smiles
    group.attrs["imaginary_cm1"] = reaction.imaginary_cm1

    def fill(target: h5py.Group, part: slice) -> None:
        target["atomic_numbers"] = reaction.numbers
        target["positions"] = reaction.positions[part]
        target[f"{LEVEL}.energy"] = reaction.energy[part]
        target[f"{LEVEL}.forces"] = reaction.forces[part]

    fill(group, slice(None))
    for i, name in enumerate(POINTS):
        point = group.create_group(name)
        fill(point, slice(i, i + 1))
        content = reaction.numbers.tobytes() + reaction.positions[i].tobytes()
        point["hash"] = hashlib.sha256(content).hexdigest()[:32]


def provenance(seed: int, count: int) -> dict[str, str | int]:
    """What a reader needs to make the file again."""
    packages = ("numpy", "scipy", "torch", "ase", "rdkit", "networkx", "scine-sparrow")
    versions = {name: version(name) for name in (*packages, "scine-utilities")}
    return {
        "title": "gadlib embedded reaction set",
        "level_of_theory": f"{LEVEL} (3ob-3-1 parameters), SCINE Sparrow; gas phase, singlet",
        "units": "angstrom, eV, eV/angstrom",
        "script": "gadlib.data.make_reactions",
        "script_sha256": _sha256_of(__file__, reactions.__file__),
        "paths_sha256": _sha256_of(paths.__file__),
        "command": f"python -m gadlib.data.make_reactions --seed {seed} --count {count}",
        "seed": seed,
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "criteria": json.dumps({**asdict(CRITERIA), "bond_scale": chemistry.BOND_SCALE}),
        "license": "MIT",
    }


def _sha256_of(*files: str) -> str:
    """The checksum of files, one after the other."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def write(
    path: Path,
    found: Sequence[Any],
    attributes: dict[str, str | int],
    write_one: Callable[[h5py.Group, Any], None] = write_reaction,
    known: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """The file: reactions numbered as found, and the three splits as soft links by formula.

    Each is written by `write_one`; the splits of some formulas may be known.
    """
    with h5py.File(path, "w", libver=("v110", "v110")) as file:  # half the size of the old format
        file.attrs.update(attributes)
        for i, reaction in enumerate(found):
            write_one(file.create_group(f"data/{reaction.formula}/rxn{i:04d}"), reaction)
        for name, formulas in split_by_formula(found, known).items():
            split = file.create_group(name)
            for formula in formulas:
                split[formula] = h5py.SoftLink(f"/data/{formula}")


def main() -> None:
    """Make the file."""
    parser = argparse.ArgumentParser(description="Make the embedded reaction set.")
    parser.add_argument("--out", type=Path, required=True, help="the HDF5 file to write")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--count", type=int, default=100, help="reactions wanted")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    found, rejected = collect(arguments.seed, arguments.count)
    attributes = provenance(arguments.seed, arguments.count)
    attributes["rejected_attempts"] = json.dumps(dict(sorted(rejected.items())))
    write(arguments.out, found, attributes)
    logging.info("%d reactions; rejected attempts: %s", len(found), rejected)


if __name__ == "__main__":
    main()
