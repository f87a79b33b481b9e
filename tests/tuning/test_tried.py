"""Which words trials tried and what each was worth: from a storage, from a file, and drawn."""

import json

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pytest
from little_studies import make_study, texts
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from gadlib import report
from gadlib.files.shapes import StudyKept, fit
from gadlib.report.exchange.profile import _OF_STUDY, _OF_TRIAL
from gadlib.tuning.content import collect_results
from gadlib.tuning.tried import Tried, words_in, words_of

PROOF = CategoricalDistribution(["auto", "hessian", "products"])
RADIUS = FloatDistribution(0.02, 0.5)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def study_of(*trials, numbers=True, objectives=("gradients",)):
    """A study with trials of this word and these values; None for one that ended early."""
    directions = ["minimize" if name == "gradients" else "maximize" for name in objectives]
    study = optuna.create_study(directions=directions, study_name="words")
    study.set_user_attr("gadlib", {"objectives": [*objectives]})
    study.set_user_attr("settings", {"choices": {"proof": [*PROOF.choices]}})
    for i, (word, *values) in enumerate(trials):
        is_early = values == [None]
        study.add_trial(
            create_trial(
                params={"proof": word} | ({"radius_max": 0.1 + 0.01 * i} if numbers else {}),
                distributions={"proof": PROOF} | ({"radius_max": RADIUS} if numbers else {}),
                values=None if is_early else values,
                state=TrialState.PRUNED if is_early else TrialState.COMPLETE,
                user_attrs={}
                if is_early
                else {"scores": dict(zip(objectives, values, strict=True))},
            )
        )
    return study


TRIALS = (("auto", 160.0), ("products", 90.0), ("products", 110.0), ("hessian", None))

EXPECTED = (
    Tried("proof", "auto", 1, 0, (160.0,), (160.0,), False),
    Tried("proof", "hessian", 0, 1, (), (), False),
    Tried("proof", "products", 2, 0, (100.0,), (90.0,), True),
)


def kept(study):
    return json.loads(json.dumps(collect_results(study), default=str))


def test_a_storage_a_file_and_a_profile_tell_the_same_of_each_word():
    study = study_of(*TRIALS)
    content = kept(study)
    profile = {k: content.get(k) for k in ("settings", "best_params", "best_choices", *_OF_STUDY)}
    profile["trials"] = [{k: t.get(k) for k in _OF_TRIAL} for t in content["trials"]]
    assert words_of(study).tried == EXPECTED
    for file in (content, profile):
        assert words_in(fit(StudyKept, file, "here")) == words_of(study)


def test_of_several_objectives_each_has_its_median_and_its_best():
    two = (("auto", 0.5, 160.0), ("products", 0.9, 90.0), ("products", 0.7, 70.0))
    study = study_of(*two, objectives=("bound", "gradients"))
    words = words_of(study)
    assert words.tried[2].medians == pytest.approx((0.8, 80.0))
    assert words.tried[2].bests == (0.9, 70.0)
    assert words_in(fit(StudyKept, kept(study), "here")) == words
    table = report.words_table(words).set_index("word")
    assert table.loc["products", "median bound"] == "0.8"
    assert table.loc["hessian", "best gradients"] == "-"


def test_no_words_are_no_rows():
    none = words_of(make_study(({"dt_max": 0.05, "plateau_patience": 5, "escape_delta": 0.1}, 1.0)))
    assert none.tried == () and report.words_table(none).empty
    assert words_in(fit(StudyKept, {"best_params": {"radius_max": 0.2}}, "here")).tried == ()


def test_the_sentence_counts_those_that_ended_early():
    told = report.choices_sentence(study_of(*TRIALS))
    assert (
        "hessian unknown (0 trials, 1 more ended early), products gradients 100 (2 trials)" in told
    )


@pytest.mark.parametrize("numbers", [True, False], ids=["beside numbers", "words alone"])
def test_words_are_drawn_as_numbers_are(numbers):
    trials = report.collect_trials(study_of(*TRIALS, numbers=numbers))
    (word,) = trials.chosen
    assert np.array_equal(word.places(), [0.0, 2.0, 2.0])
    slices = report.draw_slices(trials)
    own = slices.axes[len(trials.ranges)]
    assert [tick.get_text() for tick in own.get_xticklabels()] == [*PROOF.choices]
    medians = [line.get_ydata()[0] for line in own.lines]
    assert medians == [160.0, 100.0]
    parallel = report.draw_parallel(trials)
    assert len(parallel.get_xticks()) == len(trials.ranges) + 1
    assert all(word in texts(parallel.figure) for word in ("proof", *PROOF.choices))
    assert len(report.best_table(trials)) == len(trials.ranges) + 1


def test_a_study_that_shares_nothing_says_so():
    study = optuna.create_study(study_name="apart")
    for name in ("x", "y"):
        trial = create_trial(
            params={name: 1.0}, distributions={name: FloatDistribution(0, 2)}, value=1
        )
        study.add_trial(trial)
    trials = report.collect_trials(study)
    for drawn in (report.draw_slices(trials), report.draw_parallel(trials).figure):
        assert "no number and no choice" in texts(drawn).replace("\n", " ")
