"""Processes that compute one thing at a time, kept for the next; none outlives its program."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from loky import ProcessPoolExecutor

from gadlib.processes.forks import ONE_THREAD, Forks, end_with_parent

_IDLE_S = 600
"""How long a process waits for the next thing to do: longer than people look at a result."""

_ORPHAN_S = 0.5
"""How often a process looks whether its parent lives, where it is not a fork."""

_SOCKET_NAME = 107
"""Bytes that the name of a socket may have on Linux, unix(7); scratch folders may be longer."""

Surroundings = tuple[tuple[str, ...], str, frozenset[tuple[str, str]]]
"""Where modules are searched, the working folder and the environment of a process."""

_IDLE: list[ProcessPoolExecutor] = []
"""Processes that wait for the next job, each the only one of its executor: none falls with another.
"""
os.register_at_fork(after_in_child=_IDLE.clear)

_BEGUN_IN: WeakKeyDictionary[ProcessPoolExecutor, Surroundings] = WeakKeyDictionary()


def keep(executor: ProcessPoolExecutor) -> None:
    """Let a process that is done wait for the next thing to do."""
    _IDLE.append(executor)


def submit(function: Callable, *given: Any) -> tuple[ProcessPoolExecutor, Future]:
    """A process that is at it, and what will come of it.

    It has the program's `sys.path`, working folder and environment of now: one that was kept from
    before a change of these is ended, since it would not find what was added.
    """
    now = _surroundings()
    while _IDLE:
        executor = _IDLE.pop()
        if _BEGUN_IN.get(executor) != now:
            executor.shutdown(wait=False, kill_workers=True)
            continue
        with contextlib.suppress(BrokenProcessPool, RuntimeError):  # it may have died meanwhile
            return executor, executor.submit(function, *given)
    executor = ProcessPoolExecutor(max_workers=1, timeout=_IDLE_S, **_beginning())
    _BEGUN_IN[executor] = now
    return executor, executor.submit(function, *given)


def _surroundings() -> Surroundings:
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:  # it was removed
        folder = ""
    return tuple(sys.path), folder, frozenset(os.environ.items())


def _beginning() -> dict[str, Any]:
    """How processes begin: as forks on Linux; elsewhere systems' libraries do not outlive one."""
    if sys.platform == "linux" and _has_room():
        return {"context": Forks()}
    return {"initializer": _begin_process, "initargs": (os.getpid(),), "env": ONE_THREAD}


def _has_room() -> bool:
    """Whether the socket of the server that forks has a short enough name among temporary files."""
    longest = f"{tempfile.gettempdir()}/pymp-12345678/listener-12345678"
    return len(os.fsencode(longest)) <= _SOCKET_NAME


def _begin_process(parent: int) -> None:
    """One thread, deaf to Ctrl-C, which is the parent's to answer, and not to outlive that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    end_with_parent()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_ORPHAN_S)
    os._exit(1)
