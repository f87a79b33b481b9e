"""How often searches from disturbed transition states end at the saddle that they began beside.

    .venv/bin/python tests/measure_aims.py rdb7.h5 --quarters 2,3

Searches on DFTB0 with `bound` and 800 steps. The saddle of a reaction is where a search from its
reference transition state ends at the first try; one is near where it is within 0.3 A (RMSD) of
that reference, so that the potential has the published saddle. `--quarters` takes the reactions
whose name has one of these remainders (MD5, by 4), so that what is chosen on some is measured on
others. Constants of the solver are changed as by `measure_constants.py`.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
from unittest.mock import patch

import numpy as np
from measure_constants import MODULES

from gadlib.calculators import get
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import Reaction
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import TrustHyperparameters

SEARCHES = (
    ("ts_noise0.1A", "lowest"),
    ("ts_noise0.1A", "reaction"),
    ("ts_noise0.2A", "reaction"),
    ("midpoint_rp", "reaction"),
)
SAME, NEAR = 0.1, 0.3
"""A (RMSD): two saddles are one; the potential has the published one."""


def searched(found: list[Reaction], start: str, mode: str, n_steps: int = 800) -> list[Record]:
    """The records of searches from that start."""
    starts = tuple(starting_points.starts(found, start))
    job = Job(
        get("scine"), starts, TrustHyperparameters(), "bound", n_steps, capacity=32, mode=mode
    )
    return search_starts(job)


def quarter(reaction: Reaction) -> int:
    """Which quarter a reaction belongs to, by its name."""
    return int(hashlib.md5(reaction.name.encode()).hexdigest(), 16) % 4


def line(found: list[Reaction], saddles: list[np.ndarray], start: str, mode: str) -> str:
    """What came of the searches from one start, as a row of a table."""
    records = searched(found, start, mode)
    off = np.array([
        rmsd(r.atomic_numbers, np.array(each.positions), saddle, with_mirror=True)
        if each.bound
        else np.inf
        for r, each, saddle in zip(found, records, saddles, strict=True)
    ])  # fmt: skip
    places = zip(found, saddles, strict=True)
    near = np.array([rmsd(r.atomic_numbers, s, r.transition_state) < NEAR for r, s in places])
    gradients = np.array([each.n_gradient for each in records])
    is_late = np.array([len(each.tries) > 1 for each in records])
    is_own = off < SAME
    cells = (
        f"`{start}` `{mode}`",
        f"{np.isfinite(off).sum()} of {len(off)} bound",
        f"{is_own.sum()} of {len(off)}",
        f"{is_own[near].sum()} of {near.sum()}",
        f"{np.median(gradients):.0f} ({gradients.mean():.0f})",
        f"{(is_own & is_late).sum()} of {is_late.sum()}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """A table with a row for each start and mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("h5_path")
    parser.add_argument("changes", nargs="*", default=[])
    parser.add_argument("--quarters", default="0,1,2,3")
    options = parser.parse_args()
    values = dict(change.split("=") for change in options.changes)
    for module in MODULES:
        for name, value in values.items():
            if hasattr(module, name):
                patch.object(module, name, ast.literal_eval(value)).start()
    chosen = {int(part) for part in options.quarters.split(",")}
    found = [r for r in reactions.read(options.h5_path) if quarter(r) in chosen]
    own = searched(found, "ts", "lowest", 100)
    is_own = [bool(each.bound) and len(each.tries) == 1 for each in own]
    found = [r for r, is_one in zip(found, is_own, strict=True) if is_one]
    saddles = [np.array(each.positions) for each, is_one in zip(own, is_own, strict=True) if is_one]
    print("| start, mode | found | own saddle | near ones | gradients | in later tries |")
    print("|---|---|---|---|---|---|")
    for start, mode in SEARCHES:
        print(line(found, saddles, start, mode), flush=True)


if __name__ == "__main__":
    main()
