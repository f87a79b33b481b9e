"""A race of the best trials, the defaults among them, on reactions that no trial has seen.

A study always finds something that is better on its own samples. The race says whether it is on
others: after each block of samples those leave that are significantly worse than the best one.

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
from gadlib.tuning.pruning import p_of_gain
from gadlib.tuning.raced import RACING, Race, UnderWay, race_of
from gadlib.tuning.scores import compared, values

FIRST, BLOCK = 6, 3
"""Samples before the first comparison, and between the others: irace takes 5 and 1. One-sided
Wilcoxon tests of six pairs reach 1.6 %, so that one of three may leave."""

P_MAX = 0.05
"""Of leaving, corrected for the number of candidates (Holm)."""

_RESAMPLES = 2000


@dataclass
class _Candidate:
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


def candidates(study: optuna.Study, n: int) -> list[_Candidate]:
    """The defaults, if they are complete, and the best trials: the front, then by the first."""
    trials = completed(study)
    defaults = [t for t in trials if t.number == 0]
    sign = 1.0 if study.directions[0].name == "MAXIMIZE" else -1.0
    ranked = sorted(feasible(study, trials), key=lambda t: -sign * t.values[0])
    keeping = {t.number for t in ranked}
    chosen: dict[str, _Candidate] = {}
    for t in (*defaults, *reversed(front(study)), *ranked):
        if len(chosen) < n + len(defaults):
            one = _Candidate(t.number, t.params, may_win=t.number in keeping)
            chosen.setdefault(str(t.params), one)
    return list(chosen.values())


def _run(
    known: Sequence[_Candidate],
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
        if len(objectives) == 1:
            _let_go(known, objectives[0])


def _under_way(known: Sequence[_Candidate], fresh: Sequence[Start], n_completed: int) -> UnderWay:
    return UnderWay(
        n_samples=len(fresh),
        n_searched={str(one.number): len(one.found) for one in known},
        left=[one.number for one in known if one.has_left],
        n_completed=n_completed,
        samples=[start.name for start in fresh],
    )


def _plan(
    one: _Candidate,
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


def _let_go(known: Sequence[_Candidate], objective: Objective) -> None:
    """Those leave that are worse than the best one by a paired test; the defaults never do."""
    sign = -1.0 if objective.is_cost else 1.0
    here = [one for one in known if not one.has_left]
    merits = {one.number: sign * np.array(one.found)[:, 0] for one in here}
    best = max((one for one in here if one.may_win), key=lambda one: merits[one.number].mean())
    tested = []
    for one in here:
        if one is not best and one.number:
            tested.append((p_of_gain(merits[best.number] - merits[one.number]), one))
    tested.sort(key=lambda pair: pair[0])
    for rank, (p, one) in enumerate(tested):
        if p >= P_MAX / (len(tested) - rank):
            return
        one.has_left = True


def _result(
    study: optuna.Study,
    known: Sequence[_Candidate],
    names: list[str],
    objectives: Sequence[Objective],
) -> Race:
    staying = [one for one in known if not one.has_left]
    found = np.array([one.found for one in staying])  # candidates, samples, objectives
    signs = np.array([-1.0 if one.is_cost else 1.0 for one in objectives])
    prefer = study.user_attrs.get("settings", {}).get("prefer")
    may = np.flatnonzero([one.may_win for one in staying])
    winner = may[pick(found[may].mean(axis=1), objectives, prefer)]
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(names), size=(_RESAMPLES, len(names)))
    means = found[:, drawn].mean(axis=2)  # candidates, resamples, objectives
    wins = [may[pick(means[may, i], objectives, prefer)] == winner for i in range(_RESAMPLES)]
    gain = {}
    numbers = [one.number for one in staying]
    if 0 in numbers:
        apart = signs * (means[winner] - means[numbers.index(0)])
        mean = signs * (found[winner] - found[numbers.index(0)]).mean(axis=0)
        low, high = np.quantile(apart, (0.025, 0.975), axis=0)
        for i, one in enumerate(objectives):
            gain[one.name] = [float(mean[i]), float(low[i]), float(high[i])]
    return Race(
        winner=numbers[winner],
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
        gain=gain,
        n_completed=len(completed(study)),
    )
