"""Chains of tries at their limits."""

import pytest
from optuna.trial import TrialState
from test_slots import DONE, FAIL, RUNNING, WAITING, trials_of

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


def test_three_deaths_or_three_stalls_in_a_row_are_the_last():
    assert (MAX_DEATHS, MAX_STALLS) == (3, 3)


@pytest.mark.parametrize(
    ("attrs", "n_deaths", "n_stalls", "over"),
    [
        ({}, 1, 0, False),
        ({"ended": "interrupted"}, 0, 0, False),
        ({"deaths": 1}, 2, 0, False),
        ({"deaths": 2}, 3, 0, True),
        ({"deaths": 2, "ended": "interrupted"}, 2, 0, False),
        ({"deaths": 3, "ended": "interrupted"}, 3, 0, True),
        ({"stalls": 2, "ended": "stalled"}, 0, 2, False),
        ({"stalls": 3, "ended": "stalled"}, 0, 3, True),
        ({"surplus": True}, 1, 0, True),
        ({"twin": True}, 1, 0, True),
        ({"surplus": False, "twin": False}, 1, 0, False),
    ],
)
def test_deaths_and_stalls_are_counted_over_the_chain(attrs, n_deaths, n_stalls, over):
    (trial,) = trials_of((FAIL, attrs))
    assert (deaths(trial), stalls(trial), is_over(trial)) == (n_deaths, n_stalls, over)


def test_a_chain_has_the_slot_of_its_first_trial():
    trials = trials_of((FAIL, {}), (FAIL, {"again": [0]}), (WAITING, {"again": [0, 1]}))
    assert [slot_of(t) for t in trials] == [0, 0, 0]
    assert [history(t) for t in trials] == [[], [0], [0, 1]]
    assert taken_slots(trials) == {0}


@pytest.mark.parametrize("state", [DONE, RUNNING, WAITING, TrialState.PRUNED])
def test_whatever_has_not_failed_holds_its_slot(state):
    trials = trials_of((state, {"surplus": True, "deaths": 9}))
    trials[0].state = state
    assert taken_slots(trials) == {0}


def test_the_last_failure_of_a_chain_decides_whether_it_is_over():
    live, over = {"ended": "x"}, {"surplus": True}
    for first, second, expected in ((over, live, {0}), (live, over, set()), (live, live, {0})):
        trials = trials_of((FAIL, first), (FAIL, second | {"again": [0]}))
        assert taken_slots(trials) == expected
        assert taken_slots(trials[::-1]) == expected


def test_a_twin_that_failed_neither_holds_a_slot_nor_frees_one():
    twin = {"twin": True, "again": [0]}
    assert taken_slots(trials_of((FAIL, {}), (FAIL, twin))) == {0}
    assert taken_slots(trials_of((FAIL, {"surplus": True}), (FAIL, twin))) == set()
    assert taken_slots(trials_of((FAIL, twin | {"again": []}))) == {0}


def test_as_many_trials_have_a_slot_as_are_asked_for():
    trials = trials_of((FAIL, {"surplus": True}), (DONE, {}), (RUNNING, {}), (RUNNING, {}))
    assert [has_slot(trials[3], trials, n) for n in (1, 2, 3)] == [False, False, True]
    assert [has_slot(trials[1], trials, n) for n in (0, 1)] == [False, True]


def test_a_first_try_has_no_twin_and_a_later_twin_does_not_count():
    trials = trials_of((RUNNING, {}), (RUNNING, {}), (FAIL, {}), (WAITING, {"again": [2]}))
    assert not any(is_twin(t, trials) for t in trials)
    trials += trials_of(*[(WAITING, {"again": [2]})] * 5)[4:]
    assert [is_twin(t, trials) for t in trials] == [False] * 4 + [True]


def test_only_failures_that_may_be_tried_again_are_lost():
    trials = trials_of(
        (FAIL, {}), (RUNNING, {}), (DONE, {}), (FAIL, {"surplus": True}), (FAIL, {"ended": "x"}),
        (WAITING, {"again": [0]}),
    )  # fmt: skip
    assert [t.number for t in lost(iter(trials))] == [4]
