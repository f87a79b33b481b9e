"""Every chain of tries holds one place; no more places are taken_slots than there are."""

import optuna
import pytest
from optuna.trial import TrialState

from gadlib.cluster.slots import (
    MAX_DEATHS,
    MAX_STALLS,
    deaths,
    has_slot,
    history,
    is_over,
    is_twin,
    lost,
    slot_of,
    stalls,
    taken_slots,
)


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


def test_a_failed_trial_keeps_its_slot_until_it_is_queued_again_and_after():
    waits = trials_of((DONE, {}), (FAIL, {}), (RUNNING, {}))
    assert taken_slots(waits) == {0, 1, 2}
    assert [t.number for t in lost(waits)] == [1]
    queued = trials_of((DONE, {}), (FAIL, {}), (RUNNING, {}), (WAITING, {"again": [1]}))
    assert taken_slots(queued) == {0, 1, 2}
    assert lost(queued) == []


def test_a_retry_has_the_slot_of_the_first_and_a_newcomer_none():
    trials = trials_of((FAIL, {}), (RUNNING, {}), (RUNNING, {}), (WAITING, {"again": [0]}))
    assert [has_slot(t, trials, 2) for t in trials] == [True, True, False, True]


@pytest.mark.parametrize("over", [{"surplus": True}, {"deaths": MAX_DEATHS - 1}])
def test_what_is_not_tried_again_frees_its_slot(over):
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


@pytest.mark.parametrize(
    ("attrs", "over"),
    [
        ({"deaths": MAX_DEATHS - 2}, False),
        ({"deaths": MAX_DEATHS - 1}, True),
        ({"deaths": MAX_DEATHS - 1, "ended": "interrupted"}, False),
        ({"deaths": MAX_DEATHS, "ended": "interrupted"}, True),
        ({"stalls": MAX_STALLS - 1}, False),
        ({"stalls": MAX_STALLS}, True),
        ({"surplus": True}, True),
        ({}, False),
    ],
)
def test_a_trial_is_over_after_so_many_deaths_or_stalls(attrs, over):
    (trial,) = trials_of((FAIL, attrs))
    assert is_over(trial) is over
    assert taken_slots([trial]) == (set() if over else {0})
    assert lost([trial]) == ([] if over else [trial])


def test_a_twin_is_over():
    assert is_over(trials_of((FAIL, {"twin": True}))[0])


def test_deaths_are_those_before_and_this_one_unless_it_ended_in_order():
    counted = trials_of((FAIL, {}), (FAIL, {"deaths": 2}), (FAIL, {"deaths": 2, "ended": "x"}))
    assert [deaths(t) for t in counted] == [1, 3, 2]
    assert [stalls(t) for t in trials_of((FAIL, {}), (FAIL, {"stalls": 2}))] == [0, 2]


def test_a_slot_is_told_by_the_first_trial_of_a_chain():
    trials = trials_of((FAIL, {}), (FAIL, {"again": [0]}), (WAITING, {"again": [0, 1]}))
    assert [slot_of(t) for t in trials] == [0, 0, 0]
    assert [history(t) for t in trials] == [[], [0], [0, 1]]
    assert taken_slots(trials) == {0}


def test_the_last_trial_of_a_chain_tells_whether_it_is_given_up():
    over = {"deaths": MAX_DEATHS - 1}
    assert taken_slots(trials_of((FAIL, over), (FAIL, {"again": [0]}))) == {0}
    assert taken_slots(trials_of((FAIL, {}), (FAIL, {"again": [0], **over}))) == set()
    assert taken_slots(trials_of((FAIL, {}), (DONE, {"again": [0]}))) == {0}


def test_a_chain_whose_only_retry_is_a_twin_is_as_its_first_trial():
    twin = {"again": [0], "twin": True}
    assert taken_slots(trials_of((FAIL, {}), (FAIL, twin))) == {0}
    assert taken_slots(trials_of((FAIL, {"surplus": True}), (FAIL, twin))) == set()


@pytest.mark.parametrize(("n_trials", "expected"), [(1, False), (2, False), (3, True)])
def test_a_trial_has_a_slot_when_fewer_are_taken_before_it(n_trials, expected):
    trials = trials_of((DONE, {}), (FAIL, {"surplus": True}), (RUNNING, {}), (RUNNING, {}))
    assert has_slot(trials[3], trials, n_trials) is expected


def test_a_trial_that_tries_none_again_is_no_twin():
    trials = trials_of((WAITING, {}), (WAITING, {}))
    assert [is_twin(t, trials) for t in trials] == [False, False]
