import pytest
from optuna.trial import TrialState, create_trial

from gadlib.settings.objectives import objectives_of
from gadlib.tuning.pruning import is_stopped_at_rung, is_worse_in_pairs
from gadlib.tuning.rungs import Rung

GRADIENTS = objectives_of("gradients", "trust")
BOTH = objectives_of("bound,gradients", "trust")


def at_rung(*values, size=3):
    return [
        create_trial(state=TrialState.RUNNING, user_attrs={Rung(size).name: [*found]})
        for found in values
    ]


def stopped(trials, objectives):
    for number, trial in enumerate(trials):
        trial.number = number
    return [t.number for t in trials if is_stopped_at_rung(t.number, Rung(3), trials, objectives)]


def test_the_best_third_at_a_rung_goes_on_and_the_first_always():
    assert stopped(at_rung((50.0,)), GRADIENTS) == []
    trials = at_rung((50.0,), (40.0,), (60.0,), (30.0,), (20.0,), (45.0,))
    assert stopped(trials, GRADIENTS) == [0, 1, 2, 5]


def test_those_that_are_as_good_as_the_last_that_goes_on_go_on():
    assert stopped(at_rung((20.0,), (20.0,), (20.0,), (90.0,)), GRADIENTS) == [3]


def test_of_several_objectives_a_trial_ends_that_others_are_better_than_in_all():
    trials = at_rung((1.0, 90.0), (0.5, 10.0), (0.5, 50.0), (0.0, 95.0))
    assert stopped(trials, BOTH) == [2, 3]


def test_trials_elsewhere_do_not_count_at_a_rung():
    trials = at_rung((50.0,)) + at_rung((10.0,), size=9)
    trials[1].number = 1
    trials[0].number = 0
    assert not is_stopped_at_rung(0, Rung(3), trials, GRADIENTS)


@pytest.mark.parametrize(
    ("mine", "best", "is_cost", "is_worse"),
    [
        ([50, 60, 70, 80], [10, 20, 30, 40, 99], True, True),
        ([50, 60, 70, 80], [10, 20, 30, 40, 99], False, False),
        ([0.1, 0.2, 0.1, 0.3], [0.9, 0.8, 0.7, 1.0], False, True),
        ([50, 60, 70], [10, 20, 30, 40], True, False),  # too few to say
        ([50, 20, 70, 20], [10, 60, 30, 70], True, False),
        ([10, 20, 30, 40], [10, 20, 30, 40], True, False),
    ],
)
def test_a_trial_is_worse_where_the_best_one_is_better_in_pairs(mine, best, is_cost, is_worse):
    assert is_worse_in_pairs(mine, best, is_cost=is_cost) is is_worse


def test_a_trial_that_failed_and_is_tried_again_counts_once_at_its_rung():
    trials = at_rung((20.0,), (20.0,), (50.0,), (30.0,), (60.0,), (70.0,))
    assert stopped(trials, GRADIENTS) == [2, 3, 4, 5]
    trials[0].state = TrialState.FAIL  # whose retry is the second
    numbered = dict(enumerate(trials))
    assert not is_stopped_at_rung(1, Rung(3), [*numbered.values()], GRADIENTS)
    assert is_stopped_at_rung(3, Rung(3), [*numbered.values()], GRADIENTS)
