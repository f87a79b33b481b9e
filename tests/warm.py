"""Commands as processes of their own that need not import anything: forks of one that has.

`Popen` and `run` are as those of `subprocess`, for commands of this interpreter: `-m module` or
`-c code`, and arguments. Streams, signals, exit statuses and what a kill leaves behind are real;
only the seconds of imports are saved. A test of how an interpreter begins takes `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import inspect
import json
import multiprocessing.util
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_IMPORTED = (
    "matplotlib.pyplot",
    "pandas",
    "optuna.storages",
    "scine_sparrow",
    "scine_utilities",
    "ipykernel.kernelapp",
    "ipywidgets",
    "papermill",
    "sklearn.ensemble",
)
"""What commands and notebooks import besides gadlib."""

_SHARED = "GADLIB_TESTS_WARM"
_INLINE = "module://matplotlib_inline.backend_inline"


class Popen(subprocess.Popen):
    """As `subprocess.Popen`."""

    address: str | None = None  # of the process that is forked, where it is not this one's own
    _line: socket.socket

    def _execute_child(self, *given: Any) -> None:
        """Have the process forked instead; what is not said of a stream is that of this process."""
        asked = inspect.signature(subprocess.Popen._execute_child).bind(self, *given).arguments
        command = [str(part) for part in asked["args"]]
        assert command[0] == sys.executable, command
        streams = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        task = {
            "command": command[1:],
            "cwd": str(asked["cwd"] or Path.cwd()),
            "environment": dict(os.environ if asked["env"] is None else asked["env"]),
            "is_leader": asked["start_new_session"],
        }
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(self.address or address())
        with tempfile.TemporaryFile() as message:
            message.write(json.dumps(task).encode())
            message.flush()
            passed = [n if given == -1 else given for n, given in enumerate(streams)]
            socket.send_fds(self._line, [b"task"], [message.fileno(), *passed])
        self.pid = int(self._line.recv(32))
        self._child_created = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in names))

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        self._line.setblocking(not wait_flags & os.WNOHANG)
        try:
            status = int(self._line.recv(32) or signal.SIGKILL)
        except BlockingIOError:
            return 0, 0
        self._line.close()
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None, **_: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


def run(
    command: list[str],
    *,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **named: Any,
) -> subprocess.CompletedProcess:
    """As `subprocess.run`."""
    if capture_output:
        named |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **named) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


@cache
def address() -> str:
    """Where the process listens that is forked; it lives as long as this one.

    That is the one of the process which started this one, where that has one (`share`).
    """
    if shared := os.environ.get(_SHARED):
        return shared
    folder = tempfile.TemporaryDirectory(prefix="gadlib-warm-")
    address = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env=os.environ | {"PYTHONPATH": f"{_HERE.parent}:{_HERE}", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    assert process.stdin is not None
    atexit.register(folder.cleanup)
    atexit.register(process.wait)
    atexit.register(process.stdin.close)
    return address


def share() -> None:
    """Let the processes that this one starts have its forks too, and not each import all again."""
    os.environ[_SHARED] = address()


class _Server:
    """The process that is forked: each connection asks for one process and hears how it ended."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ, self.accept)
        self.selector.register(0, selectors.EVENT_READ, self.end)
        self.lines: dict[int, socket.socket] = {}

    def serve(self) -> None:
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)

    def accept(self, listener: socket.socket) -> None:
        line, _ = listener.accept()
        _, passed, *_ = socket.recv_fds(line, 32, 4)
        with os.fdopen(passed[0], "rb") as message:
            message.seek(0)
            task = json.load(message)
        pid = os.fork()
        if pid == 0:
            address = listener.getsockname()
            self.selector.close()
            _begin(task, passed[1:], line, address)
        for stream in passed[1:]:
            os.close(stream)
        self.lines[pid] = line
        ending = os.pidfd_open(pid)
        self.selector.register(ending, selectors.EVENT_READ, lambda fd: self.tell(fd, pid))
        self.selector.register(line, selectors.EVENT_READ, lambda _: self.leave(pid))

    def tell(self, ending: int, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self.selector.unregister(ending)
        os.close(ending)
        line = self.lines.pop(pid)
        with contextlib.suppress(KeyError):
            self.selector.unregister(line)
        with contextlib.suppress(OSError):
            line.send(str(status).encode())
        line.close()

    def leave(self, pid: int) -> None:
        """Nobody waits for it any more: as with `subprocess`, it goes on."""
        self.selector.unregister(self.lines[pid])

    def end(self, _: Any) -> None:
        for pid in self.lines:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _begin(task: dict[str, Any], streams: list[int], line: socket.socket, address: str) -> None:
    """Become the process, with nothing open but its streams; what it starts is a fork too."""
    import jupyter_client.launcher

    Popen.address = address
    jupyter_client.launcher.Popen = Popen
    multiprocessing.util.spawnv_passfds = _spawned
    status = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        if task["is_leader"]:
            os.setsid()
        line.send(str(os.getpid()).encode())
        os.closerange(3, 1024)
        os.chdir(task["cwd"])
        _take_environment(task["environment"], is_kernel="ipykernel_launcher" in task["command"])
        status = _ran(task["command"])
        threading._shutdown()
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _spawned(_: str, arguments: list[str], kept: list[int]) -> int:
    """In place of a server of multiprocessing's own: a fork that runs its code."""
    pid = os.fork()
    if pid == 0:
        try:
            for number in signal.valid_signals():
                if callable(signal.getsignal(number)) and number != signal.SIGINT:
                    signal.signal(number, signal.SIG_DFL)
            for closed in set(range(3, 1024)) - set(kept):
                with contextlib.suppress(OSError):
                    os.close(closed)
            exec(arguments[-1], {})
        finally:
            os._exit(0)
    return pid


def _take_environment(values: dict[str, str], *, is_kernel: bool) -> None:
    """What a fresh interpreter and fresh modules would read of the environment."""
    import matplotlib
    import torch

    os.environ.clear()
    os.environ.update(values)
    torch.set_num_threads(1)
    sys.path[:0] = filter(None, values.get("PYTHONPATH", "").split(":"))
    if backend := values.get("MPLBACKEND", _INLINE if is_kernel else None):
        matplotlib.rcParams["backend"] = backend


def _ran(command: list[str]) -> int:
    """The exit status of a module or of code, as the interpreter would give it."""
    kind, what, *arguments = command
    sys.argv = [what if kind == "-m" else "-c", *arguments]
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            assert kind == "-c", command
            sys.modules["__main__"] = module = types.ModuleType("__main__")
            exec(what, module.__dict__)
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return (ending.code or 0) & 255
        print(ending.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _import_all() -> None:
    import gadlib

    ours = (m.name for m in pkgutil.walk_packages(gadlib.__path__, "gadlib."))
    for name in (*ours, *_IMPORTED):
        if not name.endswith(("__main__", "preload", "make_reactions")):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy what is here


if __name__ == "__main__":
    sys.path[0:1] = [str(_HERE.parent), str(_HERE)]
    _import_all()
    _Server(socket.socket(fileno=int(sys.argv[1]))).serve()
