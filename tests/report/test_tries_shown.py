"""Tries in words: in the failure table, in the figure of endings, in a table of their own."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from little_studies import MIXED, texts

from gadlib import report
from gadlib.report.searches.tries import count_given_up
from gadlib.solver.state import PastTry, Status
from gadlib.solver.trust.phases import Ending

CIRCLES = PastTry("climbing", "circles", 34, 71)
TOO_HIGH = PastTry("climbing", "too_high", 12, 20)
SADDLE = PastTry("climbing", "saddle", 9, 15)
OUT = PastTry("settling", "out_of_steps", 80, 80)
FOUND = replace(MIXED[1], tries=[CIRCLES, SADDLE])
FAILED = replace(MIXED[2], tries=[CIRCLES, TOO_HIGH, OUT])


@pytest.fixture(autouse=True)
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


def test_tries_are_a_sentence_with_the_one_that_succeeded_last():
    assert report.tries_sentence(FOUND) == (
        "try 1: climbing, circles after 34 steps; try 2: climbing, saddle after 9 steps"
    )
    assert report.tries_sentence(MIXED[0]) == ""


def test_tries_table_has_a_row_for_each_try_and_says_why_it_ended():
    table = report.tries_table([FOUND, MIXED[0], FAILED])
    assert table["reaction"].tolist() == ["slow"] * 2 + ["open"] * 3
    assert table["try"].tolist() == [1, 2, 1, 2, 3]
    assert table["ending"].tolist() == [
        Ending.CIRCLES.sentence,
        Status.SADDLE.sentence,
        Ending.CIRCLES.sentence,
        Ending.TOO_HIGH.sentence,
        Status.OUT_OF_STEPS.sentence,
    ]
    assert table["gradients"].tolist() == [71, 15, 71, 20, 80]
    assert report.tries_table(MIXED).empty


def test_an_ending_that_this_version_does_not_know_is_shown_in_its_own_words():
    later = replace(FOUND, tries=[PastTry("climbing", "went_home", 1, 1)])
    assert report.tries_table([later])["ending"].tolist() == ["went home"]


def test_only_tries_that_were_followed_by_another_count_as_given_up():
    assert count_given_up([FOUND, FAILED]) == {"circles": 2, "too high": 1}
    assert count_given_up(MIXED) == {}


def test_failures_say_what_was_tried_where_a_solver_makes_tries():
    table = report.failure_table([FAILED, MIXED[3]])
    assert table["tries"].tolist() == [report.tries_sentence(FAILED), ""]
    assert "tries" not in report.failure_table(MIXED)


def test_why_tries_were_given_up_is_drawn_beside_how_searches_ended():
    figure = report.draw_endings(report.collect_endings([FOUND, FAILED]))
    ax = figure.axes[2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["circles", "too high"]
    assert [bar.get_width() for bar in ax.patches] == [2, 1]
    assert "Why tries were given up" in texts(figure)
    assert len(report.draw_endings(report.collect_endings(MIXED)).axes) == 2
