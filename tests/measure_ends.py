"""What it costs to relax reactants and products, on the potential itself and on a surrogate.

    python tests/measure_ends.py [--n 12] [--method GFN2-xTB] [--cheap PM6]

Of the first reactions of the embedded splits `val` and `test`. Gradients are of both ends, a
Hessian counted as 6N. Minima are the same within 0.15 A and 2 meV.
"""

from __future__ import annotations

import argparse

import numpy as np
from measure_saddles import calculator_of

from gadlib.calculators.paired import Paired
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.paths.ends import prepare_ends
from gadlib.settings.criteria import SAME_SADDLE

SAME_ENERGY = 0.002
"""eV within which two minima are one."""


def main() -> None:
    """Print a line for each reaction, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=12)
    parser.add_argument("--method", default="GFN2-xTB")
    parser.add_argument("--cheap", default="PM6")
    asked = parser.parse_args()
    costly, cheap = calculator_of(asked.method), calculator_of(asked.cheap)
    rows = []
    for start in [*starts(read(split="val,test"), "midpoint_rp")][: asked.n]:
        plain, learned = (
            prepare_ends(each, start, "always") for each in (costly, Paired(costly, cheap))
        )
        if plain.problem or learned.problem:
            print(start.name, plain.problem, learned.problem)
            continue
        apart = zip(plain.start.ends or (), learned.start.ends or (), strict=True)
        far = max(rmsd(start.atomic_numbers, *pair) for pair in apart)
        off = max(abs(np.subtract(plain.energies, learned.energies)))
        n_plain = plain.n_gradient + 6 * len(start.atomic_numbers) * plain.n_hessian
        rows.append((n_plain, learned.n_gradient, far < SAME_SADDLE and off < SAME_ENERGY))
        print(start.name, *rows[-1], flush=True)
    plains, learneds, same = np.array(rows).T
    print(f"medians {np.median(plains)} {np.median(learneds)}, same {same.sum()} of {len(rows)}")


if __name__ == "__main__":
    main()
