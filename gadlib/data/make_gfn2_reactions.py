"""The embedded reaction set on GFN2-xTB: small, charged, with odd electrons, and of many atoms.

Three sources: the saddles of the DFTB0 set, searched again on GFN2-xTB; ions and radicals, whose
bonds are driven at random, or put together from fragments (`ions`); and those small ones with
groups in place of hydrogens that do not react (`grafts`). The first are searched, followed and
relaxed by the means of this wing (`paths`, `xtb`), the others by the package (`searching`); each
says what found it. All three points are computed anew, from a density of their own, and the saddle
is proved by an exact Hessian. Reactions are written in the layout of Transition1x, each with its
charge and multiplicity. Nothing imports this module; it needs tblite and rdkit and takes hours.
What is found is written at once, and another run goes on from the file. The embedded one was made
in two parts: its first 46 while this script was written, the others by it as it is. It adds them to
those again, without what was tried for those, by

    python -m gadlib.data.make_gfn2_reactions --out reactions_gfn2.h5
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from gadlib.data import grafts, ions
from gadlib.data.gfn2 import (
    MIN_IMAGINARY_CM1,
    Collection,
    Found,
    provenance,
    require,
)
from gadlib.data.paths import Unsuitable, aligned, drive, follow, propose
from gadlib.data.searching import saddle_near
from gadlib.data.xtb import Updated, both_ends, certified, eased
from gadlib.molecules import bonds as chemistry
from gadlib.molecules import reactions
from gadlib.units import frequency_cm1

SIZES = (26, 30, 28, 34, 25, 38, 32, 44, 27, 36, 29, 52, 31, 40, 26, 60, 33, 46, 28, 70)
"""Atoms that the larger ones have at least, from one attempt to the next."""


def reaction_over(
    surface: Updated,
    guess: np.ndarray,
    along: np.ndarray,
    smiles: str,
) -> Found:
    """The reaction of a neutral molecule whose saddle is near the guess, by plain P-RFO.

    Raises:
        Unsuitable: with the reason, when there is no acceptable one.
    """
    saddle, peak = certified(surface, guess, order=1, along=along)
    ends = both_ends(surface, saddle, peak)
    return assembled(surface, saddle, ends, kind="neutral", smiles=smiles)


def reaction_by_trust(
    surface: Updated,
    guess: np.ndarray,
    bonds: Sequence[tuple[int, int]],
    kind: str,
    smiles: str,
    *,
    max_pieces: int = 1,
) -> Found:
    """The reaction whose saddle `trust` finds from the guess, these bonds changing, if any.

    Raises:
        Unsuitable: with the reason, when there is no acceptable one.
    """
    saddle, ends = saddle_near(surface, guess, bonds, max_pieces)
    given = {"kind": kind, "smiles": smiles, "found_by": "trust"}
    return assembled(surface, saddle, ends, max_pieces=max_pieces, **given)


def assembled(
    surface: Updated,
    saddle: np.ndarray,
    ends: list[np.ndarray],
    *,
    max_pieces: int = 1,
    **about: str,
) -> Found:
    """The reaction of a saddle and the minima that it joins, proved.

    Raises:
        Unsuitable: with the reason, when it is not acceptable.
    """
    if nx.number_connected_components(surface.graph(saddle)) > max_pieces:
        raise Unsuitable("saddle in fragments")
    energies = {id(end): surface.energy_and_forces(end)[0] for end in ends}
    ends.sort(key=lambda p: (chemistry.n_fragments(surface.batch(p)).item(), energies[id(p)]))
    saddle = saddle - saddle.mean(0)
    positions = np.stack([aligned(ends[0], saddle), saddle, aligned(ends[1], saddle)])
    values = [_computed_anew(surface, p) for p in positions]
    top = surface.energy_and_forces(saddle)[0]
    found = Found(
        numbers=surface.numbers,
        positions=positions,
        energy=np.array([energy for energy, _ in values]),
        forces=np.stack([forces for _, forces in values]),
        graphs=(surface.graph(positions[0]), surface.graph(positions[2])),
        imaginary_cm1=0.0,
        charge=surface.charge,
        multiplicity=surface.multiplicity,
        **about,
    )
    require(found, energies[id(ends[0])], top)
    peak = surface.exact(saddle)
    found = replace(found, imaginary_cm1=-frequency_cm1(peak.eigenvalues[0]))
    if peak.order != 1 or found.imaginary_cm1 < MIN_IMAGINARY_CM1:
        raise Unsuitable("saddle too soft")
    return found


def _computed_anew(surface: Updated, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy and forces by the package's calculator, from a density of its own."""
    found = surface.calculator(surface.batch(positions), hessian=False)
    if found.failures:
        raise Unsuitable("calculator failed")
    return float(found.energy[0]), found.forces[0].numpy()


