import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import optuna
import pytest

import gadlib
from gadlib.cluster.workers import Worker
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning import sample_cache
from gadlib.tuning.sample_cache import Cache, digest, sources
from gadlib.tuning.trials import Loop

START = Start("a", "H2", "train", "ts", None, np.array([1, 1]), np.ones((2, 3)), 1)
RECORD = Record.blank(START, Status.OUT_OF_STEPS, "as it is")
IDENTITY = {"calculator": "scine", "scine_functional": "DFTB0", "criterion": "index1"}


def test_a_record_comes_back_in_another_process_as_it_was(tmp_path):
    Cache(tmp_path).put("one", RECORD)
    other = Cache(tmp_path)
    assert other.get("one") == RECORD
    assert other.get("two") is None
    Cache(tmp_path).put("two", RECORD)
    assert other.get("two") == RECORD


def test_a_torn_line_is_passed_over_until_it_is_whole(tmp_path):
    Cache(tmp_path).put("one", RECORD)
    (path,) = tmp_path.glob("*.jsonl")
    text = path.read_text()
    path.write_text(text[:50])
    reader = Cache(tmp_path)
    assert reader.get("one") is None
    path.write_text(text)
    assert reader.get("one") == RECORD


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[" * 100_000,
        "3",
        '{"key": ["one"], "record": {}}',
        '{"key": "one"}',
        '{"key": "one", "record": 3}',
        '{"key": "one", "record": {"converged": "no"}}',
    ],
    ids=lambda line: line[:30],
)
def test_a_damaged_line_is_passed_over_and_computed_again(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f"{line}\n")
    Cache(tmp_path).put("two", RECORD)
    os.mkfifo(tmp_path / "pipe.jsonl")
    reader = Cache(tmp_path)
    assert reader.get("one") is None
    assert reader.get("two") == RECORD


def test_a_record_of_words_for_truth_is_computed_again(tmp_path):
    values = asdict(RECORD) | {"converged": "no"}
    (tmp_path / "a.jsonl").write_text(json.dumps({"key": "one", "record": values}) + "\n")
    assert Cache(tmp_path).get("one") is None


def test_what_cannot_be_written_is_still_remembered(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "samples")
    cache.put("one", RECORD)
    assert cache.get("one") == RECORD


ENDS = (np.ones((2, 3)), np.zeros((2, 3)))
PLAIN = (IDENTITY, START, GadHyperparameters())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"formula": "D2"},
        {"split": "val"},
        {"start": "reactant"},
        {"noise_seed": 42},
        {"atomic_numbers": np.array([1, 2])},
        {"positions": np.zeros((2, 3))},
        {"max_fragments": 2},
        {"charge": 2},
        {"multiplicity": 3},
        {"ends": ENDS},
        {"ends": ENDS[::-1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_holds_all_of_a_start(change):
    others = [digest(IDENTITY, replace(START, **change), PLAIN[2]) for _ in range(2)]
    assert others[0] == others[1] != digest(*PLAIN)
    assert digest(IDENTITY, replace(START, ends=ENDS), PLAIN[2]) != digest(
        IDENTITY, replace(START, ends=ENDS[::-1]), PLAIN[2]
    )


def test_the_key_holds_the_solver_and_all_its_hyperparameters():
    declared = GadHyperparameters.tunable()
    changed = [GadHyperparameters(**{h.name: h.low}) for h in declared if h.low != h.default]
    others = [*changed, TrustHyperparameters()]
    keys = {digest(IDENTITY, START, each) for each in [PLAIN[2], *others]}
    assert len(keys) == len(others) + 1


def test_the_key_holds_the_identity_of_the_settings():
    for name in IDENTITY:
        assert digest({**IDENTITY, name: "another"}, *PLAIN[1:]) != digest(*PLAIN)


CHANGES = {
    "calculator": "surface",
    "scine_functional": "PM6",
    "mode": "reaction",
    "criterion": "strict",
    "n_steps_per_sample": 7,
    "start_from": "ts",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_trial_finds_no_sample_that_was_computed_with_other_settings(name, tmp_path):
    """As a trial asks for it; what changes results is listed here by hand."""

    def key(settings: TuneSettings) -> str:
        study = optuna.create_study(direction="maximize")
        loop = Loop(Worker(study, 1), settings, None, (START,), Cache(tmp_path))
        return loop._key(GadHyperparameters(), 0)

    assert key(TuneSettings(**{name: CHANGES[name]})) != key(TuneSettings())
    assert key(TuneSettings(workers=3, batch_size=2, n_trials=7, seed=1)) == key(TuneSettings())


def test_the_key_holds_the_versions_of_packages(monkeypatch):
    keys = []
    for version in ("1", "2"):
        monkeypatch.setattr(sample_cache, "versions", lambda version=version: {"torch": version})
        sample_cache._code.cache_clear()
        keys.append(digest(*PLAIN))
    sample_cache._code.cache_clear()
    assert keys[0] != keys[1]


def test_the_key_holds_the_text_of_every_source(monkeypatch, tmp_path):
    file, keys = tmp_path / "one.py", []
    monkeypatch.setattr(sample_cache, "sources", lambda: (file,))
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        sample_cache._code.cache_clear()
        keys.append(digest(*PLAIN))
    sample_cache._code.cache_clear()
    assert keys[0] != keys[1]


def test_the_key_holds_all_code_that_a_search_has_loaded_and_nothing_that_only_draws():
    """What a process that computes has imported, against what the key takes for its code."""
    script = (
        "import sys; from gadlib.screening import jobs, setup;"
        "from gadlib.settings.searches import SearchSettings;"
        "s = SearchSettings(max_samples=1, n_steps_per_sample=1); found = setup.starts_of(s);"
        "c = setup.calculator_of(s, found);"
        "jobs.search_starts(jobs.Job(c, tuple(found), setup.hyperparameters_of(s),"
        "'index1', 1));"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'gadlib'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    loaded = {Path(name) for name in told.split()}
    root = Path(gadlib.__file__).parent
    assert len(loaded) > 20
    assert loaded <= set(sources()) | {root / "__init__.py"}
    assert not {
        root / "tuning" / "study.py",
        root / "report" / "page" / "document.py",
        root / "cli" / "slurm.py",
    } & set(sources())
