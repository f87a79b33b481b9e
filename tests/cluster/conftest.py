"""Storages of every kind, each its own: a file, or a server started for it on the loopback."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{HERE.parents[1]}:{HERE}",
    "OMP_NUM_THREADS": "1",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A PostgreSQL of its own, that can be stopped and started, and asks for a password."""

    password = "real-SECRET-7f3a"

    def __init__(self, folder):
        (programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self.programs, self.folder, self.port = programs, folder, free_port()
        (folder / "password").write_text(self.password)
        ways = ("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
        self._run("initdb", *ways, f"--pwfile={folder}/password", "-D", folder / "data")
        self.start()
        self._run("createdb", "-h", folder, "-p", self.port, "-U", "postgres", "optuna")
        self.url = f"postgresql+psycopg://postgres:{self.password}@127.0.0.1:{self.port}/optuna"

    def _run(self, program, *arguments):
        command = [str(self.programs / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
        )

    def start(self):
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off"
        log = self.folder / "log"
        self._run("pg_ctl", "-w", "-D", self.folder / "data", "-o", options, "-l", log, "start")

    def stop(self):
        self._run("pg_ctl", "-w", "-m", "immediate", "-D", self.folder / "data", "stop")


@pytest.fixture(scope="session")
def postgres():
    pytest.importorskip("psycopg")
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("no PostgreSQL server (Debian: apt-get install postgresql)")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    folder = Path("/tmp") / f"gadlib-postgres-{os.getpid()}"
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def grpc(tmp_path):
    """The URL of a gRPC proxy over a journal file."""
    pytest.importorskip("grpc")
    port = free_port()
    code = (
        "import optuna, warnings; warnings.simplefilter('ignore');"
        "from gadlib.cluster.storage import open_storage;"
        f"s = open_storage('journal:///{tmp_path}/behind.log');"
        f"optuna.storages.run_grpc_proxy_server(s.storage, host='127.0.0.1', port={port})"
    )
    server = warm.Popen([sys.executable, "-c", code], env=ENVIRONMENT)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"grpc://127.0.0.1:{port}"
    server.kill()
    server.wait()


class Nest:
    """Workers of one study, forked in one moment; see nest.py."""

    def __init__(self, hen, folder, n, *, settings, **more):
        said, self.errors = folder / f"said{time.time_ns()}", folder / "nest.err"
        os.mkfifo(said)
        task = {"n": n, "settings": settings, "out_dir": str(folder), "said": str(said), **more}
        hen.stdin.write(json.dumps(task | {"errors": str(self.errors)}) + "\n")
        hen.stdin.flush()
        self.lines = said.open()
        self.pid = self._line()["pid"]
        self.pids = self._line()["pids"]

    def _line(self):
        line = self.lines.readline()
        assert line, self.told()[-2000:]
        return json.loads(line)

    def wait(self):
        """The exit statuses, and the number of kills."""
        found = self._line()
        assert not self.lines.read()
        return found["statuses"], found["kills"]

    def told(self):
        """What the workers said, without progress bars."""
        lines = self.errors.read_text().splitlines()
        return "\n".join(line for line in lines if "tuning:" not in line)


@pytest.fixture(scope="session")
def hen():
    """A process that has imported all that workers need, of which every nest is a fork."""
    process = warm.Popen(
        [sys.executable, "-m", "nest"],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )
    yield process
    process.stdin.close()
    process.wait()


@pytest.fixture
def nest(hen, tmp_path):
    nests = []

    def start(n, **more):
        nests.append(Nest(hen, tmp_path, n, **more))
        return nests[-1]

    yield start
    for one in nests:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.lines.close()
