"""Processes forked from a server: what they have, and what they must not bring."""

from __future__ import annotations

import os
import sys
import types
from multiprocessing.connection import Connection
from pathlib import Path

from gadlib.processes.forks import Forks


def tell(pipe: Connection) -> None:
    server = os.getppid()
    pipe.send(
        {
            "server": server,
            "threads": len(list(Path(f"/proc/{server}/task").iterdir())),
            "files": set(Path(f"/proc/{server}/maps").read_text().split()),
            "modules": set(sys.modules),
            "folder": Path.cwd(),
            "environment": dict(os.environ),
        }
    )


def told() -> dict:
    here, there = Forks().Pipe(duplex=False)
    process = Forks().Process(target=tell, args=(there,))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    assert process.exitcode == 0
    here.close()
    return found


def test_all_are_forks_of_one_server_that_has_one_thread_and_what_a_search_imports():
    first, second = told(), told()
    assert first["server"] == second["server"] != os.getpid()
    assert first["threads"] == 1
    assert {"gadlib.solver.search", "gadlib.calculators.sparrow", "torch"} <= first["modules"]
    assert not {"matplotlib", "optuna", "pandas"} & first["modules"]


def test_the_server_has_not_touched_a_gpu():
    """Whoever forks after CUDA has begun can't compute on it."""
    assert not [name for name in told()["files"] if "/dev/nvidia" in name]


def test_the_environment_and_the_folder_are_those_of_the_moment(tmp_path, monkeypatch):
    told()
    monkeypatch.setenv("GADLIB_FOR_THIS_TEST", "now")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.chdir(tmp_path)
    found = told()
    assert found["folder"] == tmp_path
    assert found["environment"]["GADLIB_FOR_THIS_TEST"] == "now"
    assert found["environment"]["OMP_NUM_THREADS"] == "1"  # parallelism is by process
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_script_is_not_begun_again_by_its_processes(tmp_path, monkeypatch):
    """Scripts need no `if __name__ == "__main__"`, which `multiprocessing` alone would ask for."""
    script = types.ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    Path(script.__file__).write_text("raise SystemExit('begun again')")
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert told()["server"]
