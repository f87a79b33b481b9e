"""Interactions of pairs: those of a forest, exactly; what is a product, and what a sum."""

import json
from itertools import combinations

import numpy as np
import optuna
import pytest
from little_studies import make_study, texts
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial
from sklearn.tree import DecisionTreeRegressor

from gadlib import report
from gadlib.report.tuning.anova import leaves
from gadlib.report.tuning.interactions import _of_tree, shares_kept
from gadlib.report.tuning.parts import within_ranges

SPACE = {
    "x": FloatDistribution(-1.0, 1.0),
    "y": FloatDistribution(-1.0, 1.0),
    "z": FloatDistribution(0.0, 2.0),
    "word": CategoricalDistribution(("a", "b", "c")),
}


def study_of(n, *scores, seed=1):
    generator = np.random.default_rng(seed)
    study = optuna.create_study(directions=["maximize"] * len(scores))
    if len(scores) > 1:
        study.set_user_attr("gadlib", {"objectives": ["bound", "near"]})
    for _ in range(n):
        x, y, z = generator.uniform((-1, -1, 0), (1, 1, 2))
        params = {"x": x, "y": y, "z": z, "word": str(generator.choice(["a", "b", "c"]))}
        values = [float(score(params)) for score in scores]
        study.add_trial(create_trial(params=params, distributions=SPACE, values=values))
    return study


def product(p):
    return p["x"] * p["y"] + 0.2 * p["z"]


def total(p):
    return p["x"] + p["y"] + p["z"]


def by_word(p):
    return {"a": 1.0, "b": -1.0, "c": 0.0}[p["word"]] * p["z"]


def test_the_pairs_of_a_tree_are_those_of_its_values_on_a_fine_grid():
    """Brute force: means over all but one or two, at the middles of cells that no split cuts."""
    generator = np.random.default_rng(3)
    given = generator.integers(0, 12, (60, 3)) + 0.5
    tree = DecisionTreeRegressor(max_depth=5).fit(given, (given[:, 0] - 6) * given[:, 1])
    ends = np.array([[0.0, 12.0]] * 3)
    own = _of_tree(leaves(tree.tree_, ends), ends)
    middles = np.arange(48) / 4 + 0.125  # splits are at whole and half numbers
    grid = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1)
    values = tree.predict(grid.reshape(-1, 3)).reshape(48, 48, 48)

    def variance(*kept):
        return values.mean(tuple({0, 1, 2} - {*kept})).var()

    expected = [
        (variance(i, j) - variance(i) - variance(j)) / values.var()
        for i, j in combinations(range(3), 2)
    ]
    assert own == pytest.approx(expected, abs=1e-9)


def test_a_product_is_a_pair_and_a_sum_is_none():
    pairs = report.collect_pairs(study_of(200, product), n_trees=16)
    assert pairs.names[0] == ("x", "y") and pairs.shares[0] > 0.4
    assert pairs.shares[1] < 0.1
    assert report.collect_pairs(study_of(200, total), n_trees=16).shares[0] < 0.05


def test_the_share_of_a_product_is_the_known_one():
    """Of x y with x, y even in 0 .. 1: Var = 7/144, of each alone 1/48, so that 1/7 is of both."""
    study = study_of(500, lambda p: (p["x"] + 1) * (p["y"] + 1) / 4)
    pairs = report.collect_pairs(study, n_trees=8)
    assert pairs.names[0] == ("x", "y") and pairs.shares[0] == pytest.approx(1 / 7, abs=0.02)


def test_a_word_that_turns_a_number_round_is_a_pair():
    pairs = report.collect_pairs(study_of(200, by_word), n_trees=16)
    assert set(pairs.names[0]) == {"z", "word"} and pairs.shares[0] > 2 * pairs.shares[1]


def test_of_several_objectives_each_has_its_own():
    shares = report.collect_shares(study_of(120, product, total), n_trees=16)
    assert [one.name for one in shares.objectives] == ["bound", "near"]
    assert shares.pairs[0].names[0] == ("x", "y") and shares.pairs[1].shares[0] < 0.1
    assert set(shares.importances[1].names[:3]) == {"x", "y", "z"}
    assert set(shares.importances[0].shares) == {"PED-ANOVA", "fANOVA"}
    told = report.pairs_sentence(shares)
    assert "bound: the pair that does most beyond each alone is x with y" in told
    figure = report.draw_shares(shares)
    assert {"Importance for bound", "Pairs (fANOVA)"} <= {
        ax.get_title() for ax in figure.axes
    } and "x\nwith y" in texts(figure)
    kept = json.loads(json.dumps(shares_kept(shares)))
    assert kept["bound"]["pairs"][0][:2] == ["x", "y"] and set(kept) == {"bound", "near"}
    assert set(kept["near"]["fANOVA"]) == set(SPACE)


@pytest.mark.parametrize("n", [0, 9])
def test_of_few_trials_no_pairs_are_told(n):
    pairs = report.collect_pairs(study_of(n, product))
    assert not pairs.names and "Fewer than 10 completed trials" in pairs.reason
    assert "Fewer than 10" in texts(report.draw_pairs(pairs).figure)
    shares = report.collect_shares(make_study())
    assert "Fewer than 10 completed trials" in report.pairs_sentence(shares)


def test_what_does_not_vary_has_no_pairs():
    assert "does not vary" in report.collect_pairs(study_of(20, lambda _: 1.0)).reason


def test_results_hold_the_shares_and_are_written_again_without_harm(tmp_path):
    study = study_of(40, product)
    path = report.write_results_with_shares(study, tmp_path / "hpo_results.json")
    found = json.loads(path.read_text())
    assert len(found["importances"]["converged"]["pairs"]) == 6
    report.write_results_with_shares(study, path)
    assert json.loads(path.read_text())["importances"] == found["importances"]


@pytest.mark.filterwarnings("error", "ignore:Fixed parameter:UserWarning")
@pytest.mark.parametrize("has_words", [False, True])
def test_defaults_outside_of_the_ranges_are_no_part_of_importances(has_words):
    """So they are in each study whose ranges leave them out, as those of the profiles of `gad`."""

    def score(trial):
        x, y = trial.suggest_float("x", 1.0, 2.0), trial.suggest_float("y", 0.0, 1.0)
        word = trial.suggest_categorical("word", ["a", "b"]) if has_words else "a"
        return x * y + (word == "b")

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"x": 0.2, "y": 0.5, "word": "a"})
    study.optimize(score, n_trials=30)
    assert study.trials[0].params["x"] == 0.2
    inside = within_ranges(study)
    assert [t.number for t in inside.get_trials()] == [*range(1, 30)]
    assert within_ranges(inside) is inside
    (alone,), (pairs,) = (
        getattr(report.collect_shares(study), n) for n in ("importances", "pairs")
    )
    assert not alone.reason and not pairs.reason and "y" in alone.names
    assert all(np.isfinite(shares).all() for shares in alone.shares.values())
    assert np.isfinite(pairs.shares).all()
