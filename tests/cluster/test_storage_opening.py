"""Which storages are opened, how, and what is said of those that are not."""

import sqlite3
from contextlib import closing

import optuna
import pytest

from gadlib.cluster import storage
from gadlib.cluster.journal import TidyJournal
from gadlib.cluster.storage import open_storage
from gadlib.settings.reading import InputError


def database(path, *tables):
    with closing(sqlite3.connect(path)) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (x)")
        connection.commit()
    return f"sqlite:///{path}"


def mode_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def told(url, **options):
    with pytest.raises(InputError) as error:
        open_storage(url, **options)
    return str(error.value)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_storage_that_must_exist_is_not_made(kind, tmp_path):
    path = tmp_path / "study"
    expected = f"storage {kind}:///{path}: no such file {path}"
    assert told(f"{kind}:///{path}", must_exist=True) == expected
    assert list(tmp_path.iterdir()) == []
    open_storage(f"{kind}:///{path}").create_new_study([optuna.study.StudyDirection.MAXIMIZE])
    assert len(open_storage(f"{kind}:///{path}", must_exist=True).get_all_studies()) == 1


def test_a_database_of_another_program_stays_as_it_is(tmp_path):
    path = tmp_path / "other.db"
    url = database(path, "d", "b", "a", "c")
    before = path.read_bytes()
    said = told(url)
    assert said.startswith(f"storage {url}: a database of another program (it has a, b, c)")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["other.db"]


def test_an_empty_file_or_database_becomes_a_storage(tmp_path):
    (tmp_path / "empty.db").touch()
    assert open_storage(f"sqlite:///{tmp_path}/empty.db").get_all_studies() == []
    assert open_storage(database(tmp_path / "bare.db")).get_all_studies() == []


def test_what_is_no_database_is_said_in_the_database_s_own_words(tmp_path):
    (tmp_path / "text.db").write_text("no database " * 100)
    url = f"sqlite:///{tmp_path}/text.db"
    assert told(url) == f"storage {url}: not a usable database (file is not a database)"


def test_tables_of_another_version_are_said_not_to_be_usable(tmp_path):
    url = f"sqlite:///{tmp_path}/old.db"
    open_storage(url).get_all_studies()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("UPDATE version_info SET schema_version = 1")
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
        connection.commit()
    assert told(url).startswith(f"storage {url}: not a usable database (The runtime optuna version")


def test_a_database_that_stays_locked_is_said_to_be(tmp_path):
    path = tmp_path / "study.db"
    open_storage(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        said = told(f"sqlite:///{path}", timeout_s=0.0)
    assert "locked by another program for too long (database is locked)" in said


def test_a_storage_that_is_only_read_keeps_its_way_of_writing(tmp_path):
    path = tmp_path / "study.db"
    open_storage(f"sqlite:///{path}").get_all_studies()
    assert mode_of(path) == "wal"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
    assert open_storage(f"sqlite:///{path}", must_exist=True).get_all_studies() == []
    assert mode_of(path) == "delete"
    open_storage(f"sqlite:///{path}").get_all_studies()
    assert mode_of(path) == "wal"


def test_sqlite_is_safe_in_what_a_crash_leaves_and_waits_a_minute_for_its_lock(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    with opened.storage._backend.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_a_storage_knows_its_file_its_log_and_its_patience(tmp_path):
    path = tmp_path / "study.db"
    opened = open_storage(f"sqlite:///{path}?timeout=3")
    assert (opened.file, opened.wal) == (path, tmp_path / "study.db-wal")
    assert (opened.shown, opened.timeout_s) == (f"sqlite:///{path}", 300.0)
    kept = open_storage(f"journal:///{path}.log", timeout_s=7.0)
    assert (kept.file, kept.wal, kept.timeout_s) == (tmp_path / "study.db.log", None, 7.0)


def test_a_journal_is_one_that_drops_what_was_cut_off_and_leaves_locks_of_the_dead(tmp_path):
    backend = open_storage(f"journal:///{tmp_path}/study.log").storage._backend
    assert isinstance(backend, TidyJournal)
    assert backend._lock.grace_period == 10
    assert backend._file_path == f"{tmp_path}/study.log"


def test_connections_end_with_the_storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    engine = opened.storage._backend.engine
    before = engine.pool
    del opened
    assert engine.pool is not before  # as after Engine.dispose


@pytest.mark.parametrize("url", ["grpc://host", "grpc://:7", "journal:study.log", "journal://"])
def test_a_url_without_what_its_kind_needs_is_told_what_is_expected(url):
    assert "expected e.g. sqlite:///study.db" in told(url, timeout_s=0.0)


def test_a_driver_that_there_is_not_is_named():
    assert "Can't load plugin: sqlalchemy.dialects:mysql.nothere" in told("mysql+nothere://h/db")


@pytest.mark.parametrize(
    ("text", "said"),
    [("no such thing: ", "(ValueError: no such thing)"), ("of db://u:SECRET@h", "(ValueError)")],
)
def test_why_a_url_is_of_no_use_is_said_unless_it_names_a_url(text, said, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError(text)

    monkeypatch.setattr(storage, "_connect", refuse)
    assert f"not a usable storage URL {said};" in told(f"journal:///{tmp_path}/study.log")


def test_errors_of_another_kind_are_not_the_storage_s(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(storage, "_connect", fail)
    with pytest.raises(KeyError, match="mistake"):
        open_storage("grpc://host:7")
    assert "not a usable database ('a mistake of ours')" in told(f"journal:///{tmp_path}/x.log")


def test_of_a_long_error_the_first_line_is_told(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("made by an older version\nhere is how to migrate")

    monkeypatch.setattr(storage, "_connect", fail)
    assert told(f"journal:///{tmp_path}/x.log").endswith("database (made by an older version)")


def test_two_at_signs_are_an_error_before_anything_is_asked():
    said = told("postgresql+psycopg://u:SEC@SECRET@127.0.0.1:1/x", timeout_s=0.0)
    assert said.endswith("an @ within a user's name or password is expected to be written %40")
    assert "SEC" not in said


@pytest.mark.parametrize("kind", ["", "nfs4"])
def test_a_database_on_a_network_is_told_where_it_may_be(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "network_filesystem", lambda path: kind)
    url = f"sqlite:///{tmp_path}/study.db"
    if kind:
        assert f"journal:///{tmp_path}/study.log," in told(url)
    else:
        assert open_storage(url).get_all_studies() == []


def test_a_folder_that_is_none_is_no_place_for_a_storage(tmp_path):
    (tmp_path / "file").touch()
    told(f"journal:///{tmp_path}/file/study.log")


@pytest.mark.parametrize(
    ("url", "connect"),
    [
        ("postgresql+psycopg://u@h/db", {"connect_args": {"connect_timeout": 10}}),
        ("mysql+pymysql://u@h/db", {}),
    ],
)
def test_a_server_is_asked_over_few_connections_that_are_looked_at_before(
    url, connect, monkeypatch
):
    asked = {}

    class Asked(optuna.storages.InMemoryStorage):
        def __init__(self, url, *, engine_kwargs):
            super().__init__()
            asked[url] = engine_kwargs

    monkeypatch.setattr(storage, "RDBStorage", Asked)
    open_storage(url)
    pool = {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 3}
    assert asked == {url: pool | connect}
