from __future__ import annotations

import os

import papermill
import pytest

from gadlib.cli import demo, notebooks
from gadlib.settings.reading import InputError


def test_every_parameter_is_one_of_the_notebook(tmp_path):
    for name, values in demo.parameters(tmp_path, 2).items():
        notebooks.require_parameters(notebooks.notebook(name), values)


def test_parameter_that_a_notebook_lacks_is_refused():
    with pytest.raises(InputError, match="no parameter n_trails; expected some of calculator"):
        notebooks.require_parameters(notebooks.notebook("02_tune"), {"n_trails": 3})


def test_study_has_twenty_trials_and_never_sees_what_is_validated(tmp_path):
    plan = demo.parameters(tmp_path, 2)
    assert plan["02_tune"]["n_trials"] >= 20
    assert plan["02_tune"]["split"] == "train"
    assert plan["03_results"]["split"] == "val,test"


def test_missing_notebooks_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    with pytest.raises(InputError, match=r"01_screen.ipynb: no such notebook"):
        demo.run(tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_earlier_results_are_renamed_never_overwritten(tmp_path):
    folder = tmp_path / "demo"
    for content in ("first", "second"):
        folder.mkdir()
        (folder / "a").write_text(content)
        demo.set_aside(folder)
    assert not folder.exists()
    assert (tmp_path / "demo.1" / "a").read_text() == "first"
    assert (tmp_path / "demo.2" / "a").read_text() == "second"
    assert demo.set_aside(folder) is None


def test_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    with notebooks.environment({"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MPLBACKEND"]) == ("1", "agg")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MPLBACKEND" not in os.environ


def test_failed_notebook_ends_the_demo_with_status_1(tmp_path, monkeypatch, capsys):
    def fail(source, target, values):
        raise papermill.exceptions.PapermillExecutionError(0, 1, "", "InputError", "no luck", [])

    monkeypatch.setattr(demo, "execute", fail)
    assert demo.run(tmp_path / "out", 1) == 1
    assert "failed: InputError: no luck" in capsys.readouterr().out


def test_interrupted_demo_ends_with_its_own_status(tmp_path, monkeypatch, capsys):
    def interrupt(source, target, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "execute", interrupt)
    assert demo.run(tmp_path / "out", 1) == 130
    assert f"interrupted; what was done is in {tmp_path}" in capsys.readouterr().out
