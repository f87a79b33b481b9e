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

from gadlib.demo import BACKEND, environment, notebook, require_parameters
from gadlib.hyperparameters import SOLVERS
from gadlib.input import InputError, Settings, explain, holds_password
from gadlib.records import read_json, require_writable
from gadlib.settings import ScreenSettings, TuneSettings, ValidateSettings

KINDS: dict[str, type[Settings]] = {
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


def read_parameters(path: Path | None) -> dict[str, Any]:
    """The parameters in a YAML file.

    Raises:
        InputError: when it is missing or holds something else.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: can't be read as YAML ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected names and values of parameters")
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
    if "hyperparameters" in known:
        values["hyperparameters"] = values.get("hyperparameters", {}) | _knobs(values, variables)
    if "workers" in known and "WORKERS" not in variables and "workers" not in given:
        values["workers"] = int(variables.get("SLURM_CPUS_PER_TASK", 1))
    if "resume" in known:
        values["resume"] = bool(values.get("resume")) or _is_resumed(variables)
    if holds_password(values.get("storage")):
        raise InputError("storage: expected in the variable STORAGE, where no password is kept")
    if variables.get("STORAGE"):
        values.pop("storage", None)
    settings = {k: v for k, v in values.items() if k in kind.model_fields}
    kind.read(settings)
    return values


def _knobs(values: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, float]:
    solver = SOLVERS.get(str(values.get("solver", "gad")))
    if solver is None:
        raise InputError(f"solver {values.get('solver')!r}: expected one of {', '.join(SOLVERS)}")
    found: dict[str, float] = {}
    if best := variables.get("BEST"):
        content = read_json(best)
        if not isinstance(content, dict) or not content.get("best_params"):
            raise InputError(f"BEST={best}: expected an hpo_results.json with best_params")
        found |= content["best_params"]
    for knob in solver.knobs():
        if text := variables.get(knob.name.upper()):
            try:
                found[knob.name] = knob.type(text)
            except ValueError:
                raise InputError(f"{knob.name.upper()}={text}: expected a number") from None
    try:
        solver(**found)
    except ValidationError as error:
        raise InputError(explain(error)) from None
    return found


def _read(kind: type[Settings], field: str, text: str) -> Any:
    """The value of a setting from text, in the setting's type."""
    annotation: Any = kind.model_fields[field].annotation
    value = yaml.safe_load(text) if annotation not in (str, str | None) else text
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{field.upper()}={text}: {reason}") from None


def _is_resumed(variables: Mapping[str, str]) -> bool:
    """Whether there may be something to go on with: asked for, one worker of many, or requeued."""
    return (
        bool(variables.get("RESUME"))
        or "SLURM_ARRAY_TASK_ID" in variables
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
