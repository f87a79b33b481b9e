from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import optuna
import pytest
from clusters import POTENTIAL, clusters
from little_studies import DEFAULTS, MIXED, make_study, random_study, record, texts

from gadlib import report
from gadlib.screening.trajectories import Trajectory, column, trace
from gadlib.settings.criteria import AT_POINTS
from gadlib.settings.declarations import Hyperparameters
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings
from gadlib.solver.search import search
from gadlib.solver.state import Status


@pytest.fixture(autouse=True)
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


# Screening


def test_difficulty_table_is_hardest_first_and_marks_what_is_kept():
    table = report.difficulty_table(MIXED, ScreenSettings(difficulty_threshold=0.5))
    assert table["reaction"].tolist() == ["open", "broken", "slow", "fast"]
    assert table["difficulty"].tolist() == [1000, 1000, 150, 10]
    assert table["difficult"].tolist() == [True, True, False, False]


def test_steps_are_told_apart_by_convergence():
    steps = report.collect_steps(MIXED)
    assert steps.converged == (10, 150)
    assert steps.not_converged == (200, 3)
    bars = report.draw_steps(steps).patches
    assert sum(bar.get_height() for bar in bars) == len(MIXED)


def test_endings_are_counted_by_sentence_and_by_order():
    endings = report.collect_endings(MIXED)
    assert endings.messages == {
        Status.SADDLE.sentence: 2,
        Status.OUT_OF_STEPS.sentence: 1,
        "The calculator broke.": 1,
    }
    assert endings.is_success == (True, False, False)
    assert endings.orders == {3: 2}


def test_order_that_is_unknown_comes_last():
    nowhere = replace(MIXED[3], order=None)
    assert list(report.collect_endings([nowhere, *MIXED]).orders) == [3, None]
    assert "unknown" in texts(report.draw_endings(report.collect_endings([nowhere])))


def test_failure_table_says_why():
    table = report.failure_table(MIXED)
    assert table["reaction"].tolist() == ["open", "broken"]
    assert table["message"].iloc[1] == "The calculator broke."


def test_hardest_converged_is_the_longest_that_converged():
    assert report.hardest_converged(MIXED).name == "slow"
    assert report.hardest_converged(MIXED[2:]).name == "open"


def test_no_records_are_drawn_as_a_sentence():
    assert "no record" in texts(report.draw_steps(report.collect_steps([])).figure)
    assert "no record" in texts(report.draw_endings(report.collect_endings([])))
    assert report.difficulty_table([], ScreenSettings()).empty
    assert report.failure_table([]).empty


# One search


def searched(n_steps: int, solver: type[Hyperparameters] = GadHyperparameters) -> Trajectory:
    frames = search(POTENTIAL, clusters(0), solver(), n_steps=n_steps)
    return Trajectory("cluster", solver.solver, trace(frames)[1])


def test_trajectory_is_drawn_with_the_numbers_of_its_points():
    found = searched(5)
    energy, force, eigenvalues, order, reach = report.draw_trajectory(found).axes
    energies = column(found.points, "energy")
    assert energy.lines[0].get_ydata() == pytest.approx(energies - energies[0])
    assert force.lines[0].get_ydata() == pytest.approx(column(found.points, "max_force"))
    assert eigenvalues.lines[1].get_ydata() == pytest.approx(column(found.points, "second"))
    assert order.lines[0].get_ydata().tolist() == [point.order for point in found.points]
    assert reach.lines[0].get_ydata() == pytest.approx(column(found.points, "reach"))
    assert reach.get_ylabel().startswith("time step")


def test_trajectory_of_trust_shows_its_radius():
    reach = report.draw_trajectory(searched(3, TrustHyperparameters)).axes[4]
    assert reach.get_ylabel().startswith("trust radius")


