"""A race of the best trials, the defaults among them, on reactions that no trial has seen.

A study always finds something that is better on its own samples. The race says whether it is on
others: after each block of samples those leave that are significantly worse than the best one. So
do the defaults, by a test that allows for every look at them, and the gain over them is that on the
samples that they were searched on (`gains`).

References: F-Race, Birattari et al., GECCO 2002, 11; irace, Lopez-Ibanez et al., Oper. Res.
Perspect. 3, 43 (2016), doi:10.1016/j.orp.2016.09.002: blocks, of which the first is larger, and
paired tests (here Wilcoxon's) are theirs; Holm, Scand. J. Stat. 6, 65 (1979); Efron, Ann. Stat. 7,
1 (1979) (the bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from gadlib.files.locks import in_turn
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.screening.references import Key
from gadlib.screening.screen import screen
from gadlib.settings.objectives import Objective
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.choices import STARTS, of_settings, of_solver
from gadlib.tuning.front import (
    RACE,
    completed,
    feasible,
    front,
    objectives_in,
    pick,
)
from gadlib.tuning.gains import interval
from gadlib.tuning.pruning import p_of_gain
from gadlib.tuning.raced import RACING, Race, UnderWay, race_of
from gadlib.tuning.scores import compared, values

FIRST, BLOCK = 6, 3
"""Samples before the first comparison, and between the others: irace takes 5 and 1. One-sided
Wilcoxon tests of six pairs reach 1.6 %, so that one of three may leave."""

P_MAX = 0.05
"""Of leaving, corrected for the number of candidates (Holm), and of the defaults for the number of
blocks after which they may (Bonferroni), as it is them that a gain is claimed over."""

_RESAMPLES = 2000


@dataclass
class Candidate:
    """A trial in the race, with its values on the samples so far.

    Attributes:
        may_win: whether it keeps the study's constraints; defaults that do not race all the same,
            as what the others are compared with.
    """

    number: int
    params: dict[str, Any]
    may_win: bool = True
    found: list[tuple[float, ...]] = field(default_factory=list)
    has_left: bool = False


def hold_race(
    study: optuna.Study,
    settings: TuneSettings,
    fresh: Sequence[Start],
    folder: Path,
    references: Mapping[Key, Record],
    others: Mapping[str, Sequence[Start]] | None = None,
    beat: Callable[[], object] = lambda: None,
) -> Race | None:
    """The race of the study's best trials, kept in the study; None where none may win it.

    Held before, on the same trials and samples, it is not held again.

    Args:
        study: with all its trials.
        settings: of the study, with the number of candidates.
        fresh: where the searches begin, of reactions that no trial has seen.
        folder: for the records of each candidate.
        references: the reactions' own saddles, where the objectives ask for them.
        others: where searches of the same reactions begin from other recipes that trials chose.
        beat: called after the searches of each candidate in each block.
    """
    with in_turn(folder.with_name(f".{folder.name}.lock")):  # other workers wait, and find it held
        names = [start.name for start in fresh]
        earlier = race_of(study)
        if earlier is not None and earlier.samples == names:
            return earlier
        known = candidates(study, settings.n_candidates)
        if not any(one.may_win for one in known):
            return None
        objectives = objectives_in(study.user_attrs)

        def told() -> None:
            beat()
            study.set_user_attr(RACING, asdict(_under_way(known, fresh, len(completed(study)))))

        plans = [_plan(one, settings, others or {}, fresh) for one in known]
        _run(known, plans, folder, objectives, references, told)
        race = _result(study, known, names, objectives)
        study.set_user_attr(RACE, asdict(race))
    return race


def candidates(study: optuna.Study, n: int) -> list[Candidate]:
    """The defaults, if they are complete, and the best trials: the front, then by the first."""
    trials = completed(study)
    defaults = [t for t in trials if t.number == 0]
    sign = 1.0 if study.directions[0].name == "MAXIMIZE" else -1.0
    ranked = sorted(feasible(study, trials), key=lambda t: -sign * t.values[0])
    keeping = {t.number for t in ranked}
    chosen: dict[str, Candidate] = {}
    for t in (*defaults, *reversed(front(study)), *ranked):
        if len(chosen) < n + len(defaults):
            one = Candidate(t.number, t.params, may_win=t.number in keeping)
            chosen.setdefault(str(t.params), one)
    return list(chosen.values())


def _run(
    known: Sequence[Candidate],
    plans: Sequence[tuple[SearchSettings, Sequence[Start]]],
    folder: Path,
    objectives: Sequence[Objective],
    references: Mapping[Key, Record],
    told: Callable[[], None],
) -> None:
    """Search block by block; with one objective those that are clearly worse leave after each."""
    n = len(plans[0][1])
    ends = [*range(FIRST, n, BLOCK), n]
    told()
    for end in ends:
        for one, (plan, starts) in zip(known, plans, strict=True):
            if not one.has_left:
                out, desc = folder / f"trial_{one.number}.json", f"race, trial {one.number}"
                records = screen(plan, starts=starts[:end], out=out, desc=desc)
                records = [compared(record, references) for record in records]
                n_steps = plan.n_steps_per_sample
                one.found = [values([record], n_steps, objectives) for record in records]
                told()
        if len(objectives) == 1 and end < n:
            let_go(known, objectives[0], n_looks=len(ends) - 1)


def _under_way(known: Sequence[Candidate], fresh: Sequence[Start], n_completed: int) -> UnderWay:
    return UnderWay(
        n_samples=len(fresh),
        n_searched={str(one.number): len(one.found) for one in known},
        left=[one.number for one in known if one.has_left],
        n_completed=n_completed,
        samples=[start.name for start in fresh],
    )


def _plan(
    one: Candidate,
    settings: TuneSettings,
    others: Mapping[str, Sequence[Start]],
    fresh: Sequence[Start],
) -> tuple[SearchSettings, Sequence[Start]]:
    """How a candidate searches, and from where: in the order of the reactions, as all others."""
    chosen = of_settings(one.params)
    shared = {name: getattr(settings, name) for name in SearchSettings.model_fields}
    own = {**settings.hyperparameters, **of_solver(one.params)}
    plan = SearchSettings.read({**shared, **chosen, "hyperparameters": own, "resume": True})
    return plan, others.get(chosen.get(STARTS, ""), fresh)


def let_go(known: Sequence[Candidate], objective: Objective, n_looks: int) -> None:
    """Those leave that are worse than the best one by a paired test.

    The defaults only where the interval of the gain over them says so, too, as it will be told.

    Args:
        known: all in the race, of which those that are in it have the same samples.
        objective: of the study.
        n_looks: how often the defaults, trial 0, are looked at before the race ends.
    """
    sign = -1.0 if objective.is_cost else 1.0
    here = [one for one in known if not one.has_left]
    merits = {one.number: sign * np.array(one.found)[:, 0] for one in here}
    best = max((one for one in here if one.may_win), key=lambda one: merits[one.number].mean())
    tested = []
    for one in here:
        if one is not best:
            apart = merits[best.number] - merits[one.number]
            p = p_of_gain(apart)
            if not one.number:
                p = p * n_looks if interval(apart, is_cost=objective.is_cost)[0] > 0 else 1.0
            tested.append((p, one))
    tested.sort(key=lambda pair: pair[0])
    for rank, (p, one) in enumerate(tested):
        if p >= P_MAX / (len(tested) - rank):
            return
        one.has_left = True


def _result(
    study: optuna.Study,
    known: Sequence[Candidate],
    names: list[str],
    objectives: Sequence[Objective],
) -> Race:
    staying = [one for one in known if not one.has_left]
    found = np.array([one.found for one in staying])  # candidates, samples, objectives
    prefer = study.user_attrs.get("settings", {}).get("prefer")
    may = np.flatnonzero([one.may_win for one in staying])
    winner = may[pick(found[may].mean(axis=1), objectives, prefer)]
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(names), size=(_RESAMPLES, len(names)))
    means = found[:, drawn].mean(axis=2)  # candidates, resamples, objectives
    wins = [may[pick(means[may, i], objectives, prefer)] == winner for i in range(_RESAMPLES)]
    return Race(
        winner=staying[winner].number,
        samples=names,
        n_searched={str(one.number): len(one.found) for one in known},
        scores={
            str(one.number): {
                name.name: float(np.array(one.found)[:, i].mean())
                for i, name in enumerate(objectives)
            }
            for one in known
        },
        win_share=float(np.mean(wins)),
        gain=_gains(known, staying[winner], objectives),
        n_completed=len(completed(study)),
    )


def _gains(
    known: Sequence[Candidate], winner: Candidate, objectives: Sequence[Objective]
) -> dict[str, list[float]]:
    """By objective how much better the winner is than the defaults, where these were searched."""
    defaults = next((one for one in known if not one.number), None)
    if defaults is None:
        return {}
    apart = np.array(winner.found)[: len(defaults.found)] - np.array(defaults.found)
    gains = {
        one.name: (-apart[:, i] if one.is_cost else apart[:, i], one.is_cost)
        for i, one in enumerate(objectives)
    }
    return {
        name: [float(found.mean()), *interval(found, is_cost=is_cost)]
        for name, (found, is_cost) in gains.items()
    }
