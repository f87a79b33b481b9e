"""Searches from near the saddles of `larger.xyz`, by `trust` and Sella, on GFN2-xTB.

    .venv/bin/python tests/measure_larger.py [--solvers trust,sella-internal,sella] [--noise 0.05]

Each coordinate of a saddle is shaken with a seed of its own. Gradients are counted without what
proves the last point, as nobody else proves it; a Hessian on the way, at another point whose order
products left open, counts as 6N of them, and is named apart.
A search is right that ends within `SAME_SADDLE` of the saddle, as `recovered` has it, 10 meV from
its energy, with forces below those of a strict saddle: the saddle itself is proved, so nobody's
last point needs a Hessian. `--embedded` measures the larger molecules of `embedded-gfn2` instead.
What is in --out already is not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_larger_saddles import calculator
from scipy.stats import wilcoxon

from gadlib.benchmarks import sella
from gadlib.data.grafts import LEAST_ATOMS
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.starting_points import Start
from gadlib.screening.costs import gradients_of, without_proof
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.records import Record
from gadlib.screening.references import deviation
from gadlib.settings.criteria import SAME_SADDLE
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.solver.criteria import FORCE_TOL
from gadlib.systems.batch import Batch

SAME_ENERGY = 0.01
"""eV within which two saddles are one."""


RULE = "|---|---|---|---|---|"


def shaken(start: Start, noise: float, seed: int) -> Start:
    """The start with normal noise of that width (A) on each coordinate."""
    drawn = np.random.default_rng(seed).normal(scale=noise, size=start.positions.shape)
    name = f"ts_noise{noise}A"
    return replace(start, positions=start.positions + drawn, start=name, noise_seed=seed)


def found(solver: str, potential: Any, start: Start, n_steps: int) -> Record:
    """How the search ended, its proof's cost taken off.

    Where products left the order open a Hessian has proved it; what they cost is the proof's, too.
    """
    if solver not in SOLVERS:
        job = Job(potential, (start,), sella.PEERS[solver], "bound", n_steps)
        return next(iter(sella.search_each(job)))[1]
    counts = [0]
    job = Job(potential, (start,), SOLVERS[solver](), "bound", n_steps)
    record = search_starts(job, on_frame=lambda one: counts.append(int(one.state.cost.n_gradient)))
    record, before = without_proof(record[0]), counts[-2] + 1
    is_open = record.strict and not record.proof
    return replace(record, n_gradient=before) if is_open else record


def judged(record: Record, potential: Any, reference: Start, energy: float) -> dict[str, Any]:
    """What is kept of a search: whether it is right, and what it cost."""
    last = potential(Batch.of([record]), hessian=False)
    forces = last.forces[0].numpy()[: len(record.atomic_numbers)]
    fmax = float(np.linalg.norm(forces, axis=1).max())
    saddle = replace(record, positions=reference.positions.tolist())
    apart = deviation(replace(record, order=1), saddle)
    off = float(last.energy[0]) - energy
    is_there = apart is not None and apart < SAME_SADDLE and abs(off) < SAME_ENERGY
    return {
        "name": record.name,
        "n_atoms": len(record.atomic_numbers),
        "charge": record.charge,
        "status": str(record.status),
        "is_right": bool(is_there and fmax < FORCE_TOL),
        "is_bound": record.bound,
        "rmsd": apart,
        "energy_off": off,
        "fmax": fmax,
        "n_gradient": gradients_of(record),
        "n_hessian": record.n_hessian,
        "steps": record.steps,
        "tries": len(record.tries),
        "own_s": record.elapsed_s - record.calculator_s,
    }


def measured(
    options: argparse.Namespace, starts: list[Start], results: dict[str, dict[str, Any]]
) -> Iterator[None]:
    """Each molecule by each solver, the molecules one after the other; a pause after each."""
    potential = calculator()
    for i, reference in enumerate(starts):
        missing = [one for one in options.solvers.split(",") if reference.name not in results[one]]
        if not missing:
            continue
        at_saddle = Batch.pack(
            [reference.positions],
            [reference.atomic_numbers],
            charges=[reference.charge],
            multiplicities=[reference.multiplicity],
        )
        energy = float(potential(at_saddle, hessian=False).energy[0])
        start = shaken(reference, options.noise, options.seed + i)
        for solver in missing:
            record = found(solver, potential, start, options.n_steps)
            told = judged(record, potential, reference, energy)
            results[solver][reference.name] = told
            print(f"{solver:15}", *(f"{k}={_short(v)}" for k, v in told.items()), flush=True)
            yield


def _short(value: Any) -> Any:
    return f"{value:.3g}" if isinstance(value, float) else value


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """A row for each solver, and `trust` beside each of the others, over what all have done."""
    shared = set.intersection(*(set(own) for own in results.values()))
    rows = ["| | right | gradients, median (mean) | Hessians | own time of a step |", RULE]
    costs = {}
    for solver, own in results.items():
        done = [own[name] for name in sorted(shared)]
        costs[solver] = np.array([one["n_gradient"] for one in done])
        right = sum(one["is_right"] for one in done)
        step = np.median([one["own_s"] / max(one["steps"], 1) for one in done])
        hessians = sum(one["n_hessian"] for one in done)
        cost = f"{np.median(costs[solver]):.1f} ({costs[solver].mean():.0f})"
        rows.append(f"| `{solver}` | {right} of {len(done)} | {cost} | {hessians} | {step:.3f} s |")
    for other in costs.keys() - {"trust"}:
        if "trust" in costs and len(shared) > 5:
            ratio = np.exp(np.mean(np.log(costs["trust"] / costs[other])))
            test: Any = wilcoxon(costs["trust"], costs[other])
            rows.append(f"trust / {other}: {ratio:.2f} (p {test.pvalue:.1g})")
    return rows


def references(options: argparse.Namespace) -> list[Start]:
    """The saddles, from the file or the embedded set, none of which has too few or many atoms."""
    if options.embedded:
        found = reactions.read("embedded-gfn2", split="all")
        given = starting_points.starts(found, "ts")
    else:
        given = starting_points.read_geometries(options.geometries)
    return [one for one in given if LEAST_ATOMS <= len(one.atomic_numbers) <= options.most_atoms]


def main() -> None:
    """A line for each search, and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geometries", type=Path, default=Path(__file__).with_name("larger.xyz"))
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--solvers", default="trust,sella-internal,sella")
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--n-steps", type=int, default=300)
    parser.add_argument("--most-atoms", type=int, default=80)
    parser.add_argument("--out", type=Path, default=Path("runs/larger.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    starts = references(options)
    earlier = json.loads(options.out.read_text()) if options.out.exists() else {}
    results = {solver: earlier.get(solver, {}) for solver in options.solvers.split(",")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for _ in measured(options, starts, results):
        options.out.write_text(json.dumps(earlier | results, indent=1))
    print(*table(results), sep="\n")


if __name__ == "__main__":
    main()