def test_trajectory_marks_escapes_and_tries_and_does_without_a_reach():
    name, solver, points = searched(4)
    plain = [p._replace(reach=math.nan, escapes=int(p.steps >= 2)) for p in points]
    plain[3] = plain[3]._replace(n_tries=1)
    figure = report.draw_trajectory(Trajectory(name, solver, plain))
    assert len(figure.axes) == 4
    upright = [line for line in figure.axes[1].lines if list(line.get_ydata()) == [0, 1]]
    styles = [(line.get_xdata()[0], line.get_linestyle()) for line in upright]
    assert styles == [(2, "--"), (3, ":")]
    assert {"escape", "next try"} <= set(figure.axes[0].get_legend_handles_labels()[1])


def test_point_that_could_not_be_computed_is_a_gap():
    name, solver, (point, *_) = searched(0)
    nowhere = point._replace(energy=math.nan, max_force=math.nan, order=None, message="no luck")
    figure = report.draw_trajectory(Trajectory(name, solver, [nowhere]))
    assert "could be computed" in texts(figure)
    assert "no luck" in texts(figure)


def test_search_without_a_point_is_drawn_as_a_sentence():
    assert "no point" in texts(report.draw_trajectory(Trajectory("a", "gad", [])))


# A study


def test_trials_know_the_best_and_the_default():
    study = make_study((DEFAULTS, 0.3), (DEFAULTS | {"dt_max": 0.1}, None),
                       (DEFAULTS | {"dt_max": 0.02}, 0.7))  # fmt: skip
    trials = report.collect_trials(study)
    assert trials.numbers.tolist() == [0, 2]
    assert trials.scores.tolist() == [0.3, 0.7]
    assert (trials.best, trials.default, trials.n_failed) == (1, 0, 1)
    assert trials.values[1].tolist() == [0.02, 5, 0.1]


def test_default_is_unknown_where_trial_0_failed():
    trials = report.collect_trials(make_study((DEFAULTS, None), (DEFAULTS, 0.1)))
    assert trials.default is None
    assert "defaults" not in texts(report.draw_history(trials).figure)


def test_best_is_told_in_a_sentence_that_warns_where_nothing_converged():
    some = report.collect_trials(make_study((DEFAULTS, 0.2), (DEFAULTS | {"dt_max": 0.02}, 0.5)))
    assert report.best_sentence(some) == "best trial 1: score 0.5000, defaults: 0.2000"
    none = report.collect_trials(make_study((DEFAULTS, -0.01), (DEFAULTS, -0.01)))
    assert "no trial converged on any sample" in report.best_sentence(none)


def test_best_table_has_log_positions_and_edges():
    best = {"dt_max": 10**-1.5, "plateau_patience": 3, "escape_delta": 0.495}
    table = report.best_table(report.collect_trials(make_study((DEFAULTS, 0.1), (best, 0.2))))
    assert table["position"].tolist() == pytest.approx([0.5, 0.0, 0.989], abs=1e-3)
    assert table["edge"].tolist() == ["", "at lower edge: widen it", "at upper edge: widen it"]
    assert table["default"].tolist() == ["0.05", "5", "0.1"]
    assert table["hyperparameter"].iloc[0] == "dt_max (Å²/eV)"


def test_importances_find_what_the_score_depends_on():
    found = report.collect_importances(random_study(40))
    assert found.names[0] == "escape_delta"
    for shares in found.shares.values():
        assert sum(shares) == pytest.approx(1)
        assert shares[0] > 0.5
    assert list(found.shares) == ["PED-ANOVA", "fANOVA"]


def test_importances_of_equal_scores_are_none_with_a_reason():
    other = DEFAULTS | {"dt_max": 0.02}
    found = report.collect_importances(make_study(*[(DEFAULTS, 0.1), (other, 0.1)] * 3))
    assert found.names == ()
    assert "PED-ANOVA" in found.reason
    assert "fANOVA" in found.reason


def draw_all(study: optuna.Study) -> list:
    trials, importances = report.collect_trials(study), report.collect_importances(study)
    return [
        report.draw_history(trials).figure,
        report.draw_importances(importances).figure,
        report.draw_parallel(trials).figure,
        report.draw_slices(trials),
        report.draw_contours(trials, importances),
    ]


