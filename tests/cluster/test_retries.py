"""Which errors are a storage's trouble, how calls are tried again, and what is said of it."""

import os
from pathlib import Path

import optuna
import pytest
import sqlalchemy.exc as errors
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


def caused(error, cause, *, is_context=False):
    setattr(error, "__context__" if is_context else "__cause__", cause)
    return error


class _RpcError(Exception):
    __module__ = "grpc._channel"

    def __init__(self, name, details="no route"):
        self.name, self._details = name, details

    def code(self):
        return type("Code", (), {"name": self.name})()

    def details(self):
        return self._details


def database(kind, text):
    return kind("SELECT SECRET", {}, Exception(text))


LOCKED = database(errors.OperationalError, "database is locked")

TROUBLE = [
    LOCKED,
    database(errors.InterfaceError, "gone"),
    errors.PendingRollbackError("lost"),
    OSError(28, "No space left on device"),
    ConnectionResetError(),
    caused(StorageInternalError("of this"), LOCKED),
    caused(StorageInternalError("of this"), LOCKED, is_context=True),
    _RpcError("UNAVAILABLE"),
    _RpcError("DEADLINE_EXCEEDED"),
    _RpcError("UNKNOWN"),
]

NO_TROUBLE = [
    database(errors.IntegrityError, "twice"),
    database(errors.ProgrammingError, "no such column"),
    database(errors.DataError, "too long"),
    KeyError("no such study"),
    StorageInternalError("of nothing"),
    caused(StorageInternalError("of this"), KeyError()),
    caused(StorageInternalError("of this"), database(errors.IntegrityError, "twice")),
    caused(RuntimeError("of that"), OSError()),
    _RpcError("NOT_FOUND"),
    type("Other", (Exception,), {"code": lambda self: _RpcError("UNKNOWN").code()})(),
    type("_Rpc", (Exception,), {"__module__": "grpc._channel", "code": 14})(),
    type("_Rpc", (Exception,), {"__module__": "grpc._channel"})(),
    type("_Rpc", (Exception,), {"__module__": "grpc._channel", "code": lambda self: 14})(),
]


@pytest.mark.parametrize("error", TROUBLE, ids=repr)
def test_a_lost_or_locked_storage_is_trouble(error):
    assert is_trouble(error)


@pytest.mark.parametrize("error", NO_TROUBLE, ids=lambda e: type(e).__name__)
def test_what_a_call_itself_did_wrong_is_none(error):
    assert not is_trouble(error)


@pytest.mark.parametrize(
    "text",
    [
        "table STUDIES already exists",
        "Duplicate key",
        "UNIQUE constraint failed",
        "database is locked",
        "no such table: studies",
        "the database system is starting up",
        "more than one row",
        "relation does not exist",
        "tuple concurrently updated",
    ],
)
@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, None])
def test_tables_that_another_process_makes_now_are_a_race(text, kind):
    assert is_race(kind(text) if kind else database(errors.OperationalError, text))
    assert not is_race(KeyError(text))


def test_other_failures_at_making_tables_are_no_race():
    assert not is_race(RuntimeError("an older version of the tables"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (database(errors.OperationalError, " server closed\nat once"), "server closed"),
        (database(errors.OperationalError, "for postgresql://u:SECRET@h"), "OperationalError"),
        (database(errors.OperationalError, "  "), "OperationalError"),
        (OSError(28, "No space left on device", "/SECRET"), "No space left on device"),
        (OSError("SECRET"), "OSError"),
        (_RpcError("UNAVAILABLE", "no route\nto host"), "no route"),
        (KeyError("SECRET"), "KeyError"),
        (caused(StorageInternalError("SECRET"), LOCKED), "database is locked"),
        (caused(KeyError("SECRET"), LOCKED), "KeyError"),
        (StorageInternalError("SECRET"), "StorageInternalError"),
    ],
)
def test_the_reason_of_an_error_is_its_first_line_without_secrets(error, said):
    assert reason(error) == said


