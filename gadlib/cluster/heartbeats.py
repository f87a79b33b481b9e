"""Signs of life of a study's workers, kept in its attributes, and which of them are alive.

On this machine the kernel tells whether a process lives; elsewhere the last sign of life does.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna

from gadlib.files.shapes import WorkerAttributes, fit
from gadlib.settings.reading import InputError

_PREFIX = "worker:"


def this_machine() -> str:
    """A name under which process numbers mean the same."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            link = Path(path)
            parts.append(str(link.readlink()) if link.is_symlink() else link.read_text()[:8])
        except OSError:
            continue
    return "/".join(parts)


def this_process() -> dict[str, Any]:
    """What tells this process from all others, and since when."""
    pid = os.getpid()
    return {"machine": this_machine(), "pid": pid, "ticks": _ticks(pid), "started": now()}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _ticks(pid: int) -> str | None:
    """When the process was started, in the kernel's ticks; None where there is none alive."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def write_worker(study: optuna.Study, name: str, about: Mapping[str, Any]) -> None:
    """Keep what a worker says of itself."""
    study.set_user_attr(_PREFIX + name, dict(about))


def read_workers(study: optuna.Study) -> dict[str, dict[str, Any]]:
    """What each worker of the study has said of itself, by name; empty where that is damaged.

    Whether such a worker lives is not known.
    """
    return {
        name.removeprefix(_PREFIX): about if _is_sound(about) else {}
        for name, about in study.user_attrs.items()
        if name.startswith(_PREFIX)
    }


def _is_sound(about: Any) -> bool:
    try:
        fit(WorkerAttributes, about, "worker")
    except InputError:
        return False
    return True


def is_alive(worker: Mapping[str, Any], grace_s: float) -> bool | None:
    """Whether the worker lives, by its process here, elsewhere by its last sign; None: unknown."""
    if not worker:
        return None
    if worker.get("ended"):
        return False
    if worker["machine"] == this_machine():
        return worker["ticks"] is not None and _ticks(worker["pid"]) == worker["ticks"]
    return abs(time.time() - worker["beat"]) < grace_s
