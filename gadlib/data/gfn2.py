"""A reaction of the set on GFN2-xTB: what it must satisfy to be kept, and how it is written."""

from __future__ import annotations

import json
import logging
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import networkx as nx
import numpy as np

from gadlib import calculators
from gadlib.data import xtb
from gadlib.data.make_reactions import POINTS, SPLITS, write
from gadlib.data.paths import Unsuitable
from gadlib.data.reactions import Reaction, fragment_gap
from gadlib.data.xtb import Updated
from gadlib.molecules import bonds as chemistry
from gadlib.molecules.reactions import located

MAX_FORCE = 0.01  # eV/A on any atom, at all three points, as of strict saddles
MIN_IMAGINARY_CM1, MIN_BARRIER, MAX_BARRIER = 100.0, 0.03, 6.0  # eV, seen from either side
MAX_FRAGMENT_GAP = 4.0  # A
DUPLICATE_ENERGY = 0.05  # eV between saddles of isomorphic reactions
MAX_PER_FORMULA = 2


@dataclass(frozen=True)
class Found(Reaction):
    """A reaction with its electrons, and where it came from."""

    charge: int = 0
    multiplicity: int = 1
    kind: str = ""
    found_by: str = "p-rfo"


def require(found: Found, reactant: float, top: float) -> None:
    """Raise Unsuitable unless the reaction is an acceptable one."""
    if np.abs(found.energy[:2] - (reactant, top)).max() > 1e-3:
        raise Unsuitable("another density")
    if np.linalg.norm(found.forces, axis=-1).max() > MAX_FORCE:
        raise Unsuitable("forces left")
    if chemistry.is_same(*found.graphs):
        raise Unsuitable("both ends have the same bonds")
    barriers = found.energy[1] - found.energy[[0, 2]]
    if barriers.min() < MIN_BARRIER:
        raise Unsuitable("barrier too low")
    if barriers.max() > MAX_BARRIER:
        raise Unsuitable("barrier too high")
    for graph, positions in zip(found.graphs, found.positions[::2], strict=True):
        if nx.number_connected_components(graph) > 2:
            raise Unsuitable("ends in fragments")
        if fragment_gap(graph, positions) > MAX_FRAGMENT_GAP:
            raise Unsuitable("fragments drift off")


def is_same_reaction(one: Found, other: Found) -> bool:
    """Whether both join isomorphic ends over a saddle of about the same energy."""
    if (one.formula, one.charge) != (other.formula, other.charge):
        return False
    if abs(one.energy[1] - other.energy[1]) > DUPLICATE_ENERGY:
        return False
    (a, b), (c, d) = one.graphs, other.graphs
    same = chemistry.is_same
    return (same(a, c) and same(b, d)) or (same(a, d) and same(b, c))


def _write_one(group: h5py.Group, one: Found) -> None:
    group.attrs.update(
        charge=one.charge,
        multiplicity=one.multiplicity,
        kind=one.kind,
        found_by=one.found_by,
        origin=one.smiles,
        imaginary_cm1=one.imaginary_cm1,
    )
    for i, name in enumerate(POINTS):
        point = group.create_group(name)
        point["atomic_numbers"] = one.numbers.astype(np.uint8)
        positions = one.positions[i : i + 1]
        point.create_dataset("positions", data=positions, compression="gzip", shuffle=True)
        point[f"{xtb.METHOD}.energy"] = one.energy[i : i + 1]


def read_found(path: Path) -> list[Found]:
    """The reactions of a file that was written before, by their numbers; forces are not kept."""
    found = {}
    with h5py.File(path) as file:
        data: Any = file["data"]
        groups: list[Any] = [g for formula in data.values() for g in formula.values()]
        for group in groups:
            numbers = group["reactant/atomic_numbers"][:].astype(int)
            positions = np.concatenate([group[name]["positions"][:] for name in POINTS])
            energy = [group[name][f"{xtb.METHOD}.energy"][0] for name in POINTS]
            given = {k: group.attrs[k] for k in ("charge", "multiplicity", "kind", "found_by")}
            ends = [chemistry.bond_graph_of(numbers, positions[i]) for i in (0, 2)]
            found[group.name.rsplit("/", 1)[1]] = Found(
                smiles=str(group.attrs["origin"]),
                numbers=numbers,
                positions=positions,
                energy=np.array(energy),
                forces=np.zeros_like(positions),
                graphs=(ends[0], ends[1]),
                imaginary_cm1=float(group.attrs["imaginary_cm1"]),
                **given,
            )
    return [found[name] for name in sorted(found)]


