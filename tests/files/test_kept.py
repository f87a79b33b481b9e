"""A result file that grows is written soon, not too often, and in the end."""

from __future__ import annotations

import pytest

from gadlib.files import kept
from gadlib.files.kept import Kept
from gadlib.files.reading import read_json
from gadlib.settings.reading import InputError


class Clock:
    """Seconds that pass when a file is written, and when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.writings: list[list[int]] = []
        self.is_full = False
        monkeypatch.setattr(kept.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(kept, "write_json", self._write)

    def _write(self, _: object, content: list[int]) -> None:
        if self.is_full:
            raise InputError("r.json: can't be written (full)")
        self.now += 2.0
        self.writings.append(list(content))


def test_writing_takes_a_small_share_of_the_time(monkeypatch):
    clock, results = Clock(monkeypatch), []
    file = Kept("r.json", lambda: results)
    for k in range(60):
        results.append(k)
        file.grown()
        clock.now += 1.0
    assert [len(one) for one in clock.writings] == [1, 21, 41]
    file.write()
    file.write()
    assert [len(one) for one in clock.writings] == [1, 21, 41, 60]


def test_a_file_that_can_not_be_written_is_said_once_and_tried_again(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    file = Kept("r.json", lambda: [1])
    clock.is_full = True
    for _ in range(3):
        file.grown()
        clock.now += 1.5
    assert capsys.readouterr().err.count("full") == 1
    with pytest.raises(InputError, match="full"):
        file.write()
    clock.is_full = False
    file.grown()
    assert clock.writings == [[1]]


def test_without_a_file_nothing_is_written_and_with_one_what_is_there_last(tmp_path):
    Kept(None, lambda: 1 / 0).grown()
    results = [1]
    file = Kept(tmp_path / "r.json", lambda: results)
    file.write()
    assert not list(tmp_path.iterdir())  # nothing has come yet
    file.grown()
    results.append(2)
    file.grown()
    file.write()
    assert read_json(tmp_path / "r.json") == [1, 2]
