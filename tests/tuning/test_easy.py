"""Easy reactions that trials are watched on: chosen once, searched last, no part of the score."""

import json
from dataclasses import replace

import numpy as np
import pytest
from little_studies import record
from optuna.trial import TrialState

from gadlib import report
from gadlib.screening.screen import key
from gadlib.settings.objectives import EASY
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning import samples as choosing
from gadlib.tuning import tune
from gadlib.tuning.asked import require_settings
from gadlib.tuning.samples import _by_strata, easy_samples, fresh_samples, n_easy
from gadlib.tuning.trials import Loop
from gadlib.tuning.validation import tuned_values


def settings_of(folder, **changes):
    given = {"start_from": "midpoint_rt_noise0.3A", "max_samples": 10, "n_steps_per_sample": 2}
    given |= {"screening_steps": 1, "n_trials": 2, "n_samples": 4, "easy_share": 0.5}
    given |= {"workers": 0, "sampler": "random", "out_dir": str(folder / "out")}
    return TuneSettings(**given | changes)


@pytest.fixture
def folder(folder, monkeypatch):
    """No reaction converges on springs; of the screening, let the last ones have."""
    screen = choosing.screen

    def some_solved(*given, **more):
        found = screen(*given, **more)
        return [replace(r, converged=i > 5, steps=i) for i, r in enumerate(found)]

    monkeypatch.setattr(choosing, "screen", some_solved)
    return folder


@pytest.mark.parametrize(
    ("n_samples", "share", "n"), [(15, 0.2, 3), (4, 0.2, 0), (5, 0.2, 1), (10, 0.0, 0), (3, 1.0, 3)]
)
def test_a_share_of_the_samples_is_a_number_of_reactions(tmp_path, n_samples, share, n):
    assert n_easy(settings_of(tmp_path, n_samples=n_samples, easy_share=share)) == n


def test_easy_reactions_are_solved_ones_that_neither_score_nor_race_has(folder):
    settings = settings_of(folder, n_race=2)
    screened, chosen = tune.difficult_samples(settings)
    chosen = chosen[:4]
    easy = easy_samples(settings, screened, chosen)
    solved = [key(r) for r in screened if r.converged]
    assert len(easy) == 2 and all(key(s) in solved for s in easy)
    places = [solved.index(key(s)) for s in easy]
    assert places[0] < len(solved) / 2 <= places[1]  # evenly over their difficulty
    assert not {s.name for s in easy} & {s.name for s in chosen}
    fresh = fresh_samples(settings, screened, [*chosen, *easy])
    assert not {s.name for s in easy} & {s.name for s in fresh}
    again = easy_samples(settings, screened, chosen, [easy[1].name])
    assert [s.name for s in again] == [easy[1].name]
    assert easy_samples(settings, screened, chosen, []) == []


def test_those_of_a_race_are_spread_over_difficulty_and_size():
    steps, sizes = np.meshgrid(np.arange(6), np.arange(5, 11))
    records = [
        replace(record(f"{n}_{size}", 10 + int(n)), atomic_numbers=[1] * int(size))
        for n, size in zip(steps.ravel(), sizes.ravel(), strict=True)
    ]
    ordered = _by_strata(records, 9)
    parts = [ordered[i : i + 4] for i in range(0, 36, 4)]
    spans = [
        (np.ptp([r.steps for r in part]), np.ptp([len(r.atomic_numbers) for r in part]))
        for part in parts
    ]
    assert sorted(r.name for r in ordered) == sorted(r.name for r in records)
    assert all(span == (1, 1) for span in spans)  # of five and five


def test_a_study_races_on_the_reactions_that_it_has_raced_on(folder):
    settings = settings_of(folder, n_race=3)
    screened, chosen = tune.difficult_samples(settings)
    drawn = [s.name for s in fresh_samples(settings, screened, chosen[:4])]
    free = [r.name for r in screened if r.name not in {s.name for s in chosen[:4]}]
    others = [name for name in free if name not in drawn][:2] + drawn[:1]
    assert [s.name for s in fresh_samples(settings, screened, chosen[:4], others)] == others
    for names in (others[:2], ["gone", *others[:2]]):  # more are asked for, or one is not there
        found = fresh_samples(settings, screened, chosen[:4], names)
        assert [s.name for s in found] == drawn


@pytest.mark.parametrize("pruning", ["wilcoxon", "halving"])
def test_the_score_is_what_it_is_without_them(folder, pruning):
    with_them = tune.tune(settings_of(folder / "with", pruning=pruning, batch_size=1))
    asked = settings_of(folder / "without", pruning=pruning, easy_share=0.0, batch_size=1)
    without = tune.tune(asked)
    trials = [study.get_trials() for study in (with_them, without)]
    assert [t.state for t in trials[0]] == [t.state for t in trials[1]]
    assert [t.values for t in trials[0]] == [t.values for t in trials[1]]
    assert [t.user_attrs["n_samples"] for t in trials[0]] == [4, 4]
    for trial in trials[0]:
        if trial.state is TrialState.COMPLETE:
            assert len(trial.user_attrs["easy"]) == 2 and len(trial.user_attrs["samples"]) == 4
            assert trial.user_attrs["scores"][EASY] == 0.0
    assert EASY not in trials[1][0].user_attrs["scores"]
    told = report.easy_sentence(with_them)
    assert told.startswith(
        "Easy reactions beside the score: 2, searched in 2 trials; with the best"
    )
    assert "not watched" in report.easy_sentence(without)


def test_a_study_keeps_its_own_and_validation_takes_them_for_seen(folder):
    settings = settings_of(folder, n_trials=1)
    easy = tune.tune(settings).user_attrs["gadlib"]["easy"]
    other = settings.model_copy(update={"easy_share": 0.0, "n_trials": 2, "resume": True})
    study = tune.tune(other)
    assert study.user_attrs["gadlib"]["easy"] == easy
    assert [len(t.user_attrs["easy"]) for t in study.get_trials()] == [2, 2]
    best = folder / "out" / "hpo_results.json"
    assert set(easy) <= tuned_values(ValidateSettings(best=str(best)))[1]
    before = json.loads(best.read_text())["about"]
    assert before["easy"] == easy


def test_a_study_of_before_goes_on_without_them(folder):
    settings = settings_of(folder, n_trials=1, easy_share=0.0)
    assert "easy" not in tune.tune(settings).user_attrs["gadlib"]
    on = settings.model_copy(update={"easy_share": 0.5, "n_trials": 2, "resume": True})
    assert [t.user_attrs["easy"] for t in tune.tune(on).get_trials()] == [[], []]


def test_they_can_be_asked_for_by_a_constraint_alone(folder):
    study = tune.tune(settings_of(folder, constraints="easy>=0.5"))
    assert {t.constraints["easy>=0.5"] for t in study.get_trials()} == {0.5}
    assert tune.preferred(study) is None  # none of the trials keeps it
    with pytest.raises(InputError, match=r"easy_share 0\.2 of n_samples 4 is no reaction"):
        require_settings(settings_of(folder, constraints="easy>=0.5", easy_share=0.2))
    with pytest.raises(InputError, match="objective 'easy': expected auto"):
        require_settings(settings_of(folder, objective="easy"))


def test_they_are_searched_last(folder, monkeypatch):
    seen, real = [], Loop._keep

    def kept(self, job, place, record):
        seen.append(job.tag[1][place])
        real(self, job, place, record)

    monkeypatch.setattr(Loop, "_keep", kept)
    tune.tune(settings_of(folder, n_trials=1, batch_size=1))
    assert seen == [0, 1, 2, 3, 4, 5]
