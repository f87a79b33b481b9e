"""Tuning: a study of hyperparameters on difficult reactions, and the gain proved on others.

Optuna owns the study and its storage; this module runs the trials of one worker. Every finished
trial is in the storage before the next begins, and every sample on disk when it is computed.
Floor 6.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from tqdm.auto import tqdm

from gadlib import calculators
from gadlib.cache import Cache, digest
from gadlib.claims import Claims
from gadlib.hyperparameters import Hyperparameters, Knob
from gadlib.objective import SAMPLERS, best_possible, outcome, sampler, space, suggest
from gadlib.reactions import Start, split_names
from gadlib.records import Record, read_json, read_records, require_writable, write_json
from gadlib.screen import (
    Job,
    calculator_of,
    difficult,
    hyperparameters_of,
    job_size,
    key,
    require_same,
    run,
    screen,
    starts_of,
)
from gadlib.settings import (
    InputError,
    ScreenSettings,
    SearchSettings,
    TuneSettings,
    ValidateSettings,
)
from gadlib.storage import alone
from gadlib.study import (
    about,
    collect_results,
    default_storage,
    load,
    open_study,
    require_storage,
    sample_summary,
    settings_shown,
    standing,
    without_password,
)
from gadlib.tracking import Tracking, summary_of

__all__ = [
    "Validation",
    "about",
    "collect_results",
    "default_storage",
    "difficult_samples",
    "load",
    "open_study",
    "outcome",
    "standing",
    "suggest",
    "tune",
    "tuned_values",
    "undisturbed",
    "validate",
    "without_password",
    "write_results",
]

PRUNING = ("bound", "none")
_POLL_S = 5.0
_WRITING_SHARE = 50
_SLOW_WRITING_S = 1.0


def tune(
    settings: TuneSettings, *, on_trial: Callable[[optuna.Study], Any] | None = None
) -> optuna.Study:
    """The study, when it has its `n_trials` trials, whoever ran them; with a progress bar.

    Interrupted (Ctrl-C, SIGTERM) it queues the running trials again and leaves every finished one
    in the storage and in `hpo_results.json`; with `resume` it goes on to the same total.

    Args:
        settings: what to tune on, and where to keep it.
        on_trial: called with the study after every trial that this worker has finished.

    Raises:
        InputError: when the settings can't be followed; nothing has been computed then.
        StorageLostError: when the storage went away and stayed away.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _require_settings(settings)
    out = require_writable(settings.out_dir)
    storage = require_storage(settings)
    results = out / "hpo_results.json"
    _require_own_results(results, settings.study_name)
    screened, samples = difficult_samples(settings)
    chosen = samples[: settings.n_samples]
    calculator = calculator_of(settings, chosen)
    claims = open_study(settings, chosen, screened, storage=storage)
    loop = _Loop(claims, settings, calculator, tuple(chosen), Cache(out / "samples"))
    tracking = Tracking(settings.study_name, claims.name, settings_shown(settings), str(out))
    pause = 0.0
    with (
        _heard(),
        tqdm(total=settings.n_trials, initial=claims.n_done, desc="tuning", unit="trial") as bar,
    ):
        try:
            with contextlib.closing(iter(loop)) as told:
                for number in told:
                    with undisturbed():
                        _track(tracking, claims.trials()[number])
                        bar.update(claims.n_done - bar.n)
                        if (best := loop.best()) is not None:
                            bar.set_postfix(best=f"{best:.3f}", refresh=False)
                        if time.monotonic() >= pause:
                            pause = _write_in_time(claims.study, results)
                    if on_trial is not None:
                        on_trial(claims.study)
        finally:
            with undisturbed():
                loop.end()
                write_results(claims.study, results)
                now = standing(claims.study)
                best = None if now.best_trial is None else claims.trials()[now.best_trial]
                tracking.end(summary_of(now.states, best))
    return claims.study


