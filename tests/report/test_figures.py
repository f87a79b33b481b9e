from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optuna
import pytest
import torch
from clusters import POTENTIAL, clusters
from little_reactions import write_h5
from little_studies import DEFAULTS, MIXED, make_study, random_study, record, texts

from gadlib import report
from gadlib.report.tuning import study as studies
from gadlib.screening import screen
from gadlib.settings.hyperparameters import GadHyperparameters
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


def test_trajectory_has_the_numbers_of_the_frames():
    frames = list(search(POTENTIAL, clusters(0), GadHyperparameters(), n_steps=5))
    mine = [(f.state, (f.state.index == 1).nonzero().flatten().tolist()) for f in frames]
    states = [(state, rows[0]) for state, rows in mine if rows]
    found = report.collect_trajectory(frames, index=1, name="cluster")
    assert found.steps.tolist() == list(range(len(states)))
    assert found.energy == pytest.approx([float(s.energy[i]) for s, i in states])
    assert found.max_force == pytest.approx([float(s.max_force[i]) for s, i in states])
    assert found.eigenvalues == pytest.approx(
        np.array([s.spectrum.eigenvalues[i, :2].tolist() for s, i in states])
    )
    assert found.order.tolist() == [int(s.order[i]) for s, i in states]
    assert found.time_step == pytest.approx([float(s.memory.time_step[i]) for s, i in states])
    assert len(report.draw_trajectory(found).axes) == 5


def test_trajectory_marks_escapes_and_does_without_time_steps():
    frames = list(search(POTENTIAL, clusters(0), GadHyperparameters(), n_steps=4))[:4]
    plain = [f._replace(state=replace(f.state, memory=None)) for f in frames]
    for i in (2, 3):
        state = plain[i].state
        plain[i] = plain[i]._replace(state=replace(state, escapes=torch.ones_like(state.escapes)))
    found = report.collect_trajectory(plain, index=int(plain[3].state.index[0]))
    assert found.escapes == (2,)
    assert found.time_step is None
    figure = report.draw_trajectory(found)
    assert len(figure.axes) == 4
    assert "escape" in texts(figure)


def test_point_that_could_not_be_computed_is_a_gap():
    frames = list(search(POTENTIAL, clusters(0), GadHyperparameters(), n_steps=0))
    state = frames[0].state
    failed = frames[0]._replace(state=replace(state, message=("no luck", "", "")))
    found = report.collect_trajectory([failed])
    assert math.isnan(found.energy[0])
    assert found.ending.endswith("no luck")
    assert "could be computed" in texts(report.draw_trajectory(found))


def test_trajectory_of_a_system_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="index 7"):
        report.collect_trajectory([], index=7)


def test_repeated_search_is_the_one_of_the_record(tmp_path):
    settings = ScreenSettings(
        h5_path=str(write_h5(tmp_path / "little.h5")), split="train", n_steps_per_sample=4,
        start_from="midpoint_rt_noise0.3A", workers=0,
    )  # fmt: skip
    wanted = screen.screen(settings)[1]
    found = report.repeat_search(wanted, settings)
    assert found.steps[-1] == wanted.steps
    assert found.energy[-1] == pytest.approx(wanted.energy, abs=1e-6)
    with pytest.raises(InputError, match="stranger"):
        report.repeat_search(replace(wanted, name="stranger"), settings)


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
    best = {"dt_max": 10**-1.5, "plateau_patience": 3, "escape_delta": 0.49}
    table = report.best_table(report.collect_trials(make_study((DEFAULTS, 0.1), (best, 0.2))))
    assert table["position"].tolist() == pytest.approx([0.5, 0.0, 0.978], abs=1e-3)
    assert table["edge"].tolist() == ["", "at lower edge: widen it", "at upper edge: widen it"]
    assert table["default"].tolist() == ["0.05", "5", "0.1"]
    assert table["hyperparameter"].iloc[0] == "dt_max (Å²/eV)"


@pytest.mark.parametrize(
    ("position", "expected"), [(0.05, "lower"), (0.051, ""), (0.949, ""), (0.95, "upper")]
)
def test_edge_is_within_five_percent_of_an_end(position, expected):
    assert studies.edge(position) == (f"at {expected} edge: widen it" if expected else "")


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
    index1, strict, bound = comparison.criteria
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
    assert table["criterion"].tolist() == ["index1", "strict", "bound"]
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
