"""Whether a calculator's results depend on what it computed before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gadlib.calculators.contract.agreement import UNITS, ContractError, label
from gadlib.evaluation import Calculator
from gadlib.systems.batch import Batch

HISTORY = 1e-6
"""How much a result may depend on what was computed before, in eV and eV/A."""


class _Point(NamedTuple):
    """A system at a place, as a batch of its own, and what it is called."""

    label: str
    system: int
    batch: Batch


def require_no_memory(calculator: Calculator, batch: Batch, tolerance: float) -> None:
    """Raise ContractError where a point's energy or forces depend on the calls before.

    An SCF that begins with the density of another geometry may end elsewhere, or just earlier.
    """
    points = _points(batch)
    known: dict[str, tuple[float, Tensor]] = {}
    for claim, calls in _sequences(points):
        for some in calls:
            numbers = [point.batch.atomic_numbers[0] for point in some]
            together = Batch.pack(
                [point.batch.positions[0] for point in some],
                numbers,
                is_free=batch.is_free,
                charges=[int(point.batch.charges[0]) for point in some],
                multiplicities=[int(point.batch.multiplicities[0]) for point in some],
            )
            answer = calculator(together, hessian=False)
            for row, point in enumerate(some):
                found = float(answer.energy[row]), answer.forces[row, : len(numbers[row])].clone()
                _require_same(
                    point.label, claim, found, known.setdefault(point.label, found), tolerance
                )


def _require_same(
    label: str,
    claim: str,
    found: tuple[float, Tensor],
    expected: tuple[float, Tensor],
    tolerance: float,
) -> None:
    off = {
        "energy": torch.tensor([found[0] - expected[0]]),
        "forces": found[1] - expected[1],
    }
    if all(bool(torch.isnan(torch.as_tensor(energy))) for energy, _ in (found, expected)):
        return  # it failed both times
    for name, deviation in off.items():
        largest = float(deviation.abs().max().nan_to_num(torch.inf))
        if largest > tolerance:
            raise ContractError(
                f"results depend on what was computed before: {name} of {label}, {claim}, off by"
                f" {largest:.2g} {UNITS[name]}, expected at most {tolerance:.2g}"
            )


def _points(batch: Batch) -> list[_Point]:
    """Each system where it is, shaken, and stretched."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for i in range(len(batch)):
        n, row = int(batch.n_atoms[i]), torch.tensor([i])
        here = batch.positions[row, :n]
        shaken = torch.randn(here.shape, generator=generator, dtype=torch.float64).to(here)
        places = {"": here, ", shaken": here + 0.1 * shaken, ", stretched": 1.25 * here}
        for name, positions in places.items():
            numbers = batch.atomic_numbers[row, :n]
            one = replace(batch.take(row), positions=positions, atomic_numbers=numbers)
            found.append(_Point(label(batch, i) + name, i, one))
    return found


def _sequences(points: list[_Point]) -> Iterator[tuple[str, list[list[_Point]]]]:
    """Sequences of calls, each of which computes every point in another company."""
    generator = np.random.default_rng(0)

    def shuffled() -> list[_Point]:
        return [points[k] for k in generator.permutation(len(points))]

    yield "in order", [[point] for point in points]
    yield "in another order", [[point] for point in shuffled()]
    alone = sorted(shuffled(), key=lambda point: point.system)  # sorted() keeps the order within
    yield "without other molecules between", [[point] for point in alone]
    yield "with other molecules between", [[point] for point in shuffled()]
    for size in (4, 3):
        order = shuffled()
        calls = [order[k : k + size] for k in range(0, len(order), size)]
        yield f"in a batch of {size}", calls
