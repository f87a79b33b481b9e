"""A study: what it is about, so that another one is never mixed into it, and what it has found.

All that can be said of a study is said from its storage alone, at any time, by any process.
Floor 5.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.trial import FrozenTrial, TrialState

from gadlib import calculators
from gadlib.claims import DONE, Claims, is_alive, workers
from gadlib.objective import space
from gadlib.reactions import Start
from gadlib.records import Record, versions
from gadlib.screen import difficulty
from gadlib.settings import InputError, StudySettings, TuneSettings
from gadlib.storage import (
    Patient,
    file_of,
    network_filesystem,
    open_storage,
    without_password,
)

_ABOUT = "gadlib"
_MADE_S = 30.0


def default_storage(settings: TuneSettings | StudySettings) -> str:
    """The storage URL: the given one, that of the environment, or a file in the output folder."""
    if url := settings.storage or os.environ.get("GADLIB_STORAGE"):
        return url
    stem = Path(settings.out_dir) / f"{settings.calculator}_hpo_study"
    if network_filesystem(settings.out_dir):
        return f"journal:///{stem}.log"
    return f"sqlite:///{stem}.db"


def about(settings: TuneSettings, samples: Sequence[Start]) -> dict[str, Any]:
    """What a study is about: two runs may share a study only where this is the same."""
    positions = json.dumps([s.positions.round(6).tolist() for s in samples]).encode()
    return {
        "solver": settings.solver,
        "space": {k.name: [k.low, k.high, k.log] for k in space(settings.solver, settings.ranges)},
        "criterion": settings.criterion,
        **calculators.identity(settings),
        "start_from": settings.start_from,
        "noise_seed": settings.noise_seed,
        "n_steps_per_sample": settings.n_steps_per_sample,
        "reactions": [s.name for s in samples],
        "starting_points": hashlib.sha256(positions).hexdigest()[:16],
    }


def settings_shown(settings: TuneSettings) -> dict[str, Any]:
    """The settings as they may be kept: without the storage, whose URL may hold a password."""
    return settings.model_dump(exclude={"storage"})


def load(storage: str, study_name: str | None = None) -> optuna.Study:
    """The study of that name, or the only one there is.

    Raises:
        InputError: when the storage or the study isn't there; the message lists the studies that
            are.
    """
    opened = open_storage(storage, must_exist=True, patience_s=30.0)
    names = [study.study_name for study in opened.get_all_studies()]
    if study_name is None and len(names) == 1:
        study_name = names[0]
    if study_name not in names:
        there = ", ".join(names) or "none"
        raise InputError(f"storage {opened.shown}: no study {study_name!r}; studies there: {there}")
    return optuna.load_study(study_name=study_name, storage=opened)


def require_storage(settings: TuneSettings) -> Patient:
    """The storage, after it was asked whether the study may be begun or joined there.

    Raises:
        InputError: when there is one that may not be joined, or the storage can't be used.
    """
    url = default_storage(settings)
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise InputError(f"storage {url}: kept in memory only, expected a file or a server")
    storage = open_storage(url, patience_s=settings.patience_s)
    if settings.study_name in [study.study_name for study in storage.get_all_studies()]:
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
        _require_joinable(study, settings, storage.shown)
    return storage


def open_study(
    settings: TuneSettings,
    samples: Sequence[Start],
    screened: Sequence[Record] = (),
    *,
    storage: Patient | None = None,
) -> Claims:
    """This worker's claims on the study to tune in: a new one, or one that it may join.

    Joined is one that other workers are at work on, or with `resume` any about the same.

    Raises:
        InputError: when there is one that may not be joined, or the storage can't be used.
    """
    now = about(settings, samples)
    storage = require_storage(settings) if storage is None else storage
    try:
        study = optuna.create_study(
            study_name=settings.study_name, storage=storage, direction="maximize"
        )
        before = None
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
        before = _about_of(study)
    if before is not None:
        _require_joinable(study, settings, storage.shown)
        _require_same_study(study, before, now)
        claims = Claims(study, settings.n_trials, settings.grace_s)
        claims.recover(force=True)
    else:
        claims = Claims(study, settings.n_trials, settings.grace_s)
        study.enqueue_trial({k.name: k.default for k in space(settings.solver, settings.ranges)})
        study.set_user_attr("settings", settings_shown(settings))
        study.set_user_attr("versions", versions())
        study.set_user_attr("screening", [_screened(r) for r in screened])
        study.set_user_attr(_ABOUT, now)
    study.set_user_attr("n_trials", settings.n_trials)
    return claims


def _about_of(study: optuna.Study) -> dict[str, Any] | None:
    """What the study is about; None where who made it died before it could say so.

    Raises:
        InputError: when it was not made by gadlib.
    """
    began = time.monotonic()
    while (found := study.user_attrs.get(_ABOUT)) is None:
        trials = study.get_trials(deepcopy=False)
        if len(trials) > 1 or any(t.state is not TrialState.WAITING for t in trials):
            if (found := study.user_attrs.get(_ABOUT)) is not None:
                return found
            raise InputError(
                f"study {study.study_name!r} was not made by gadlib; choose another --study-name"
            )
        patience_s = _MADE_S if workers(study) else _MADE_S / 10
        if time.monotonic() - began > patience_s:
            return None
        time.sleep(0.2)
    return found


def _require_joinable(study: optuna.Study, settings: TuneSettings, shown: str) -> None:
    if settings.resume or _ABOUT not in study.user_attrs:  # another is making it right now
        return
    if any(is_alive(worker, settings.grace_s) for worker in workers(study).values()):
        return
    raise InputError(
        f"study {settings.study_name!r} exists in {shown}: continue it with --resume,"
        " or choose another --study-name"
    )


def _require_same_study(study: optuna.Study, before: dict[str, Any], now: dict[str, Any]) -> None:
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        told = "; ".join(_difference(name, before.get(name), now[name]) for name in differing)
        raise InputError(
            f"study {study.study_name!r} is about something else: {told};"
            " choose another --study-name"
        )


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [k for k in now | before if before.get(k) != now.get(k)]
        return "; ".join(f"{name} of {k} was {before.get(k)}, now {now.get(k)}" for k in keys)
    return f"{name} was {before!r}, now {now!r}"


def _screened(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "formula": record.formula,
        "split": record.split,
        "converged": record.converged,
        "steps": record.steps,
        "difficulty": difficulty(record),
    }


def sample_summary(record: Record) -> dict[str, Any]:
    """What a study keeps of one sample of one trial."""
    kept = (
        "name",
        "status",
        "converged",
        "index1",
        "strict",
        "bound",
        "steps",
        "escapes",
        "fmax",
        "n_gradient",
        "n_hessian",
        "message",
    )
    values = asdict(record)
    return {
        name: values[name]
        for name in kept
        if name != "message" or record.status not in ("saddle", "out_of_steps")
    }


def collect_results(study: optuna.Study) -> dict[str, Any]:
    """The content of `hpo_results.json`, from the storage alone: best, trials, screening set."""
    trials = study.get_trials(deepcopy=False)
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    best = max(completed, key=lambda t: t.value, default=None)  # type: ignore[arg-type,return-value]
    attrs = study.user_attrs
    return {
        "study_name": study.study_name,
        "best_trial": best and best.number,
        "best_score": best and best.value,
        "best_params": best.params if best else {},
        "best_convergence_rate": best and best.user_attrs.get("convergence_rate"),
        "best_mean_steps": best and best.user_attrs.get("mean_steps"),
        "n_trials": {
            str(state.name).lower(): sum(t.state is state for t in trials) for state in TrialState
        },
        "about": attrs.get(_ABOUT, {}),
        "settings": attrs.get("settings", {}),
        "versions": attrs.get("versions", {}),
        "workers": workers(study),
        "trials": [_trial(t) for t in trials],
        "screening": attrs.get("screening", []),
    }


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    is_complete = trial.state is TrialState.COMPLETE
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.value if is_complete else None,
        "params": trial.params,
        "started": trial.datetime_start and trial.datetime_start.isoformat(),
        "ended": trial.datetime_complete and trial.datetime_complete.isoformat(),
        "retry_of": trial.system_attrs.get("retry_history", []),
        **trial.user_attrs,
    }


@dataclass(frozen=True)
class Standing:
    """How a study stands.

    Attributes:
        n_trials: wanted, None where nobody said.
        n_done: decided: complete or pruned.
        trials_per_hour: over the last twenty that were decided; None with fewer than two.
        hours_left: at that rate; None while no worker is alive.
        alive: names of the workers that are at work.
        stale: numbers of running trials whose worker has died.
    """

    study_name: str
    n_trials: int | None
    n_done: int
    states: Mapping[str, int]
    best_trial: int | None
    best_score: float | None
    trials_per_hour: float | None
    hours_left: float | None
    alive: tuple[str, ...]
    stale: tuple[int, ...]

    def __str__(self) -> str:
        """Some lines for a terminal or a notebook."""

        def shown(value: float | None, form: str) -> str:
            return "unknown" if value is None else format(value, form)

        states = ", ".join(f"{n} {state}" for state, n in self.states.items() if n) or "none"
        best = (
            "none yet"
            if self.best_trial is None
            else f"{self.best_score:.4f} (trial {self.best_trial})"
        )
        lines = {
            "study": self.study_name,
            "done": f"{self.n_done} of {'?' if self.n_trials is None else self.n_trials}",
            "trials": states,
            "best score": best,
            "trials per hour": shown(self.trials_per_hour, ".1f"),
            "hours left": shown(self.hours_left, ".2f"),
            "workers alive": f"{len(self.alive)}"
            + (f" ({', '.join(self.alive)})" if self.alive else ""),
            "stale trials": ", ".join(map(str, self.stale)) or "none",
        }
        return "\n".join(f"{name + ':':<17}{value}" for name, value in lines.items())


def standing(study: optuna.Study) -> Standing:
    """How the study stands now, from its storage alone."""
    trials, attrs, known = study.get_trials(deepcopy=False), study.user_attrs, workers(study)
    settings = attrs.get("settings", {})
    n_trials = attrs.get("n_trials", settings.get("n_trials"))
    grace_s = settings.get("grace_s", 180.0)
    alive = tuple(sorted(name for name, worker in known.items() if is_alive(worker, grace_s)))
    running = [t for t in trials if t.state is TrialState.RUNNING]
    done = [t for t in trials if t.state in DONE]
    completed = [t for t in done if t.state is TrialState.COMPLETE]
    best = max(completed, key=lambda t: t.value, default=None)  # type: ignore[arg-type,return-value]
    ends = sorted(t.datetime_complete for t in done if t.datetime_complete)[-20:]
    hours = (ends[-1] - ends[0]).total_seconds() / 3600 if len(ends) > 1 else 0.0
    rate = (len(ends) - 1) / hours if hours else None
    left = None if n_trials is None else max(0, n_trials - len(done))
    return Standing(
        study_name=study.study_name,
        n_trials=n_trials,
        n_done=len(done),
        states={str(s.name).lower(): sum(t.state is s for t in trials) for s in TrialState},
        best_trial=best.number if best else None,
        best_score=best.value if best else None,
        trials_per_hour=rate,
        hours_left=0.0 if left == 0 else left / rate if left and rate and alive else None,
        alive=alive,
        stale=tuple(t.number for t in running if t.user_attrs.get("worker") not in alive),
    )


__all__ = [
    "Standing",
    "about",
    "collect_results",
    "default_storage",
    "file_of",
    "load",
    "open_study",
    "sample_summary",
    "settings_shown",
    "standing",
    "without_password",
]
