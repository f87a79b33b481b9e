"""A study and its results file: never another's, never lost, never a reason to die."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import warm
from faulty import Springs
from little_reactions import write_h5
from optuna.trial import TrialState
from test_nothing_lost import command_of, n_completed, results_of, settings_of

from gadlib.cli.parser import main
from gadlib.cluster.retries import StorageLostError
from gadlib.cluster.slots import MAX_STALLS, stalls
from gadlib.settings.reading import InputError
from gadlib.tuning import tune

NO_TRIALS = '{"study_name": "gad_hpo", "trials": 3}'
HERE = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    write_h5(tmp_path / "little.h5")
    return tmp_path


def tuned(folder: Path, n_trials: int = 3, **changes) -> dict:
    """The results of a study, when it has so many trials."""
    tune.tune(settings_of(folder, n_trials=n_trials, **changes))
    return results_of(folder)


def storage_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_results_say_of_which_study_and_storage_they_are(folder):
    first = tuned(folder, storage=storage_of(folder / "a.db"))
    assert re.fullmatch(r"[0-9a-f]{32}", first["study_id"])
    assert first["storage"] == storage_of(folder / "a.db")
    again = tuned(folder, 4, storage=storage_of(folder / "a.db"), resume=True)
    assert again["study_id"] == first["study_id"]


@pytest.mark.parametrize("resume", [True, False])
def test_study_of_the_same_name_in_another_storage_is_refused(folder, resume):
    first = tuned(folder, storage=storage_of(folder / "a.db"))
    with pytest.raises(InputError, match=r"3 decided trials .* in sqlite:///.*a\.db, and .*b\.db"):
        tuned(folder, storage=storage_of(folder / "b.db"), resume=resume)
    elsewhere = settings_of(
        folder, n_trials=1, storage=storage_of(folder / "b.db"), out_dir=str(folder / "other")
    )
    study = tune.tune(elsewhere)
    with pytest.raises(InputError, match=r"of the name 'gad_hpo', that of .*a\.db"):
        tune.write_results(study, folder / "out" / "hpo_results.json")
    with pytest.raises(InputError, match="another study of the name"):
        tuned(folder, storage=storage_of(folder / "b.db"), resume=True)
    assert results_of(folder) == first


def test_study_moved_elsewhere_is_still_the_same(folder):
    first = tuned(folder)
    database = folder / "out" / "scine_hpo_study.db"
    shutil.move(database, folder / "moved.db")
    with pytest.raises(InputError, match="has no such study"):
        tuned(folder, 4, resume=True)
    assert not tune.load(storage_of(folder / "moved.db")).get_trials(states=(TrialState.RUNNING,))
    after = tuned(folder, 4, resume=True, storage=storage_of(folder / "moved.db"))
    assert after["study_id"] == first["study_id"]
    assert after["n_trials"]["complete"] == 4
    optuna.copy_study(
        from_study_name="gad_hpo",
        from_storage=storage_of(folder / "moved.db"),
        to_storage=storage_of(folder / "copied.db"),
    )
    again = tuned(folder, 5, resume=True, storage=storage_of(folder / "copied.db"))
    assert again["study_id"] == first["study_id"]
    assert again["n_trials"]["complete"] == 5


def test_truncated_database_does_not_replace_results_of_more_trials(folder):
    database = folder / "out" / "scine_hpo_study.db"
    tuned(folder, 1)
    shutil.copy(database, folder / "early.db")
    late = tuned(folder, 3, resume=True)
    for path in database.parent.glob("scine_hpo_study.db*"):
        path.unlink()
    shutil.copy(folder / "early.db", database)
    with pytest.raises(InputError, match=r"holds 2 decided trials \(such as trial 1\) that study"):
        tuned(folder, 3, resume=True)
    assert main(["results", "--out-dir", str(folder / "out")]) == 2
    assert results_of(folder) == late


def test_results_of_an_earlier_version_are_gone_on_with(folder):
    file = folder / "out" / "hpo_results.json"
    old = tuned(folder)
    del old["study_id"], old["storage"]
    file.write_text(json.dumps(old))
    assert tuned(folder, 4, resume=True)["n_trials"]["complete"] == 4


@pytest.mark.parametrize("content", ['{"study_name": "gad_hpo", "tri', "", NO_TRIALS])
def test_damaged_results_are_written_again_from_the_storage_and_kept_aside(folder, content, capsys):
    before = tuned(folder)
    file = folder / "out" / "hpo_results.json"
    file.write_text(content)
    after = tuned(folder, 4, resume=True)
    assert after["trials"][:3] == before["trials"]
    aside = file.with_name("hpo_results_damaged1.json")
    assert aside.exists() == bool(content)
    if content:
        assert aside.read_text() == content
        assert "was damaged: it is hpo_results_damaged1.json now" in capsys.readouterr().err


def test_damaged_results_without_their_study_are_left(folder):
    file = folder / "out" / "hpo_results.json"
    file.parent.mkdir()
    file.write_text('{"study_name": "gad_hpo", "tri')
    with pytest.raises(InputError, match=r"is damaged, and .* has no study 'gad_hpo'"):
        tuned(folder)
    assert file.read_text() == '{"study_name": "gad_hpo", "tri'


def test_results_that_cannot_be_written_do_not_end_a_study(folder, capsys):
    file = folder / "out" / "hpo_results.json"
    file.mkdir(parents=True)
    study = tune.tune(settings_of(folder, n_trials=3))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 3
    told = capsys.readouterr().err
    assert told.count("can't be written") == 1
    assert "`gadlib results` writes the file again" in told
    file.rmdir()
    assert main(["results", "--out-dir", str(folder / "out")]) == 0
    assert results_of(folder)["n_trials"]["complete"] == 3


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.parametrize("removed", ["folder", "file"])
def test_removed_storage_is_noticed_and_what_is_known_is_saved(folder, kind, removed):
    out = folder / "out"
    path = out / ("study.db" if kind == "sqlite" else "study.log")

    def remove(study):
        if len(study.get_trials(states=(TrialState.COMPLETE,))) == 2 and path.exists():
            path.unlink() if removed == "file" else shutil.rmtree(out)

    settings = settings_of(
        folder, n_trials=5, storage=f"{kind}:///{path}", storage_timeout_s=2, sampler="random"
    )
    noticed = r"removed or replaced while the study ran.*; 2 decided trials are in"
    with pytest.raises(StorageLostError, match=noticed):
        tune.tune(settings, on_trial=remove)
    assert results_of(folder)["n_trials"]["complete"] == 2


@pytest.mark.timeout(120)
def test_command_whose_folder_is_removed_does_not_end_well(tmp_path):
    pytest.importorskip("scine_sparrow")
    write_h5(tmp_path / "little.h5")
    settings = settings_of(tmp_path)
    process = warm.Popen(
        command_of(settings), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while n_completed(tmp_path / "out" / "scine_hpo_study.db") < 3:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        told = process.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 75
    assert "its file was removed or replaced while the study ran" in told
    assert "Traceback" not in told
    assert results_of(tmp_path)["n_trials"]["complete"] >= 2


def test_sampler_without_its_package_is_refused_before_anything_starts(folder, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "cmaes" else find(name, *a)
    )
    with pytest.raises(InputError, match="pip install cmaes"):
        tuned(folder, sampler="cmaes")
    assert not (folder / "out").exists()


@pytest.mark.timeout(280)
def test_trial_that_hangs_is_given_up_after_some_ordered_ends(tmp_path):
    """Sent SIGTERM each time, as at the end of a job's time; the next trial is another's turn."""
    write_h5(tmp_path / "little.h5")
    settings = settings_of(tmp_path, calculator="ase", workers=1, n_trials=2, resume=True)
    script = (
        "import sys; from faulty import Springs; from gadlib import calculators;"
        "calculators.build = lambda settings: Springs('hangs');"
        "import gadlib.tuning.samples, gadlib.tuning.tune; from little_searches import STARTS;"
        "gadlib.tuning.tune.difficult_samples = lambda s: ([], [STARTS[0]]);"
        "from gadlib.cli.parser import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *command_of(settings)[3:]]
    command = [part for part in command if part != "True"]
    environment = os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}"}
    database = tmp_path / "out" / "ase_hpo_study.db"
    for _ in range(MAX_STALLS):
        process = warm.Popen(
            command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        try:
            while n_running(database) < 1:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
            time.sleep(7)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            told = process.communicate(timeout=60)[1]
            assert time.monotonic() - began < 15
            assert process.returncode == 130, told
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    trials = tune.load(storage_of(database)).get_trials()
    assert [stalls(t) for t in trials if t.state is TrialState.FAIL] == [1, 2, 3]
    assert not [t for t in trials if t.state is TrialState.WAITING]


def n_running(database: Path) -> int:
    if not database.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            query = "SELECT COUNT(*) FROM trials WHERE state = 'RUNNING'"
            return connection.execute(query).fetchone()[0]
        except sqlite3.OperationalError:
            return 0
