"""A notebook in a real browser: JupyterLab or voila on a free port, Chromium that watches it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import warm

TOKEN = "opened-by-the-test"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_NEVER = "jupyterlab.NeverCheckForUpdate"
_ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def server(program: list[str], port: int, path: str, folder: Path) -> Iterator[str]:
    """The address of a server that answers, ended afterwards with all its kernels."""
    environment = dict(os.environ) | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "tests")]),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PATH": str(_ROOT / "gadlib" / "explore"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    environment.pop("MPLBACKEND", None)
    log = folder / "server.log"
    with log.open("w") as file:
        process = warm.Popen(
            [sys.executable, "-m", *program],
            cwd=folder,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}{path}"
        _wait_for(f"http://127.0.0.1:{port}/", process, log)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def lab(notebook: Path):
    """JupyterLab with the notebook open, in the notebook's folder."""
    port = free_port()
    program = ["jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--port-retries=0"]
    program += ["--expose-app-in-browser", f"--IdentityProvider.token={TOKEN}"]
    program += [f"--ServerApp.root_dir={notebook.parent}"]
    program += ["--LabApp.news_url=None", f"--LabApp.check_for_updates_class={_NEVER}"]
    path = f"/lab/tree/{notebook.name}?token={TOKEN}&reset"
    return server(program, port, path, notebook.parent)


def voila(notebook: Path):
    """voila with the notebook."""
    port = free_port()
    program = ["voila", str(notebook), "--no-browser", f"--port={port}", "--template=offline"]
    return server(program, port, "/", notebook.parent)


class Visit:
    """A page in headless Chromium, and what it asked for and complained of."""

    def __init__(self, playwright) -> None:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        self._browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        self.page = self._browser.new_page(viewport={"width": 1440, "height": 1100})
        self.page.set_default_timeout(60_000)
        self.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    @property
    def other_hosts(self) -> set[str]:
        """Whom the page asked besides the server on this machine."""
        hosts = {urlsplit(url).hostname for url in self.requests if urlsplit(url).scheme != "data"}
        return {host for host in hosts if host not in (None, "127.0.0.1")}

    def close(self) -> None:
        self._browser.close()
