"""Saddles of 25 to 80 atoms on GFN2-xTB, written to `larger.xyz`.

    .venv/bin/python tests/make_larger_saddles.py --out tests/larger.xyz [--n 30] [--seed 0]
        [--only ring_flip,ester_pyrolysis]

Guesses are made by hand (`larger_reactions`), or of the small reactions of `embedded-gfn2` with
groups grafted on. The reacting atoms are held while the rest is relaxed; from there `trust` and
Sella search by turns, and where one finds nothing the other. What is proved to be bound, by
products as of any search, is kept, unless the reacting atoms have left the guess. A frame says what
found it. Each is written at once; what is in the file already is not searched again. The first 12
of `larger.xyz` were made in parts while this script was written, with other sizes, other limits of
steps, and those by hand in another order, so that the script makes others of the kind. `claisen`,
`cope` and those of 35 and 72 atoms were proved by an exact Hessian instead. The last four are of
those by hand that no search had seen, after `trust` was changed for the first.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import read, write
from larger_reactions import HAND_MADE, Guess, hand_made
from rdkit import rdBase

from gadlib.benchmarks import sella
from gadlib.calculators import get
from gadlib.data import grafts
from gadlib.data.gfn2 import Found, read_found
from gadlib.data.paths import Unsuitable
from gadlib.data.xtb import ACCURACY, METHOD, Updated, eased
from gadlib.molecules.reactions import located
from gadlib.molecules.starting_points import Start, from_atoms
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import SOLVERS

FINDERS = ("trust", "sella")
N_STEPS = 60
"""Of a search: one that takes more has mostly left the guess. Beyond 60 atoms it was 200."""

N_EASING = 90
"""Downhill, before the search."""

N_CLOSING = 12
"""Of `trust` from where Sella has ended: two or three where that is the saddle."""

SIZES = (26, 30, 34, 28, 40, 25, 32, 50, 27, 36)
"""Atoms that grafted ones have at least, from one to the next."""

LEFT, TURNED = 0.4, 60.0
"""By how much of its guess a reacting pair's distance may change, and degrees of a torsion."""


def calculator():
    """GFN2-xTB, as the suites of `gadlib benchmark` have it."""
    electrons = {"charge": "{charge}", "multiplicity": "{multiplicity}"}
    options = {"method": METHOD, "accuracy": ACCURACY, "verbosity": 0, **electrons}
    return get("ase", calculator="tblite.ase:TBLite", options=options)


def guesses(seed: int, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Guess | Unsuitable]]:
    """Those by hand, after every second one with groups grafted on; or why there is none.

    Where some by hand are named, these alone.
    """
    grafted = iter(()) if names else _grafted(seed)
    for i, name in enumerate(names or HAND_MADE):
        try:
            yield name, hand_made(name, seed)
        except Unsuitable as reason:
            yield name, reason
        if i % 2 and (one := next(grafted, None)) is not None:
            yield one.name, one
    for one in grafted:
        yield one.name, one


def _grafted(seed: int) -> Iterator[Guess]:
    """Guesses of small reactions with groups, in random order; those without room are left out."""
    bases = [one for one in read_found(located("embedded-gfn2")) if one.kind != "large"]
    for turn, i in enumerate(np.random.default_rng([seed, 7]).permutation(len(bases))):
        rng = np.random.default_rng([seed, 8, int(i)])
        try:
            yield _with_groups(bases[i], SIZES[turn % len(SIZES)], rng, seed)
        except Unsuitable as reason:
            logging.info("%s: %s", bases[i].smiles, reason)


def _with_groups(base: Found, size: int, rng: np.random.Generator, seed: int) -> Guess:
    start = grafts.graft(base, size, rng, seed)
    place = {int(i): k for k, i in enumerate(start.kept)}
    bonds = [(place[i], place[j]) for i, j in grafts.changes(base)]
    apart = {
        (i, j): float(np.linalg.norm(start.positions[i] - start.positions[j])) for i, j in bonds
    }
    return Guess(
        f"{base.formula}_{base.smiles}+{start.smiles}",
        start.numbers,
        start.positions,
        int(base.charge),
        int(base.multiplicity),
        apart,
        (),
        0.0,
        tuple(sorted({i for pair in apart for i in pair})),
    )


