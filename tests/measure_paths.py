"""What a path downhill costs, and whether it ends where one with exact Hessians at each step does.

    .venv/bin/python tests/measure_paths.py [--split train] [--n 62] [--method DFTB0 ...]

Saddles are those that `trust` finds with `bound` from the embedded reactions' transition states,
shaken by 0.1 A. Each is followed with exact Hessians at each step, at every fifth, and with updated
ones alone. A Hessian counts as 6N gradients; those of the saddle and of the minima are counted,
those of the reference are not. Ends agree where bonds are the same, shapes within 0.1 A, and
energies within 1e-3 eV. `--truth "every fifth"` leaves out the first way, and compares with the
second. What is in --out already is not computed again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

import gadlib
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of, is_same
from gadlib.paths.records import PathRecord

SETTINGS = {"each step": 1, "every fifth": 5, "updated": None}


def potential(method: str) -> dict[str, Any]:
    """The settings of a calculator, one of Sparrow's or tblite's."""
    if "xTB" not in method:
        return {"calculator": "scine", "scine_functional": method}
    options = {"method": method, "verbosity": 0}
    return {"calculator": "ase", "ase_calculator": "tblite.ase:TBLite", "ase_options": options}


def saddles(method: str, options: argparse.Namespace, folder: Path) -> Path:
    """The result file of the searches."""
    out = folder / "search.json"
    if not out.exists():
        how = {"solver": "trust", "criterion": "bound", "start_from": "ts_noise0.1A"}
        where = {"split": options.split, "max_samples": options.n, "workers": 0}
        gadlib.search(out=out, **how, **where, **potential(method))
    return out


def price(path: PathRecord) -> int:
    """Gradients that a path took, 6N for each Hessian."""
    return path.n_gradient + 6 * len(path.atomic_numbers) * path.n_hessian


def are_same(one: PathRecord, other: PathRecord) -> tuple[bool, bool]:
    """Whether both ends agree by their bonds, and by bonds, shapes and energies."""
    if not one.ends or not other.ends:
        return False, False
    numbers = np.array(one.atomic_numbers)
    best = (False, False)
    for order in permutations((0, 1)):
        ends = [np.array(end) for end in one.ends], [np.array(other.ends[i]) for i in order]
        pairs = list(zip(*ends, strict=True))
        graphs = ([bond_graph_of(numbers, place) for place in pair] for pair in pairs)
        by_bonds = all(is_same(*pair) for pair in graphs)
        far = max(rmsd(numbers, *pair, with_mirror=True) for pair in pairs)
        energies = [one.energies[i] for i in (0, -1)], [other.energies[-i] for i in order]
        off = max(abs(a - b) for a, b in zip(*energies, strict=True))
        best = max(best, (by_bonds, by_bonds and far < 0.1 and off < 1e-3))
    return best


def told(name: str, paths: Sequence[PathRecord], truth: Sequence[PathRecord]) -> str:
    """A line on one way to follow saddles, beside the truth."""
    known = {(p.split, p.formula, p.name): p for p in truth}
    same = [are_same(known[p.split, p.formula, p.name], p) for p in paths]
    bonds, ends = (sum(each) for each in zip(*same, strict=True))
    followed = [path for path in paths if path.ends]
    prices = [price(path) for path in followed]
    calls = [
        f"{np.median([getattr(path, n) for path in followed]):.0f} {what}"
        for n, what in (("n_gradient", "gradients"), ("n_hessian", "Hessians"))
    ]
    return (
        f"  {name:<12} {len(followed)} of {len(paths)} followed, {bonds} with the same bonds,"
        f" {ends} with the same ends; {np.median(prices):.0f} gradients in the median, at most"
        f" {max(prices)} ({', '.join(calls)})"
    )


def main() -> None:
    """Lines for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="train")
    parser.add_argument("--n", type=int, default=62)
    parser.add_argument("--method", action="append")
    parser.add_argument("--truth", choices=list(SETTINGS), default="each step")
    parser.add_argument("--out", type=Path, default=Path("runs/measure_paths"))
    options = parser.parse_args()
    settings = dict(list(SETTINGS.items())[list(SETTINGS).index(options.truth) :])
    for method in options.method or ["DFTB0", "PM6", "GFN2-xTB"]:
        folder = options.out / f"{method}_{options.split}_{options.n}"
        folder.mkdir(parents=True, exist_ok=True)
        records = str(saddles(method, options, folder))
        found = {}
        for name, every in settings.items():
            found[name] = gadlib.follow(
                gadlib.PathSettings(
                    records=records,
                    split=options.split,
                    max_samples=options.n,
                    hessian_every=every,
                    batch_size=1,
                    out_dir=str(folder / name.replace(" ", "_")),
                    resume=True,
                    **potential(method),
                )
            )
        print(f"{method}, {len(found['updated'])} saddles of {options.split}", flush=True)
        for name, paths in found.items():
            print(told(name, paths, found[options.truth]), flush=True)


if __name__ == "__main__":
    main()
