"""Each declared setting changed in turn: those that change results make another identity."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest

from gadlib.files.writing import write_json
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import payload
from gadlib.screening.screen import read_earlier
from gadlib.screening.setup import hyperparameters_of, identity_of
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.calculators import CalculatorSettings, identity
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings, ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning.sample_cache import digest
from gadlib.tuning.study import about

WORDS = {
    "calculator": "surface",
    "scine_functional": "PM6",
    "surface_name": "sphere",
    "solver": "trust",
    "mode": "reaction",
    "criterion": "strict",
    "start_from": "ts",
    "split": "val",
    "sampler": "gp",
    "sample": "first",
    "device": "cpu",
    "pruning": "none",
    "trial_samples": "strata",
    "objective": "steps",
    "hyperparameters": {"dt_max": 0.02},
    "choices": {"mode": ["lowest", "reaction"]},
    "ranges": {"dt_max": [0.02, 0.06]},
    "ase_options": {"method": "GFN1-xTB"},
    "torchsim_options": {"sigma": 2.0},
}
"""Other values, where not any will do."""

START = Start("a", "H2", "train", "ts", 42, np.array([1, 1]), np.eye(2, 3), 1)
LIKE_STARTS = ("h5_path", "noise_seed")
"""Told by the starting points where those are at hand, so by neither study nor sample."""

OF_FILES = ("profile",)
"""Read at once: what a run depends on are the values in the file."""

OF_STUDY = ("hyperparameters", "objective")
"""What a study is about besides, though no search of it would end otherwise."""

KINDS = (SearchSettings, ScreenSettings, ValidateSettings, TuneSettings)


def other(kind: type[CalculatorSettings], name: str) -> Any:
    """A valid value of a setting that is not its default."""
    field = kind.model_fields[name]
    if name in WORDS:
        return WORDS[name]
    kinds = [k for k in get_args(field.annotation) or (field.annotation,) if k is not type(None)]
    default = field.get_default()
    if kinds[0] is bool:
        return not default
    if kinds[0] in (int, float):
        return kinds[0]((default or 1) * 2) if name != "difficulty_threshold" else 0.25
    assert kinds[0] is str, f"{name}: say another value in WORDS"
    return f"{default or ''}x"


def changed(kind: type[CalculatorSettings], name: str) -> tuple[Any, Any]:
    """Settings before and after; an option is that of the calculator or solver that is chosen."""
    base = {"solver": "delta"} if name == "cheap" and "solver" in kind.model_fields else {}
    if (of := kind.extra(name).get("of")) is not None:
        base = {"calculator": of}
    before = kind.read(base)
    after = kind.read(base | {name: other(kind, name)})
    assert before != after
    return before, after


def changes_results(kind: type[CalculatorSettings], name: str) -> bool:
    return kind.extra(name).get("changes_results", True)


def cases(*kinds: type[CalculatorSettings]) -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}-{name}")
        for kind in kinds
        for name in kind.model_fields
        if name not in OF_FILES
    ]


@pytest.fixture(autouse=True)
def any_checkpoint(monkeypatch, tmp_path):
    """Files that names such as x stand for: a checkpoint is told by its content."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("a checkpoint")


@pytest.mark.parametrize(("kind", "name"), cases(*KINDS, BenchmarkSettings, ExploreSettings))
def test_identity_is_of_the_settings_that_are_declared_to_change_results(kind, name):
    before, after = changed(kind, name)
    assert (identity(before) != identity(after)) == changes_results(kind, name)


@pytest.mark.parametrize("name", [n for n in TuneSettings.model_fields if n not in OF_FILES])
def test_a_study_is_about_the_settings_that_change_results(name):
    before, after = changed(TuneSettings, name)
    is_another = about(before, [START]) != about(after, [START])
    if name in OF_STUDY:
        assert is_another
    else:
        assert is_another == (changes_results(TuneSettings, name) and name not in LIKE_STARTS)


@pytest.mark.parametrize("name", [n for n in TuneSettings.model_fields if n not in OF_FILES])
def test_a_cached_sample_is_of_the_settings_that_change_results(name):
    def key(settings: TuneSettings) -> str:
        told = identity_of(settings, without=("starts", "hyperparameters"))
        return digest(told, START, hyperparameters_of(settings))

    before, after = changed(TuneSettings, name)
    is_another = key(before) != key(after)
    if name in ("choices", "ranges"):  # which values are drawn changes no sample of one
        assert not is_another
    else:
        assert is_another == (changes_results(TuneSettings, name) and name not in LIKE_STARTS)


@pytest.mark.parametrize(("kind", "name"), cases(SearchSettings, ScreenSettings))
def test_results_are_resumed_by_settings_that_change_none(kind, name, tmp_path):
    before, after = changed(kind, name)
    out = write_json(tmp_path / "r.json", payload(before, [], about=identity_of(before)))
    now = after.model_copy(update={"resume": True})
    if changes_results(kind, name):
        with pytest.raises(InputError, match=f"made with other settings: .*{name}"):
            read_earlier(out, now)
    else:
        assert read_earlier(out, now) == []


def test_a_start_from_another_file_or_seed_is_another_sample_and_another_study():
    moved = Start("a", "H2", "train", "ts", 42, np.array([1, 1]), np.eye(2, 3) + 0.1, 1)
    settings = TuneSettings()
    assert about(settings, [START]) != about(settings, [moved])
    told, values = identity_of(settings), hyperparameters_of(settings)
    assert digest(told, START, values) != digest(told, moved, values)


@pytest.mark.parametrize("name", ["mode", "ase_displacement"])
def test_results_that_are_older_than_a_setting_had_its_default(name, tmp_path):
    before, after = changed(SearchSettings, name)
    content = payload(before, [])
    del content["settings"][name]
    out = write_json(tmp_path / "r.json", content)
    assert read_earlier(out, before.model_copy(update={"resume": True})) == []
    with pytest.raises(InputError, match=f"{name} was .* \\(its default; it was not kept\\), now"):
        read_earlier(out, after.model_copy(update={"resume": True}))


def test_a_checkpoint_that_was_replaced_under_its_name_is_another(tmp_path):
    settings = SearchSettings(calculator="hip", checkpoint_path="x", resume=True)
    out = write_json(tmp_path / "r.json", payload(settings, [], about=identity_of(settings)))
    assert read_earlier(out, settings) == []
    (tmp_path / "moved").write_text("a checkpoint")
    assert read_earlier(out, settings.model_copy(update={"checkpoint_path": "moved"})) == []
    (tmp_path / "x").write_text("another checkpoint")
    with pytest.raises(InputError, match="checkpoint_path was"):
        read_earlier(out, settings)


def test_hyperparameters_given_at_their_defaults_are_the_same_as_none(tmp_path):
    settings = SearchSettings(resume=True)
    out = write_json(tmp_path / "r.json", payload(settings, []))
    same = settings.model_copy(update={"hyperparameters": {"dt_max": 0.05}})
    assert read_earlier(out, same) == []
    assert json.loads(out.read_text())["settings"]["hyperparameters"] == {}
