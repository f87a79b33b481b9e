"""Claimed saddles checked by other means: ASE's vibrations, on a calculator made for the purpose.

    .venv/bin/python tests/measure_saddles.py [--n 70] [--method DFTB0 --method PM6]
    .venv/bin/python tests/measure_saddles.py --geometries tests/charged.xyz --method PM6

Searches from the embedded reactions' transition states, shaken by 0.1 A, or from geometries (those
of `charged.xyz` are ions, radicals and triplets, set up by hand), with `trust` and `bound`.
Of each claim it counts the imaginary modes that `ase.vibrations` finds beside the rigid motions,
and compares the frequency.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from ase import Atoms
from ase.vibrations import Vibrations

from gadlib.ase.potential import Potential
from gadlib.calculators import get
from gadlib.molecules import reactions, starting_points
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import SOLVERS

DISPLACEMENTS = {"GFN2-xTB": 0.01}
"""In A, of ASE's differences: where gadlib takes differences as far apart as those, else 0.005.

Sparrow's Hessians are of smaller ones. From 0.005 to 0.01 A third derivatives move a frequency by
up to 2 (DFTB0, GFN2-xTB) and 40 cm-1 (PM6)."""


def calculator_of(method: str):
    """A new calculator of the method, one of Sparrow's or tblite's."""
    if "xTB" not in method:
        return get("scine", functional=method)
    options = {"method": method, "accuracy": 0.01}
    return get("ase", calculator="tblite.ase:TBLite", options=options)


def checked(record: Record, method: str) -> tuple[int, float]:
    """The number of imaginary modes by ASE, and the wavenumber of the first (cm-1)."""
    electrons = {"charge": record.charge, "multiplicity": record.multiplicity}
    atoms = Atoms(record.atomic_numbers, record.positions, info=electrons)
    if "xTB" in method:  # tblite itself, told by its own options
        from tblite.ase import TBLite

        atoms.calc = TBLite(method=method, accuracy=0.01, verbosity=0, **electrons)
    else:
        atoms.calc = Potential(calculator_of(method))
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=f"{folder}/vib", delta=DISPLACEMENTS.get(method, 0.005))
        vibrations.run()
        found = np.asarray(vibrations.get_frequencies())
    is_linear = np.linalg.matrix_rank(atoms.positions - atoms.positions[0], tol=0.02) < 2
    rigid = np.argsort(np.abs(found))[: 5 if is_linear else 6]
    left = np.delete(found, rigid)
    imaginary = np.sort(left.imag[left.imag > 1.0])[::-1]
    return len(imaginary), float(imaginary[0]) if len(imaginary) else 0.0


def main() -> None:
    """A line for each method, and one for each claim that is not confirmed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=70)
    parser.add_argument("--method", action="append")
    parser.add_argument("--start", default="ts_noise0.1A")
    parser.add_argument("--geometries")
    options = parser.parse_args()
    found = reactions.read(None, split="all", max_samples=options.n)
    for method in options.method or ["DFTB0", "PM6", "GFN2-xTB"]:
        if options.geometries:
            starts = tuple(starting_points.read_geometries(options.geometries))
        else:
            starts = tuple(starting_points.starts(found, options.start, 42))
        job = Job(calculator_of(method), starts, SOLVERS["trust"](), "bound", 800, capacity=20)
        records = search_starts(job)
        claims = [record for record in records if record.strict]
        told = [checked(record, method) for record in claims]
        off = []
        for record, (order, frequency) in zip(claims, told, strict=True):
            assert record.imaginary_cm1 is not None
            off.append(abs(frequency - record.imaginary_cm1))
            if order != 1 or off[-1] > 2:
                print(
                    f"  {record.name}: order {order}, {frequency:.1f}i cm-1 by ASE,"
                    f" {record.imaginary_cm1:.1f}i claimed, second {record.eigenvalues[1]:.5f}"
                )
        print(
            f"{method}: {len(records)} searches, {len(claims)} strict; order one in"
            f" {sum(order == 1 for order, _ in told)}, frequencies within"
            f" {max(off, default=0):.2f} cm-1 (median {np.median(off):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
