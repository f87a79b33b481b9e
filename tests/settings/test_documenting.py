"""What `help()` shows of settings and hyperparameters: each, as it is declared."""

from __future__ import annotations

import pydoc
import re

import pytest

from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings, TimingSettings
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import Settings
from gadlib.settings.results import PathSettings, ReportSettings
from gadlib.settings.searches import ExploreSettings, ScreenSettings, SearchSettings
from gadlib.settings.studies import StudySettings, TuneSettings, ValidateSettings

SETTINGS = (
    *(SearchSettings, ScreenSettings, ExploreSettings, TuneSettings, StudySettings),
    *(ValidateSettings, BenchmarkSettings, GrowthSettings, TimingSettings, PathSettings),
    ReportSettings,
)


def helped(kind: type) -> str:
    """What `help()` shows of the class itself, in one line."""
    shown = pydoc.plain(pydoc.render_doc(kind)).partition("Method resolution order")[0]
    return " ".join(shown.replace("|", " ").split())


@pytest.mark.parametrize("kind", SETTINGS)
def test_help_has_every_setting_with_its_meaning_and_default(kind: type[Settings]):
    shown = helped(kind)
    for name, field in kind.model_fields.items():
        told = re.escape(f", default {field.default!r}): {field.description}")
        assert re.search(rf" {name} \([^:]*{told}", shown), name


@pytest.mark.parametrize("kind", SOLVERS.values())
def test_help_has_every_hyperparameter_with_limits_range_unit_default_and_meaning(kind):
    shown = helped(kind)
    for one in kind.tunable():
        scale = " on a log scale" if one.log else ""
        about = f"{one.limits_text}, tuned {one.range_text}{scale}, default {one.default!r}"
        assert f" {one.name} ({one.type.__name__}, {about}): {one.doc}" in shown
    for one in kind.choices():
        values = " or ".join(map(repr, one.values))
        assert f" {one.name} ({values}, default {one.default!r}): {one.doc}" in shown


def test_a_class_says_its_own_sentence_first_and_its_own_default():
    assert SearchSettings.__doc__ and TuneSettings.__doc__ and ScreenSettings.__doc__
    assert ScreenSettings.__doc__.startswith("Screening: every reaction once")
    assert "n_steps_per_sample (int, 1 .. 10000000, default 200)" in ScreenSettings.__doc__
    assert "n_steps_per_sample (int, 1 .. 10000000, default 800)" in TuneSettings.__doc__
    assert TuneSettings.__doc__.count("Attributes:") == 1


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("workers", "(int, 0 .. 4096, default 1)"),
        ("difficulty_threshold", "(float, more than 0, at most 1, default 0.5)"),
        ("search_timeout_s", "(float or None, more than 0 s, default None)"),
        ("grace_s", "(float, 2 .. 1e+06 s, default 180.0)"),
        ("ranges", "(dict, default {})"),
        ("split", "(str, default 'train')"),
    ],
)
def test_types_and_ranges_are_in_words(name, about):
    assert f"    {name} {about}: " in (TuneSettings.__doc__ or "")
