"""What is trouble of a storage, how it is retried, and that its errors tell no secret."""

import optuna
import pytest
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from gadlib.cluster import retries
from gadlib.cluster.retries import (
    RetryingStorage,
    StorageLostError,
    is_race,
    is_trouble,
    reason,
    retry,
)


def operational(text="server closed the connection"):
    return sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(text))


def raised_by(cause, context=None):
    error = StorageInternalError("of Optuna")
    error.__cause__, error.__context__ = cause, context
    return error


class Grpc(Exception):
    """As of a package that may not be installed."""

    def __init__(self, name, text="failed to connect"):
        self.name, self.text = name, text

    def code(self):
        return self

    def details(self):
        return self.text


Grpc.__module__ = "grpc._channel"


class Elsewhere(Grpc):
    """The same of another package."""


Elsewhere.__module__ = "another"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (operational(), True),
        (sqlalchemy.exc.PendingRollbackError("lost"), True),
        (OSError(5, "Input/output error"), True),
        (sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("unique")), False),
        (sqlalchemy.exc.ProgrammingError("SELECT", {}, Exception("syntax")), False),
        (sqlalchemy.exc.DataError("SELECT", {}, Exception("too long")), False),
        (raised_by(operational()), True),
        (raised_by(None, operational()), True),
        (raised_by(KeyError("x"), operational()), False),
        (raised_by(None), False),
        (Grpc("UNAVAILABLE"), True),
        (Grpc("DEADLINE_EXCEEDED"), True),
        (Grpc("UNKNOWN"), True),
        (Grpc("NOT_FOUND"), False),
        (Elsewhere("UNAVAILABLE"), False),
        (KeyError("no such study"), False),
    ],
)
def test_trouble_is_of_the_storage_and_not_of_the_call(error, expected):
    assert is_trouble(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *((operational(text), True) for text in (
            "table studies already exists", "duplicate key", "UNIQUE constraint failed",
            "database is locked", "no such table: alembic_version", "system is starting up",
            "more than one row", "relation does not exist", "tuple concurrently updated",
        )),
        (RuntimeError("The table Already Exists"), True),
        (AssertionError("unique"), True),
        (operational("password authentication failed"), False),
        (ValueError("already exists"), False),
    ],
)  # fmt: skip
def test_a_race_is_told_by_the_words_of_who_came_second(error, expected):
    assert is_race(error) is expected


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (operational("closed\nSELECT secrets"), "closed"),
        (operational("no route to postgresql://u:SECRET@h"), "OperationalError"),
        (operational("  "), "OperationalError"),
        (raised_by(operational("closed")), "closed"),
        (raised_by(None), "StorageInternalError"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(), "OSError"),
        (Grpc("UNAVAILABLE", "failed to connect"), "failed to connect"),
        (KeyError("SECRET"), "KeyError"),
    ],
)
def test_the_reason_is_one_line_without_statement_or_url(error, told):
    assert reason(error) == told


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self, monkeypatch):
        self.now, self.slept = 0.0, []
        monkeypatch.setattr(retries.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(retries.time, "sleep", self.sleep)
        monkeypatch.setattr(retries.random, "uniform", self.uniform)

    def uniform(self, low, high):
        assert (low, high) == (0.5, 1.5)
        return 1.0

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class Failing:
    """A call that fails so many times."""

    def __init__(self, n, error):
        self.n, self.error, self.calls = n, error, 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.n:
            raise self.error
        return "answer"


def test_pauses_double_up_to_five_seconds(clock):
    call, waits = Failing(9, KeyError("x")), []
    found = retry(call, lambda _: True, 100.0, lambda error, elapsed: waits.append(elapsed))
    assert (found, call.calls) == ("answer", 10)
    assert clock.slept == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert waits == pytest.approx([0.0, *(sum(clock.slept[:n]) for n in range(1, 9))])


def test_a_call_is_given_up_when_the_time_is_over_and_not_before(clock):
    call = Failing(10**6, KeyError("x"))
    with pytest.raises(KeyError):
        retry(call, lambda _: True, 0.15, lambda *_: None)
    assert clock.slept == pytest.approx([0.05, 0.1])  # at 0.15 s elapsed there is no third
    assert call.calls == 3


def test_no_pause_is_longer_than_the_time_there_is(clock):
    with pytest.raises(KeyError):
        retry(Failing(10**6, KeyError("x")), lambda _: True, 0.02, lambda *_: None)
    assert clock.slept == [0.02]


def test_what_is_not_worth_it_is_raised_at_once(clock):
    call = Failing(1, KeyError("x"))
    with pytest.raises(KeyError):
        retry(call, lambda error: not isinstance(error, KeyError), 9.0, lambda *_: None)
    assert (call.calls, clock.slept) == (1, [])


def storage_that(n, error, name="get_all_studies"):
    inner = optuna.storages.InMemoryStorage()
    call, kept = Failing(n, error), getattr(inner, name)

    def failing(*args, **kwargs):
        call()
        return kept(*args, **kwargs)

    setattr(inner, name, failing)
    return inner, call


def test_trouble_is_told_once_and_only_when_it_lasts(clock, capsys):
    inner, _ = storage_that(7, operational("away"))  # 0.05 + 0.1 + ... + 1.6 = 3.15 s
    assert RetryingStorage(inner, "shown", 30.0).get_all_studies() == []
    told = capsys.readouterr().err
    assert told.count("storage shown: no answer (away); trying again for 30 s") == 1
    inner, _ = storage_that(6, operational("away"))  # 1.55 s, at the last failure
    assert RetryingStorage(inner, "shown", 30.0).get_all_studies() == []
    assert capsys.readouterr().err == ""


def test_trouble_that_lasts_ends_with_a_sentence_for_the_user(clock):
    inner, _ = storage_that(10**6, operational("away"))
    expected = (
        r"^storage shown: no answer for 4 s \(away\); what it holds is safe, --resume goes on$"
    )
    with pytest.raises(StorageLostError, match=expected):
        RetryingStorage(inner, "shown", 4.0).get_all_studies()


def test_errors_of_the_call_come_through_as_they_are(clock):
    inner, call = storage_that(10**6, KeyError("x"))
    with pytest.raises(KeyError):
        RetryingStorage(inner, "shown", 4.0).get_all_studies()
    assert call.calls == 1


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.db"
    path.write_text("")
    return path


def test_nothing_is_written_where_the_file_was_replaced(file, tmp_path):
    storage = RetryingStorage(optuna.storages.InMemoryStorage(), "shown", 1.0, file=file)
    direction = [optuna.study.StudyDirection.MAXIMIZE]
    study = storage.create_new_study(direction, "s")
    (tmp_path / "another").write_text("")
    (tmp_path / "another").replace(file)
    for write in (
        lambda: storage.create_new_study(direction, "t"),
        lambda: storage.set_study_user_attr(study, "a", 1),
        lambda: storage.delete_study(study),
    ):
        with pytest.raises(StorageLostError, match="shown: its file was removed or replaced"):
            write()
    assert [s.study_name for s in storage.get_all_studies()] == ["s"]  # reading goes on


def test_nothing_is_written_where_the_file_was_removed(file):
    storage = RetryingStorage(optuna.storages.InMemoryStorage(), "shown", 1.0, file=file)
    file.unlink()
    with pytest.raises(StorageLostError):
        storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")


def test_a_read_in_trouble_tells_that_the_file_is_gone(file, clock):
    inner, call = storage_that(10**6, operational("away"))
    storage = RetryingStorage(inner, "shown", 4.0, file=file)
    file.unlink()
    with pytest.raises(StorageLostError, match="was removed or replaced"):
        storage.get_all_studies()
    assert call.calls == 1


def test_a_disk_in_trouble_is_no_replaced_file(file, monkeypatch):
    storage = RetryingStorage(optuna.storages.InMemoryStorage(), "shown", 1.0, file=file)

    def broken(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(file), "stat", broken)
    assert storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s") == 0


def test_a_trial_that_ended_is_on_the_disk(file, monkeypatch):
    synced = []
    monkeypatch.setattr(retries.os, "fsync", synced.append)
    storage = RetryingStorage(optuna.storages.InMemoryStorage(), "shown", 1.0, wal=file)
    study = optuna.create_study(storage=storage)
    study.tell(study.ask(), 1.0)
    assert len(synced) == 1
    file.unlink()
    study.tell(study.ask(), 1.0)  # SQLite removes its log when all have gone
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE] * 2
