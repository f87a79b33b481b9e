"""Tuning: a study of hyperparameters on difficult reactions, as one of its workers.

Optuna owns the study and its storage. Every finished trial is in the storage before the next
begins, and every sample on disk when it is computed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from gadlib.cluster.retries import RetryingStorage, StorageLostError
from gadlib.cluster.urls import file_of, without_password
from gadlib.cluster.workers import Worker
from gadlib.files.writing import require_writable
from gadlib.molecules.starting_points import Start
from gadlib.progress.bar import Bar
from gadlib.progress.interrupts import heard, undisturbed
from gadlib.screening.calculator_check import require_working
from gadlib.screening.chunks import job_size
from gadlib.screening.setup import calculator_of
from gadlib.settings.objectives import needs_references
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.asked import require_settings, scored_by
from gadlib.tuning.choices import choices_in
from gadlib.tuning.content import collect_results
from gadlib.tuning.earlier import easy_in, raced_in
from gadlib.tuning.front import preferred
from gadlib.tuning.race import hold_race
from gadlib.tuning.results import Results, require_own, write_results
from gadlib.tuning.sample_cache import Cache
from gadlib.tuning.samples import (
    difficult_samples,
    easy_samples,
    fresh_samples,
    from_other_recipes,
    require_screening,
    with_references,
)
from gadlib.tuning.space import drawn_in, left_out_defaults
from gadlib.tuning.status import read_status
from gadlib.tuning.study import (
    about,
    default_storage,
    load,
    names_in,
    open_study,
    require_storage,
    settings_shown,
)
from gadlib.tuning.tracked import follow, tracked
from gadlib.tuning.trials import Loop
from gadlib.tuning.validation import Validation, as_tuned, tuned_values, validate
from gadlib.tuning.wandb_log import Tracking

__all__ = [
    "Validation",
    "about",
    "as_tuned",
    "collect_results",
    "default_storage",
    "difficult_samples",
    "load",
    "open_study",
    "preferred",
    "read_status",
    "tune",
    "tuned_values",
    "undisturbed",
    "validate",
    "without_password",
    "write_results",
]

_SLOW_WRITING_S = 0.1
"""Writing results that takes longer is slow: a large study, or a network disk."""

_WRITING_SHARE = 50
"""Slow writing is done again after that many times what it took, so that it costs 2 % at most."""


def tune(
    settings: TuneSettings,
    *,
    on_trial: Callable[[optuna.Study], Any] | None = None,
    cache: Path | None = None,
) -> optuna.Study:
    """The study, when it has its `n_trials` trials, whoever ran them; with a progress bar.

    Interrupted (Ctrl-C, SIGTERM) it queues the running trials again and leaves every finished one
    in the storage and in `hpo_results.json`; with `resume` it goes on to the same total.

    Args:
        settings: what to tune on, and where to keep it.
        on_trial: called with the study after every trial that this worker has finished.
        cache: folder of samples that were computed; None: `samples` in the output folder.

    Raises:
        InputError: when the settings can't be followed; nothing has been computed then.
        StorageLostError: when the storage went away and stayed away.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    require_settings(settings)
    if note := left_out_defaults(drawn_in(settings)):
        print(note, flush=True)
    is_file = file_of(default_storage(settings)) is not None
    if settings.screening is not None and is_file:  # before one is made for the study
        require_screening(settings)
    out = require_writable(settings.out_dir)
    storage = require_storage(settings)
    results = out / "hpo_results.json"
    _require_own_results(results, settings, storage)
    screened, samples = difficult_samples(settings)
    chosen = samples[: settings.n_samples]
    kept_easy = easy_in(storage, settings.study_name)
    easy = easy_samples(settings, screened, chosen, kept_easy)
    seen = [*chosen, *easy]
    raced = raced_in(storage, settings.study_name)
    fresh = fresh_samples(settings, screened, seen, raced) if settings.n_race else []
    references = {}
    if needs_references(scored_by(settings)):
        chosen, references = with_references(settings, chosen, out / "reference.json")
    others = from_other_recipes(settings, [*chosen, *easy])
    for mode in choices_in(settings).get("mode", ()):  # refused before anything is computed
        calculator_of(settings.model_copy(update={"mode": mode}), [*chosen, *easy])
    calculator = calculator_of(settings, chosen)
    require_working(calculator, chosen)
    if note := _never_early(settings, job_size(calculator, settings.batch_size)):
        print(note, flush=True)
    elsewhere = [start for found in others.values() for start in found[: len(chosen)]]
    made = {"storage": storage, "others": elsewhere, "easy": easy, "calculator": calculator}
    worker = open_study(settings, chosen, screened, **made)
    known, more = Cache(cache or out / "samples"), {"references": references, "others": others}
    everything = (*chosen, *easy)
    loop = Loop(worker, settings, calculator, everything, known, n_scored=len(chosen), **more)
    kept = Results(worker.study, results)
    kept.write()  # whose the file is, before anything is computed
    shown = settings_shown(settings)
    with tracked(worker.study, settings.study_name, worker.name, shown, str(out)) as tracking:
        _run_trials(loop, kept, on_trial, tracking)
        if settings.n_race:
            with _rescued(kept):
                _race(worker, settings, fresh)
                kept.write()
    return worker.study


