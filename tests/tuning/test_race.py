"""Races of trials whose worth is known: what a search finds is made of its hyperparameters."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from little_searches import STARTS
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from gadlib.screening.records import Record
from gadlib.settings.objectives import OBJECTIVES
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning import race as racing
from gadlib.tuning.content import collect_results
from gadlib.tuning.front import preferred
from gadlib.tuning.race import Candidate, candidates, hold_race, let_go, race_of
from gadlib.tuning.study import settings_shown

FRESH = [replace(STARTS[i % 4], name=f"fresh{i}") for i in range(15)]
SPACE = {"kick": FloatDistribution(0.1, 1.5)}


def study_of(settings, *trials, objectives=("gradients",)):
    directions = ["minimize" if name == "gradients" else "maximize" for name in objectives]
    study = optuna.create_study(directions=directions)
    study.set_user_attr("gadlib", {"objectives": [*objectives]})
    study.set_user_attr("settings", settings_shown(settings))
    for kick, *values in trials:
        study.add_trial(create_trial(params={"kick": kick}, distributions=SPACE, values=values))
    return study


@pytest.fixture
def searched(monkeypatch):
    """How many searches each value of `kick` had; its gradients are 100 kick and a little noise."""
    counts: dict[float, int] = {}

    def found(settings, *, starts, out, desc):
        kick = settings.hyperparameters["kick"]
        counts[kick] = max(counts.get(kick, 0), len(starts))
        records = []
        for i, start in enumerate(starts):
            noise = np.random.default_rng([i, int(1000 * kick)]).integers(-3, 4)
            blank = Record.blank(start, Status.SADDLE, "")
            met = {**blank.criteria, "bound": True}
            n = int(100 * kick + noise)
            records.append(replace(blank, converged=True, criteria=met, n_gradient=n))
        return records

    monkeypatch.setattr(racing, "screen", found)
    return counts


@pytest.fixture
def settings(tmp_path):
    return TuneSettings(solver="trust", criterion="bound", n_candidates=3, out_dir=str(tmp_path))


def test_who_was_lucky_in_the_study_does_not_win_the_race(settings, searched, tmp_path):
    study = study_of(settings, (0.5, 50.0), (1.4, 20.0), (0.3, 30.0), (0.4, 33.0), (1.2, 90.0))
    assert preferred(study).number == 1
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert race.winner == 2 == preferred(study).number
    assert race.n_searched == {"0": 6, "1": 6, "2": 15, "3": 6}  # who is clearly worse leaves
    assert race.win_share == 1.0
    mean, low, high = race.gain["gradients"]
    assert low <= mean <= high and mean == pytest.approx(20, abs=3)
    content = collect_results(study)
    assert content["best_trial"] == 2 and content["race"]["samples"] == race.samples
    assert "trial 2 wins the race on 15 reactions" in race.sentence
    assert "races on others like them; the defaults left it after 6. Gain" in race.sentence


def in_a_race(number, *gradients):
    return Candidate(number, {}, found=[(n,) for n in gradients])


def test_the_defaults_leave_by_a_test_that_allows_for_every_look_at_them():
    better, worse = in_a_race(1, *range(40, 46)), [50.0 + 2 * i for i in range(6)]
    for number, n_looks, has_left in ((2, 5, True), (0, 3, True), (0, 4, False)):
        other = in_a_race(number, *worse)  # p = 1/64
        let_go([other, better], OBJECTIVES["gradients"], n_looks)
        assert other.has_left is has_left, (number, n_looks)
        assert not better.has_left


def test_the_gain_is_that_on_the_samples_that_the_defaults_were_searched_on(
    settings, searched, tmp_path
):
    study = study_of(settings, (0.5, 50.0), (0.3, 30.0))
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert race.n_searched == {"0": 6, "1": 15}
    noise = [
        np.random.default_rng([i, 500]).integers(-3, 4)
        - np.random.default_rng([i, 300]).integers(-3, 4)
        for i in range(6)
    ]
    assert race.gain["gradients"][0] == pytest.approx(20 + np.mean(noise))
    assert race.scores["0"]["gradients"] == pytest.approx(race.scores["1"]["gradients"] + 20, abs=3)


def test_defaults_that_are_not_clearly_worse_stay_to_the_end(settings, searched, tmp_path):
    study = study_of(settings, (0.31, 50.0), (0.3, 30.0))
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert race.n_searched == {"0": 15, "1": 15} and "left it" not in race.sentence


def test_the_defaults_stay_to_the_end_and_may_win(settings, searched, tmp_path):
    study = study_of(settings, (0.3, 50.0), (1.4, 20.0), (0.9, 30.0))
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert race.winner == 0 and searched[0.3] == 15
    assert "the defaults" in race.sentence


def test_a_race_is_held_once_and_again_when_there_are_more_trials(settings, searched, tmp_path):
    study = study_of(settings, (0.5, 50.0), (1.4, 20.0))
    first = hold_race(study, settings, FRESH, tmp_path / "race", {})
    searched.clear()
    assert hold_race(study, settings, FRESH, tmp_path / "race", {}) == first and not searched
    assert race_of(study) == first
    study.add_trial(create_trial(params={"kick": 0.2}, distributions=SPACE, values=[10.0]))
    assert race_of(study) is None and preferred(study).number == 2
    again = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert again.winner == 2 and searched


def test_of_several_objectives_all_race_to_the_end(settings, searched, tmp_path):
    trials = ((0.5, 1.0, 50.0), (1.4, 1.0, 20.0), (0.3, 0.5, 10.0))
    study = study_of(settings, *trials, objectives=("bound", "gradients"))
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert set(race.n_searched.values()) == {15}
    assert race.winner == 2 and set(race.gain) == {"bound", "gradients"}


def test_candidates_are_the_defaults_and_the_best_without_the_same_values_twice(settings):
    trials = ((0.5, 50.0), (0.4, 40.0), (0.4, 40.0), (0.3, 60.0), (0.2, 70.0))
    known = candidates(study_of(settings, *trials), 2)
    assert [one.number for one in known] == [0, 1, 3]
    assert candidates(study_of(settings), 2) == []


def bounded(settings, *trials):
    """A study with a bound on its objective, which trials of these values keep or not."""
    asked = settings.model_copy(update={"constraints": "gradients<=60"})
    study = study_of(asked)
    for kick, value in trials:
        study.add_trial(
            create_trial(
                params={"kick": kick},
                distributions=SPACE,
                value=value,
                user_attrs={"scores": {"gradients": value}},
            )
        )
    return study


def test_defaults_that_miss_the_constraints_race_and_can_not_win(settings, searched, tmp_path):
    study = bounded(settings, (0.3, 90.0), (0.5, 50.0), (0.6, 55.0))  # on fresh ones 30, 50, 60
    assert [(one.number, one.may_win) for one in candidates(study, 3)] == [
        (0, False),
        (1, True),
        (2, True),
    ]
    race = hold_race(study, settings, FRESH, tmp_path / "race", {})
    assert race.winner == 1 == preferred(study).number
    assert race.n_searched == {"0": 15, "1": 15, "2": 6}
    assert race.gain["gradients"][0] < 0  # it says that the defaults do better


def test_where_no_trial_keeps_the_constraints_there_is_no_race(settings, searched, tmp_path):
    study = bounded(settings, (0.3, 90.0), (0.5, 70.0))
    assert hold_race(study, settings, FRESH, tmp_path / "race", {}) is None
    assert not searched and preferred(study) is None


def test_a_study_without_a_completed_trial_has_no_race(settings, searched, tmp_path):
    assert hold_race(study_of(settings), settings, FRESH, tmp_path / "race", {}) is None
