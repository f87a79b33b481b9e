"""A notebook as a cluster job: parameters from a YAML file and the environment, signals, the end.

Not a scheduler: SLURM starts it (`papermill_jobs/`), and a job array is so many workers on one
study. Floor 8.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import papermill
import yaml
from papermill.exceptions import PapermillExecutionError
from pydantic import TypeAdapter, ValidationError

from gadlib.cli.demo import BACKEND, environment, notebook, require_parameters
from gadlib.cluster.storage import require_url
from gadlib.files.reading import read_text
from gadlib.files.writing import require_writable
from gadlib.screening.setup import read_best, require_tuned_for, require_usable, transfers
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import (
    InputError,
    Settings,
    explain,
    holds_password,
    shown,
    without_secrets,
)
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning.samples import require_screening
from gadlib.tuning.tune import require_settings
from gadlib.tuning.validation import require_knobs, transfer_of, tuned_values

KINDS: dict[str, type[SearchSettings]] = {
    "01_screen": ScreenSettings,
    "02_tune": TuneSettings,
    "03_results": ValidateSettings,
}
"""The notebooks that may be jobs, and what their parameters are."""

FAILED, INTERRUPTED = 1, 130
_AUTOSAVE_S = 30
_ALIASES = {"checkpoint_path": "CKPT_PATH"}


def run(name: str, parameters: Path | None) -> int:
    """The exit status of the notebook as a job: 0 when its last cell has said that it is complete.

    SIGTERM, SIGINT and SIGUSR1 interrupt the running cell, which then ends in order; after SIGUSR1,
    by which SLURM announces the end of the time, the job is queued again.

    Raises:
        InputError: when the parameters can't be used; nothing has been started then.
    """
    if name not in KINDS:
        raise InputError(f"notebook {name!r}: expected one of {', '.join(KINDS)}")
    source = notebook(name)
    values = parameters_of(name, read_parameters(parameters), os.environ)
    require_parameters(source, values)
    require_followed(name, values, os.environ)
    out = require_writable(values.get("out_dir", "."))
    target = _free(out / f"{name}{_job_suffix(os.environ)}.ipynb")
    told = ", ".join(f"{k}={v!r}" for k, v in sorted(values.items()))
    print(f"{source.name} -> {target}: {told}", flush=True)
    with _surroundings() as variables, environment(variables), _Signals() as signals:
        try:
            executed = papermill.execute_notebook(
                str(source),
                str(target),
                parameters=values,
                kernel_name="python3",
                progress_bar=False,
                log_output=True,
                autosave_cell_every=_AUTOSAVE_S,
                cwd=str(Path.cwd()),
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
            is_complete = f"{name} complete" in str(executed.cells[-1].outputs)
            failure = "the last cell did not say that it is complete"
        except (PapermillExecutionError, RuntimeError) as error:
            is_complete, failure = False, f"{type(error).__name__}: {error}".strip()[-800:]
    if is_complete:
        print(f"{name} complete: {target}", flush=True)
        return 0
    if signals.heard is not None:
        print(f"{name}: stopped by {signal.Signals(signals.heard).name}, can be resumed: {target}")
        if signals.heard == signal.SIGUSR1:
            _requeue(os.environ)
        return INTERRUPTED
    print(f"{name}: failed; {target} has its output\n{failure}", flush=True)
    return FAILED


class _Once(yaml.SafeLoader):
    """A YAML loader that refuses a name given twice, of which the last would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{shown(name)} is given twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def _from_yaml(text: str) -> Any:
    """What YAML says.

    Raises:
        ValueError: when it is none, with line and column.
    """
    try:
        return yaml.load(text, _Once)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def read_parameters(path: Path | None) -> dict[str, Any]:
    """The parameters in a YAML file.

    Raises:
        InputError: when it is missing or holds something else.
    """
    if path is None:
        return {}
    text = read_text(path, "YAML")
    try:
        content = _from_yaml(text)
    except ValueError as error:
        raise InputError(f"{path}: not YAML ({error})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else shown(content)
        raise InputError(f"{path}: expected names and values of parameters, found {kind}")
    if wrong := [name for name in content if not isinstance(name, str)]:
        raise InputError(f"{path}: {shown(wrong[0])}: expected a name of a parameter")
    return content


def parameters_of(
    name: str, given: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The notebook's parameters: those of the file, under those of the environment, validated.

    Every setting is also an environment variable in capitals, and every hyperparameter where the
    notebook takes them; `BEST` names a results file to take them from. `STORAGE` is left out: it
    may hold a password, and goes to the notebook in its environment.

    Raises:
        InputError: when a name is unknown, a value can't be used, or a storage in the file has a
            password.
    """
    kind = KINDS[name]
    known = papermill.inspect_notebook(str(notebook(name)))
    values = dict(given)
    for field in kind.model_fields:
        text = variables.get(field.upper(), "") or variables.get(_ALIASES.get(field, ""), "")
        if text and field in known and field not in ("storage", "resume", "hyperparameters"):
            values[field] = _read(kind, field, text)
    _require_numbers(variables)
    if "hyperparameters" in known:
        values["hyperparameters"] = _knobs(kind, values, variables)
    if "workers" in known and "WORKERS" not in variables and "workers" not in given:
        values["workers"] = int(variables.get("SLURM_CPUS_PER_TASK") or 1)
    if "resume" in known:
        is_given = kind.read({"resume": values.get("resume", False)}).model_dump()["resume"]
        values["resume"] = is_given or _is_resumed(variables)
    if holds_password(values.get("storage")):
        raise InputError("storage: expected in the variable STORAGE, where no password is kept")
    if any(map(holds_password, values.values())):
        where = next(n for n, value in values.items() if holds_password(value))
        raise InputError(f"{where}: a URL with a password, which a notebook would keep")
    if variables.get("STORAGE"):
        values.pop("storage", None)
    kind.read({k: v for k, v in values.items() if k in kind.model_fields})
    return values


def require_followed(name: str, values: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Nothing, when the notebook can begin with these parameters, as far as can be told before.

    Raises:
        InputError: naming what it would end with.
    """
    kind = KINDS[name]
    settings = kind.read({k: v for k, v in values.items() if k in kind.model_fields})
    assert isinstance(settings, SearchSettings)
    require_usable(settings)
    if isinstance(settings, TuneSettings):
        require_settings(settings)
        url = variables.get("STORAGE") or settings.storage
        if url is not None:
            require_url(url)
        if settings.screening is not None:
            require_screening(settings)
    if isinstance(settings, ValidateSettings):
        require_knobs(settings, tuned_values(settings)[0])
        transfer_of(settings)


def _knobs(
    kind: type[Settings], values: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The hyperparameters: of the file, under those of `BEST`, under those of the environment."""
    solver = SOLVERS.get(str(values.get("solver", "gad")))
    if solver is None:
        raise InputError(
            f"solver {shown(values.get('solver'))}: expected one of {', '.join(SOLVERS)}"
        )
    given = values.get("hyperparameters") or {}
    if not isinstance(given, dict):
        raise InputError(
            f"hyperparameters = {shown(given)}: expected names and values, as in {{dt_max: 0.02}}"
        )
    try:
        found = solver.by_name(given) | _best(kind, values, variables)
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        found |= _knobs_in(variables, solver)
        solver(**found)
    except ValidationError as error:
        raise InputError(explain(error)) from None
    return found


def _knobs_in(variables: Mapping[str, str], solver: type[Hyperparameters]) -> dict[str, Any]:
    """The hyperparameters among the variables, by whichever of their names."""
    found: dict[str, Any] = {}
    for choice in solver.choices():
        if text := variables.get(choice.name.upper()):
            found[choice.name] = text
    for knob in solver.tunable():
        for name in (knob.name, *knob.aliases):
            if text := variables.get(name.upper()):
                try:
                    found[knob.name] = knob.type(text)
                except ValueError:
                    wanted = "an integer" if knob.type is int else "a number"
                    raise InputError(f"{name.upper()}={shown(text)}: expected {wanted}") from None
    return found


def _best(
    kind: type[Settings], values: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The tuned values of the file that `BEST` names, which were tuned for what is searched."""
    path = variables.get("BEST")
    if not path or "best" in kind.model_fields:
        return {}
    best = read_best(path)
    settings = kind.read(
        {k: v for k, v in values.items() if k in kind.model_fields and k != "hyperparameters"}
    )
    assert isinstance(settings, SearchSettings)
    if not _word("ALLOW_TRANSFER", variables):
        require_tuned_for(best, f"BEST={path}", settings)
    elif told := transfers(best, settings):
        print(f"BEST={path} was tuned for something else: {'; '.join(told)}", flush=True)
    return dict(best.best_params)


def _read(kind: type[Settings], field: str, text: str) -> Any:
    """The value of a setting from text, in the setting's type."""
    annotation: Any = kind.model_fields[field].annotation
    if annotation is bool:
        return _word(field.upper(), {field.upper(): text})
    try:
        value = _from_yaml(text) if annotation not in (str, str | None) else text
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
    except ValueError as error:
        reason = str(error)
    raise InputError(f"{field.upper()}={without_secrets(text)}: {reason}")


_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def _word(name: str, variables: Mapping[str, str]) -> bool:
    """Whether a variable says yes; `RESUME=--resume` does, as in published scripts."""
    text = variables.get(name, "").strip().lower()
    if text in _FALSE:
        return False
    if text in _TRUE or text == f"--{name.lower().replace('_', '-')}":
        return True
    raise InputError(
        f"{name}={shown(variables[name])}: expected one of {', '.join((*_TRUE, *_FALSE[1:]))}"
    )


_NUMBERS = (
    *("SLURM_CPUS_PER_TASK", "SLURM_RESTART_COUNT", "SLURM_JOB_ID"),
    *("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
)


def _require_numbers(variables: Mapping[str, str]) -> None:
    """Nothing, when the variables of SLURM that are read are numbers, or empty."""
    for name in _NUMBERS:
        text = variables.get(name) or "0"
        if not (text.isascii() and text.isdigit() and int(text) < 2**63):
            raise InputError(f"{name}={shown(text)}: expected a number, as SLURM sets it")


def _is_resumed(variables: Mapping[str, str]) -> bool:
    """Whether there may be something to go on with: asked for, one worker of many, or requeued."""
    return (
        _word("RESUME", variables)
        or bool(variables.get("SLURM_ARRAY_TASK_ID"))
        or int(variables.get("SLURM_RESTART_COUNT") or 0) > 0
    )


def _job_suffix(variables: Mapping[str, str]) -> str:
    job = variables.get("SLURM_ARRAY_JOB_ID") or variables.get("SLURM_JOB_ID")
    task = variables.get("SLURM_ARRAY_TASK_ID")
    return "".join(f"-{part}" for part in (job, task) if part)


def _free(path: Path) -> Path:
    """The path, or the first with a number that is free: a job queued again has the same name."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


@contextlib.contextmanager
def _surroundings() -> Iterator[dict[str, str]]:
    """The kernel's variables: folders of its own, the storage with its password."""
    with tempfile.TemporaryDirectory(prefix="gadlib-job-") as folder:
        variables = {
            "MPLBACKEND": BACKEND,
            "JUPYTER_RUNTIME_DIR": f"{folder}/runtime",
            "IPYTHONDIR": f"{folder}/ipython",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }
        if url := os.environ.get("STORAGE"):
            variables["GADLIB_STORAGE"] = url
        yield variables


class _Signals:
    """Inside, a signal to end is passed on to the kernel as Ctrl-C, and remembered."""

    def __init__(self) -> None:
        self.heard: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            self._before[kind] = signal.signal(kind, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _hear(self, kind: int, _: Any) -> None:
        self.heard = kind if self.heard is None else self.heard
        for pid in _children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGINT)


def _children() -> list[int]:
    """The kernels that this process has started."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in listing.read_text().split():
                if "ipykernel" in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(int(pid))
    return found


def _requeue(variables: Mapping[str, str]) -> None:
    job = variables.get("SLURM_JOB_ID")
    if job is None:
        return
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    print(f"requeue of job {job}: {done.stderr.strip() or 'asked for'}", flush=True)
