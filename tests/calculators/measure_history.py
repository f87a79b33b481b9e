"""How many of many points depend on what was computed before: `python measure_history.py PM6 AM1`.

Reactants, transition states and products of real reactions are computed in random orders, alone and
in batches, by one calculator that lives through all of it. Each energy is held against that of a
calculator made for this one geometry.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gadlib import calculators
from gadlib.evaluation import Calculator
from gadlib.molecules import reactions
from gadlib.systems.batch import Batch

TOLERANCE = 1e-6
"""In eV."""

OF_OTHERS = Path(__file__).parents[3] / "shared" / "data" / "rdb7_visible.h5"
METHODS = ("PM6", "AM1", "RM1", "MNDO", "DFTB2", "DFTB3", "DFTB0")

Molecule = tuple[np.ndarray, np.ndarray]


def molecules(number: int) -> list[Molecule]:
    """Atomic numbers and positions, the three points of each reaction, of the embedded set first
    and last of another where that is at hand."""
    n_other = number // 2 if OF_OTHERS.is_file() else 0
    found = [*_points(None, number - n_other)]
    return found + (_points(OF_OTHERS, n_other) if n_other else [])


def _points(path: Path | None, number: int) -> list[Molecule]:
    known = reactions.read(path, max_samples=-(-number // 3))
    return [
        (reaction.atomic_numbers, positions)
        for reaction in known
        for positions in (reaction.reactant, reaction.transition_state, reaction.product)
    ][:number]


def alone(method: str, known: Sequence[Molecule]) -> np.ndarray:
    """Each energy in eV by a calculator that has never computed anything else; NaN where failed."""
    return np.array(
        [_energies(calculators.get("scine", functional=method), [one])[0] for one in known]
    )


def deviations(
    calculator: Calculator, known: Sequence[Molecule], expected: np.ndarray, n_orders: int
) -> Iterator[np.ndarray]:
    """For each order, by how many eV each energy is off; every other order in batches of seven.

    What failed alone has to fail, and what did not must not.
    """
    generator = np.random.default_rng(0)
    for which in range(n_orders):
        order = generator.permutation(len(known))
        size = 7 if which % 2 else 1
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            found = _energies(calculator, [known[row] for row in rows])
            off = np.abs(found - expected[rows])
            is_same_failure = np.isnan(found) & np.isnan(expected[rows])
            yield np.where(is_same_failure, 0.0, np.nan_to_num(off, nan=np.inf))


def _energies(calculator: Calculator, some: Sequence[Molecule]) -> np.ndarray:
    batch = Batch.pack([positions for _, positions in some], [numbers for numbers, _ in some])
    return calculator(batch, hessian=False).energy.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--molecules", type=int, default=100)
    parser.add_argument("--orders", type=int, default=10)
    options = parser.parse_args()
    known = molecules(options.molecules)
    for method in options.methods:
        expected = alone(method, known)
        used = calculators.get("scine", functional=method)
        off = np.concatenate(list(deviations(used, known, expected, options.orders)))
        print(
            f"{method}: {(off > TOLERANCE).sum()} of {len(off)} points off by more than"
            f" {TOLERANCE:g} eV, at most {off.max():.2g} eV;"
            f" {np.isnan(expected).sum()} of {len(known)} fail alone",
            flush=True,
        )


if __name__ == "__main__":
    main()