def _write_in_time(study: optuna.Study, path: Path) -> float:
    """When to write again: at once, unless writing has become slow."""
    began = time.monotonic()
    write_results(study, path)
    took = time.monotonic() - began
    return began + (_WRITING_SHARE * took if took > _SLOW_WRITING_S else 0.0)


def write_results(study: optuna.Study, path: str | Path) -> Path:
    """The path, with what the storage holds of the study written there.

    Raises:
        InputError: when the file holds the results of another study, or can't be written.
    """
    path = Path(path)
    _require_own_results(path, study.study_name)
    with alone(
        path.with_name(f".{path.name}.lock")
    ):  # else an older state may be written over a newer one
        return write_json(path, collect_results(study))


def _track(tracking: Tracking, trial: FrozenTrial) -> None:
    tracking.trial(trial.number, trial.state.name.lower(), trial.params, trial.user_attrs)


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """SIGTERM is Ctrl-C inside, where nobody else listens to it, as in a notebook's kernel."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block is done, so that nothing is stored by half."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for number in came[:1]:
        signal.raise_signal(number)


def _require_settings(settings: TuneSettings) -> None:
    hyperparameters_of(settings)
    if settings.hyperparameters:
        raise InputError(
            f"hyperparameters {settings.hyperparameters}: a study draws them itself; expected none"
        )
    space(settings.solver, settings.ranges)
    if settings.pruning not in PRUNING:
        raise InputError(f"pruning {settings.pruning!r}: expected one of {', '.join(PRUNING)}")
    if settings.sampler not in SAMPLERS:
        raise InputError(f"sampler {settings.sampler!r}: expected one of {', '.join(SAMPLERS)}")
    sampler(settings.sampler, settings.seed, settings.n_startup_trials)


def _require_own_results(results: Path, study_name: str) -> None:
    if not results.exists():
        return
    content = read_json(results)
    name = content.get("study_name") if isinstance(content, dict) else None
    if name != study_name:
        raise InputError(
            f"{results} holds the results of study {name!r}, not {study_name!r}:"
            " choose another --out-dir, nothing is overwritten"
        )


def difficult_samples(settings: TuneSettings) -> tuple[list[Record], list[Start]]:
    """All screening records, and the starting points of the difficult ones, hardest first.

    The screening is read from `settings.screening`, or done now (and resumed) in the output folder.

    Raises:
        InputError: when the screening was made with other settings, or has fewer reactions than a
            trial takes.
    """
    wanted = ScreenSettings.read(
        {name: getattr(settings, name) for name in ScreenSettings.model_fields}
        | {"n_steps_per_sample": settings.screening_steps, "resume": True}
    )
    if settings.screening is None:
        starts = starts_of(wanted)
        _require_enough(settings, len(starts))
        out = Path(settings.out_dir) / "screening.json"
        with alone(out.with_name(f".{out.name}.lock")):  # other workers wait, and find it done
            records = screen(wanted, starts=starts, out=out)
    else:
        before, records = read_records(settings.screening)
        require_same(
            {k: v for k, v in before.items() if k not in ("split", "difficulty_threshold")},
            wanted,
            settings.screening,
        )
        widest = wanted.model_copy(
            update={"split": before["split"], "max_samples": before["max_samples"]}
        )
        starts = starts_of(widest)
        wanted_splits = split_names(settings.split)
        records = [r for r in records if r.split in wanted_splits][: settings.max_samples]
        _require_enough(settings, len(records))
    by_key = {key(start): start for start in starts}
    hardest = difficult(records, settings, settings.n_samples)
    missing = [r.name for r in hardest if key(r) not in by_key]
    if missing:
        raise InputError(
            f"{settings.screening}: {settings.h5_path or 'the embedded set'} has no {missing[0]}"
            f" in split {settings.split!r}; expected a screening of these reactions"
        )
    return records, [by_key[key(r)] for r in hardest]


def _require_enough(settings: TuneSettings, n: int) -> None:
    if settings.n_samples > n:
        raise InputError(
            f"n_samples {settings.n_samples}: larger than the set,"
            f" expected at most {n} (split {settings.split!r})"
        )


@dataclass
class _Running:
    """A trial of this worker, with the records of its samples by their places."""

    trial: Trial
    hyperparameters: Hyperparameters
    found: dict[int, Record] = field(default_factory=dict)
    n_cached: int = 0


@dataclass
class _Loop:
    """Trials, claimed as processes become free, told with their last sample, then yielded.

    Samples run hardest first, so that a trial that can't be the best any more soon shows it.
    """

    claims: Claims
    settings: TuneSettings
    calculator: Any
    samples: tuple[Start, ...]
    cache: Cache
    running: dict[int, _Running] = field(default_factory=dict)
    told: deque[int] = field(default_factory=deque)
    knobs: tuple[Knob, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identity = calculators.identity(self.settings)
        self.knobs = space(self.settings.solver, self.settings.ranges)

    def __iter__(self) -> Generator[int, None, None]:
        pause = 0.2
        while self.claims.n_done < self.settings.n_trials:
            self._tick()
            for number in self._run():
                pause = 0.2
                yield number
            if self.claims.n_done >= self.settings.n_trials:
                return
            time.sleep(pause)  # the rest are other workers'; one of them may die yet
            pause = min(1.5 * pause, _POLL_S, self.settings.grace_s / 6)

    def _run(self) -> Iterator[int]:
        jobs = run(self._jobs(), self.settings.workers, on_tick=self._tick)
        with contextlib.closing(jobs) as results:
            for job, records in results:
                number, places = job.tag
                for place, record in zip(places, records, strict=True):
                    self._keep(number, place, record)
                with undisturbed():
                    self._judge(number)
                while self.told:
                    yield self.told.popleft()
        while self.told:
            yield self.told.popleft()

    def _tick(self) -> None:
        self.claims.beat()
        self.claims.recover()

    def _jobs(self) -> Iterator[Job]:
        while (this := self._claim()) is not None:
            trial, hyperparameters = this.trial, this.hyperparameters
            for place in range(len(self.samples)):
                if (record := self.cache.get(self._key(this, place))) is not None:
                    this.found[place] = record
                    this.n_cached += 1
            with undisturbed():
                self._judge(trial.number)
            missing = [i for i in range(len(self.samples)) if i not in this.found]
            size = job_size(self.calculator, self.settings.batch_size)
            for first in range(0, len(missing), size):
                if trial.number not in self.running:
                    break
                places = missing[first : first + size]
                yield Job(
                    self.calculator,
                    tuple(self.samples[i] for i in places),
                    hyperparameters,
                    self.settings.criterion,  # type: ignore[arg-type]
                    self.settings.n_steps_per_sample,
                    tag=(trial.number, places),
                    capacity=self.settings.batch_size,
                )

    def _claim(self) -> _Running | None:
        with undisturbed():
            trial = self.claims.claim()
            if trial is None:
                return None
            self._seed(trial)
            this = _Running(trial, suggest(trial, self.settings.solver, self.knobs))
            self.running[trial.number] = this
            return this

    def _seed(self, trial: Trial) -> None:
        """The worker's own sampler, once: no two workers' first trials have the same number."""
        if self.claims.seed is None:
            settings, self.claims.seed = self.settings, self.settings.seed + trial.number
            self.claims.study.sampler = sampler(
                settings.sampler,
                self.claims.seed,
                settings.n_startup_trials,
                study_seed=settings.seed,
            )
            self.claims.beat(force=True)
        trial.set_user_attr("seed", self.claims.seed)

    def _key(self, this: _Running, place: int) -> str:
        settings = self.settings
        return digest(
            self.identity,
            self.samples[place],
            this.hyperparameters,
            settings.criterion,
            settings.n_steps_per_sample,
        )

    def _keep(self, number: int, place: int, record: Record) -> None:
        this = self.running.get(number)
        if this is not None:
            this.found[place] = record
            self.cache.put(self._key(this, place), record)

    def best(self) -> float | None:
        """The best score so far, of all workers."""
        scores = [t.value for t in self.claims.trials() if t.state is TrialState.COMPLETE]
        return max((score for score in scores if score is not None), default=None)

    def _judge(self, number: int) -> None:
        """End the trial when all its samples are there, or enough to rule it out as the best."""
        this = self.running.get(number)
        if this is None or not this.found:
            return
        records = [this.found[i] for i in sorted(this.found)]
        n, n_steps = len(self.samples), self.settings.n_steps_per_sample
        if len(records) == n:
            self._tell(number, this, records, is_pruned=False)
            return
        possible = best_possible(records, n, n_steps)
        if self.settings.pruning == "bound":
            best = self.best()
            if best is not None and possible <= best:
                this.trial.report(possible, len(records))
                self._tell(number, this, records, is_pruned=True)

    def _tell(self, number: int, this: _Running, records: list[Record], *, is_pruned: bool) -> None:
        result = outcome(records, self.settings.n_steps_per_sample)
        attributes = asdict(result) | {
            "elapsed_s": round(sum(r.elapsed_s for r in records), 3),
            "n_cached": this.n_cached,
            "samples": [sample_summary(r) for r in records],
        }
        del self.running[number]
        if self.claims.tell(this.trial, None if is_pruned else result.score, attributes):
            self.told.append(number)

    def end(self) -> None:
        """What is unfinished is queued again, and the worker has left."""
        with contextlib.suppress(Exception):  # the storage may be what failed
            self.claims.give_back("interrupted")
            self.claims.leave()


@dataclass(frozen=True)
class Validation:
    """The same starting points, in the same order, searched with the defaults and tuned."""

    hyperparameters: dict[str, float]
    default: list[Record]
    tuned: list[Record]


def validate(settings: ValidateSettings) -> Validation:
    """Defaults and tuned values on reactions that tuning never saw; both sets are resumable.

    Raises:
        InputError: when the tuned values can't be read, or the reactions are among those that
            tuning saw.
    """
    tuned, seen = tuned_values(settings)
    starts = starts_of(settings)
    known = sorted({s.name for s in starts} & seen)
    if known:
        told = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise InputError(
            f"split {settings.split!r} has reactions that tuning saw ({told});"
            " expected a split of others"
        )
    out = require_writable(settings.out_dir)
    plain = SearchSettings.read(
        {name: getattr(settings, name) for name in SearchSettings.model_fields}
    )

    def searched(values: dict[str, float], name: str) -> list[Record]:
        return screen(
            plain.model_copy(update={"hyperparameters": values}),
            starts=starts,
            out=out / f"{name}.json",
        )

    hyperparameters_of(plain.model_copy(update={"hyperparameters": tuned}))
    return Validation(tuned, searched({}, "default"), searched(tuned, "tuned"))


def tuned_values(settings: ValidateSettings) -> tuple[dict[str, float], set[str]]:
    """The tuned hyperparameters, and the names of the reactions that tuning saw.

    Raises:
        InputError: when `best` is not a results file with a completed trial, or there is nothing to
            validate.
    """
    if settings.best is None:
        if not settings.hyperparameters:
            raise InputError(
                "nothing to validate: expected --best hpo_results.json, or hyperparameters"
            )
        return dict(settings.hyperparameters), set()
    content = read_json(settings.best)
    if not isinstance(content, dict) or "best_params" not in content:
        raise InputError(f"{settings.best}: expected an hpo_results.json with best_params")
    if not content["best_params"]:
        raise InputError(f"{settings.best}: no completed trial in it, so there are no best values")
    seen = set(content.get("about", {}).get("reactions", []))
    return content["best_params"] | settings.hyperparameters, seen
