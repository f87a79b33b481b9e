"""Tuning: a study of hyperparameters on difficult reactions, and the gain proved on others.

Optuna owns the study and its storage; this module says what the space is, what a trial computes,
and what a study is about, so that another one is never mixed into it. Every finished trial is in
the storage before the next begins. Floor 5.

References: TPE, Bergstra et al., NeurIPS 24, 2546 (2011); Optuna, Akiba et al., KDD 2019,
doi:10.1145/3292500.3330701.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
import sqlalchemy.exc
from optuna.trial import FrozenTrial, Trial, TrialState
from tqdm.auto import tqdm

from gadlib.hyperparameters import SOLVERS, Hyperparameters
from gadlib.reactions import Start, split_names
from gadlib.records import Record, read_json, read_records, require_writable, versions, write_json
from gadlib.screen import (
    Job,
    calculator_of,
    difficult,
    difficulty,
    hyperparameters_of,
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

STEP_WEIGHT = 0.01
"""How much of the convergence rate a search that uses all its steps costs."""

_ABOUT = "gadlib"


@dataclass(frozen=True)
class Outcome:
    """What a trial found on its samples.

    Attributes:
        mean_steps: of the samples that converged; the budget where none did.
        score: convergence_rate - 0.01 * mean_steps / budget.
    """

    convergence_rate: float
    strict_rate: float
    bound_rate: float
    mean_steps: float
    score: float
    n_converged: int
    n_samples: int


def outcome(records: Sequence[Record], n_steps: int) -> Outcome:
    """The outcome of a trial from the records of its samples."""
    n = len(records)
    steps = [r.steps for r in records if r.converged]
    mean_steps = sum(steps) / len(steps) if steps else float(n_steps)
    rate = len(steps) / n
    return Outcome(
        convergence_rate=rate,
        strict_rate=sum(r.strict for r in records) / n,
        bound_rate=sum(r.bound for r in records) / n,
        mean_steps=mean_steps,
        score=rate - STEP_WEIGHT * mean_steps / n_steps,
        n_converged=len(steps),
        n_samples=n,
    )


def suggest(trial: Trial, solver: str) -> Hyperparameters:
    """Hyperparameters drawn by the trial, each knob in its declared range."""
    kind = SOLVERS[solver]
    values: dict[str, float] = {}
    for knob in kind.knobs():
        if knob.type is int:
            values[knob.name] = trial.suggest_int(knob.name, int(knob.low), int(knob.high))
        else:
            values[knob.name] = trial.suggest_float(knob.name, knob.low, knob.high, log=knob.log)
    return kind(**values)


def default_storage(settings: TuneSettings) -> str:
    """The storage URL: the given one, or an SQLite file in the output folder."""
    if settings.storage:
        return settings.storage
    return f"sqlite:///{Path(settings.out_dir) / f'{settings.calculator}_hpo_study.db'}"


def without_password(url: str) -> str:
    """The storage URL as it may be shown."""
    try:
        return sa.make_url(url).set(query={}).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url.split("@")[-1]


def about(settings: TuneSettings, samples: Sequence[Start]) -> dict[str, Any]:
    """What a study is about: two runs may share a study only where this is the same."""
    positions = json.dumps([s.positions.round(6).tolist() for s in samples]).encode()
    return {
        "solver": settings.solver,
        "space": {k.name: [k.low, k.high, k.log] for k in SOLVERS[settings.solver].knobs()},
        "criterion": settings.criterion,
        "calculator": settings.calculator,
        "functional": settings.scine_functional,
        "start_from": settings.start_from,
        "noise_seed": settings.noise_seed,
        "n_steps_per_sample": settings.n_steps_per_sample,
        "reactions": [s.name for s in samples],
        "starting_points": hashlib.sha256(positions).hexdigest()[:16],
    }


@contextlib.contextmanager
def _storage_errors(url: str) -> Iterator[None]:
    shown = without_password(url)
    try:
        yield
    except sqlalchemy.exc.DatabaseError as error:
        raise InputError(f"storage {shown}: not a usable database ({error.orig})") from None
    except InputError:
        raise
    except (sqlalchemy.exc.ArgumentError, ImportError, ValueError) as error:
        raise InputError(
            f"storage {shown}: not a usable storage URL ({type(error).__name__});"
            " expected e.g. sqlite:///study.db"
        ) from None


def load(storage: str, study_name: str | None = None) -> optuna.Study:
    """The study of that name, or the only one there is.

    Raises:
        InputError: when the storage or the study isn't there; the message lists the studies that
            are.
    """
    _require_sqlite_file(storage)
    with _storage_errors(storage):
        names = optuna.get_all_study_names(storage)
        if study_name is None and len(names) == 1:
            study_name = names[0]
        if study_name not in names:
            there = ", ".join(names) or "none"
            raise InputError(
                f"storage {without_password(storage)}: no study {study_name!r};"
                f" studies there: {there}"
            )
        return optuna.load_study(study_name=study_name, storage=storage)


def _require_sqlite_file(storage: str) -> None:
    path = sqlite_path(storage)
    if path is not None and not path.is_file():
        raise InputError(f"storage {storage}: no such file {path}")


def sqlite_path(storage: str) -> Path | None:
    """The file of an SQLite storage, None for another kind."""
    return Path(storage.removeprefix("sqlite:///")) if storage.startswith("sqlite:///") else None


def require_storage(settings: TuneSettings) -> str:
    """The storage URL, after it was asked whether the study may be begun or continued there.

    Raises:
        InputError: when the study is there and `resume` is not set, or the storage can't be used.
    """
    url = default_storage(settings)
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise InputError(f"storage {url}: kept in memory only, expected a file or a server")
    if (path := sqlite_path(url)) is not None:
        require_writable(path.parent)
    with _storage_errors(url):
        names = optuna.get_all_study_names(url)
    if settings.study_name in names and not settings.resume:
        raise InputError(
            f"study {settings.study_name!r} exists in {without_password(url)}:"
            " continue it with --resume, or choose another --study-name"
        )
    return url


def open_study(settings: TuneSettings, samples: Sequence[Start]) -> optuna.Study:
    """The study to tune in: a new one, or with `resume` the one that is there.

    Raises:
        InputError: when there is one and `resume` is not set, when it is about something else, or
            the storage can't be used.
    """
    url, now = require_storage(settings), about(settings, samples)
    with _storage_errors(url):
        study = optuna.create_study(
            study_name=settings.study_name, storage=url, direction="maximize", load_if_exists=True
        )
    if _ABOUT in study.user_attrs or study.get_trials(deepcopy=False):
        _require_same_study(study, now)
    else:  # new, or begun by another worker a moment ago
        study.set_user_attr(_ABOUT, now)
        study.set_user_attr("settings", settings.model_dump(exclude={"storage"}))
        study.set_user_attr("versions", versions())
    _enqueue_defaults(study, settings.solver)
    _sampler(study, settings)
    return study


def _enqueue_defaults(study: optuna.Study, solver: str) -> None:
    """The defaults are tried first, and again where the trial of them was broken off."""
    defaults = {knob.name: knob.default for knob in SOLVERS[solver].knobs()}
    trials = [t for t in study.get_trials(deepcopy=False) if t.state is not TrialState.FAIL]
    if defaults not in [t.system_attrs.get("fixed_params", t.params) for t in trials]:
        study.enqueue_trial(defaults)


def _require_same_study(study: optuna.Study, now: dict[str, Any]) -> None:
    before = study.user_attrs.get(_ABOUT)
    if before is None:
        raise InputError(
            f"study {study.study_name!r} was not made by gadlib; choose another --study-name"
        )
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


def _sampler(study: optuna.Study, settings: TuneSettings) -> None:
    """TPE as published: independent, random trials first; a resumed study has another seed."""
    study.sampler = optuna.samplers.TPESampler(
        seed=settings.seed + len(study.get_trials(deepcopy=False, states=_ENDED)),
        n_startup_trials=settings.n_startup_trials,
        multivariate=False,
        constant_liar=settings.workers > 1,
    )


_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def tune(settings: TuneSettings, *, on_trial: Any = None) -> optuna.Study:
    """The study, when it has its `n_trials` completed trials; with a progress bar.

    Interrupted (Ctrl-C, SIGTERM) it ends the running trials as failed and leaves every completed
    one in the storage and in `hpo_results.json`; with `resume` it goes on to the same total.

    Args:
        settings: what to tune on, and where to keep it.
        on_trial: called with the study after every completed trial.

    Raises:
        InputError: when the settings can't be followed; nothing has been computed then.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _require_settings(settings)
    out = require_writable(settings.out_dir)
    require_storage(settings)
    results = out / "hpo_results.json"
    _require_own_results(results, settings)
    screened, samples = difficult_samples(settings)
    chosen = samples[: settings.n_samples]
    calculator = calculator_of(settings, chosen)
    study = open_study(settings, chosen)
    loop = _Loop(study, settings, calculator, tuple(chosen))
    with tqdm(
        total=settings.n_trials, initial=loop.n_completed, desc="tuning", unit="trial"
    ) as bar:
        try:
            for _ in loop:
                bar.update(loop.n_completed - bar.n)
                if loop.n_completed:
                    bar.set_postfix(best=f"{study.best_value:.3f}", refresh=False)
                write_json(results, collect_results(study, screened))
                if on_trial is not None:
                    on_trial(study)
        finally:
            write_json(results, collect_results(study, screened))
    return study


