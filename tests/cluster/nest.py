"""Workers of one study as processes that start in the same moment: imported once, then forked.

Each line of its standard input is a task, `{"n": 8, "settings": {...}, ...}`, for a fork of its
own, the nest. That says in lines of JSON its process number, those of its workers, and when all
have ended their exit statuses, and how many were killed. Trials search three atoms on a quadratic
saddle, for milliseconds.

    n: workers.
    said, errors: files for what the nest says in lines, and for what its workers say.
    settings: of `tune`.
    kill_every_s: kill -9 a random worker that often, and start another in its place.
    kills: so many at most.
    sample_s: what a sample takes at least.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback

import numpy as np
import torch

from gadlib.cluster.retries import StorageLostError
from gadlib.cluster.storage import open_storage
from gadlib.evaluation import Evaluation
from gadlib.molecules.starting_points import Start
from gadlib.screening import screen
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings
from gadlib.tuning import seeds, tune


def saddle(batch, *, hessian=True):
    """Curvatures of -1 and 1 .. 5 eV/A^2: one step of a search costs a tenth of a millisecond."""
    time.sleep(SAMPLE_S)
    x = batch.positions.flatten(1)
    curvature = torch.arange(x.shape[1], dtype=x.dtype).clamp(min=0.5) * torch.where(
        torch.arange(x.shape[1]) == 0, -2.0, 1.0
    )
    second = torch.diag(curvature).expand(len(x), -1, -1).clone() if hessian else None
    energy = (curvature * x**2).sum(-1) / 2
    return Evaluation(energy, (-curvature * x).reshape(batch.positions.shape), second)


def samples(n):
    """Starting points of three atoms: fewer have no saddle, and nothing of them is computed."""
    drawn = 0.1 * np.random.default_rng(0).normal(size=(n, 3, 3)) + [[0], [2], [4]]
    numbers = np.array([1, 8, 1])
    return [Start(f"three{i}", "H2O", "train", "ts", None, numbers, drawn[i], 3) for i in range(n)]


def fresh(n_seen, n):
    """Starting points of a race, after those that the trials have seen."""
    return samples(n_seen + n)[n_seen:]


def work(settings):
    """The exit status of a worker, as the command line would give it."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        seeds.tune_seeds(TuneSettings(**settings))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except StorageLostError as error:
        print(error, file=sys.stderr)
        return 75
    except KeyboardInterrupt:
        return 130
    return 0


def start(settings):
    """The process number of a new worker."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(2, 1)  # stdout is for what the nest tells
            torch.set_num_threads(1)
            random.seed()
            status = work(settings)
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def nest(task):
    """Start the workers, kill some, wait for all."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name, number in (("said", 1), ("errors", 2)):
        os.dup2(os.open(task[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    settings = {"workers": 0, "out_dir": task["out_dir"], "n_samples": 2, "n_steps_per_sample": 3}
    settings |= task["settings"]
    tune.difficult_samples = seeds.difficult_samples = lambda s: ([], samples(s.n_samples))
    tune.require_screening = lambda _: None
    tune.fresh_samples = lambda s, *_: fresh(s.n_samples, s.n_race)
    tune.calculator_of = screen.calculator_of = lambda *_: saddle
    living = {start(settings) for _ in range(task["n"])}
    print(json.dumps({"pids": sorted(living)}), flush=True)
    statuses, kills, every = [], 0, task.get("kill_every_s")
    last = time.monotonic()
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            living.discard(pid)
            statuses.append(os.waitstatus_to_exitcode(status))
            if statuses[-1] == -signal.SIGKILL and every:
                statuses.pop()
                living.add(start(settings | {"resume": True}))
            continue
        if every and kills < task["kills"] and time.monotonic() - last > every:
            last = time.monotonic()
            os.kill(random.choice(sorted(living)), signal.SIGKILL)
            kills += 1
        time.sleep(0.02)
    print(json.dumps({"statuses": sorted(statuses), "kills": kills}), flush=True)


SAMPLE_S = 0.0
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        open_storage(f"sqlite:///{folder}/warm.db")  # imports what workers would, each
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        given = json.loads(line)
        if os.fork() == 0:
            SAMPLE_S = given.get("sample_s", 0.0)
            try:
                nest(given)
            except BaseException:
                traceback.print_exc()
            os._exit(0)
