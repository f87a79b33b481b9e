"""Weights & Biases: every trial's hyperparameters and metrics, in a process of its own.

Never in the way: the study writes lines into a pipe that never blocks, and a process that network
trouble holds up is left behind at the end, soon where it never had an answer. On with WANDB_API_KEY
or WANDB_MODE=offline.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from gadlib.settings.criteria import CRITERIA

PROJECT = "gad-hpo"
SENDING_S = 20.0
"""How long the end of a study waits for what is still to be sent, once there is a connection."""

UNHEARD_S = 1.0
"""How long it waits where nobody has answered yet."""

_LOCAL = ("offline", "dryrun")
_PIPE_BYTES = 1 << 20
_METRICS = (
    "convergence_rate", *(f"{name}_rate" for name in CRITERIA), "mean_steps", "score",
    "n_converged", "n_samples", "n_cached", "elapsed_s",
)  # fmt: skip
_SUMMARY = ("convergence_rate", *(f"{name}_rate" for name in CRITERIA), "mean_steps")


def is_on(variables: Mapping[str, str]) -> bool:
    """Whether W&B is asked for."""
    mode = variables.get("WANDB_MODE", "")
    if mode == "disabled":
        return False
    return mode in _LOCAL or bool(variables.get("WANDB_API_KEY"))


class Tracking:
    """A run in W&B, or nothing where that is off; no call raises or waits, but `end` a little."""

    def __init__(
        self, study_name: str, worker: str, config: Mapping[str, Any], folder: str
    ) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._n_lost = 0
        self._has_begun = False
        if not is_on(os.environ):
            print("W&B: off; WANDB_API_KEY or WANDB_MODE=offline switch it on", flush=True)
            return
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gadlib.tuning.wandb_log"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if not k.endswith("STORAGE")},
                start_new_session=True,  # Ctrl-C is the study's
            )
        except OSError as error:
            print(f"W&B: off; can't be started ({error.strerror})", flush=True)
            return
        pipe, said = self._process.stdin, self._process.stdout
        assert pipe is not None and said is not None
        os.set_blocking(said.fileno(), False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(pipe.fileno(), False)
        self._send({"study": study_name, "worker": worker, "config": dict(config), "dir": folder})

    def trial(
        self, number: int, state: str, params: Mapping[str, Any], found: Mapping[str, Any]
    ) -> None:
        """A trial that has ended, with what it found; `more` of that goes as it is."""
        values = {f"hparams/{name}": value for name, value in params.items()}
        values |= {f"metrics/{name}": found[name] for name in _METRICS if name in found}
        values |= found.get("more", {})
        if state != "complete":
            values.pop("metrics/score", None)
        else:
            scores = found.get("scores", {})
            values |= {f"scores/{name}": value for name, value in scores.items()}
        self._send({"log": {"trial": number, "state": state, **values}})

    def end(self, summary: Mapping[str, Any]) -> None:
        """The best of the study in the summary; then wait until all is sent, for a while."""
        if self._process is None:
            return
        self._send({"summary": dict(summary)})
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        began = time.monotonic()
        while self._process.poll() is None and time.monotonic() - began < self._sending_s():
            time.sleep(0.05)
        if self._process.poll() is None:
            print("W&B: not all is sent yet; that goes on in the background", flush=True)
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._n_lost:
            print(f"W&B: {self._n_lost} lines not taken", flush=True)

    def _sending_s(self) -> float:
        """How long to wait: a network that has not answered so far may never."""
        assert self._process is not None and self._process.stdout is not None
        if not self._has_begun:
            with contextlib.suppress(OSError):
                self._has_begun = bool(self._process.stdout.read())
        is_local = os.environ.get("WANDB_MODE") in _LOCAL
        return SENDING_S if self._has_begun or is_local else UNHEARD_S

    def _send(self, content: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            line = (json.dumps(content, default=str) + "\n").encode()
            if os.write(self._process.stdin.fileno(), line) != len(line):
                self._n_lost += 1
        except (OSError, ValueError):
            self._n_lost += 1


def summary_of(trials: Mapping[str, int], best: Any) -> dict[str, Any]:
    """The summary of a study: counts of trials by state, and the best one."""
    found: dict[str, Any] = {f"trials/{state}": n for state, n in trials.items()}
    if best is not None:
        found["best/trial"] = best.number
        if len(best.values) == 1:
            found["best/score"] = best.values[0]
        scores = best.user_attrs.get("scores", {})
        found |= {f"best/scores/{name}": value for name, value in scores.items()}
        found |= {f"best/{name}": value for name, value in best.params.items()}
        found |= {
            f"best/{name}": best.user_attrs[name] for name in _SUMMARY if name in best.user_attrs
        }
    return found


def main() -> None:
    """Read lines from the study until it closes the pipe; the process that `Tracking` starts.

    Its standard output says one thing only: that the run has begun.
    """
    said = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import wandb

    first = json.loads(sys.stdin.readline())

    def begin(**more: Any) -> Any:
        return wandb.init(
            project=PROJECT,
            group=first["study"],
            name=f"{first['study']}/{first['worker']}",
            config=first["config"],
            dir=first["dir"],
            settings=wandb.Settings(console="off", silent=True, init_timeout=60, **more),
        )

    try:
        run = begin()
    except Exception:  # no network, a wrong key: what can be kept is kept on the disk
        run = begin(mode="offline")
    with contextlib.suppress(OSError):  # the study has ended without waiting
        os.write(said, b"begun\n")
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            content = json.loads(line)
            if "log" in content:
                run.log(content["log"])
            for name, value in content.get("summary", {}).items():
                run.summary[name] = value
    run.finish()


if __name__ == "__main__":
    main()
