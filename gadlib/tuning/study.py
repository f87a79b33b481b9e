"""A study: what it is about, so that another one is never mixed into it, and what it has found.

All that can be said of a study is said from its storage alone, at any time, by any process.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.trial import TrialState

from gadlib.cluster.heartbeats import is_alive, read_workers
from gadlib.cluster.retries import RetryingStorage
from gadlib.cluster.storage import open_storage
from gadlib.cluster.urls import network_filesystem
from gadlib.cluster.workers import Worker
from gadlib.evaluation import Calculator
from gadlib.files.shapes import StudyAttributes, TrialAttributes, fit
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record, versions
from gadlib.screening.screen import difficulty
from gadlib.screening.setup import differences, identity_of
from gadlib.settings.calculators import identity
from gadlib.settings.objectives import PUBLISHED, Direction, objectives_of
from gadlib.settings.reading import InputError
from gadlib.settings.studies import StudySettings, TuneSettings
from gadlib.tuning.choices import own_choices
from gadlib.tuning.front import ABOUT, ID, objectives_in
from gadlib.tuning.space import drawn_in, idle_in

_MADE_S = 30.0


def default_storage(settings: TuneSettings | StudySettings) -> str:
    """The storage URL: the given one, that of the environment, or a file in the output folder."""
    if url := settings.storage or os.environ.get("GADLIB_STORAGE"):
        return url
    stem = Path(settings.out_dir) / f"{settings.calculator}_hpo_study"
    if network_filesystem(settings.out_dir):
        return f"journal:///{stem}.log"
    return f"sqlite:///{stem}.db"


def about(
    settings: TuneSettings,
    samples: Sequence[Start],
    *,
    others: Sequence[Start] = (),
    easy: Sequence[Start] = (),
    calculator: Calculator | None = None,
) -> dict[str, Any]:
    """What a study is about: two runs may share a study only where this is the same.

    Args:
        settings: of the study.
        samples: where the searches of the defaults begin.
        others: where those of trials begin that choose another recipe.
        easy: where those begin that trials are not scored by.
        calculator: which says what of the solver acts.
    """
    everywhere = [one for start in (*samples, *others) for one in start.each]
    positions: list[Any] = [one.positions.round(6).tolist() for one in everywhere]
    electrons = [[s.charge, s.multiplicity] for s in samples]
    if any(of != [0, 1] for of in electrons):  # a study of before is about neutral closed shells
        positions.append(electrons)
    return {
        **identity_of(settings, without=("starts", "hyperparameters")),
        "objectives": [one.name for one in objectives_of(settings.objective, settings.solver)],
        "space": {k.name: [k.low, k.high, k.log] for k in drawn_in(settings, calculator)},
        **({"choices": settings.choices} if settings.choices else {}),
        **({"fixed": settings.hyperparameters} if settings.hyperparameters else {}),
        "reactions": [s.name for s in samples],
        **({"easy": [s.name for s in easy]} if easy else {}),
        "starting_points": hashlib.sha256(json.dumps(positions).encode()).hexdigest()[:16],
    }


def settings_shown(settings: TuneSettings) -> dict[str, Any]:
    """The settings as they may be kept: without the storage, whose URL may hold a password."""
    return settings.model_dump(exclude={"storage"})


def load(storage: str | None = None, study_name: str | None = None) -> optuna.Study:
    """The study of that name, or the only one there is.

    Args:
        storage: its URL; None: `GADLIB_STORAGE`, else the SQLite file where `tune` puts it.
        study_name: None where the storage has one study only.

    Raises:
        InputError: when the storage or the study isn't there; the message lists the studies that
            are.
    """
    storage = default_storage(StudySettings.read({})) if storage is None else storage
    opened = open_storage(storage, must_exist=True, timeout_s=30.0)
    names = names_in(opened)
    if study_name is None and len(names) == 1:
        study_name = names[0]
    if study_name is None:
        choice = f"several studies, expected one of {', '.join(names)}"
        raise InputError(f"storage {opened.shown}: {choice if names else 'no study in it'}")
    if study_name not in names:
        there = ", ".join(names) or "none"
        raise InputError(f"storage {opened.shown}: no study {study_name!r}; studies there: {there}")
    study = optuna.load_study(study_name=study_name, storage=opened)
    require_own(study)
    return study


def names_in(storage: RetryingStorage) -> list[str]:
    """The names of the studies that there are.

    Raises:
        InputError: when what is there can't be read.
    """
    try:
        return [study.study_name for study in storage.get_all_studies()]
    except (ValueError, TypeError, KeyError) as error:  # of a database that was edited
        raise InputError(
            f"storage {storage.shown}: can't be read ({type(error).__name__}: {error})"
        ) from None


def require_own(study: optuna.Study) -> None:
    """Raise InputError unless gadlib made the study, or is making it now, and it can be read.

    Trials are read first: who makes a study says so before it begins any.
    """
    where = f"study {study.study_name!r}"
    try:
        trials = study.get_trials(deepcopy=False)
        directions, attributes = study.directions, study.user_attrs
    except (ValueError, TypeError, KeyError) as error:  # of a database that was edited
        raise InputError(f"{where}: can't be read ({type(error).__name__}: {error})") from None
    found = [d.name.lower() for d in directions]
    if ABOUT not in attributes:
        if len(trials) > 1 or any(t.state is not TrialState.WAITING for t in trials):
            other = "" if found == ["maximize"] else f" (its directions are {', '.join(found)})"
            raise InputError(f"{where} was not made by gadlib{other}; choose another --study-name")
        return
    expected = [one.direction for one in objectives_in(attributes)]
    if found != expected:
        raise InputError(
            f"{where} was not made by gadlib (its directions are {', '.join(found)}, expected"
            f" {', '.join(expected)}); choose another --study-name"
        )
    fit(StudyAttributes, attributes, where)
    for trial in trials:
        fit(TrialAttributes, trial.user_attrs, f"{where}: trial {trial.number}")


def require_storage(settings: TuneSettings) -> RetryingStorage:
    """The storage, after it was asked whether the study may be begun or joined there.

    Raises:
        InputError: when there is one that may not be joined, or the storage can't be used.
    """
    url = default_storage(settings)
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise InputError(f"storage {url}: kept in memory only, expected a file or a server")
    storage = open_storage(url, timeout_s=settings.storage_timeout_s)
    if settings.study_name in names_in(storage):
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
        require_own(study)
        _require_joinable(study, settings, storage.shown)
    return storage


def open_study(
    settings: TuneSettings,
    samples: Sequence[Start],
    screened: Sequence[Record] = (),
    *,
    storage: RetryingStorage | None = None,
    others: Sequence[Start] = (),
    easy: Sequence[Start] = (),
    calculator: Calculator | None = None,
) -> Worker:
    """This process as a worker of the study to tune in: a new one, or one that it may join.

    Joined is one that other workers are at work on, or with `resume` any about the same.

    Raises:
        InputError: when there is one that may not be joined, or the storage can't be used.
    """
    now = about(settings, samples, others=others, easy=easy, calculator=calculator)
    objectives = objectives_of(settings.objective, settings.solver)
    directions: list[Direction] = [one.direction for one in objectives]
    storage = require_storage(settings) if storage is None else storage
    try:
        study = optuna.create_study(
            study_name=settings.study_name, storage=storage, directions=directions
        )
        before = None
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
        before = _about_of(study, settings.grace_s)
    if before is not None:
        _require_joinable(study, settings, storage.shown)
        _require_same_study(study, before, now, settings)
        worker = Worker(study, settings.n_trials, settings.grace_s)
        worker.recover(force=True)
    else:
        worker = Worker(study, settings.n_trials, settings.grace_s)
        if not study.get_trials(deepcopy=False):  # who made it may have died having queued them
            defaults = {k.name: k.default for k in drawn_in(settings, calculator)}
            study.enqueue_trial(defaults | own_choices(settings))
        if ID not in study.user_attrs:
            study.set_user_attr(ID, uuid.uuid4().hex)
        study.set_user_attr("settings", settings_shown(settings))
        study.set_user_attr("versions", versions())
        study.set_user_attr("screening", [_screened(r) for r in screened])
        study.set_user_attr(ABOUT, now)
    study.set_user_attr("n_trials", settings.n_trials)
    return worker


def _about_of(study: optuna.Study, grace_s: float) -> dict[str, Any] | None:
    """What the study is about; None where who made it died before it could say so.

    Raises:
        InputError: when it was not made by gadlib.
    """
    began = time.monotonic()
    while (found := study.user_attrs.get(ABOUT)) is None:
        trials = study.get_trials(deepcopy=False)
        if len(trials) > 1 or any(t.state is not TrialState.WAITING for t in trials):
            if (found := study.user_attrs.get(ABOUT)) is not None:
                return found
            raise InputError(
                f"study {study.study_name!r} was not made by gadlib; choose another --study-name"
            )
        is_anyone = any(is_alive(worker, grace_s) for worker in read_workers(study).values())
        wait_s = _MADE_S if is_anyone else _MADE_S / 10
        if time.monotonic() - began > wait_s:
            return None
        time.sleep(0.2)
    return found


def _require_joinable(study: optuna.Study, settings: TuneSettings, shown: str) -> None:
    if settings.resume or ABOUT not in study.user_attrs:  # another is making it right now
        return
    if any(is_alive(worker, settings.grace_s) for worker in read_workers(study).values()):
        return
    raise InputError(
        f"study {settings.study_name!r} exists in {shown}: continue it with --resume,"
        " or choose another --study-name"
    )


def _require_same_study(
    study: optuna.Study, before: dict[str, Any], now: dict[str, Any], settings: TuneSettings
) -> None:
    if settings.objective == "auto":  # a study goes on with the objectives that it has
        now = {**now, "objectives": before.get("objectives", [*PUBLISHED])}
    idle = {k.name: [k.low, k.high, k.log] for k in idle_in(before, now["space"], settings)}
    now = {**now, "space": {**idle, **now["space"]}, "choices": settings.choices}
    differing = differences({"objectives": [*PUBLISHED], **before}, now, settings)
    if before.get("starting_points") != now["starting_points"]:  # say why, where settings tell
        kept = study.user_attrs.get("settings", {})
        apart = {
            name: value
            for name, value in identity(settings).items()
            if name not in identity(settings, without=("starts",)) and name in kept
        }
        differing += differences(kept, apart, settings)
    if differing:
        raise InputError(
            f"study {study.study_name!r} is about something else: {'; '.join(differing)};"
            " choose another --study-name"
        )


def _screened(record: Record) -> dict[str, Any]:
    kept = ("name", "formula", "split", "converged", "steps")
    return {name: getattr(record, name) for name in kept} | {"difficulty": difficulty(record)}
