"""Text and JSON are read as they are, or refused in a sentence that names the file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest

from gadlib.files import reading
from gadlib.files.reading import read_json, read_text
from gadlib.files.shapes import TuningFile, WorkerAttributes, fit, fit_all
from gadlib.settings.reading import InputError


def test_text_is_read_without_its_mark(tmp_path):
    (tmp_path / "x").write_bytes("\ufeffÅ".encode())
    assert read_text(tmp_path / "x") == "Å"


def test_what_is_no_text_is_refused_with_what_it_is(tmp_path, monkeypatch):
    (tmp_path / "latin").write_bytes(b"\xff\xfe1")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"1234")
    monkeypatch.setattr(reading, "MAX_BYTES", 3)
    for name, told in {
        "latin": "not YAML .no text in UTF-8",
        "pipe": "a pipe or a device; expected a file",
        "long": "4 bytes; expected a file of at most 3",
        "none": "can't be read .No such file",
        ".": "a folder; can't be read",
        "a\0b": "can't be read .*null",
    }.items():
        with pytest.raises(InputError, match=told):
            read_text(tmp_path / name, "YAML")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "Expecting property name"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' twice in one object"),
        ('{"a": NaN}', "NaN, expected a finite number or null"),
        ('{"a": 1e999}', "1e999, expected a finite number or null"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_may_mean_two_things_is_refused(tmp_path, text, told):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=rf"x\.json: not JSON.*{told}"):
        read_json(tmp_path / "x.json")


@dataclass(frozen=True)
class Row:
    n: int
    where: list[list[float]]
    name: str = "?"
    more: list[int] = field(default_factory=list)


def test_a_dataclass_is_read_by_its_fields_and_types_are_strict():
    found = fit(Row, {"n": 3, "where": [[1.0, None]], "unknown": 1}, "f")
    assert (found.n, found.name, found.more) == (3, "?", [])
    assert found.where[0][0] == 1.0 and found.where[0][1] != found.where[0][1]
    for content, told in [
        ({"n": -1, "where": []}, "f: n = -1: .*greater than or equal to 0"),
        ({"n": 2.0, "where": []}, "f: n = 2.0: "),
        ({"n": "2", "where": []}, "f: n = '2': "),
        ({"n": 2, "where": [], "more": [-1]}, "f: more.0 = -1: "),
        ({"n": 2}, "f: expected a row; lacks where"),
        ([], r"f: expected a row, found \[\]"),
    ]:
        with pytest.raises(InputError, match=told):
            fit(Row, content, "f", expected="a row")


def test_items_are_named_by_their_place():
    rows = [{"n": 1, "where": []}, {"n": True, "where": []}]
    with pytest.raises(InputError, match=r"f: rows\[1\]: n = True: "):
        fit_all(Row, rows, "f", "rows")
    assert fit_all(Row, rows[:1], "f", "rows") == [Row(1, [])]


def test_shapes_pass_over_what_they_do_not_declare_or_keep_it_where_they_say_so():
    file = fit(TuningFile, {"best_params": {"a": 1}, "about": {"mode": "x"}, "other": 1}, "f")
    assert file.about.model_dump() == {"reactions": [], "easy": [], "mode": "x"}
    assert not hasattr(file, "other")
    worker = {"machine": "m", "pid": 7, "ticks": None, "beat": 0.0}
    assert fit(WorkerAttributes, worker, "f").pid == 7
    with pytest.raises(InputError, match="pid = 2147483648"):
        fit(WorkerAttributes, worker | {"pid": 2**31}, "f")
