"""How often a few products are right about a point's order, and what they cost.

    .venv/bin/python tests/measure_proofs.py DFTB0 ts_noise0.1A midpoint_rt_noise0.5A --n 100
    .venv/bin/python tests/measure_proofs.py DFTB0 --geometries guesses.extxyz --noise 0.12

All points at which `trust` claims a saddle, with the model that it has there, are judged by whole
Hessians and by products: whom these call a saddle, whom they refute, what stays open.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from unittest.mock import patch

import ase.io
import numpy as np

from gadlib.calculators import get
from gadlib.evaluation import Calculator
from gadlib.molecules import reactions, starting_points
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver import products
from gadlib.solver.search import search
from gadlib.solver.state import Cost, State
from gadlib.systems.batch import Batch

H = TrustHyperparameters(exact_hessians="proof")
TOGETHER = 20


def batches(options: argparse.Namespace) -> list[Batch]:
    """The starts, some together."""
    if options.geometries:
        random = np.random.default_rng(options.seed)
        found = [
            (one.positions + options.noise * random.normal(size=(len(one), 3)), one.numbers)
            for one in ase.io.read(options.geometries, ":")
            if one.info.get("charge", 0) == 0 and one.info.get("multiplicity", 1) == 1
        ]
    else:
        known = reactions.read(split="all")[: options.n]
        found = [
            (start.positions, start.atomic_numbers)
            for recipe in options.starts
            for start in starting_points.starts(known, recipe, options.seed)
        ]
    found = found[: options.n * max(1, len(options.starts))]
    parts = [found[i : i + TOGETHER] for i in range(0, len(found), TOGETHER)]
    return [Batch.pack([x for x, _ in part], [z for _, z in part]) for part in parts]


def claims(calculator: Calculator, batch: Batch) -> list[tuple[State, State]]:
    """Each claimed point with the search's model, and with its exact Hessian."""
    found = []
    exactly = products.add_hessian

    def kept(calculator: Calculator, state: State) -> State:
        exact = exactly(calculator, state)
        if not any(exact.message):
            found.append((replace(state, cost=Cost.none(state.batch)), exact))
        return exact

    with patch.object(products, "add_hessian", kept):
        for _ in search(calculator, batch, H, criterion="bound", n_steps=300, capacity=TOGETHER):
            pass
    return found


def main() -> None:
    """The table of what products say of points of each order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functional")
    parser.add_argument("starts", nargs="*")
    parser.add_argument("--geometries")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    calculator = get("scine", functional=options.functional)
    told: Counter[tuple[int, str]] = Counter()
    costs, wholes, spent = [], [], []
    for batch in batches(options):
        for state, exact in claims(calculator, batch):
            judged = products.ask_products(calculator, state)
            for row, proof in enumerate(judged.proof):
                order, whole = int(exact.order[row]), 6 * int(state.batch.n_atoms[row])
                told[order, "open" if proof is None else str(proof.order)] += 1
                n_gradient = int(judged.cost.n_gradient[row])
                if order == 1:
                    wholes.append(whole)
                    spent.append(n_gradient + whole * (proof is None))
                    costs += [] if proof is None else [n_gradient]
    for (order, word), number in sorted(told.items()):
        print(f"order {order}: {word:5} {number}")
    print(f"saddles proved: gradients median {np.median(costs):.0f}, mean {np.mean(costs):.1f}")
    print(f"all saddles, Hessians of open ones included: {np.mean(spent):.1f}", end=" ")
    print(f"of {np.mean(wholes):.0f}, median {np.median(spent):.0f}")


if __name__ == "__main__":
    main()
