"""Files are replaced whole, or not at all; lines are added."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from gadlib.files import writing
from gadlib.files.reading import read_json, whole_lines
from gadlib.settings.reading import InputError


def test_json_is_written_with_its_folder_and_what_is_not_finite_as_null(tmp_path):
    path = writing.write_json(tmp_path / "a/b.json", {1: (math.nan, math.inf, 0.5), "x": [True]})
    assert path == tmp_path / "a/b.json"
    assert path.read_text() == json.dumps({"1": [None, None, 0.5], "x": [True]}, indent=1) + "\n"
    assert read_json(path) == {"1": [None, None, 0.5], "x": [True]}


def test_a_writing_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = writing.write_bytes(tmp_path / "x", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"x: can't be written .No space left on device"):
        writing.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writing_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    path = writing.write_bytes(tmp_path / "x", b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writing.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        path = writing.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_added_lines_are_read_from_where_one_was(tmp_path):
    path = tmp_path / "lines.jsonl"
    writing.append_line(path, {"a": 1})
    lines, place = whole_lines(path, 0)
    assert [json.loads(line) for line in lines] == [{"a": 1}]
    writing.append_line(path, [2])
    with path.open("a") as file:
        file.write("[3")  # another process is writing it
    lines, after = whole_lines(path, place)
    assert lines == [b"[2]\n"]
    assert whole_lines(path, after) == ([], after)


def test_a_folder_is_made_or_refused_and_empty_ones_are_removed(tmp_path):
    folder = writing.require_writable(tmp_path / "a/b")
    writing.require_writable(tmp_path / "c")
    (tmp_path / "c/result").write_text("")
    assert folder.is_dir() and not list(folder.iterdir())
    writing.leave_no_empty_folder()
    assert {path.name for path in tmp_path.iterdir()} == {"c"}
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output folder .*file/x: can't be written"):
        writing.require_writable(tmp_path / "file/x")


def test_first_free_name_passes_over_those_that_are_taken(tmp_path):
    path = tmp_path / "a.b.json"
    for name in ("a.b.json", "a.b.json.1", "a.b.2.json"):
        (tmp_path / name).write_text("")
    assert writing.first_free(path, "{name}.{number}").name == "a.b.json.2"
    assert writing.first_free(path, "{stem}.{number}{suffix}", start=2).name == "a.b.3.json"


@pytest.mark.parametrize(("name", "is_taken"), [("a.json", True), ("a.xyz", False), ("a", False)])
def test_results_go_into_names_that_say_they_are_json(name, is_taken):
    if is_taken:
        writing.require_json(name)
        return
    with pytest.raises(InputError, match=f"^{name}: results are JSON; expected a name that ends"):
        writing.require_json(name)
