"""One run at a time writes an output; temporary folders go with their process."""

from __future__ import annotations

import os

import pytest

from gadlib.files import locks
from gadlib.settings.reading import InputError


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    output = tmp_path / "runs" / "r.json"
    with locks.sole(output):
        told = f"r.json: another run is writing it .process {os.getpid()} on "
        with pytest.raises(InputError, match=told), locks.sole(output):
            pass
        with locks.sole(tmp_path / "runs" / "other.json"):
            pass
    with locks.sole(output):
        assert [path.name for path in output.parent.iterdir()] == [".r.json.running"]
    assert not list(output.parent.iterdir())


def test_an_output_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locks.sole(tmp_path / "r"):
        raise ZeroDivisionError
    with locks.sole(tmp_path / "r"):
        pass


def test_a_temporary_folder_is_there_inside_and_is_not_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(locks.tempfile, "tempdir", str(tmp_path))
    with locks.scratch("job") as folder:
        (folder / "x").write_text("")
        locks.sweep()
        assert folder.name.startswith("gadlib-job-")
        assert (folder / "x").is_file()
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_process_has_died_is_swept_and_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(locks.tempfile, "tempdir", str(tmp_path))
    for name in ("gadlib-dead", "gadlib-unlocked", "others"):
        (tmp_path / name).mkdir()
    (tmp_path / "gadlib-dead" / ".alive").write_text("")
    (tmp_path / "others" / ".alive").write_text("")
    locks.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {"gadlib-unlocked", "others"}