class Clock:
    """Time that passes only by waiting."""

    def __init__(self, monkeypatch):
        self.now, self.pauses, self.factor = 100.0, [], 1.0
        monkeypatch.setattr(retries.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(retries.time, "sleep", self.sleep)
        monkeypatch.setattr(retries.random, "uniform", self.uniform)

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def uniform(self, low, high):
        assert (low, high) == (0.5, 1.5)
        return self.factor


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def fail(*args, **kwargs):
    raise OSError(5, "Input/output error")


def test_pauses_double_from_a_twentieth_of_a_second_to_five(clock):
    waited = []
    with pytest.raises(OSError, match="Input/output"):
        retry(fail, is_trouble, 30.0, lambda error, elapsed: waited.append(elapsed))
    doubled = [0.05 * 2**n for n in range(7)] + [5.0] * 5
    assert clock.pauses == pytest.approx(doubled)
    assert waited == pytest.approx([sum(doubled[:n]) for n in range(len(doubled))])


def test_no_pause_is_longer_than_what_is_waited_for_in_all(clock):
    with pytest.raises(OSError, match="Input/output"):
        retry(fail, is_trouble, 0.03, lambda *_: None)
    assert clock.pauses == [0.03]


def test_without_patience_a_call_is_tried_once(clock):
    with pytest.raises(OSError, match="Input/output"):
        retry(fail, is_trouble, 0.0, lambda *_: None)
    assert clock.pauses == []


def test_the_answer_ends_the_waiting(clock):
    answers = iter([OSError(), OSError(), 7])

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry(call, is_trouble, 30.0, lambda *_: None) == 7
    assert clock.pauses == pytest.approx([0.05, 0.1])


class Recording(optuna.storages.BaseStorage):
    """A storage that notes what it was asked, and fails so many times."""

    def __init__(self, n_failures=0):
        self.asked, self.n_failures = [], n_failures

    def __getattribute__(self, name):
        if name.startswith("_") or name in ("asked", "n_failures") or not hasattr(
            optuna.storages.BaseStorage, name
        ):  # fmt: skip
            return super().__getattribute__(name)

        def call(*args, **kwargs):
            self.asked.append((name, args, kwargs))
            if len(self.asked) <= self.n_failures:
                fail()
            return name == "set_trial_state_values" or len(self.asked)

        return call


Recording.__abstractmethods__ = frozenset()


def test_every_call_of_a_storage_is_handed_on_as_it_is():
    inner = Recording()
    storage = RetryingStorage(inner, "shown", 1.0)
    assert storage.get_trial(3) == 1
    assert storage.set_study_user_attr(1, "key", value=2) == 2
    assert storage.set_trial_state_values(7, TrialState.COMPLETE, values=[1.0]) is True
    assert [name for name, *_ in inner.asked] == [
        "get_trial", "set_study_user_attr", "set_trial_state_values",
    ]  # fmt: skip
    assert inner.asked[1][1:] == ((1, "key"), {"value": 2})
    assert inner.asked[2][1:] == ((7, TrialState.COMPLETE), {"values": [1.0]})


def test_trouble_is_told_once_after_two_seconds(clock, capsys):
    inner = Recording(n_failures=8)
    assert RetryingStorage(inner, "shown", 60.0).get_all_studies() == 9
    told = capsys.readouterr().err
    assert told == "storage shown: no answer (Input/output error); trying again for 60 s\n"


@pytest.mark.parametrize(("seconds", "is_told"), [(1.99, False), (2.01, True)])
def test_trouble_of_two_seconds_is_not_told(clock, capsys, seconds, is_told):
    clock.factor = seconds / 0.75  # pauses of 0.05, 0.1, 0.2 and 0.4 s, and this many times longer
    RetryingStorage(Recording(n_failures=5), "shown", 60.0).get_all_studies()
    assert bool(capsys.readouterr().err) is is_told


def test_a_storage_that_stays_away_is_lost(clock):
    with pytest.raises(StorageLostError, match=r"for 30 s \(Input/output error\)") as error:
        RetryingStorage(Recording(10**6), "shown", 30.0).get_all_studies()
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.db"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_study_user_attr", (1, "key", 2)),
        ("create_new_trial", (1,)),
        ("delete_study", (1,)),
        ("set_trial_state_values", (1, TrialState.COMPLETE)),
    ],
)
def test_nothing_is_written_once_the_file_was_removed_or_replaced(file, name, arguments):
    inner = Recording()
    storage = RetryingStorage(inner, "shown", 1.0, file=file)
    getattr(storage, name)(*arguments)
    file.rename(file.with_suffix(".old"))
    for _ in range(2):
        with pytest.raises(StorageLostError, match="shown: its file was removed or replaced"):
            getattr(storage, name)(*arguments)
        file.touch()  # another file of that name
    assert len(inner.asked) == 1


def test_reading_goes_on_without_the_file_until_there_is_trouble(file, clock):
    inner = Recording()
    storage = RetryingStorage(inner, "shown", 30.0, file=file)
    file.unlink()
    assert storage.get_all_studies() == 1
    inner.n_failures = 10
    with pytest.raises(StorageLostError, match="removed or replaced"):
        storage.get_all_studies()
    assert clock.pauses == []


def test_a_file_that_can_not_be_looked_at_may_come_back(file, monkeypatch):
    inner = Recording()
    storage = RetryingStorage(inner, "shown", 1.0, file=file)
    with monkeypatch.context() as broken:
        broken.setattr(type(file), "stat", fail)
        assert storage.create_new_trial(1) == 1
    assert storage.create_new_trial(1) == 2


def test_a_file_that_is_made_later_is_not_watched(file):
    file.unlink()
    storage = RetryingStorage(Recording(), "shown", 1.0, file=file)
    file.touch()
    assert storage.create_new_trial(1) == 1


def test_the_end_of_a_trial_is_on_the_disk(file, monkeypatch):
    synced = []
    name_of = lambda number: str(Path(f"/proc/self/fd/{number}").readlink())  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(name_of(number)))
    storage = RetryingStorage(Recording(), "shown", 1.0, wal=file)
    storage.set_trial_state_values(1, TrialState.COMPLETE)
    assert synced == [str(file)]
    storage.set_trial_param(1, "x", 1.0, None)
    assert synced == [str(file)]
    file.unlink()
    assert storage.set_trial_state_values(1, TrialState.COMPLETE) is True
    assert RetryingStorage(Recording(), "shown", 1.0).set_trial_state_values(1, None)
