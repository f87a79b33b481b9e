"""Every chain of tries holds one place; no more places are taken_slots than there are."""

import optuna
import pytest
from optuna.trial import TrialState

from gadlib.cluster.slots import MAX_DEATHS, has_slot, is_over, is_twin, lost, taken_slots


def trials_of(*chosen):
    """Trials with these states and attributes, numbered from 0; `again` is the retry history."""
    made = []
    for number, (state, attrs) in enumerate(chosen):
        attrs = dict(attrs)
        again = attrs.pop("again", [])
        trial = optuna.trial.create_trial(
            state=state,
            value=0.0 if state is TrialState.COMPLETE else None,
            user_attrs=attrs,
            system_attrs={"retry_history": again} if again else {},
        )
        trial.number = number
        made.append(trial)
    return made


RUNNING, WAITING, DONE, FAIL = (
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.COMPLETE,
    TrialState.FAIL,
)


def test_a_failed_trial_keeps_its_place_until_it_is_queued_again_and_after():
    waits = trials_of((DONE, {}), (FAIL, {}), (RUNNING, {}))
    assert taken_slots(waits) == {0, 1, 2}
    assert [t.number for t in lost(waits)] == [1]
    queued = trials_of((DONE, {}), (FAIL, {}), (RUNNING, {}), (WAITING, {"again": [1]}))
    assert taken_slots(queued) == {0, 1, 2}
    assert lost(queued) == []


def test_a_retry_has_the_place_of_the_first_and_a_newcomer_none():
    trials = trials_of((FAIL, {}), (RUNNING, {}), (RUNNING, {}), (WAITING, {"again": [0]}))
    assert [has_slot(t, trials, 2) for t in trials] == [True, True, False, True]


@pytest.mark.parametrize("over", [{"surplus": True}, {"deaths": MAX_DEATHS - 1}])
def test_what_is_not_tried_again_frees_its_place(over):
    trials = trials_of((FAIL, over), (RUNNING, {}))
    assert is_over(trials[0])
    assert taken_slots(trials) == {1}
    assert lost(trials) == []
    assert has_slot(trials[1], trials, 1)


def test_of_two_retries_of_one_trial_the_earlier_runs():
    trials = trials_of((FAIL, {}), (FAIL, {"again": [0]}), (WAITING, {"again": [0]}))
    assert [is_twin(t, trials) for t in trials] == [False, False, True]
    trials[2].user_attrs["twin"] = True
    trials[2].state = FAIL
    assert taken_slots(trials) == {0}
    assert [t.number for t in lost(trials)] == [1]
