"""What rungs would have saved in studies that were made without, and whether they lose the best.

    gadlib tune --pruning none --easy-share 0 --out-dir runs/plain ...
    python tests/measure_rungs.py sqlite:///runs/plain/study.db

Each trial is replayed in its order: at each rung it is compared with those that came there before
(`gadlib.tuning.pruning`), and ends or goes on. Gradients are of the samples, a Hessian as 6N with
the mean size of embedded molecules; of a search that would have rested its share by steps. With
`--eta 3,4` one trial of so many goes on from a rung, with `--least 1` the first rung may be of one
sample; with `--joined` all trials are replayed as those of one study.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from gadlib.molecules.starting_points import Start
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import Record
from gadlib.settings.objectives import Objective
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning import pruning, rungs
from gadlib.tuning.front import objectives_in
from gadlib.tuning.pruning import is_stopped_at_rung
from gadlib.tuning.rungs import Ladder
from gadlib.tuning.scores import is_matched, values

_MEAN = Start("", "", "", "", None, np.full(10, 6), np.zeros((10, 3)), 1)
"""Of as many atoms as embedded molecules have on average."""


def main() -> None:
    """Print what each way saves in each study of the storages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storages", nargs="+")
    parser.add_argument("--eta", default=str(rungs.ETA), help="several with commas between")
    parser.add_argument("--least", type=int, default=rungs.LEAST["samples"])
    parser.add_argument("--joined", action="store_true", help="all as one study, in three orders")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = parser.parse_args()
    least = rungs.LEAST | {"samples": asked.least}
    studies = [
        optuna.load_study(study_name=name, storage=storage)
        for storage in asked.storages
        for name in optuna.get_all_study_names(storage)
    ]
    whole = {study.study_name: _whole(study) for study in studies}
    if asked.joined:
        all_trials = [trial for trials in whole.values() for trial in trials]
        orders = [np.random.default_rng(seed).permutation(len(all_trials)) for seed in range(3)]
        whole = {f"order {i}": [all_trials[k] for k in order] for i, order in enumerate(orders)}
    for name, trials in whole.items():
        for eta in map(int, asked.eta.split(",")):
            for way in ("halving", "halving_steps"):
                with (
                    patch.multiple(rungs, ETA=eta, LEAST=least),
                    patch.object(pruning, "ETA", eta),
                ):
                    told = replayed(studies[0].user_attrs, trials, way)
                print(name, way, f"1 of {eta}:", told, flush=True)


def _whole(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]


def replayed(attributes: Mapping[str, Any], whole: Sequence[FrozenTrial], way: str) -> str:
    """What a way to end trials early saves, in a sentence."""
    settings = TuneSettings(**attributes["settings"] | {"pruning": way})
    objectives = objectives_in(attributes)
    searched = [_records(trial) for trial in whole]
    n, n_steps = len(searched[0]), settings.n_steps_per_sample
    ladder = Ladder.of(settings, n, n)
    come: list[FrozenTrial] = []
    spent, to_the_end = 0.0, []
    for number, records in enumerate(searched):
        come.append(create_trial(state=TrialState.RUNNING))
        cost = _climbed(number, records, ladder, come, objectives, n_steps)
        spent += sum(map(gradients_of, records)) if cost is None else cost
        if cost is None:
            to_the_end.append(values(records, n_steps, objectives))
    full = sum(gradients_of(r) for records in searched for r in records)
    found = [values(records, n_steps, objectives) for records in searched]
    best = [v for v in found if not is_matched(v, [o for o in found if o != v], objectives)]
    kept = sum(v in to_the_end for v in best)
    if len(objectives) == 1:
        of = min if objectives[0].is_cost else max
        told = f"the best of those {of(to_the_end)[0]:.4g}, of all {of(found)[0]:.4g}"
    else:
        told = f"{kept} of the {len(best)} best among them"
    return (
        f"{len(whole)} trials of {n} samples, {full:.0f} gradients, {1 - spent / full:.0%} saved;"
        f" {len(to_the_end)} went to the end, {told}; trial 0 {found[0][0]:.4g}"
    )


def _climbed(
    number: int,
    records: Sequence[Record],
    ladder: Ladder,
    come: list[FrozenTrial],
    objectives: Sequence[Objective],
    n_steps: int,
) -> float | None:
    """The cost of a trial that ends at a rung; None of one that goes to its end."""
    for level, rung in enumerate(ladder.rungs):
        come[number].number = number
        found = values(ladder.at(rung, records), n_steps, objectives)
        come[number].set_user_attr(rung.name, found)
        if number and is_stopped_at_rung(number, rung, come, objectives):
            after = ladder.rest_after(level)
            part = [records[i] for i in ladder.places(level)]
            shares = [1.0 if after is None else min(1.0, after / max(1, r.steps)) for r in part]
            return sum(s * gradients_of(r) for s, r in zip(shares, part, strict=True))
    return None


def _records(trial: FrozenTrial) -> list[Record]:
    """What a study keeps of a trial's samples, as records."""
    return [_record(sample) for sample in trial.user_attrs["samples"]]


def _record(sample: dict[str, Any]) -> Record:
    known = {k: v for k, v in sample.items() if k in Record.__dataclass_fields__}
    return replace(Record.blank(_MEAN, Status.RUNNING, ""), **known)


if __name__ == "__main__":
    main()
