"""How much the trust solver's results depend on a constant that is not tuned.

    .venv/bin/python tests/measure_constants.py MAX_CLIMB=1e9 FIRST_PROBES=20,ROUGH_PROBES=20 ...

Searches 60 of the embedded reactions from two starts on DFTB0 with `bound` and 800 steps, as it is
and with each change: how many are found, and the gradients of a search (mean and its error).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
from unittest.mock import patch

import numpy as np

import gadlib.solver
from gadlib.calculators import get
from gadlib.molecules import reactions, starting_points
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import TrustHyperparameters

STARTS = ("ts_noise0.3A", "midpoint_rt_noise1.0A")
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(gadlib.solver.__path__, "gadlib.solver.")
]


def measured(start: str, n: int) -> str:
    """What came of the searches from one start, in words."""
    found = tuple(starting_points.starts(reactions.read()[:n], start, 42))
    job = Job(get("scine"), found, TrustHyperparameters(), "bound", 800, capacity=20)
    records = search_starts(job)
    gradients = [record.n_gradient for record in records]
    error = np.std(gradients) / len(gradients) ** 0.5
    n_bound = sum(bool(record.bound) for record in records)
    return f"{start} {n_bound}/{n}, {np.mean(gradients):.0f} +- {error:.0f} gradients"


def main() -> None:
    """A line for each change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--n", type=int, default=60)
    options = parser.parse_args()
    for change in ["", *options.changes]:
        pairs = [part.split("=") for part in change.split(",") if part]
        values = {name: ast.literal_eval(value) for name, value in pairs}
        patches = [
            patch.object(module, name, value)
            for module in MODULES
            for name, value in values.items()
            if hasattr(module, name)
        ]
        for each in patches:
            each.start()
        print(change or "as it is", *(measured(start, options.n) for start in STARTS), sep=" | ")
        for each in patches:
            each.stop()


if __name__ == "__main__":
    main()