@pytest.mark.parametrize("trials", [[], [(DEFAULTS, None)] * 3], ids=["empty", "only failed"])
def test_study_without_a_score_is_drawn_as_a_sentence(trials):
    history, importances, *others = draw_all(make_study(*trials))
    assert "No importances" in texts(importances)
    for figure in (history, *others):
        assert f"no completed trial yet ({len(trials)} failed)" in texts(figure).replace("\n", " ")
    assert report.best_table(report.collect_trials(make_study(*trials))).empty


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_study_of_any_size_is_drawn(n, tmp_path):
    for place, figure in enumerate(draw_all(random_study(n))):
        figure.savefig(tmp_path / f"{place}.png")


def test_live_history_takes_studies_outside_a_notebook(capsys):
    report.live_history()(random_study(2))
    assert not plt.get_fignums()


# Default against tuned


def sides(default: str, tuned: str):
    """Records from words like `++-`: converged, converged, not."""
    return tuple(
        [record(f"rxn{i}", steps if sign == "+" else 200, index1=sign == "+")
         for i, sign in enumerate(word)]
        for word, steps in ((default, 100), (tuned, 50))
    )  # fmt: skip


def test_comparison_counts_pairs():
    comparison = report.collect_comparison(*sides("++----", "+-+++-"))
    index1, strict, bound, *_ = comparison.criteria
    assert (index1.default.n_success, index1.tuned.n_success) == (2, 4)
    assert (index1.gained, index1.lost, index1.p) == (3, 1, 0.625)
    assert (index1.default_steps, index1.tuned_steps) == (100, 50)
    for other in (strict, bound):
        assert (other.tuned.n_success, other.p, other.tuned_steps) == (0, 1.0, None)
    assert comparison.both_converged.tolist() == [True] + 5 * [False]


def test_comparison_pairs_by_name_whatever_the_order():
    default, tuned = sides("++----", "+-+++-")
    assert report.collect_comparison(default, tuned[::-1]).criteria[0].lost == 1


@pytest.mark.parametrize(
    ("default", "tuned", "verdict"),
    [
        ("-" * 6, "+" * 6, "Tuning helped: 6 of 6 converge with the tuned values, 0 with"),
        ("+" * 6, "-" * 6, "Tuning made it worse, keep the defaults: 0 of 6"),
        ("-" * 5, "+" * 5, "No gain shown: 5 of 5"),
        ("++-", "++-", "No gain shown: 2 of 3"),
    ],
)
def test_verdict_follows_the_exact_test(default, tuned, verdict):
    assert report.collect_comparison(*sides(default, tuned)).verdict.startswith(verdict)


def test_verdict_tells_the_steps_where_both_converge():
    verdict = report.collect_comparison(*sides("+++", "+++")).verdict
    assert "On the 3 that converge with both, 50 steps on average instead of 100" in verdict
    assert "fewer on 3, more on 0, sign test p = 0.25" in verdict


@pytest.mark.parametrize(
    ("default", "tuned", "message"),
    [
        (MIXED, MIXED[1:], "1 starting points are on one side only, as fast"),
        (MIXED[:1], [replace(MIXED[0], noise_seed=43)], "one side only"),
        (MIXED + MIXED[:1], MIXED, "default records have a starting point twice"),
        ([], [], "no record to compare"),
    ],
)
def test_records_that_do_not_pair_are_refused(default, tuned, message):
    with pytest.raises(InputError, match=message):
        report.collect_comparison(default, tuned)


def test_comparison_table_has_a_row_per_criterion():
    table = report.comparison_table(report.collect_comparison(*sides("++----", "+-+++-")))
    assert table["criterion"].tolist() == [*AT_POINTS]
    assert table.loc[0, "tuned"] == "4 (67%)"
    assert table.loc[0, "tuned 95 %"] == "30% - 90%"
    assert table.loc[1, "tuned steps"] == "-"


@pytest.mark.parametrize("word", ["+-+", "---"])
def test_comparison_is_drawn(word, tmp_path):
    report.draw_comparison(report.collect_comparison(*sides(word, word))).savefig(
        tmp_path / "a.png"
    )


def test_comparison_without_steps_says_so():
    still = [replace(r, steps=0) for r in MIXED]
    assert "No search made a step" in texts(
        report.draw_comparison(report.collect_comparison(still, still))
    )
