"""What is said of a storage that can't be opened, and who tries again."""

import pytest
import sqlalchemy.exc

from gadlib.cluster import storage
from gadlib.cluster.storage import open_storage
from gadlib.settings.reading import InputError


def failing(error, monkeypatch):
    calls = []

    def connect(url, *, is_read):
        calls.append(url)
        raise error

    monkeypatch.setattr(storage, "_connect", connect)
    return calls


def test_who_comes_second_in_making_the_tables_tries_again(tmp_path, monkeypatch):
    connect, calls = storage._connect, []

    def second(url, *, is_read):
        calls.append(url)
        if len(calls) == 1:
            raise RuntimeError("table studies already exists")
        return connect(url, is_read=is_read)

    monkeypatch.setattr(storage, "_connect", second)
    assert open_storage(f"sqlite:///{tmp_path}/study.db").get_all_studies() == []
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("expected grpc://host:port"), r"storage URL \(ValueError\); expected e\.g"),
        (ValueError("no port"), r"storage URL \(ValueError: no port\); expected e\.g"),
        (ModuleNotFoundError("psycopg"), r"storage URL \(ModuleNotFoundError: psycopg\)"),
        (RuntimeError("an old Optuna\nits rest"), r"database \(an old Optuna\)$"),
        (RuntimeError(""), r"database \(RuntimeError\)$"),
        (
            sqlalchemy.exc.OperationalError("x", {}, Exception("away")),
            r"database \(away\)$",
        ),
    ],
)
def test_a_storage_that_cannot_be_opened_is_told_in_a_sentence(error, told, monkeypatch):
    calls = failing(error, monkeypatch)
    with pytest.raises(InputError, match=f"^storage grpc://h:1: not a usable {told}"):
        open_storage("grpc://h:1", timeout_s=0.0)
    assert len(calls) == 1


def test_a_fault_of_the_program_is_no_message_for_the_user(monkeypatch):
    failing(KeyError("x"), monkeypatch)
    with pytest.raises(KeyError):
        open_storage("grpc://h:1", timeout_s=0.0)