def again(into: Collection, seed: int, count: int) -> None:
    """The saddles of the DFTB0 set, searched on this potential."""
    known = reactions.read()
    for i in np.random.default_rng([seed, 1]).permutation(len(known)):
        if into.count("neutral") >= count:
            return
        one = known[i]
        surface = into.surface(one.atomic_numbers, 0, 1)
        along = (one.product - one.reactant).ravel() * surface.root_masses

        def attempt(surface=surface, one=one, along=along) -> Found:
            guess = one.transition_state
            return reaction_over(surface, guess, along, one.name)

        into.add(attempt)


def together(into: Collection) -> None:
    """The guesses made of two molecules."""
    for guess in ions.guesses():
        kind = "radical" if guess.multiplicity > 1 else "charged"
        surface = into.surface(guess.numbers, guess.charge, guess.multiplicity)

        def attempt(surface=surface, guess=guess, kind=kind) -> Found:
            first = len(guess.numbers) - guess.n_last
            bonds = [(0, guess.n_middle), (0, first)]
            given = guess.positions, bonds, kind, guess.name
            return reaction_by_trust(surface, *given, max_pieces=2)

        into.add(attempt)


def driven(into: Collection, seed: int, count: int, rounds: Iterable[int]) -> None:
    """The ions and radicals of the library, their bonds driven at random."""
    is_full = into.count("charged", "radical") >= count
    molecules = [] if is_full else list(_relaxed_ions(into, seed))
    for turn in rounds:
        for i, (smiles, numbers, charge, multiplicity, minimum) in enumerate(molecules):
            kind = "radical" if multiplicity > 1 else "charged"
            if into.count("charged", "radical") >= count:
                return
            surface = into.surface(numbers, charge, multiplicity)
            rng = np.random.default_rng([seed, 2, i, turn])

            def attempt(
                surface=surface, minimum=minimum, rng=rng, kind=kind, smiles=smiles
            ) -> Found:
                drawn = propose(surface.graph(minimum), rng)
                top, _ = drive(surface, minimum, *drawn)
                return reaction_by_trust(surface, top, drawn[0] + drawn[1], kind, smiles)

            into.add(attempt)


def _relaxed_ions(
    into: Collection, seed: int
) -> Iterator[tuple[str, np.ndarray, int, int, np.ndarray]]:
    for smiles in ions.LIBRARY.split():
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMolecule(molecule, randomSeed=seed + 1)
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        charge = Chem.GetFormalCharge(molecule)
        odd = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()) % 2
        surface = into.surface(numbers, charge, 1 + odd)
        try:
            start = molecule.GetConformer().GetPositions()
            yield smiles, numbers, charge, 1 + odd, follow(surface, start, order=0, n_steps=150)
        except (Unsuitable, ValueError) as reason:
            logging.info("%s is left out: %s", smiles, reason)


def larger(into: Collection, seed: int, count: int, rounds: int) -> None:
    """Those found so far with groups grafted on, one of each in every round."""
    bases = [one for one in into.found if one.kind != "large"]
    sizes = cycle(SIZES)
    for turn in range(rounds):
        for i in np.random.default_rng([seed, 3, turn]).permutation(len(bases)):
            if into.count("large") >= count:
                return
            rng, size = np.random.default_rng([seed, 4, int(i), turn]), next(sizes)
            into.add(lambda i=i, rng=rng, size=size: _enlarged(into, bases[i], size, rng, seed))


