"""Reactions of three to five atoms in the Transition1x layout, for tests that must be quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.build import molecule

PARTS = ("reactant", "transition_state", "product")

LITTLE = {
    "train": {"CHN": ("rxn00", "HCN"), "H2O": ("rxn01", "H2O"), "H3N": ("rxn02", "NH3")},
    "val": {"CH2O": ("rxn10", "H2CO")},
    "test": {"H2O2": ("rxn20", "H2O2"), "CO2": ("rxn21", "CO2")},
}
"""By split and formula: the reaction's name, and the molecule in ASE's G2 set it is made of."""

N_LITTLE = 6


def geometries(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Atomic numbers, and three unequal geometries of a molecule, in angstrom."""
    atoms = molecule(name)
    shift = np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
    return atoms.numbers, [atoms.positions + scale * shift for scale in (0.0, 0.1, 0.2)]


def write_reaction(
    group: h5py.Group, name: str, numbers: np.ndarray, parts: Sequence[np.ndarray]
) -> h5py.Group:
    """The group of one reaction, as Transition1x has it."""
    reaction = group.create_group(name)
    reaction["atomic_numbers"] = numbers
    reaction["positions"] = np.stack(parts)
    for part, positions in zip(PARTS, parts, strict=True):
        end = reaction.create_group(part)
        end["atomic_numbers"] = numbers
        end["positions"] = positions[None]
    return reaction


def write_h5(path: Path, splits: Mapping[str, Mapping[str, tuple[str, str]]] = LITTLE) -> Path:
    """A file of little reactions."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for split in ("train", "val", "test"):
            links = file.create_group(split)
            for formula, (name, molecule_name) in splits.get(split, {}).items():
                numbers, parts = geometries(molecule_name)
                write_reaction(data.require_group(formula), name, numbers, parts)
                links[formula] = h5py.SoftLink(f"/data/{formula}")
    return path


def write_xyz(path: Path, names: Sequence[str] = ("H2O", "HCN")) -> Path:
    """A file of one geometry per molecule, each named by its formula."""
    import ase.io

    frames = [molecule(name) for name in names]
    for frame, name in zip(frames, names, strict=True):
        frame.info["name"] = f"start of {name}"
        frame.positions += 0.1 * np.sin(np.arange(3 * len(frame))).reshape(-1, 3)
    ase.io.write(path, frames, format="extxyz")
    return path


def on_each_other(numbers: Sequence[int]) -> Atoms:
    """A molecule whose atoms are all at one place."""
    return Atoms(numbers, positions=np.zeros((len(numbers), 3)))
