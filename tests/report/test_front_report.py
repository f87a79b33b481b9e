"""The front of a study with two objectives, drawn and told; and what else is drawn of it."""

import numpy as np
import optuna
import pytest
from little_studies import DEFAULTS, SPACE, make_study, texts
from optuna.trial import create_trial

from gadlib import report
from gadlib.settings.reading import InputError
from gadlib.tuning.front import front


def study_of(n=30, objectives=("bound", "gradients"), **settings):
    """Escapes make searches bound and costly: so is the front."""
    costs = ("gradients",)
    study = optuna.create_study(
        directions=["minimize" if name in costs else "maximize" for name in objectives],
        study_name="two",
    )
    study.set_user_attr("gadlib", {"objectives": [*objectives]})
    study.set_user_attr("settings", settings)
    generator = np.random.default_rng(0)
    for i in range(n):
        params = dict(DEFAULTS) if i == 0 else DEFAULTS | {"dt_max": generator.uniform(0.01, 0.1)}
        delta = 0.1 if i == 0 else generator.uniform(0.05, 0.5)
        values = [delta * 2, 50 + 200 * delta + 5 * generator.uniform()][: len(objectives)]
        study.add_trial(
            create_trial(
                params=params | {"escape_delta": delta},
                distributions=SPACE,
                values=values,
                user_attrs={"scores": dict(zip(objectives, values, strict=True))},
            )
        )
    return study


STUDY = study_of()


def test_the_front_has_a_row_for_each_of_its_trials_and_the_defaults():
    found = report.collect_front(STUDY)
    numbers = found.numbers[[*found.best]].tolist()
    assert numbers == [t.number for t in front(STUDY)] and len(numbers) > 2
    table = report.front_table(found)
    assert table["trial"].tolist()[: len(numbers)] == numbers and 0 in table["trial"].tolist()
    assert (table[""] == "to be taken").sum() == 1
    assert f"trial {found.numbers[found.preferred]}" in found.sentence
    assert "the defaults have bound 0.2" in found.sentence


def test_a_winner_of_the_race_that_is_none_of_the_best_is_called_so():
    study = study_of(5)
    beaten = next(
        t.number for t in study.trials if t.number not in {b.number for b in front(study)}
    )
    assert "won the race" not in report.collect_front(study).sentence
    study.set_user_attr("race", {"winner": beaten, "n_completed": 5})
    assert f"trial {beaten}, which won the race (" in report.collect_front(study).sentence


def test_the_front_is_drawn_one_objective_against_the_other():
    told = texts(report.draw_front(report.collect_front(STUDY)))
    assert all(word in told for word in ("bound", "gradients", "front", "defaults", "to be taken"))


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        (make_study((DEFAULTS, 0.5)), "has one objective, converged"),
        (study_of(0), "has no completed trial that keeps its constraints"),
        (study_of(3, constraints="bound>=2"), "has no completed trial that keeps its constraints"),
    ],
)
def test_a_study_without_a_front_is_a_sentence(study, sentence):
    found = report.collect_front(study)
    assert sentence in found.sentence
    assert sentence in texts(report.draw_front(found)).replace("\n", " ")


def test_another_choice_is_another_trial():
    found = report.collect_front(STUDY, "bound>=0.9")
    assert found.values[found.preferred, 0] >= 0.9
    costs = [row[1] for row in found.values[[*found.best]] if row[0] >= 0.9]
    assert found.values[found.preferred, 1] == min(costs)


def test_scores_and_importances_are_of_the_objective_that_is_asked_for():
    bound, gradients = (report.collect_trials(STUDY, name) for name in ("bound", "gradients"))
    assert report.collect_trials(STUDY).scores.tolist() == bound.scores.tolist()
    assert gradients.best_so_far.tolist() == np.minimum.accumulate(gradients.scores).tolist()
    assert (gradients.merits == -gradients.scores).all()
    for name in ("bound", "gradients"):
        assert report.collect_importances(STUDY, name).names[0] == "escape_delta"
    with pytest.raises(InputError, match="expected one of bound, gradients"):
        report.collect_trials(STUDY, "steps")


def test_a_cost_is_drawn_with_its_name_and_its_least_value_is_the_best():
    study = study_of(objectives=("gradients",))
    trials = report.collect_trials(study)
    assert trials.scores[trials.best] == trials.scores.min()
    assert "gradients" in texts(report.draw_history(trials).figure)
    assert f"gradients {trials.scores.min():.4f}" in report.best_sentence(trials)


def test_a_race_is_told_and_its_table_has_a_row_for_each_candidate():
    study = study_of(4)
    assert "No race was held" in report.race_sentence(study) and not len(report.race_table(study))
    kept = {
        "winner": 2,
        "samples": ["a", "b", "c"],
        "n_searched": {"0": 3, "1": 2, "2": 3},
        "scores": {str(i): {"bound": 0.5, "gradients": 60.0 + i} for i in range(3)},
        "win_share": 0.8,
        "gain": {"bound": [0.0, -0.1, 0.1], "gradients": [5.0, 1.0, 9.0]},
        "n_completed": 4,
    }
    study.set_user_attr("race", kept)
    assert "it would win 80 % of races" in report.race_sentence(study)
    table = report.race_table(study)
    assert table["trial"].tolist() == [0, 1, 2]
    assert table[""].tolist() == ["defaults", "left", "wins"]