def read_splits(path: Path, found: Sequence[Found]) -> dict[str, str]:
    """The split of each formula of these reactions in a file that was written before."""
    formulas = {one.formula for one in found}
    with h5py.File(path) as file:
        groups: list[Any] = [file[split] for split in SPLITS]
        pairs = zip(SPLITS, groups, strict=True)
        return {name: split for split, group in pairs for name in group if name in formulas}


def provenance(seed: int, command: str, n_kept: int) -> dict[str, str | int]:
    """What a reader needs to make the file again."""
    packages = ("numpy", "scipy", "torch", "ase", "rdkit", "networkx", "tblite")
    versions = {name: version(name) for name in packages}
    criteria = {
        "max_force": MAX_FORCE,
        "min_imaginary_cm1": MIN_IMAGINARY_CM1,
        "min_barrier": MIN_BARRIER,
        "max_barrier": MAX_BARRIER,
        "max_fragment_gap": MAX_FRAGMENT_GAP,
        "bond_scale": chemistry.BOND_SCALE,
    }
    return {
        "title": "gadlib embedded reaction set on GFN2-xTB",
        "level_of_theory": f"{xtb.METHOD}, tblite, accuracy {xtb.ACCURACY}; gas phase",
        "units": "angstrom, eV",
        "script": "gadlib.data.make_gfn2_reactions",
        "command": command,
        "note": f"the first {n_kept} were made in several runs that went on from one another while"
        " the script was written; their names and splits stay as they are",
        "seed": seed,
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "criteria": json.dumps(criteria),
        "license": "MIT",
    }


class Collection:
    """What was found so far, and why attempts were rejected; written as it grows.

    Where there is no file yet, it begins with the first `n_kept` of the embedded set.
    """

    def __init__(self, out: Path, attributes: dict[str, str | int], n_kept: int) -> None:
        self.out, self.attributes = out, attributes
        known = out if out.exists() else located("embedded-gfn2")
        self.found = read_found(known)[: None if out.exists() else n_kept]
        self.splits = read_splits(known, self.found[:n_kept])
        self.rejected: Counter[str] = Counter()
        self.calculator = calculators.get(
            "ase",
            ase_calculator="tblite.ase:TBLite",
            ase_options={"method": xtb.METHOD, "accuracy": xtb.ACCURACY},
        )

    def surface(self, numbers: np.ndarray, charge: int, multiplicity: int) -> Updated:
        """The surface of a molecule."""
        return Updated(self.calculator, numbers, charge, multiplicity)

    def count(self, *kinds: str) -> int:
        """How many of these kinds there are."""
        return sum(one.kind in kinds for one in self.found)

    def add(self, attempt: Callable[[], Found]) -> bool:
        """Whether the attempt ended in a reaction that is new."""
        try:
            found = attempt()
            if any(is_same_reaction(found, other) for other in self.found):
                raise Unsuitable("duplicate")
            if sum(other.formula == found.formula for other in self.found) >= MAX_PER_FORMULA:
                raise Unsuitable("enough of its formula")
        except Unsuitable as reason:
            self.rejected[str(reason)] += 1
            logging.info("  %s", reason)
            return False
        self.found.append(found)
        about = len(self.found), found.kind, found.formula, found.charge, found.smiles
        logging.info("%d %s %s %+d %s %s", *about, np.round(np.diff(found.energy), 2))
        rejected = json.dumps(dict(sorted(self.rejected.items())))
        part = self.out.with_suffix(".part")
        attributes = self.attributes | {"rejected_attempts": rejected}
        write(part, self.found, attributes, _write_one, self.splits)
        part.replace(self.out)
        return True
