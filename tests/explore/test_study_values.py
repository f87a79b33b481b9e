"""What a study found best, as the page shows it: numbers, words of the solver, of the search."""

import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from gadlib.explore.study_values import study_best, tuned_for_else
from gadlib.settings import profiles
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.tuning import tune


def test_best_values_are_read_from_results_and_filled_up_with_defaults(tmp_path):
    path = tmp_path / "hpo_results.json"
    path.write_text(json.dumps({"best_params": {"radius_start": 0.2}}))
    assert study_best(str(path), None, "trust").hyperparameters["radius_start"] == 0.2
    assert study_best(str(path), None, "trust").hyperparameters["torn_steps"] == 10


def test_best_values_are_read_from_the_study_itself(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.set_user_attr("gadlib", {})
    ranges = {"radius_start": FloatDistribution(0.02, 0.5)}
    for start, score in ((0.1, 0.2), (0.3, 0.9)):
        study.add_trial(
            optuna.trial.create_trial(
                params={"radius_start": start}, distributions=ranges, value=score
            )
        )
    assert (
        study_best(str(tmp_path / "study.db"), None, "trust").hyperparameters["radius_start"] == 0.3
    )
    with pytest.raises(InputError, match="a study of solver 'trust'; expected one of 'gad'"):
        study_best(storage, "mine", "gad")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read"),
        ("[1]", "expected an hpo_results.json"),
        ('{"best_params": {}}', "no completed trial"),
        (
            '{"best_params": {"radius_start": "wide"}}',
            "'wide': expected a number",
        ),
        ("{", "not JSON"),
    ],
)
def test_it_says_what_is_wrong_with_results(tmp_path, content, reason):
    path = tmp_path / "hpo_results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=reason):
        study_best(str(path), None, "trust")


def test_it_says_what_a_study_was_tuned_for_that_the_page_does_not_show(tmp_path):
    settings = SearchSettings(solver="trust")
    about = {"reactions": [], "solver": "trust", "criterion": "bound"}
    best = {"best_params": {"radius_start": 0.2}, "about": about}
    path = tmp_path / "hpo_results.json"
    path.write_text(json.dumps(best))
    told = tuned_for_else(str(path), None, settings)
    assert told == "It was tuned for something else: criterion was 'bound', now 'index1'."
    same = settings.model_copy(update={"criterion": "bound"})
    assert tuned_for_else(str(path), None, same) == ""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.set_user_attr("gadlib", about)
    assert tuned_for_else(storage, "mine", settings) == told
    assert tuned_for_else(storage, "mine", same) == ""


def test_it_says_that_a_study_is_missing_or_empty(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        study_best(str(tmp_path / "none.db"), None, "trust")
    optuna.create_study(
        storage=f"sqlite:///{tmp_path / 'empty.db'}", study_name="empty", direction="maximize"
    )
    with pytest.raises(InputError, match="no completed trial"):
        study_best(str(tmp_path / "empty.db"), None, "trust")
    with pytest.raises(InputError, match="no study: expected a path"):
        study_best(" ", None, "trust")


def test_words_that_a_study_chose_come_with_its_numbers(tmp_path):
    path = tmp_path / "hpo_results.json"
    best = {"radius_start": 0.2, "exact_hessians": "often"}
    words = {"mode": "reaction", "start_from": "idpp_rp"}
    path.write_text(json.dumps({"best_params": best, "best_choices": words}))
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.set_user_attr("gadlib", {})
    drawn = best | words
    of = {name: CategoricalDistribution([word]) for name, word in drawn.items()}
    study.add_trial(
        optuna.trial.create_trial(
            params=drawn,
            distributions=of | {"radius_start": FloatDistribution(0.02, 0.5)},
            value=1.0,
        )
    )
    for where in (str(path), storage):
        found = study_best(where, None, "trust")
        assert found.words == words
        assert found.hyperparameters["exact_hessians"] == "often"
        assert found.hyperparameters["radius_start"] == 0.2


def words_study(storage):
    """A study whose trials chose the mode; its own is `reaction`, the best is `lowest`."""
    study = optuna.create_study(storage=storage, study_name="mine", direction="minimize")
    about = {"reactions": [], "solver": "trust", "criterion": "index1", "mode": "reaction"}
    study.set_user_attr("gadlib", about | {"objectives": ["gradients"]})
    study.set_user_attr("settings", {"choices": {"mode": ["lowest", "reaction"]}})
    of = {
        "mode": CategoricalDistribution(["lowest", "reaction"]),
        "radius_start": FloatDistribution(0.02, 0.5),
    }
    for mode, value in (("reaction", 120.0), ("lowest", 90.0), ("lowest", 110.0)):
        study.add_trial(
            optuna.trial.create_trial(
                params={"mode": mode, "radius_start": 0.499},
                distributions=of,
                value=value,
                user_attrs={"scores": {"gradients": value}},
            )
        )
    return study


def test_what_trials_tried_and_which_values_lie_at_an_end_come_with_the_best(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    path = tune.write_results(words_study(storage), tmp_path / "hpo_results.json")
    for where in (str(path), storage):
        found = study_best(where, None, "trust")
        rows = [(one.word, one.n_completed, one.medians, one.is_taken) for one in found.tried.tried]
        assert rows == [("lowest", 2, (100.0,), True), ("reaction", 1, (120.0,), False)]
        (at_end,) = found.at_ends
        assert "radius_start (0.499) lies at the upper end of its range" in str(at_end)


def test_a_word_that_the_study_chose_is_what_it_was_tuned_for(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    path = tune.write_results(words_study(storage), tmp_path / "hpo_results.json")
    settings = SearchSettings(solver="trust", mode="lowest")
    for where in (str(path), storage):
        assert tuned_for_else(where, None, settings) == ""
        other = settings.model_copy(update={"mode": "bonds:0-1"})
        assert "mode was 'reaction', now 'bonds:0-1'" in tuned_for_else(where, None, other)


def test_a_word_that_the_solver_does_not_know_is_refused(tmp_path):
    path = tmp_path / "hpo_results.json"
    path.write_text(json.dumps({"best_params": {"exact_hessians": "weekly"}}))
    with pytest.raises(InputError, match=r"exact_hessians = 'weekly': expected one of .*often"):
        study_best(str(path), None, "trust")


@pytest.mark.parametrize("words", [{"mode": "sideways"}, {"start_from": "moon"}, {"split": "all"}])
def test_words_that_no_setting_may_have_are_refused(words, tmp_path):
    path = tmp_path / "hpo_results.json"
    path.write_text(json.dumps({"best_params": {"radius_start": 0.3}, "best_choices": words}))
    with pytest.raises(InputError, match=r"hpo_results.json: .*expected"):
        study_best(str(path), None, "trust")


def test_a_shipped_profile_is_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "FOLDER", tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps({"best_params": {"radius_start": 0.3}}))
    assert study_best(" mine ", None, "trust").hyperparameters["radius_start"] == 0.3
