"""A notebook as a cluster job: how it begins, what signals do to it, how it ends.

Not a scheduler: SLURM starts it (`papermill_jobs/`), and a job array is so many workers on one
study.
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

from papermill.exceptions import PapermillExecutionError

from gadlib.cli.exit_status import DONE, FAILED, INTERRUPTED
from gadlib.cli.job_parameters import KINDS, parameters_of, read_parameters, require_startable
from gadlib.cli.notebooks import execute, notebook, require_parameters
from gadlib.files.writing import first_free, require_writable
from gadlib.settings.reading import InputError

_AUTOSAVE_S = 30


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
    require_startable(name, values, os.environ)
    out = require_writable(values.get("out_dir", "."))
    target = out / f"{name}{_job_suffix(os.environ)}.ipynb"
    if target.exists():  # a job queued again has the same name
        target = first_free(target, "{stem}.{number}{suffix}", start=2)
    given = ", ".join(f"{k}={v!r}" for k, v in sorted(values.items()))
    print(f"{source.name} -> {target}: {given}", flush=True)
    failure = ""
    with _kernel_variables() as variables, _Signals() as signals:
        try:
            execute(
                source,
                target,
                values,
                variables=variables,
                log_output=True,
                autosave_cell_every=_AUTOSAVE_S,
                cwd=str(Path.cwd()),
            )
        except (PapermillExecutionError, RuntimeError) as error:
            failure = f"{type(error).__name__}: {error}".strip()[-800:]
    if not failure:
        print(f"{name} complete: {target}", flush=True)
        return DONE
    if signals.heard is not None:
        print(f"{name}: stopped by {signal.Signals(signals.heard).name}, can be resumed: {target}")
        if signals.heard == signal.SIGUSR1:
            _requeue(os.environ)
        return INTERRUPTED
    print(f"{name}: failed; {target} has its output\n{failure}", flush=True)
    return FAILED


def _job_suffix(variables: Mapping[str, str]) -> str:
    job = variables.get("SLURM_ARRAY_JOB_ID") or variables.get("SLURM_JOB_ID")
    task = variables.get("SLURM_ARRAY_TASK_ID")
    return "".join(f"-{part}" for part in (job, task) if part)


@contextlib.contextmanager
def _kernel_variables() -> Iterator[dict[str, str]]:
    """The kernel's variables: folders of its own, the storage with its password."""
    with tempfile.TemporaryDirectory(prefix="gadlib-job-") as folder:
        n_threads = os.environ.get("OMP_NUM_THREADS", "1")
        variables = {
            "JUPYTER_RUNTIME_DIR": f"{folder}/runtime",
            "IPYTHONDIR": f"{folder}/ipython",
            "OMP_NUM_THREADS": n_threads,
            "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", n_threads),
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
