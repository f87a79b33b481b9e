"""A journal that was cut off is mended before it is written to; nothing else of it is lost."""

import json

import optuna
import pytest

from gadlib.cluster import journal
from gadlib.cluster.journal import TidyJournal

LINE = {"op_code": 0}


def text_of(path):
    return path.read_text().splitlines()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.log"


def test_whole_lines_stay(path):
    backend = TidyJournal(str(path))
    backend.append_logs([LINE])
    backend.append_logs([LINE | {"n": 2}])
    assert [json.loads(line) for line in text_of(path)] == [LINE, LINE | {"n": 2}]


@pytest.mark.parametrize("n_whole", [0, 1, 2])
@pytest.mark.parametrize(
    "torn", ["{", '{"op_code": 4, "worker', "x" * 65535, "x" * 65536, "x" * 200000]
)
def test_what_was_cut_off_goes_and_no_more(path, n_whole, torn):
    backend = TidyJournal(str(path))
    path.write_text("".join(json.dumps(LINE | {"n": n}) + "\n" for n in range(n_whole)) + torn)
    backend.append_logs([LINE])
    expected = [LINE | {"n": n} for n in range(n_whole)] + [LINE]
    assert [json.loads(line) for line in text_of(path)] == expected


def test_a_line_that_a_full_disk_cut_off_is_taken_back(path, monkeypatch):
    backend = TidyJournal(str(path))
    backend.append_logs([LINE])

    def fill(self, logs):
        with path.open("a") as file:
            file.write('{"op_co')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", fill)
    with pytest.raises(OSError, match="No space left"):
        backend.append_logs([LINE])
    assert [json.loads(line) for line in text_of(path)] == [LINE]


def test_others_wait_while_a_journal_is_mended(path, monkeypatch):
    backend = TidyJournal(str(path))
    backend.append_logs([LINE])
    held = []
    truncate = journal.os.truncate

    def look(file, size):
        held.append([p.name for p in path.parent.iterdir() if "lock" in p.name])
        truncate(file, size)

    monkeypatch.setattr(journal.os, "truncate", look)
    with path.open("a") as file:
        file.write("{")
    backend.append_logs([LINE])
    assert held == [["study.log.lock"]]
    backend.append_logs([LINE])
    assert len(held) == 1
