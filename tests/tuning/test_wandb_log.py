import json
import os
import signal
import socket
import sys
import time
from dataclasses import asdict

import optuna
import pytest
from optuna.trial import create_trial

from gadlib.tuning import tracked as tracking
from gadlib.tuning import wandb_log
from gadlib.tuning.raced import Race
from gadlib.tuning.wandb_log import Tracking


@pytest.fixture
def quiet(monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


def test_off_it_says_so_in_one_line(quiet, capsys):
    run = Tracking("s", "w", {}, ".")
    run.trial(0, "complete", {"x": 1}, {"score": 1.0})
    run.end({})
    assert capsys.readouterr().out.splitlines() == [
        "W&B: off; WANDB_API_KEY or WANDB_MODE=offline switch it on"
    ]


def test_offline_it_writes_a_run(quiet, monkeypatch, tmp_path):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("STORAGE", "postgresql://u:SECRET@h/d")
    monkeypatch.setattr(wandb_log, "SENDING_S", 90.0)
    run = Tracking("s", "w", {"n_trials": 1}, str(tmp_path))
    run.trial(0, "complete", {"dt_max": 0.05}, {"score": 0.5, "samples": ["left out"]})
    run.end({"best/score": 0.5})
    (found,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = found.read_bytes()
    for word in (b"hparams/dt_max", b"metrics/score", b"best/score", b"gad-hpo"):
        assert word in content
    assert b"left out" not in content
    everything = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"SECRET" not in everything


def test_a_process_that_hangs_neither_stops_nor_slows_a_study(quiet, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(wandb_log, "SENDING_S", 0.2)
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 20\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    run = Tracking("s", "w", {}, ".")
    began = time.monotonic()
    for number in range(2000):
        run.trial(number, "complete", {f"k{i}": 1.0 for i in range(50)}, {"score": 1.0})
    run.end({})
    assert time.monotonic() - began < 5
    assert run._n_lost > 0
    assert run._process is not None
    run._process.kill()
    run._process.wait()


def test_the_summary_counts_trials():
    assert wandb_log.summary_of({"complete": 3}, None) == {"trials/complete": 3}
    assert json.dumps(wandb_log.summary_of({}, None)) == "{}"


@pytest.fixture(params=["dead", "silent"])
def server(request):
    """The URL of a port where nobody listens, or of a server that takes calls and never answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
        if request.param == "silent":
            one.listen(100)  # the kernel takes the calls
            yield url
    if request.param == "dead":
        yield url


def test_a_network_that_does_not_answer_costs_a_second_at_the_end(
    server, quiet, monkeypatch, tmp_path, capsys
):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_BASE_URL", server)
    run = Tracking("s", "w", {}, str(tmp_path))
    began = time.monotonic()
    for number in range(100):
        run.trial(number, "complete", {"x": 1.0}, {"score": 1.0})
    assert time.monotonic() - began < 1
    time.sleep(3)  # that it may find no network
    began = time.monotonic()
    run.end({"best/score": 1.0})
    assert time.monotonic() - began < 3
    assert "goes on in the background" in capsys.readouterr().out
    assert run._n_lost == 0
    os.killpg(run._process.pid, signal.SIGKILL)
    run._process.wait()


class Heard:
    """What would have been sent."""

    def __init__(self):
        self.trials, self.summary = [], None

    def trial(self, number, state, params, found):
        self.trials.append(found["more"])

    def end(self, summary):
        self.summary = summary


def test_each_trial_tells_its_objectives_and_the_front_and_the_end_the_race(monkeypatch):
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.set_user_attr("gadlib", {"objectives": ["bound", "gradients"]})
    monkeypatch.setattr(tracking, "Tracking", lambda *_: heard)
    heard = Heard()
    with tracking.tracked(study, "s", "w", {}, ".") as told:
        for values in ((0.5, 40.0), (1.0, 200.0), (0.4, 90.0)):
            study.add_trial(create_trial(values=values))
            tracking.follow(told, study, study.get_trials()[-1])
        gain = {"bound": [0.1, -0.1, 0.3]}
        race = Race(1, ["a"], {"0": 1, "1": 1}, {"0": {}, "1": {}}, 0.9, gain, n_completed=3)
        study.set_user_attr("race", asdict(race))
    assert [t["objectives/gradients"] for t in heard.trials] == [40.0, 200.0, 90.0]
    assert [t["front/size"] for t in heard.trials] == [1, 2, 2]
    assert [t["front/is_on_it"] for t in heard.trials] == [True, True, False]
    assert [row["trial"] for row in heard.summary["front"]] == [0, 1]
    assert heard.summary["race/winner"] == 1 == heard.summary["best/trial"]
    assert heard.summary["race/gain/bound/interval"] == [-0.1, 0.3]


def test_a_study_that_is_interrupted_tells_what_it_has(monkeypatch):
    study, heard = optuna.create_study(direction="maximize"), Heard()
    monkeypatch.setattr(tracking, "Tracking", lambda *_: heard)
    study.add_trial(create_trial(value=0.7))
    with pytest.raises(KeyboardInterrupt), tracking.tracked(study, "s", "w", {}, "."):
        raise KeyboardInterrupt
    assert heard.summary["best/score"] == 0.7
