"""Processes forked from a server that has imported what searches need.

One begins within hundredths of a second instead of seconds, and shares the memory of what was
imported. The server computes nothing, so that it has one thread and no GPU. It ends with its
program, and the kernel ends with it whatever was forked from it, even within a native call.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import forkserver, popen_forkserver, reduction, spawn, util
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    set_spawning_popen,
)
from typing import Any, cast

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Variables of the environment with which a process computes by one thread."""

_PR_SET_PDEATHSIG = 1


class _Server(forkserver.ForkServer):
    """A server of gadlib's own, whatever else in this program has processes forked."""

    _forkserver_alive_fd: int | None  # open here as long as the server is to live

    def __init__(self) -> None:
        super().__init__()
        self.set_forkserver_preload(["gadlib.screening.preload"])

    def connect_to_new_process(self, fds: list[int]) -> tuple[int, int]:
        with environment(ONE_THREAD):
            return super().connect_to_new_process(fds)


_SERVER = _Server()


def _let_go(server: forkserver.ForkServer) -> None:
    """Do not keep a server alive that is another process's."""
    held = cast(_Server, server)
    if held._forkserver_alive_fd is not None:
        os.close(held._forkserver_alive_fd)
        held._forkserver_alive_fd = None


def _begin_anew() -> None:
    _let_go(_SERVER)
    _SERVER.__init__()


os.register_at_fork(after_in_child=_begin_anew)


class _Popen(popen_forkserver.Popen):
    """A process that does not import the program's main module: a script would begin again."""

    _fds: list[int]

    def _launch(self, process_obj: _Process) -> None:
        told = spawn.get_preparation_data(process_obj.name)
        told = {name: value for name, value in told.items() if "init_main" not in name}
        message = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(told, message)
            reduction.dump(process_obj, message)
        finally:
            set_spawning_popen(None)
        self.sentinel, pipe = _SERVER.connect_to_new_process(self._fds)
        # Its other end is at its end when this program is.
        self.finalizer = util.Finalize(self, _close, (os.dup(pipe), self.sentinel))
        with open(pipe, "wb") as file:  # noqa: PTH123
            file.write(message.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


class _Process(ForkServerProcess):
    """A process with the environment of its program, one thread, and no life after the program."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._environment = dict(os.environ) | ONE_THREAD

    @staticmethod
    def _Popen(process_obj: _Process) -> _Popen:
        return _Popen(process_obj)

    def run(self) -> None:
        import torch

        torch.set_num_threads(1)
        os.environ.clear()
        os.environ.update(self._environment)
        _end_with_program()
        super().run()


class Forks(ForkServerContext):
    """A context of `multiprocessing` whose processes are forked from the server."""

    Process = _Process


def end_with_parent() -> None:
    """Let the kernel end this process when the one that began it ends, where it can (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_program() -> None:
    """Let the server see the end of the program, and the kernel end this process with the server.

    Where there is no such kernel, a thread sees to it, though not within a native call.
    """
    _let_go(forkserver._forkserver)
    end_with_parent()
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    program = multiprocessing.parent_process()
    if program is not None:
        program.join()
        os._exit(1)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """A context in which processes start with these variables of the environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