def saddle(guess: Guess, finders: tuple[str, ...], n_steps: int) -> tuple[str, Record]:
    """What found a bound saddle from the guess, and the record of it.

    Raises:
        Unsuitable: when none of the finders does, or the reacting atoms have left the guess.
    """
    potential = calculator()
    surface = Updated(potential, guess.numbers, guess.charge, guess.multiplicity)
    positions = eased(surface, guess.positions, guess.reacting, n_steps=N_EASING)
    electrons = {"charge": guess.charge, "multiplicity": guess.multiplicity}
    (start,) = from_atoms([Atoms(guess.numbers, positions, info=electrons)])
    reasons = []
    for finder in finders:
        record = _searched(finder, potential, start, guess, n_steps)
        here = np.array(record.positions)
        logging.info("  %s: %s, %d gradients", finder, record.status, record.n_gradient)
        if not record.converged and record.status != "stopped":
            reasons.append(f"{finder}: {record.status}")
        elif _has_left(guess, here):
            reasons.append(f"{finder}: another reaction")
        elif not (record := _proved(potential, start, record)).bound:
            reasons.append(f"{finder}: not bound")
        else:
            return finder, record
    raise Unsuitable(", ".join(reasons))


def _searched(finder: str, potential, start: Start, guess: Guess, n_steps: int) -> Record:
    if finder == "sella":
        job = Job(potential, (start,), sella.PEERS["sella"], "bound", n_steps)
        return next(iter(sella.search_each(job)))[1]
    pairs = ",".join(f"{i}-{j}" for i, j in guess.apart)
    mode = f"bonds:{pairs}" if pairs else "lowest"
    job = Job(potential, (start,), SOLVERS["trust"](), "bound", n_steps, mode=mode)
    return search_starts(job)[0]


def _proved(potential, start: Start, record: Record) -> Record:
    """The record with its proof; what Sella ends at is where `trust` begins, to prove it."""
    if record.bound is not None:
        return record
    at_end = replace(start, positions=np.array(record.positions))
    return search_starts(Job(potential, (at_end,), SOLVERS["trust"](), "bound", N_CLOSING))[0]


def _has_left(guess: Guess, here: np.ndarray) -> bool:
    """Whether the reacting atoms are far from where the guess has them."""
    if guess.torsion:
        a, b, c, d = guess.torsion
        turned = Atoms(guess.numbers, here).get_dihedral(a, b, c, d) - guess.angle
        return abs((turned + 180) % 360 - 180) > TURNED
    lengths = {pair: np.linalg.norm(here[pair[0]] - here[pair[1]]) for pair in guess.apart}
    return any(abs(lengths[pair] / apart - 1) > LEFT for pair, apart in guess.apart.items())


def main() -> None:
    """Make the file, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-steps", type=int, default=N_STEPS, help="of a search")
    parser.add_argument("--only", default="", help="of those by hand, separated by commas")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    names = tuple(one for one in options.only.split(",") if one)
    frames: Any = []
    if options.out.exists():
        frames = read(options.out, index=":", format="extxyz")
    for turn, (name, guess) in enumerate(guesses(options.seed, names)):
        known = [str(atoms.info["name"]) for atoms in frames]
        if len(frames) >= options.n or name in known:
            continue
        try:
            if isinstance(guess, Unsuitable):
                raise guess
            finders = FINDERS if turn % 2 else FINDERS[::-1]
            finder, record = saddle(guess, finders, options.n_steps)
        except Unsuitable as reason:
            logging.info("%s is left out: %s", name, reason)
            continue
        about = {"charge": guess.charge, "multiplicity": guess.multiplicity, "found_by": finder}
        about |= {"imaginary_cm1": round(record.imaginary_cm1 or 0.0, 1)}
        frames.append(Atoms(guess.numbers, record.positions, info={"name": name, **about}))
        logging.info("%d %s %d atoms %s", len(frames), name, len(guess.numbers), about)
        write(options.out, frames, format="extxyz", write_results=False)


if __name__ == "__main__":
    main()
