"""Best values that lie at an end of their ranges, and what is said of them."""

import json

import pytest
from little_studies import DEFAULTS, make_study, random_study, stored
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from gadlib import report
from gadlib.cli.parser import main
from gadlib.files.shapes import StudyKept, fit
from gadlib.report.page.document import Material, page
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.tuning.content import collect_results
from gadlib.tuning.ranges import Range, at_ends, ends_told, read_at_ends
from gadlib.tuning.status import read_status

AT_ENDS = {"dt_max": 0.0999, "plateau_patience": 3, "escape_delta": 0.3}
"""Of `little_studies.SPACE`: at the upper end, at the lower one, inside."""


@pytest.mark.parametrize(
    ("value", "end"), [(0.0199, "lower"), (0.021, ""), (0.979, ""), (0.9801, "upper")]
)
@pytest.mark.parametrize("is_log", [False, True])
def test_a_value_within_two_percent_of_its_range_lies_at_that_end(value, end, is_log):
    found = Range("x", 1.0, 100.0, True) if is_log else Range("x", 0.0, 1.0, False)
    assert found.end_of(100.0**value if is_log else value) == end


def test_a_range_of_one_value_has_no_ends():
    assert Range("x", 2.0, 2.0, False).end_of(2.0) == ""
    assert Range("x", 2.0, 2.0, False).wider("upper") is None


@pytest.mark.parametrize(
    ("low", "high", "log", "end", "expected"),
    [
        (1.0, 100.0, True, "lower", (0.1, 100.0)),
        (1.0, 100.0, True, "upper", (1.0, 1000.0)),
        (1.0, 3.0, False, "upper", (1.0, 4.0)),
        (1.0, 3.0, False, "lower", (0.0, 3.0)),
    ],
)
def test_a_wider_range_has_half_of_its_width_more(low, high, log, end, expected):
    assert Range("x", low, high, log).wider(end) == pytest.approx(expected)


def test_a_wider_range_stays_within_the_limits_and_in_whole_numbers():
    (patience,) = (k for k in GadHyperparameters.tunable() if k.name == "plateau_patience")
    low = Range("plateau_patience", patience.low, patience.high, False)
    assert low.wider("lower") == (patience.least, patience.high)
    assert Range("plateau_patience", patience.least, 9, False).wider("lower") is None
    assert Range("plateau_patience", 3, 8, False).wider("upper") == (3, 11)


@pytest.fixture
def study(tmp_path):
    """A study in a file whose best values lie at two ends."""
    found = make_study((DEFAULTS, 0.1), (AT_ENDS, 0.5))
    stored(found, f"sqlite:///{tmp_path / 'study.db'}")
    return found


SENTENCES = (
    "dt_max (0.0999) lies at the upper end of its range (0.01 .. 0.1): --range dt_max=0.01:0.316"
    " widens it",
    "plateau_patience (3) lies at the lower end of its range (3 .. 20): --range"
    " plateau_patience=1:20 widens it",
)


def test_values_at_ends_are_told_wherever_the_best_ones_are(study, tmp_path, capsys):
    best = study.best_trial
    assert ends_told(at_ends(best)) == f"{SENTENCES[0]}. {SENTENCES[1]}."
    content = collect_results(study)
    assert [(one["name"], one["end"], one["wider"]) for one in content["best_at_ends"]] == [
        ("dt_max", "upper", [0.01, 0.316]),
        ("plateau_patience", "lower", [1, 20]),
    ]
    read = fit(StudyKept, json.loads(json.dumps(content)), "here")
    assert ends_told(read_at_ends(read)) == f"{SENTENCES[0]}. {SENTENCES[1]}."
    assert "; ".join(SENTENCES) in str(read_status(study))
    assert SENTENCES[0] in report.study_summary([study])
    shown = page(Material([study], [], [], None, [], {}, ""))
    assert all(sentence in shown for sentence in SENTENCES)
    where = ["--storage", f"sqlite:///{tmp_path / 'study.db'}"]
    for command in (["status", *where], ["results", *where, "--out-dir", str(tmp_path / "out")]):
        assert main(command) == 0
        assert SENTENCES[1] in capsys.readouterr().out


def test_nothing_is_told_of_values_inside_their_ranges():
    inside = random_study(5)
    assert at_ends(inside.best_trial) == at_ends(None) == ()
    assert "their ends" not in str(read_status(inside))
    assert "well inside" in report.ends_sentence(inside)
    assert "No trial has come" in report.ends_sentence(make_study())
    assert collect_results(inside)["best_at_ends"] == []
    assert collect_results(make_study())["best_at_ends"] == []


def test_words_have_no_ends_and_numbers_that_act_under_some_words_do():
    trial = create_trial(
        params={"proof": "products", "probe_every": 1.0, "x": 2.5},
        distributions={
            "proof": CategoricalDistribution(["products", "hessian"]),
            "probe_every": FloatDistribution(1.0, 20.0),
            "x": FloatDistribution(2.5, 9.0),
        },
        value=1.0,
    )
    limited, at = at_ends(trial)
    assert str(limited).startswith("probe_every (1) lies at the lower end of its range (1 .. 20)")
    assert str(limited).endswith(", and may not go further")
    assert "x (2.5) lies at the lower end of its range (2.5 .. 9)" in str(at)
    assert "x (2) lies beyond the lower end" in str(at._replace(value=2.0))