def _require_settings(settings: TuneSettings) -> None:
    hyperparameters_of(settings)
    if settings.hyperparameters:
        raise InputError(
            f"hyperparameters {settings.hyperparameters}: a study draws them itself; expected none"
        )


def _require_own_results(results: Path, settings: TuneSettings) -> None:
    if not results.exists():
        return
    content = read_json(results)
    name = content.get("study_name") if isinstance(content, dict) else None
    if name != settings.study_name:
        raise InputError(
            f"{results} holds the results of study {name!r}, not {settings.study_name!r}:"
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
        records = screen(wanted, starts=starts, out=Path(settings.out_dir) / "screening.json")
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
class _Loop:
    """Trials, asked for as processes become free, told with their last sample, then yielded."""

    study: optuna.Study
    settings: TuneSettings
    calculator: Any
    samples: tuple[Start, ...]
    running: dict[int, Trial] = field(default_factory=dict)
    found: dict[int, dict[int, Record]] = field(default_factory=dict)

    @property
    def n_completed(self) -> int:
        """Completed trials in the study, whoever completed them."""
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def __iter__(self) -> Iterator[int]:
        try:
            with contextlib.closing(run(self._jobs(), self.settings.workers)) as results:
                for job, records in results:
                    number, places = job.tag
                    if number not in self.running:
                        continue
                    self.found[number].update(zip(places, records, strict=True))
                    if len(self.found[number]) == len(self.samples):
                        self._tell(number)
                        yield number
        finally:
            for trial in self.running.values():
                with contextlib.suppress(Exception):  # the storage may be what failed
                    self.study.tell(trial, state=TrialState.FAIL)

    def _jobs(self) -> Iterator[Job]:
        while self.n_completed + len(self.running) < self.settings.n_trials:
            trial = self.study.ask()
            self.running[trial.number] = trial
            self.found[trial.number] = {}
            hyperparameters = suggest(trial, self.settings.solver)
            size = self.settings.batch_size
            for first in range(0, len(self.samples), size):
                places = range(first, min(first + size, len(self.samples)))
                yield Job(
                    self.calculator,
                    tuple(self.samples[i] for i in places),
                    hyperparameters,
                    self.settings.criterion,  # type: ignore[arg-type]
                    self.settings.n_steps_per_sample,
                    tag=(trial.number, places),
                )

    def _tell(self, number: int) -> None:
        trial, found = self.running.pop(number), self.found.pop(number)
        records = [found[i] for i in sorted(found)]
        result = outcome(records, self.settings.n_steps_per_sample)
        for name, value in asdict(result).items():
            trial.set_user_attr(name, value)
        trial.set_user_attr("elapsed_s", round(sum(r.elapsed_s for r in records), 3))
        trial.set_user_attr("samples", [sample_summary(r) for r in records])
        self.study.tell(trial, result.score)


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


def collect_results(study: optuna.Study, screened: Sequence[Record]) -> dict[str, Any]:
    """The content of `hpo_results.json`: the best trial, all trials, the screening set."""
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
        "trials": [_trial(t) for t in trials],
        "screening": [
            {
                "name": r.name,
                "formula": r.formula,
                "split": r.split,
                "converged": r.converged,
                "steps": r.steps,
                "difficulty": difficulty(r),
            }
            for r in screened
        ],
    }


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.value,
        "params": trial.params,
        "started": trial.datetime_start and trial.datetime_start.isoformat(),
        "ended": trial.datetime_complete and trial.datetime_complete.isoformat(),
        **trial.user_attrs,
    }


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
