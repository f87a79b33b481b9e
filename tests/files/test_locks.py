"""One run at a time writes an output; temporary folders go with their process."""

from __future__ import annotations

import fcntl
import os
import threading

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


def test_only_one_at_a_time_is_inside(tmp_path):
    path, order = tmp_path / "new" / "lock", []

    def wait():
        with locks.in_turn(path):
            order.append("other")

    with locks.in_turn(path):
        other = threading.Thread(target=wait)
        other.start()
        with path.open("a") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.join(0.1)
        order.append("first")
    other.join(10)
    assert order == ["first", "other"]
    with locks.in_turn(path):
        order.append("again")
    assert order[-1] == "again"


def test_where_nothing_can_be_locked_it_goes_on(tmp_path):
    (tmp_path / "file").touch()
    done = []
    with locks.in_turn(tmp_path / "file" / "lock"):
        done.append(True)
    assert done
