from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.objectives import OBJECTIVES, objectives_of
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status
from gadlib.tuning.scores import (
    RECOVERED,
    SCORES,
    best_possible,
    is_matched,
    outcome,
    sample_summary,
    values,
)

N_STEPS = 100
START = Start("a", "H2", "train", "ts", None, np.array([1, 1]), np.zeros((2, 3)), 1)
RECORD = Record.blank(START, Status.OUT_OF_STEPS, "")
SAMPLE = st.tuples(st.booleans(), st.integers(0, N_STEPS), st.integers(0, 300), st.integers(0, 4))
SAMPLES = st.lists(SAMPLE, min_size=2, max_size=20)
PUBLISHED = objectives_of("converged", "gad")


def record_of(is_met, steps, n_gradient, n_hessian):
    return replace(
        RECORD,
        converged=is_met,
        criteria={**dict.fromkeys(CRITERIA, is_met), RECOVERED: is_met},
        near=is_met,
        steps=steps,
        n_gradient=n_gradient,
        n_hessian=n_hessian,
        elapsed_s=0.1 * steps,
    )


def test_every_objective_is_measured():
    assert list(SCORES) == list(OBJECTIVES)
    assert all(one.sentence for one in OBJECTIVES.values())


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@given(SAMPLES, st.integers(1, 19))
def test_no_outcome_is_better_than_was_possible(objective, samples, n_known):
    records = [record_of(*sample) for sample in samples]
    known = records[: min(n_known, len(records) - 1)]
    possible = best_possible(known, len(records), N_STEPS, [objective])
    assert is_matched(values(records, N_STEPS, [objective]), [possible], [objective]) or (
        values(records, N_STEPS, [objective]) == pytest.approx(possible)
    )


def test_the_published_objective_is_the_rate_less_a_hundredth_of_the_steps():
    records = [record_of(True, 40, 1, 0), record_of(False, 100, 1, 0)]
    assert values(records, N_STEPS, PUBLISHED) == pytest.approx((0.5 - 0.01 * 0.4,))


def test_a_search_that_fails_costs_its_budget_at_least():
    cheap_failure, costly_failure = record_of(False, 3, 5, 0), record_of(False, 100, 250, 1)
    met = record_of(True, 20, 30, 1)
    found = {
        name: values([cheap_failure, costly_failure, met], N_STEPS, [OBJECTIVES[name]])[0]
        for name in ("steps", "gradients")
    }
    assert found["steps"] == pytest.approx((100 + 100 + 20) / 3)
    assert found["gradients"] == pytest.approx((100 + (250 + 12) + (30 + 12)) / 3)


@pytest.mark.parametrize("name", [*CRITERIA, "near", "recovered"])
def test_a_share_is_of_all_samples(name):
    records = [record_of(True, 1, 1, 0), *[record_of(False, 1, 1, 0)] * 3]
    assert values(records, N_STEPS, [OBJECTIVES[name]]) == (0.25,)


def test_an_outcome_is_matched_by_one_as_good_in_all():
    objectives = objectives_of("bound,gradients", "trust")
    assert is_matched((0.5, 80.0), [(0.9, 120.0), (0.5, 80.0)], objectives)
    assert not is_matched((0.5, 80.0), [(0.9, 120.0), (0.4, 10.0)], objectives)
    assert not is_matched((0.5, 80.0), [], objectives)


def test_an_outcome_tells_the_rate_of_every_criterion_and_its_scores():
    met = replace(RECORD, converged=True, steps=4, criteria=dict.fromkeys(CRITERIA, True))
    told = outcome([met, RECORD], N_STEPS, PUBLISHED).attributes()
    assert {told[f"{name}_rate"] for name in CRITERIA} == {0.5}
    assert (told["n_converged"], told["n_samples"], told["mean_steps"]) == (1, 2, 4)
    assert "rates" not in told and told["score"] == told["scores"]["converged"]
    assert "near" not in told["scores"] and "recovered" not in told["scores"]
    several = outcome([met], N_STEPS, objectives_of("bound,steps", "trust"))
    assert several.values == (1.0, 4.0) and "score" not in several.attributes()


def test_a_sample_keeps_its_message_only_where_something_failed():
    kept = sample_summary(replace(RECORD, message="Out of steps."))
    assert "message" not in kept and kept["criteria"] == dict.fromkeys(CRITERIA)
    failed = replace(RECORD, status=str(Status.CALCULATOR_FAILED), message="It broke.")
    assert sample_summary(failed)["message"] == "It broke."


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("best", "expected auto, or some of converged"),
        ("bound,bound", "given twice"),
        ("bound,", "expected auto, or some of"),
    ],
)
def test_objectives_that_cannot_be_are_refused(asked, reason):
    with pytest.raises(InputError, match=reason):
        objectives_of(asked, "gad")


def test_auto_is_the_published_objective_for_gad_alone():
    names = {solver: objectives_of("auto", solver)[0].name for solver in ("gad", "trust", "delta")}
    assert names == {"gad": "converged", "trust": "gradients", "delta": "gradients"}
