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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import h5py
import networkx as nx
import numpy as np
import torch
from ase.symbols import Symbols
from numpy.random import Generator
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from gadlib import calculators
from gadlib.data import paths
from gadlib.data.paths import Surface, Unsuitable, aligned, descend, drive, follow, is_same, propose
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
class Criteria:
    """What a reaction must satisfy to be kept; the file carries these numbers."""

    max_force: float = 0.005  # eV/A on any atom, at all three points
    min_imaginary_cm1: float = 100.0
    min_barrier: float = 0.1  # eV, seen from either side
    max_barrier: float = 6.0
    max_fragment_gap: float = 3.5  # A between the fragments of a product
    max_two_fragment_products: int = 6
    duplicate_energy: float = 0.05  # eV between saddles of isomorphic reactions: the same saddle
    max_per_formula: int = 5
    max_per_molecule: int = 3
    min_atoms: int = 4
    max_atoms: int = 15


CRITERIA = Criteria()


@dataclass(frozen=True)
class Molecule:
    """A molecule of the library at its minimum, with random numbers of its own."""

    smiles: str
    surface: Surface
    positions: np.ndarray
    rng: Generator


@dataclass(frozen=True)
class Reaction:
    """Reactant, transition state and product in this order, on common axes."""

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    graphs: tuple[nx.Graph, nx.Graph]
    imaginary_cm1: float

    @property
    def formula(self) -> str:
        """In Hill's order."""
        return hill(self.numbers)

    @property
    def n_product_fragments(self) -> int:
        """The number of molecules in the product."""
        return nx.number_connected_components(self.graphs[1])

    def is_duplicate_of(self, other: Reaction) -> bool:
        """Whether both join isomorphic ends over a saddle of about the same energy."""
        if self.formula != other.formula:
            return False
        if abs(self.energy[1] - other.energy[1]) > CRITERIA.duplicate_energy:
            return False
        (a, b), (c, d) = self.graphs, other.graphs
        return (is_same(a, c) and is_same(b, d)) or (is_same(a, d) and is_same(b, c))


def hill(numbers: np.ndarray) -> str:
    """The formula in Hill's order."""
    return Symbols(numbers).get_chemical_formula("hill")


def fragment_gap(graph: nx.Graph, positions: np.ndarray) -> float:
    """The smallest distance in angstrom between two fragments; 0 when there is one."""
    parts = [sorted(part) for part in nx.connected_components(graph)]
    if len(parts) == 1:
        return 0.0
    apart = positions[parts[0]][:, None] - np.delete(positions, parts[0], axis=0)
    return float(np.linalg.norm(apart, axis=-1).min())


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


def require_reaction(reaction: Reaction) -> None:
    """Nothing, when the ends and the barriers are acceptable; else raises `Unsuitable`."""
    reactant, product = reaction.graphs
    if is_same(reactant, product):
        raise Unsuitable("both ends have the same bonds")
    barriers = reaction.energy[1] - reaction.energy[[0, 2]]
    if barriers.min() < CRITERIA.min_barrier:
        raise Unsuitable("barrier too low")
    if barriers.max() > CRITERIA.max_barrier:
        raise Unsuitable("barrier too high")
    if not nx.is_connected(reactant) or reaction.n_product_fragments > 2:
        raise Unsuitable("ends in fragments")
    if fragment_gap(product, reaction.positions[2]) > CRITERIA.max_fragment_gap:
        raise Unsuitable("fragments drift off")


def require_new(reaction: Reaction, known: Sequence[Reaction]) -> None:
    """Nothing, when the reaction adds to the known ones; else raises `Unsuitable`."""
    if any(reaction.is_duplicate_of(other) for other in known):
        raise Unsuitable("duplicate")
    n_two = sum(other.n_product_fragments == 2 for other in known)
    if reaction.n_product_fragments == 2 and n_two >= CRITERIA.max_two_fragment_products:
        raise Unsuitable("enough two-fragment products")


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
    reactions: list[Reaction] = []
    rejected: Counter[str] = Counter()
    per_formula: Counter[str] = Counter()
    per_molecule: Counter[str] = Counter()
    molecules = list(build_molecules(seed))
    for molecule in molecules * MAX_ROUNDS:
        formula = hill(molecule.surface.numbers)
        is_full = per_formula[formula] >= CRITERIA.max_per_formula
        if is_full or per_molecule[molecule.smiles] >= CRITERIA.max_per_molecule:
            continue
        if len(reactions) == count:
            break
        try:
            reaction = find_reaction(molecule)
            require_new(reaction, reactions)
        except Unsuitable as reason:
            rejected[str(reason)] += 1
            continue
        reactions.append(reaction)
        per_formula[formula] += 1
        per_molecule[molecule.smiles] += 1
        logging.info("%d %s %s", len(reactions), formula, np.round(np.diff(reaction.energy), 2))
    return reactions, rejected


def split_by_formula(reactions: Sequence[Reaction]) -> dict[str, list[str]]:
    """The formulas of each split: by size, each to the split that lacks most reactions so far."""
    sizes = Counter(reaction.formula for reaction in reactions)
    n_atoms = {reaction.formula: len(reaction.numbers) for reaction in reactions}
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    filled: Counter[str] = Counter()
    for formula in sorted(sizes, key=lambda f: (n_atoms[f], f)):
        total = filled.total() + sizes[formula]
        name = max(SPLITS, key=lambda s: SPLITS[s] * total - filled[s])
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
        "script_sha256": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "paths_sha256": hashlib.sha256(Path(paths.__file__).read_bytes()).hexdigest(),
        "command": f"python -m gadlib.data.make_reactions --seed {seed} --count {count}",
        "seed": seed,
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "criteria": json.dumps({**asdict(CRITERIA), "bond_scale": chemistry.BOND_SCALE}),
        "license": "MIT",
    }


def write(path: Path, reactions: Sequence[Reaction], attributes: dict[str, str | int]) -> None:
    """The file: reactions numbered as found, and the three splits as soft links by formula."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:  # half the size of the old format
        file.attrs.update(attributes)
        for i, reaction in enumerate(reactions):
            write_reaction(file.create_group(f"data/{reaction.formula}/rxn{i:04d}"), reaction)
        for name, formulas in split_by_formula(reactions).items():
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
    reactions, rejected = collect(arguments.seed, arguments.count)
    attributes = provenance(arguments.seed, arguments.count)
    attributes["rejected_attempts"] = json.dumps(dict(sorted(rejected.items())))
    write(arguments.out, reactions, attributes)
    logging.info("%d reactions; rejected attempts: %s", len(reactions), rejected)


if __name__ == "__main__":
    main()