def larger_ions(into: Collection, seed: int, count: int, rounds: int) -> None:
    """The ions found so far with groups grafted on, climbed along what their saddles begin.

    With the bonds that change for an aim few of them were found.
    """
    bases = [one for one in into.found if one.kind == "charged"]
    sizes = cycle(SIZES)
    for turn in range(rounds):
        for i in np.random.default_rng([seed, 5, turn]).permutation(len(bases)):
            if sum(one.kind == "large" and one.charge != 0 for one in into.found) >= count:
                return
            rng, size = np.random.default_rng([seed, 6, int(i), turn]), next(sizes)
            given = bases[i], size, rng, seed
            into.add(lambda given=given: _enlarged(into, *given, has_aim=False))


def _enlarged(
    into: Collection,
    base: Found,
    size: int,
    rng: np.random.Generator,
    seed: int,
    *,
    has_aim: bool = True,
) -> Found:
    start = grafts.graft(base, size, rng, seed)
    surface = into.surface(start.numbers, base.charge, base.multiplicity)
    changing = grafts.reacting(base)
    held = [place for place, i in enumerate(start.kept) if i in changing]
    positions = eased(surface, start.positions, held)
    smiles = f"{base.smiles} + {start.smiles}"
    places = {int(i): place for place, i in enumerate(start.kept)}
    bonds = [(places[i], places[j]) for i, j in grafts.changes(base) if has_aim]
    found = reaction_by_trust(surface, positions, bonds, "large", smiles)
    if not _has_changed_alike(base, found, start.kept):
        raise Unsuitable("another reaction than the small one's")
    return replace(found, smiles=smiles)


def _has_changed_alike(base: Found, found: Found, kept: np.ndarray) -> bool:
    """Whether the same bonds of the core change, from whichever side."""

    def changes(one: Found, places: np.ndarray) -> set[frozenset[int]]:
        there, after = ({frozenset(e) for e in g.edges} for g in one.graphs)
        own = {int(p): k for k, p in enumerate(places)}
        found = (tuple(e) for e in there ^ after)
        return {frozenset((own[i], own[j])) for i, j in found if i in own and j in own}

    return changes(base, kept) == changes(found, np.arange(len(kept)))


def main() -> None:
    """Make the file."""
    parser = argparse.ArgumentParser(description="Make the embedded reaction set on GFN2-xTB.")
    parser.add_argument("--out", type=Path, required=True, help="the HDF5 file to write")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--keep", type=int, default=46, help="of the embedded ones taken over")
    parser.add_argument("--neutral", type=int, default=24, help="neutral small ones wanted")
    parser.add_argument("--ions", type=int, default=29, help="ions and radicals wanted")
    parser.add_argument("--large", type=int, default=10, help="larger ones wanted")
    parser.add_argument("--large-ions", type=int, default=2, help="larger ions wanted besides")
    parser.add_argument("--rounds", type=int, default=4, help="attempts with each source")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    names = ("seed", "keep", "neutral", "ions", "large", "large-ions", "rounds")
    told = " ".join(f"--{name} {getattr(given, name.replace('-', '_'))}" for name in names)
    command = f"python -m gadlib.data.make_gfn2_reactions {told}"
    into = Collection(given.out, provenance(given.seed, command, given.keep), given.keep)
    again(into, given.seed, given.neutral)
    larger(into, given.seed, given.large, given.rounds)
    if not given.keep:
        together(into)
    driven(into, given.seed, given.ions, range(bool(given.keep), given.rounds))
    larger_ions(into, given.seed, given.large_ions, given.rounds)
    logging.info("%d reactions; rejected attempts: %s", len(into.found), into.rejected)


if __name__ == "__main__":
    main()
