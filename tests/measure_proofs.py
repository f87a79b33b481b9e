"""How often a few products are right about a point's order, and what they cost.

    .venv/bin/python tests/measure_proofs.py DFTB0 ts_noise0.1A midpoint_rt_noise0.5A --n 100
    .venv/bin/python tests/measure_proofs.py DFTB0 --geometries guesses.extxyz --noise 0.12
    .venv/bin/python tests/measure_proofs.py PM6 ts --cheap scine:DFTB0 --n 100
    .venv/bin/python tests/measure_proofs.py GFN2-xTB ts_noise0.1A --least-atoms 25

All points at which `trust`, or with `--cheap` `delta`, claims a saddle, with the model that it has
there, are judged by whole Hessians and by products: whom these call a saddle, whom they refute,
what stays open. Each is asked with several random vectors (`--vectors`). Soft modes of Hessians by
differences along Cartesian coordinates are off by up to 5e-4 eV/(A^2 amu) with DFTB0, 2.5e-3 with
GFN2-xTB; so the Hessians that judge are taken along their own modes, bent, to both sides (`sharp`).
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from itertools import product
from unittest.mock import patch

import ase.io
import numpy as np
import torch
from torch import Tensor

from gadlib.calculators.paired import pair
from gadlib.calculators.registry import build
from gadlib.evaluation import Calculator
from gadlib.hessians.frames import bent
from gadlib.hessians.inquiry import CHANCE
from gadlib.molecules import reactions, starting_points
from gadlib.settings.benchmarks import GFN2
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver import products
from gadlib.solver.search import search
from gadlib.solver.state import Cost, State
from gadlib.systems.batch import Batch

TRUST = TrustHyperparameters(exact_hessians="proof", proof="hessian")
DELTA = DeltaHyperparameters(proof="hessian")
TOGETHER = 20
SETS = {"GFN2-xTB": "embedded-gfn2"}  # of which potential another set is embedded


def batches(options: argparse.Namespace) -> list[Batch]:
    """The starts, some together."""
    if options.geometries:
        random = np.random.default_rng(options.seed)
        found = [
            (one.positions + options.noise * random.normal(size=(len(one), 3)), one.numbers, 0, 1)
            for one in ase.io.read(options.geometries, ":")
            if one.info.get("charge", 0) == 0 and one.info.get("multiplicity", 1) == 1
        ]
    else:
        known = [
            one
            for one in reactions.read(SETS.get(options.functional), split="all")
            if len(one.atomic_numbers) >= options.least_atoms
        ][: options.n]
        found = [
            (start.positions, start.atomic_numbers, start.charge, start.multiplicity)
            for recipe in options.starts
            for start in starting_points.starts(known, recipe, options.seed)
        ]
    found = found[: options.n * max(1, len(options.starts))]
    parts = [found[i : i + TOGETHER] for i in range(0, len(found), TOGETHER)]
    return [
        Batch.pack(places, numbers, charges=charges, multiplicities=multiplicities)
        for places, numbers, charges, multiplicities in (zip(*part, strict=True) for part in parts)
    ]


def claims(calculator: Calculator, batch: Batch) -> list[tuple[State, State]]:
    """Each claimed point with the search's model, and with its exact Hessian."""
    found = []
    exactly = products.add_hessian

    def kept(calculator: Calculator, state: State) -> State:
        exact = exactly(calculator, state)
        if not any(exact.message):
            found.append((replace(state, cost=Cost.none(state.batch)), exact))
        return exact

    is_delta = hasattr(calculator, "cheap")
    h, criterion, n_steps = (DELTA, "strict", 60) if is_delta else (TRUST, "bound", 300)
    with patch.object(products, "add_hessian", kept):
        for _ in search(
            calculator, batch, h, criterion=criterion, n_steps=n_steps, capacity=TOGETHER
        ):
            pass
    return found


def sharp(calculator: Calculator, exact: State, row: int) -> Tensor:
    """The eigenvalues of a Hessian by differences of 0.02 A along the modes of this one, bent."""
    batch = exact.batch.take(torch.tensor([row]))
    n_left = int(exact.spectrum.motions.n_left[row])
    modes = exact.spectrum.modes[row, :, :n_left] * batch.inverse_sqrt_masses[0][:, None]
    lengths, many = modes.norm(dim=0), batch.take(torch.zeros(n_left, dtype=torch.int64))
    sides = []
    for side in (0.02, -0.02):
        along = bent(many, side * (modes / lengths).mT).unflatten(1, (-1, 3))
        sides.append(calculator(many.moved_to(many.positions + along), hessian=False).forces)
    within = (sides[1] - sides[0]).flatten(1) / 0.04 * lengths[:, None] @ modes
    return torch.linalg.eigvalsh((within + within.mT) / 2)


def main() -> None:
    """The table of what products say of points of each order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functional")
    parser.add_argument("starts", nargs="*")
    parser.add_argument("--geometries")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--least-atoms", type=int, default=0)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--cheap", default="", help="as scine:DFTB0; then `delta` searches")
    parser.add_argument("--vectors", type=int, default=1, help="random ones, for each point")
    options = parser.parse_args()
    is_scine = options.functional not in SETS
    own = {"calculator": "scine", "scine_functional": options.functional} if is_scine else GFN2
    calculator: Calculator = build(CalculatorSettings.read(own))
    if options.cheap:
        calculator = pair(calculator, options.cheap, [], None)
    chance = products.CHANCE_LEARNED if options.cheap else CHANCE
    seed_of = products._seed
    told: Counter[tuple[int, str]] = Counter()
    costs, wholes, spent, errors = [], [], [], []
    asked = [
        (state, [sharp(calculator, exact, row) for row in range(len(exact.batch))])
        for batch in batches(options)
        for state, exact in claims(calculator, batch)
    ]
    for (state, eigenvalues), vector in product(asked, range(options.vectors)):
        with patch.object(products, "_seed", lambda *of, vector=vector: seed_of(*of) + vector):
            judged = products.ask_products(calculator, state, chance)
        for row, proof in enumerate(judged.proof):
            order, whole = int((eigenvalues[row] < 0).sum()), 6 * int(state.batch.n_atoms[row])
            word = "open" if proof is None else str(proof.order)
            told[order, word] += 1
            if (word == "one") != (order == 1) and word != "open":
                softest = [f"{one:.5f}" for one in eigenvalues[row][:3].tolist()]
                print(f"{int(state.batch.n_atoms[row])} atoms, {softest}: called {word}")
            n_gradient = int(judged.cost.n_gradient[row])
            if order == 1:
                wholes.append(whole)
                spent.append(n_gradient + whole * (proof is None))
            if order == 1 and proof is not None:
                costs.append(n_gradient)
                true = float(eigenvalues[row][0])
                errors.append(abs((proof.lowest / true) ** 0.5 - 1))
    for (order, word), number in sorted(told.items()):
        print(f"order {order}: {word:5} {number}")
    print(f"saddles proved: gradients median {np.median(costs):.0f}, mean {np.mean(costs):.1f}")
    middle, most = np.quantile(errors, [0.5, 0.9])
    print(f"lowest wavenumber: off by {middle:.1%} in the median, {most:.1%} in one of ten")
    print(f"all saddles, Hessians of open ones included: {np.mean(spent):.1f}", end=" ")
    print(f"of {np.mean(wholes):.0f}, median {np.median(spent):.0f}")


if __name__ == "__main__":
    main()
