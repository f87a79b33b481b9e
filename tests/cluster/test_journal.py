"""The last line of a journal that was cut off is removed before another is written."""

import json

import pytest
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from gadlib.cluster import journal
from gadlib.cluster.journal import TidyJournal, _end_of_last_line


@pytest.fixture
def opened(tmp_path):
    path = tmp_path / "study.log"
    return path, TidyJournal(str(path), lock_obj=JournalFileSymlinkLock(str(path)))


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (b"", 0),
        (b"cut", 0),
        (b"one\n", 4),
        (b"one\ncut", 4),
        (b"one\n\n", 5),
        (b"one\n" + b"x" * 65535, 4),
        (b"one\n" + b"x" * 65536, 4),
        (b"one\n" + b"x" * 200_000, 4),
        (b"x" * 200_000, 0),
    ],
)
def test_the_end_of_the_last_line_is_found_however_long_the_rest_is(tmp_path, content, end):
    path = tmp_path / "study.log"
    path.write_bytes(content)
    assert _end_of_last_line(path) == end


def test_a_line_is_appended_after_the_last_whole_one(opened):
    path, backend = opened
    backend.append_logs([{"a": 1}])
    with path.open("a") as file:
        file.write('{"b": ')
    backend.append_logs([{"c": 3}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"c": 3}]


def test_what_could_not_be_written_whole_is_removed(opened, monkeypatch):
    path, backend = opened
    backend.append_logs([{"a": 1}])

    def no_room(self, logs):
        with path.open("a") as file:
            file.write('{"b": ')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JournalFileBackend, "append_logs", no_room)
    with pytest.raises(OSError, match="No space left"):
        backend.append_logs([{"b": 2}])
    assert path.read_text() == '{"a":1}\n'


def test_a_whole_file_is_not_cut(opened, monkeypatch):
    path, backend = opened
    backend.append_logs([{"a": 1}])
    cut = []
    monkeypatch.setattr(journal.os, "truncate", lambda *given: cut.append(given))
    backend.append_logs([{"c": 3}])
    assert cut == [] and len(path.read_text().splitlines()) == 2
