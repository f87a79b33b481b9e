"""What races cost, and whether their intervals hold: replayed on searches that are there.

    python tests/measure_tuning.py --solver damped ... | tee runs/rows.txt
    python tests/measure_races.py runs/rows.txt --objective converged

The rows of a measurement say what came of each reaction with the values of each study and with
those of trial 0. From them races are drawn: trial 0 and two others, on so many of the reactions,
drawn with replacement. Each is run as `gadlib.tuning.race` does, and with defaults that stay to the
end. Printed are the mean gradients of a race, and in how many the 95 % interval of the gain holds
the mean gain on all reactions; with `--as-defaults 3` the third of the others takes the place of
trial 0, which then is not worse.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gadlib.settings.objectives import OBJECTIVES, Objective
from gadlib.tuning.gains import interval
from gadlib.tuning.race import BLOCK, FIRST, Candidate, let_go


class Known(NamedTuple):
    """Values and gradients of all searches, rows by what was searched with, trial 0 first."""

    values: np.ndarray
    cost: np.ndarray


def main() -> None:
    """Print a row for each number of reactions and each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--objective", default="converged", choices=("converged", "gradients"))
    parser.add_argument("--sizes", default="9,12,20", help="reactions of a race")
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--as-defaults", type=int, default=0)
    asked = parser.parse_args()
    known = _read(asked.rows, asked.objective, asked.as_defaults)
    print(f"{len(known.values)} values, {known.values.shape[1]} reactions")
    objective = OBJECTIVES[asked.objective]
    for n in map(int, asked.sizes.split(",")):
        for stay in (True, False):
            generator = np.random.default_rng(n)
            found = [_race(known, objective, n, stay, generator) for _ in range(asked.races)]
            spent, of_defaults, has_left, *held = np.nanmean(np.array(found, dtype=float), axis=0)
            print(
                f"{n} reactions, defaults {'stay' if stay else 'may leave'}: {spent:.0f} gradients,"
                f" {of_defaults:.0f} of the defaults, which left {100 * has_left:.0f} % of races;"
                f" intervals hold the gain in {100 * held[0]:.0f} %, of a bootstrap in"
                f" {100 * held[1]:.0f} %, and are above zero in {100 * held[2]:.0f} %",
                flush=True,
            )


def _read(paths: list[Path], objective: str, as_defaults: int) -> Known:
    lines = [line for path in paths for line in path.read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    rows.sort(key=lambda row: row["study"] != "trial 0")
    apart = {json.dumps(row["cost"]): row for row in rows}  # of studies with the same best trial
    met, cost = (np.array([row[name] for row in apart.values()], float) for name in ("met", "cost"))
    most = cost.max(axis=0)  # of the reaction, about what all steps take
    values = met - 0.01 * cost / most if objective == "converged" else np.where(met, cost, most)
    order = np.arange(len(values))
    order[[0, as_defaults]] = order[[as_defaults, 0]]
    return Known(values[order], cost[order])


def _race(
    known: Known, objective: Objective, n: int, stay: bool, generator: np.random.Generator
) -> tuple[float, ...]:
    """Its gradients, those of the defaults, whether they left, and what is said of the gain."""
    numbers = [0, *(1 + generator.permutation(len(known.values) - 1)[:2])]
    places = generator.integers(known.values.shape[1], size=n)
    racing = [Candidate(int(i), {}) for i in numbers]
    ends = [*range(FIRST, n, BLOCK), n]
    for end in ends:
        for one in racing:
            if not one.has_left:
                one.found = [(value,) for value in known.values[one.number, places[:end]]]
        if end < n:
            let_go(racing[1:] if stay else racing, objective, n_looks=len(ends) - 1)
    spent = [known.cost[one.number, places[: len(one.found)]].sum() for one in racing]
    sign = -1.0 if objective.is_cost else 1.0
    staying = [one for one in racing if not one.has_left]
    winner = max(staying, key=lambda one: sign * np.mean(one.found))
    defaults = racing[0]
    if winner is defaults:
        return sum(spent), spent[0], False, np.nan, np.nan, np.nan
    apart = sign * (np.array(winner.found)[: len(defaults.found), 0] - np.ravel(defaults.found))
    true = sign * (known.values[winner.number] - known.values[0]).mean()
    low, high = interval(apart, is_cost=objective.is_cost)
    means = apart[generator.integers(len(apart), size=(1000, len(apart)))].mean(axis=1)
    boot = np.quantile(means, (0.025, 0.975))
    is_held = low <= true <= high, boot[0] <= true <= boot[1]
    return sum(spent), spent[0], defaults.has_left, *is_held, low > 0


if __name__ == "__main__":
    main()
