import os
import threading
import time

import optuna
import pytest
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from gadlib.cli.parser import main
from gadlib.cluster import storage
from gadlib.cluster.retries import RetryingStorage, StorageLostError
from gadlib.cluster.storage import open_storage
from gadlib.cluster.urls import without_password
from gadlib.settings.reading import InputError

WRONG = {
    "nothing://u:SECRET@h/x": "not a usable storage URL",
    "postgresql+psycopg://u:SECRET@127.0.0.1:1/x": "not a usable database",
    "postgresql+psycopg://127.0.0.1:1/x?user=u&password=SECRET": "not a usable database",
    "grpc://u:SECRET@127.0.0.1": "not a usable storage URL",
    "postgresql+psycopg://u:SEC@SECRET@127.0.0.1:1/x": "@ within a user's name or password .* %40",
    "study.db": "not a usable storage URL",
    "sqlite:////": "is a folder",
    "journal:///": "is a folder",
}


@pytest.mark.parametrize(("url", "reason"), WRONG.items())
def test_a_wrong_url_gets_a_clear_word_without_its_password(url, reason, capsys):
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises(InputError, match=reason) as error:
        open_storage(url, timeout_s=0.0)
    assert "SECRET" not in str(error.value)
    assert main(["status", "--storage", url]) == 2
    assert "SECRET" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:SECRET@h/db",
        "postgresql+psycopg://h/db?password=SECRET",
        "postgresql+psycopg://u:SEC@SECRET@h/db",
        "u:SECRET@h",
        "grpc://u:SECRET@h:1",
    ],
)
def test_no_password_is_shown(url):
    assert "SECRET" not in without_password(url)


def test_sqlite_on_a_network_file_system_is_refused_with_what_to_use(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "network_filesystem", lambda _: "nfs4")
    with pytest.raises(InputError, match=r"network file system \(nfs4\).*journal:///.*study.log"):
        open_storage(f"sqlite:///{tmp_path}/study.db")
    assert open_storage(f"journal:///{tmp_path}/study.log").get_all_studies() == []


def test_sqlite_has_a_write_ahead_log_and_serial_transactions(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    with opened.storage._backend.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.connection.in_transaction


def test_a_locked_database_is_waited_for(tmp_path, monkeypatch):
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.create_study(storage=opened, direction="maximize")
    engine = opened.storage._backend.engine
    held = engine.connect()
    held.exec_driver_sql("SELECT 1")  # BEGIN IMMEDIATE
    threading.Timer(1.0, held.close).start()
    began = time.monotonic()
    study.ask()
    assert 0.5 < time.monotonic() - began < 20


class Failing(optuna.storages.BaseStorage):
    """A storage whose calls fail so many times."""

    def __init__(self, n, error):
        self.n, self.error, self.calls = n, error, 0

    def get_all_studies(self):
        self.calls += 1
        if self.calls <= self.n:
            raise self.error
        return []


Failing.__abstractmethods__ = frozenset()
GONE = sqlalchemy.exc.OperationalError("SELECT SECRET", {}, Exception("server closed SECRET://"))
IN_TRANSACTION = StorageInternalError("of SECRET")  # as Optuna says that a connection was lost
IN_TRANSACTION.__cause__ = sqlalchemy.exc.PendingRollbackError("SECRET")


@pytest.mark.parametrize("error", [GONE, IN_TRANSACTION, OSError(28, "No space left on device")])
def test_trouble_is_tried_again_and_then_ends_clearly(error):
    failing = Failing(3, error)
    assert RetryingStorage(failing, "shown", 30.0).get_all_studies() == []
    assert failing.calls == 4
    with pytest.raises(StorageLostError, match=r"shown: no answer for 0 s .* --resume") as lost:
        RetryingStorage(Failing(10**6, error), "shown", 0.2).get_all_studies()
    assert "SECRET" not in str(lost.value)


def test_what_is_no_trouble_is_not_tried_again():
    failing = Failing(3, KeyError("no such study"))
    with pytest.raises(KeyError):
        RetryingStorage(failing, "shown", 30.0).get_all_studies()
    assert failing.calls == 1


def test_a_torn_last_line_of_a_journal_is_dropped(tmp_path):
    url = f"journal:///{tmp_path}/study.log"
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.tell(study.ask(), 1.0)
    with (tmp_path / "study.log").open("a") as file:
        file.write('{"op_code": 4, "worker')
    again = optuna.load_study(storage=open_storage(url), study_name="s")
    again.tell(again.ask(), 2.0)
    last = optuna.load_study(storage=open_storage(url), study_name="s").get_trials()
    assert [t.value for t in last] == [1.0, 2.0]


def wait_for(is_so, seconds=60.0):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def wait_for_a_trial(url, name):
    """Until a trial of the study is complete."""
    opened = open_storage(url)

    def is_there():
        ids = {study.study_name: study._study_id for study in opened.get_all_studies()}
        trials = opened.get_all_trials(ids[name]) if name in ids else []
        return any(t.state is TrialState.COMPLETE for t in trials)

    try:
        wait_for(is_there)
    finally:
        close(opened)


def close(opened):
    """Its connections closed now, before the server that they lead to is stopped."""
    backend = opened.storage._backend
    backend.scoped_session.remove()
    backend.engine.dispose()


@pytest.mark.postgres
def test_a_database_that_goes_away_for_a_while_costs_nothing(postgres, nest, tmp_path):
    settings = {
        "n_trials": 60,
        "storage": postgres.url,
        "study_name": "away",
        "sampler": "random",
        "grace_s": 6.0,
    }
    workers = nest(3, settings=settings, sample_s=0.1)
    wait_for_a_trial(postgres.url, "away")
    postgres.stop()
    try:
        # Of those that were at work; on a busy machine one may not have begun yet.
        wait_for(lambda: "no answer" in workers.told())
    finally:
        postgres.start()
    statuses, _ = workers.wait()
    assert statuses == [0, 0, 0], workers.told()
    opened = open_storage(postgres.url)
    trials = optuna.load_study(study_name="away", storage=opened).get_trials()
    close(opened)
    assert sum(t.state is TrialState.COMPLETE for t in trials) == 60
    assert not [t for t in trials if t.state in (TrialState.RUNNING, TrialState.WAITING)]
    told = workers.told() + "".join(
        path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".json", ".jsonl")
    )
    assert "SECRET" not in told


@pytest.mark.postgres
def test_a_database_that_stays_away_ends_the_worker_clearly(postgres, nest):
    settings = {
        "n_trials": 500,
        "storage": postgres.url,
        "study_name": "lost",
        "sampler": "random",
        "storage_timeout_s": 2.0,
    }
    workers = nest(1, settings=settings, sample_s=0.1)
    wait_for_a_trial(postgres.url, "lost")
    postgres.stop()
    try:
        assert workers.wait()[0] == [75], workers.told()
    finally:
        postgres.start()
    assert "no answer for 2 s" in workers.told()
    assert "SECRET" not in workers.told()
    assert "SECRET" not in os.environ.get("STORAGE", "")