@contextlib.contextmanager
def _rescued(kept: Results) -> Iterator[None]:
    """Inside, a storage that is lost costs no results: what is known of them is in their file.

    Raises:
        StorageLostError: that says so.
    """
    try:
        yield
    except StorageLostError as error:
        with undisturbed():
            saved = kept.rescue()
        raise StorageLostError(f"{error}; {saved}" if saved else str(error)) from None


def _race(worker: Worker, settings: TuneSettings, fresh: Sequence[Start]) -> None:
    """The race of the best trials, told in a sentence; others may join the study meanwhile."""
    folder, references = Path(settings.out_dir) / "race", {}
    worker.beat(force=True, ended=None)
    try:
        if needs_references(scored_by(settings)):
            fresh, references = with_references(settings, fresh, folder / "reference.json")
        others = from_other_recipes(settings, fresh)
        race = hold_race(worker.study, settings, fresh, folder, references, others, worker.beat)
        if race is not None:
            print(race.sentence, flush=True)
    finally:
        with contextlib.suppress(StorageLostError):
            worker.leave()


def _run_trials(
    loop: Loop,
    kept: Results,
    on_trial: Callable[[optuna.Study], Any] | None,
    tracking: Tracking,
) -> None:
    """Run this worker's trials until the study has all, each reported as it ends."""
    settings, worker = loop.settings, loop.worker
    pause = 0.0
    with (
        heard(),
        Bar(settings.n_trials, "tuning", "trial", initial=worker.n_done) as bar,
    ):
        loop.on_life = bar.live
        try:
            with _rescued(kept), contextlib.closing(iter(loop)) as ended:
                for number in ended:
                    with undisturbed():
                        follow(tracking, worker.study, worker.trials()[number])
                        best = loop.best()
                        shown = {} if best is None else {"best": _shown(best)}
                        bar.done(worker.n_done - bar.n, **shown)
                        if time.monotonic() >= pause:
                            pause = _write_in_time(kept)
                    if on_trial is not None:
                        on_trial(worker.study)
        finally:
            with undisturbed():
                loop.end()
                with contextlib.suppress(StorageLostError):
                    kept.write()


def _never_early(settings: TuneSettings, size: int) -> str:
    """Why no trial can end early though that was asked for, in a sentence; empty where one can.

    Args:
        settings: of the study.
        size: samples of a trial that a process is given at a time.
    """
    n = settings.n_samples
    if settings.pruning in ("none", "halving", "halving_steps") or n < 2 or size < n:
        return ""
    most = (n - 1) * settings.batch_size // size
    advice = f"--batch-size {most} or less lets them" if most else "more --n-samples would let them"
    return (
        f"No trial can end early (pruning {settings.pruning}): with batch_size"
        f" {settings.batch_size} its {n} samples are searched at once; {advice}, and takes longer a"
        " step."
    )


def _write_in_time(kept: Results) -> float:
    """When to write again: at once, unless writing has become slow."""
    began = time.monotonic()
    kept.write()
    took = time.monotonic() - began
    return began + (_WRITING_SHARE * took if took > _SLOW_WRITING_S else 0.0)


def _shown(trial: FrozenTrial) -> str:
    """The values of a trial, short."""
    return "/".join(f"{value:.3f}" for value in trial.values or ())


def _require_own_results(results: Path, settings: TuneSettings, storage: RetryingStorage) -> None:
    name = settings.study_name
    is_there = name in names_in(storage)
    study = optuna.load_study(study_name=name, storage=storage) if is_there else None
    require_own(results, study, name, storage.shown)
