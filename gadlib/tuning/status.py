"""How a study stands: trials, rungs, race, best, rate, workers, from its storage alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from gadlib.cluster.heartbeats import is_alive, read_workers
from gadlib.cluster.slots import DONE
from gadlib.tuning.front import front, objectives_in, preferred
from gadlib.tuning.raced import race_of, race_under_way
from gadlib.tuning.ranges import at_ends
from gadlib.tuning.rungs import Rung, rungs_of


@dataclass(frozen=True)
class RungStatus:
    """How trials stand at a rung.

    Attributes:
        rung: after how many samples or steps trials are compared there.
        n_came: trials that came there, those that have gone on included.
        n_ended: that ended there, or before the next one.
        n_above: that are under way to the next one now.
    """

    rung: Rung
    n_came: int
    n_ended: int
    n_above: int

    def __str__(self) -> str:
        """In a few words."""
        on = f", {self.n_above} on the way up" if self.n_above else ""
        return f"of {self.n_came} at {self.rung} {self.n_ended} ended{on}"


@dataclass(frozen=True)
class StudyStatus:
    """How a study stands.

    Attributes:
        n_trials: wanted, None where nobody said.
        n_done: decided: complete or pruned.
        best_trial: of several best ones the preferred; best_values: its values by objective;
            n_best: how many trials are such that no other is better by all objectives.
        trials_per_hour: over the last twenty that were decided; None with fewer than two.
        hours_left: at that rate; None while no worker is alive.
        alive: names of the workers that are at work.
        stale: numbers of running trials whose worker has died.
        rungs: how trials stand at each, the first one first; none where trials have no rungs.
        race: how far the race of the best trials has come, or how it ended; empty without one.
        at_ends: the best trial's values that lie at an end of their ranges, a sentence each.
    """

    study_name: str
    n_trials: int | None
    n_done: int
    states: Mapping[str, int]
    best_trial: int | None
    best_values: Mapping[str, float]
    n_best: int
    trials_per_hour: float | None
    hours_left: float | None
    alive: tuple[str, ...]
    stale: tuple[int, ...]
    rungs: tuple[RungStatus, ...] = field(default=())
    race: str = ""
    at_ends: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Some lines for a terminal or a notebook."""

        def shown(value: float | None, form: str) -> str:
            return "unknown" if value is None else format(value, form)

        states = ", ".join(f"{n} {state}" for state, n in self.states.items() if n) or "none"
        best = ", ".join(f"{value:.4f} {name}" for name, value in self.best_values.items())
        others = f", one of {self.n_best}" if self.n_best > 1 else ""
        best = f"{best} (trial {self.best_trial}{others})" if best else "none yet"
        lines = {
            "study": self.study_name,
            "done": f"{self.n_done} of {'?' if self.n_trials is None else self.n_trials}",
            "trials": states,
            "best": best,
            "trials per hour": shown(self.trials_per_hour, ".1f"),
            "hours left": shown(self.hours_left, ".2f"),
            "workers alive": f"{len(self.alive)}"
            + (f" ({', '.join(self.alive)})" if self.alive else ""),
            "stale trials": ", ".join(map(str, self.stale)) or "none",
        }
        if self.rungs:
            lines["rungs"] = self.rungs_shown
        if self.race:
            lines["race"] = self.race
        if self.at_ends:
            lines["at their ends"] = "; ".join(self.at_ends)
        return "\n".join(f"{name + ':':<17}{value}" for name, value in lines.items())

    @property
    def rungs_shown(self) -> str:
        """How trials stand at the rungs, in a line; empty where there are none."""
        return "; ".join(map(str, self.rungs))


def read_rungs(study: optuna.Study) -> tuple[RungStatus, ...]:
    """How the trials of a study stand at its rungs; those that failed are tried again elsewhere."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.state is not TrialState.FAIL]
    come = [(rungs_of(t), t.state) for t in trials]
    return tuple(
        RungStatus(
            rung=rung,
            n_came=sum(rung in rungs for rungs, _ in come),
            n_ended=sum(rungs[-1:] == [rung] and s is TrialState.PRUNED for rungs, s in come),
            n_above=sum(rungs[-1:] == [rung] and s is TrialState.RUNNING for rungs, s in come),
        )
        for rung in sorted({rung for rungs, _ in come for rung in rungs})
    )


def _read_race(study: optuna.Study) -> str:
    if (race := race_of(study)) is not None:
        n = sum(race.n_searched.values())
        return f"trial {race.winner} wins, {n} searches on {len(race.samples)} reactions"
    under_way = race_under_way(study)
    return "" if under_way is None else under_way.sentence


def read_status(study: optuna.Study) -> StudyStatus:
    """How the study stands now, from its storage alone."""
    trials, attrs, known = study.get_trials(deepcopy=False), study.user_attrs, read_workers(study)
    settings = attrs.get("settings", {})
    n_trials = attrs.get("n_trials", settings.get("n_trials"))
    grace_s = settings.get("grace_s", 180.0)
    alive = tuple(sorted(name for name, worker in known.items() if is_alive(worker, grace_s)))
    running = [t for t in trials if t.state is TrialState.RUNNING]
    done = [t for t in trials if t.state in DONE]
    best = preferred(study)
    names = [one.name for one in objectives_in(attrs)]
    ends = sorted(t.datetime_complete for t in done if t.datetime_complete)[-20:]
    hours = (ends[-1] - ends[0]).total_seconds() / 3600 if len(ends) > 1 else 0.0
    rate = (len(ends) - 1) / hours if hours else None
    left = None if n_trials is None else max(0, n_trials - len(done))
    return StudyStatus(
        study_name=study.study_name,
        n_trials=n_trials,
        n_done=len(done),
        states={str(s.name).lower(): sum(t.state is s for t in trials) for s in TrialState},
        best_trial=best.number if best else None,
        best_values=dict(zip(names, best.values or (), strict=False)) if best else {},
        n_best=len(front(study)),
        trials_per_hour=rate,
        hours_left=0.0 if left == 0 else left / rate if left and rate and alive else None,
        alive=alive,
        stale=tuple(t.number for t in running if t.user_attrs.get("worker") not in alive),
        rungs=read_rungs(study),
        race=_read_race(study),
        at_ends=tuple(map(str, at_ends(best))),
    )
