import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from gadlib.settings.reading import InputError
from gadlib.tuning.front import ABOUT, front, objectives_in, preferred

SPACE = {"x": FloatDistribution(0.0, 1.0)}


def study_of(*values, objectives=("bound", "gradients"), **settings):
    """A study of these trials, whose values are their scores by `objectives`."""
    costs = ("steps", "gradients", "seconds")
    directions = ["minimize" if name in costs else "maximize" for name in objectives]
    study = optuna.create_study(directions=directions)
    study.set_user_attr(ABOUT, {"objectives": [*objectives]})
    study.set_user_attr("settings", settings)
    for found in values:
        scores = dict(zip(objectives, found, strict=True))
        attributes = {"scores": scores}
        study.add_trial(
            create_trial(
                params={"x": 0.5}, distributions=SPACE, values=found, user_attrs=attributes
            )
        )
    return study


def numbers(trials):
    return [t.number for t in trials]


STUDY = study_of((0.5, 40.0), (0.9, 60.0), (0.4, 50.0), (1.0, 200.0), (0.9, 60.0))


def test_the_front_is_what_no_other_trial_is_better_than():
    assert numbers(front(STUDY)) == [0, 1, 3]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 9)), min_size=1, max_size=12))
def test_the_front_is_optunas_without_the_same_values_twice(values):
    study = study_of(*values)
    expected = {tuple(t.values) for t in study.best_trials}
    assert {tuple(t.values) for t in front(study)} == expected
    assert len(front(study)) == len(expected)


@pytest.mark.parametrize(
    ("prefer", "number"),
    [
        (None, 1),
        ("knee", 1),
        ("bound>=0.95", 3),
        ("gradients<=45", 0),
        ("bound>=0.9,gradients<=100", 1),
        ("gradients<=10", 0),
    ],
)
def test_the_choice_is_the_knee_or_within_bounds_or_nearest_to_them(prefer, number):
    found = preferred(STUDY, prefer)
    assert found is not None and found.number == number


def test_a_study_prefers_what_it_was_asked_to():
    study = study_of((0.5, 40.0), (1.0, 200.0), prefer="bound>=0.95")
    assert preferred(study).number == 1


def test_trials_beyond_a_constraint_are_not_the_best():
    study = study_of((0.5, 40.0), (0.9, 60.0), (1.0, 200.0), constraints="bound>=0.8")
    assert numbers(front(study)) == [1, 2]
    none = study_of((0.5, 40.0), constraints="bound>=0.8")
    assert front(none) == [] and preferred(none) is None


def test_of_one_objective_the_first_best_trial_is_the_front():
    study = study_of((30.0,), (20.0,), (20.0,), objectives=("gradients",))
    assert numbers(front(study)) == [1] and preferred(study).number == 1


def test_a_study_of_before_has_the_published_objective():
    assert [one.name for one in objectives_in({ABOUT: {"solver": "gad"}})] == ["converged"]
    assert [one.name for one in objectives_in({})] == ["converged"]


def test_a_study_without_a_completed_trial_has_no_best():
    assert front(study_of()) == [] and preferred(study_of()) is None


@pytest.mark.parametrize("prefer", ["best", "bound=>1", "rate>=0.5", "bound>=much", "bound>=1e"])
def test_a_choice_that_cannot_be_read_is_refused(prefer):
    with pytest.raises(InputError, match="expected OBJECTIVE>=NUMBER"):
        preferred(STUDY, prefer)


def test_of_three_objectives_the_knee_gives_up_least_of_all():
    values = [(1.0, 0.0, 90.0), (0.9, 0.9, 20.0), (0.0, 1.0, 10.0)]
    study = study_of(*values, objectives=("bound", "near", "gradients"))
    assert preferred(study).number == 1
    assert np.allclose(preferred(study).values, values[1])
