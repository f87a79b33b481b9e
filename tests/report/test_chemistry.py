"""Failures by kind, on records whose failures are known to follow an element."""

from dataclasses import replace

import numpy as np
import pytest
from little_studies import record, texts

from gadlib import report
from gadlib.molecules import reactions
from gadlib.molecules.starting_points import starts
from gadlib.screening.records import Record
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status

SETTINGS = SearchSettings(split="all", max_samples=100)
STARTS = starts(reactions.read(None, split="all"), "ts")


def searched(fails):
    """A record of each embedded reaction, which failed where `fails` of its atoms says so."""
    return [
        replace(
            Record.blank(start, Status.SADDLE, ""),
            converged=not fails(start.atomic_numbers),
        )
        for start in STARTS
    ]


NITROGEN = searched(lambda numbers: 7 in numbers)


def test_the_groups_that_fail_are_told_and_what_goes_with_them_is_not_hidden():
    found = report.collect_chemistry(NITROGEN, SETTINGS)
    groups = {(g.what, g.label): g for g in found.groups}
    nitrogen = groups["element", "N"]
    assert nitrogen.failed.fraction == 1.0 and nitrogen.p < 1e-6
    assert groups["element", "only C, H"].failed.fraction == 0.0
    assert "element N (100 %" in found.sentence
    assert found.failed.n == len(NITROGEN)


def test_by_chance_no_group_fails_more_often():
    generator = np.random.default_rng(1)
    found = report.collect_chemistry(searched(lambda _: generator.random() < 0.3), SETTINGS)
    assert "no group of molecules fails significantly more often" in found.sentence


def test_reactions_tell_bonds_and_pieces_and_geometries_of_ones_own_do_not():
    own, known = (report.collect_chemistry(NITROGEN, each) for each in (None, SETTINGS))
    properties = {group.what for group in known.groups}
    assert {"atoms", "element", "rings", "bonds that change", "change of"} <= properties
    assert {group.what for group in own.groups} == {"atoms", "element", "rings"}
    (changed,) = [g for g in known.groups if (g.what, g.label) == ("change of", "C-H")]
    assert 0 < changed.failed.n < len(NITROGEN)


def test_groups_are_drawn_with_their_numbers_and_listed():
    found = report.collect_chemistry(NITROGEN, SETTINGS)
    told = texts(report.draw_chemistry(found).figure)
    assert f"element: N ({len([r for r in NITROGEN if 7 in r.atomic_numbers])})" in told
    assert len(report.chemistry_table(found)) == len(found.groups)


@pytest.mark.parametrize("records", [[], [record("a", 3)], [record("a", 3), record("b", 4)]])
def test_too_few_records_are_a_sentence(records):
    found = report.collect_chemistry(records)
    assert not found.groups and len(report.chemistry_table(found)) == 0
    assert texts(report.draw_chemistry(found).figure) and found.sentence
