"""Storages of files opened: what is refused, and what is asked of the database."""

import sqlite3

import optuna
import pytest
import sqlalchemy.exc

from gadlib.cluster import storage
from gadlib.cluster.storage import open_storage
from gadlib.settings.reading import InputError


def test_a_file_that_must_be_there_is_not_made(tmp_path):
    with pytest.raises(InputError, match=r"no such file .*study\.db"):
        open_storage(f"sqlite:///{tmp_path}/study.db", must_exist=True)
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_program_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        for name in "dbca":
            connection.execute(f"CREATE TABLE {name} (x)")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"a database of another program \(it has a, b, c\)"):
        open_storage(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_storage(tmp_path):
    (tmp_path / "study.db").write_text("")
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert opened.get_all_studies() == []
    assert opened.wal == tmp_path / "study.db-wal" and opened.file == tmp_path / "study.db"
    assert opened.timeout_s == storage.TIMEOUT_S


def test_a_database_that_is_only_looked_at_gets_no_log(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=url, study_name="s")
    opened = open_storage(url, must_exist=True)
    assert [s.study_name for s in opened.get_all_studies()] == ["s"]
    with opened.storage._backend.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


def test_a_locked_database_is_told_to_be_locked(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=url)
    with sqlite3.connect(tmp_path / "study.db") as held:
        held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="locked by another program for too long"):
            open_storage(url, timeout_s=0.1)


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
