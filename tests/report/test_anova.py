"""fANOVA by sums over leaves is Optuna's, only sooner."""

from __future__ import annotations

import time

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from gadlib.report.tuning.anova import Fanova

SPACE = {
    "slow": FloatDistribution(1e-4, 1e-1, log=True),
    "fixed": FloatDistribution(0.3, 0.3),
    "count": IntDistribution(3, 20),
    "wide": FloatDistribution(-2.0, 2.0),
    "idle": FloatDistribution(0.0, 1.0),
}


def study_of(n: int, *, words: bool = False) -> optuna.Study:
    generator = np.random.default_rng(7)
    study = optuna.create_study(direction="maximize")
    for _ in range(n):
        params = {
            "slow": float(10 ** generator.uniform(-4, -1)),
            "fixed": 0.3,
            "count": int(generator.integers(3, 21)),
            "wide": float(generator.uniform(-2, 2)),
            "idle": float(generator.uniform()),
        }
        score = params["wide"] ** 2 + 0.1 * params["count"] + 0.1 * generator.normal()
        space = dict(SPACE)
        if words:
            params["word"] = str(generator.choice(["a", "b"]))
            score += 3 * (params["word"] == "a")
            space["word"] = CategoricalDistribution(("a", "b"))
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=space, value=float(score))
        )
    return study


@pytest.mark.parametrize("n", [2, 9, 60])
def test_shares_are_those_of_optuna(n):
    study = study_of(n)
    own, theirs = (
        get_param_importances(study, evaluator=kind(n_trees=8, seed=0))
        for kind in (Fanova, FanovaImportanceEvaluator)
    )
    assert own == pytest.approx(theirs, abs=1e-9)
    assert own["fixed"] == 0
    assert list(own.values()) == sorted(own.values(), reverse=True)


def test_words_are_left_to_optuna():
    shares = get_param_importances(study_of(60, words=True), evaluator=Fanova(n_trees=8))
    assert next(iter(shares)) == "word"


def test_score_that_does_not_vary_is_refused():
    study = optuna.create_study(direction="maximize")
    for x in (0.1, 0.5, 0.9):
        study.add_trial(
            optuna.trial.create_trial(
                params={"idle": x}, distributions={"idle": SPACE["idle"]}, value=1.0
            )
        )
    with pytest.raises(ValueError, match="does not vary"):
        Fanova(n_trees=4).evaluate(study)


def test_it_takes_a_fraction_of_the_time():
    study = study_of(150)
    took_s = []
    for kind in (Fanova, FanovaImportanceEvaluator):
        begun = time.process_time()
        kind(n_trees=8, seed=0).evaluate(study)
        took_s.append(time.process_time() - begun)
    assert took_s[0] < took_s[1] / 3
