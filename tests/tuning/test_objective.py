from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.state import Status
from gadlib.tuning.objective import (
    OBJECTIVES,
    SAMPLERS,
    best_possible,
    left_out_defaults,
    outcome,
    sample_summary,
    sampler,
    space,
    suggest,
)

N_STEPS = 100
START = Start("a", "H2", "train", "ts", None, np.array([1, 1]), np.zeros((2, 3)), 1)
RECORD = Record.blank(START, Status.OUT_OF_STEPS, "")
SAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, N_STEPS)), min_size=2, max_size=20)


@given(SAMPLES, st.integers(1, 19))
def test_no_outcome_is_better_than_was_possible(samples, n_known):
    records = [replace(RECORD, converged=c, steps=n) for c, n in samples]
    known = records[: min(n_known, len(records) - 1)]
    possible = best_possible(known, len(records), N_STEPS)
    assert outcome(records, N_STEPS).score <= possible + 1e-12
    rest = [replace(RECORD, converged=True, steps=0)] * (len(records) - len(known))
    assert outcome(known + rest, N_STEPS).score == pytest.approx(possible)


def test_ranges_replace_the_declared_ones():
    drawn = {k.name: k for k in space("gad", {"escape_delta": [0.01, 1.0]})}
    assert (drawn["escape_delta"].low, drawn["escape_delta"].high) == (0.01, 1.0)
    declared = {k.name: k for k in GadHyperparameters.tunable()}
    assert drawn["dt_max"] == declared["dt_max"]


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ({"escape": [0.1, 1.0]}, "unknown hyperparameter"),
        ({"escape_delta": [0.5, 0.1]}, "expected"),
        ({"escape_delta": [0.0, 1.0]}, "0.001 .. 2 A"),
        ({"plateau_patience": [3.5, 9]}, "in whole numbers"),
        ({"escape_delta": [0.2, 0.3], "dt_max": [float("nan"), 1.0]}, "dt_max = .nan, 1.0."),
        ({"adaptive_delta": [0, 1], "adaptive_delta_scale": [0, 1]}, "given twice"),
        ({"escape_delta": [0.1]}, "expected"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, reason):
    with pytest.raises(InputError, match=reason):
        space("gad", ranges)


def test_a_range_may_leave_out_the_default_which_is_told():
    drawn = space("gad", {"escape_delta": [0.2, 1.0]})
    assert "trial 0, the defaults, is outside" in left_out_defaults(drawn)
    assert "escape_delta (0.1, drawn from 0.2 .. 1)" in left_out_defaults(drawn)
    assert left_out_defaults(space("gad", {"escape_delta": [0.01, 1.0]})) == ""


def test_ranges_know_the_names_of_published_scripts():
    assert space("gad", {"max_atom_disp": [0.2, 0.3]}) == space(
        "gad", {"trust_radius_max": [0.2, 0.3]}
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_the_ranges(name):
    import optuna

    if name == "cmaes":
        pytest.importorskip("cmaes")
    study = optuna.create_study(sampler=sampler(name, 7, 2, study_seed=7), direction="maximize")
    for _ in range(4):
        trial = study.ask()
        drawn = suggest(trial, "gad", space("gad", {"dt_max": [0.04, 0.06]}))
        assert 0.04 <= drawn.model_dump()["dt_max"] <= 0.06
        study.tell(trial, drawn.model_dump()["dt_max"])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_goes_on_from_defaults_outside_the_ranges(name):
    import optuna

    if name == "cmaes":
        pytest.importorskip("cmaes")
    ranges = space("gad", {"dt_max": [0.06, 0.1]})
    study = optuna.create_study(sampler=sampler(name, 7, 2, study_seed=7), direction="maximize")
    study.enqueue_trial({k.name: k.default for k in ranges})
    drawn = []
    for _ in range(6):
        trial = study.ask()
        drawn.append(suggest(trial, "gad", ranges).model_dump()["dt_max"])
        study.tell(trial, drawn[-1])
    assert drawn[0] == 0.05
    assert all(0.06 <= value <= 0.1 for value in drawn[1:])


def test_an_unknown_sampler_is_refused():
    with pytest.raises(InputError, match="tpe, gp, cmaes"):
        sampler("best", 1, 1)


STEPS = st.lists(st.tuples(st.integers(0, N_STEPS), st.booleans()), min_size=1, max_size=6)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@given(known=STEPS, missing=STEPS)
def test_no_objective_gives_more_than_what_was_possible(objective, known, missing):
    found = [replace(RECORD, steps=steps, converged=is_met) for steps, is_met in known + missing]
    at_once = replace(RECORD, steps=0, converged=True, criteria=dict.fromkeys(CRITERIA, True))
    possible = objective.score([*found[: len(known)], *[at_once] * len(missing)], N_STEPS)
    assert objective.score(found, N_STEPS) <= possible + 1e-12
    assert objective.sentence


def test_an_outcome_tells_the_rate_of_every_criterion():
    met = replace(RECORD, converged=True, steps=4, criteria=dict.fromkeys(CRITERIA, True))
    told = outcome([met, RECORD], N_STEPS).attributes()
    assert {told[f"{name}_rate"] for name in CRITERIA} == {0.5}
    assert (told["n_converged"], told["n_samples"], told["mean_steps"]) == (1, 2, 4)
    assert "rates" not in told


def test_a_sample_keeps_its_message_only_where_something_failed():
    kept = sample_summary(replace(RECORD, message="Out of steps."))
    assert "message" not in kept and kept["criteria"] == dict.fromkeys(CRITERIA)
    failed = replace(RECORD, status=str(Status.CALCULATOR_FAILED), message="It broke.")
    assert sample_summary(failed)["message"] == "It broke."
