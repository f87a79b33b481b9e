"""Gains of several studies on reactions that no trial has seen: from races, or validations."""

from dataclasses import asdict

import pytest
from little_studies import DEFAULT, WORSE, make_study, write_studies
from optuna.trial import create_trial

from gadlib import report
from gadlib.report.page.document import _seeds
from gadlib.report.page.gather import gather
from gadlib.settings.results import ReportSettings
from gadlib.tuning.raced import Race


def raced(gain):
    study = make_study()
    study.add_trial(create_trial(value=0.5))
    race = Race(0, ["a", "b"], {"0": 2}, {"0": {"converged": 1.0}}, 0.9, gain, n_completed=1)
    study.set_user_attr("race", asdict(race))
    return study


def test_gains_of_races_stand_side_by_side():
    better, open_ = raced({"converged": [0.3, 0.1, 0.5]}), raced({"converged": [0.1, -0.1, 0.2]})
    worse = raced({"converged": [-0.2, -0.3, -0.1]})
    found = report.collect_held_out([better, open_, worse, make_study()])
    assert report.held_out_sentence(found) == (
        "Gains over the defaults on reactions that no trial has seen, of 3 of 4 studies: converged"
        " +0.3, +0.1, -0.2, clearly better in 1 of 3 and clearly worse in 1 (95 % intervals)."
    )
    table = report.held_out_table(found)
    assert table["measured by"].tolist() == ["race", "race", "race", "nothing"]
    assert table["gain in converged"].tolist()[0] == "+0.3 (+0.1 to +0.5)"
    assert table["gain in converged"].tolist()[3] == "-"


def test_a_validation_of_each_goes_before_races():
    study = raced({"converged": [0.3, 0.1, 0.5]})
    (found,) = report.collect_held_out([study], [(DEFAULT, WORSE)])
    assert (found.source, found.n_reactions) == ("validation", 4)
    mean, low, high = found.gains["converged"]
    assert mean == 0 and low < 0 < high  # one gained, one lost
    (same,) = report.collect_held_out([study], [(DEFAULT, DEFAULT)])
    mean, low, high = same.gains["converged"]
    assert mean == 0 and low == pytest.approx(-high, abs=0.02)  # four pairs say little


def test_too_few_validations_are_passed_over_and_nothing_is_told_of_nothing():
    studies = [make_study(), make_study()]
    found = report.collect_held_out(studies, [(DEFAULT, WORSE)])
    assert "Of no study is a gain known" in report.held_out_sentence(found)


@pytest.mark.parametrize(("n", "told"), [(1, "Of no study is a gain known"), (2, "in 0 of 2")])
def test_the_page_takes_a_validation_of_each_study(tmp_path, n, told):
    folder = write_studies(tmp_path)
    storages = ",".join(f"sqlite:///{folder / name}.db" for name in ("one", "two"))
    validation = ", ".join([str(folder)] * n)
    material = gather(ReportSettings(storage=storages, validation=validation), "report")
    assert not material.notes and len(material.default) == 4
    assert told in " ".join(_seeds(material))
