"""What a portfolio of starts gains over its first start, and over that with as many steps.

    python tests/measure_portfolios.py --out runs/portfolios

`trust` on the embedded reactions of val and test, by the criteria `bound` and `intended`; the
portfolio is the one that a study on train chose (docs/measurements/tuning.md). Of each pair of ways
it prints what is found, exact McNemar, and gradients (a Hessian as 6N) with Wilcoxon's test.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from gadlib.molecules import starting_points
from gadlib.report.statistics import mcnemar
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record
from gadlib.screening.references import deviation, is_recovered, key_of, reference_plan
from gadlib.screening.screen import screen
from gadlib.screening.setup import reactions_of
from gadlib.settings.searches import SearchSettings

FIRST = "idpp_rp"
PORTFOLIO = "idpp_rp+midpoint_rp_noise0.1A+idpp_rp_noise0.2A"
N_STEPS = 100
WAYS = {"one start": (FIRST, 1), "three times the steps": (FIRST, 3), "portfolio": (PORTFOLIO, 1)}
"""The starts, and how often the steps."""

Paired = dict[tuple[str, str, str], Record]


def settings_of(criterion: str, start_from: str, n_steps: int) -> SearchSettings:
    """How a way is searched."""
    return SearchSettings.read(
        {"solver": "trust", "criterion": criterion, "check_ends": True, "split": "val,test"}
        | {"start_from": start_from, "n_steps_per_sample": n_steps, "resume": True}
    )


def references(out: Path) -> Paired:
    """The reactions' own saddles that are found from their transition states."""
    settings = settings_of("bound", FIRST, N_STEPS)
    starts = starting_points.starts(reactions_of(settings), "ts")
    plan = reference_plan(settings, check_ends=False)
    found = screen(plan, starts=starts, out=out / "reference.json")
    return {key_of(record): record for record in found if record.bound}


def counted(records: Sequence[Record], own: Paired) -> dict[str, np.ndarray]:
    """Whether each search has found what is counted."""
    return {
        "bound": np.array([bool(r.bound) for r in records]),
        "near": np.array([bool(r.near) for r in records]),
        "intended": np.array([r.meets("intended") for r in records]),
        "recovered": np.array(
            [bool(is_recovered(r, deviation(r, own.get(key_of(r))))) for r in records]
        ),
    }


def compare(criterion: str, found: dict[str, list[Record]], own: Paired) -> None:
    """Print each way, and each pair of them."""
    cost = {name: np.array([*map(gradients_of, records)]) for name, records in found.items()}
    met = {name: counted(records, own) for name, records in found.items()}
    for name, records in found.items():
        counts = ", ".join(f"{what} {of.sum()}" for what, of in met[name].items())
        again = sum(len(record.searches) > 1 for record in records)
        told = f"{cost[name].mean():.0f} gradients, {again} from further starts"
        print(f"{criterion}, {name}: {counts} of {len(records)}, {told}")
    for one, other in combinations(found, 2):
        parts = []
        for what in met[one]:
            gained = int((met[other][what] & ~met[one][what]).sum())
            lost = int((met[one][what] & ~met[other][what]).sum())
            parts.append(f"{what} +{gained} -{lost} (p = {mcnemar(gained, lost):.2g})")
        p = wilcoxon(cost[other] - cost[one]).pvalue if (cost[other] != cost[one]).any() else 1.0
        print(f"  {one} -> {other}: {', '.join(parts)}; gradients p = {p:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/portfolios"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    own = references(out)
    for criterion in ("bound", "intended"):
        found = {
            name: screen(
                settings_of(criterion, start_from, times * N_STEPS),
                out=out / f"{criterion} {name}.json".replace(" ", "_"),
            )
            for name, (start_from, times) in WAYS.items()
        }
        compare(criterion, found, own)


if __name__ == "__main__":
    main()
