"""Ways from reactant to product: levels, figure, table, sentence."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from gadlib import report
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.starting_points import Start
from gadlib.paths.records import PathRecord
from gadlib.screening.record_parts import Passed
from gadlib.screening.records import Record
from gadlib.solver.state import Status

START = Start("ring", "CHN", "", "idpp_rp", None, np.array([6, 1, 7]), np.eye(3), 1)


def step(low, top, high, change):
    return Passed("in steps", change, top, 900.0, top - low, high - low, [], [])


def found(*steps, verdict=Connection.IN_STEPS):
    record = Record.blank(START, Status.SADDLE, "Met.")
    return replace(record, verdict=str(verdict), passed=list(steps), n_gradient=40)


BOTH = found(step(-5.0, -3.0, -4.5, "H1 moves"), step(-4.5, -4.0, -6.0, "C0-N2 breaks"))


def test_levels_are_the_minima_and_saddles_in_order_from_the_reactant():
    route = report.collect_route(BOTH)
    assert route.names == ("reactant", "H1 moves", "minimum", "C0-N2 breaks", "product")
    assert route.energies == pytest.approx((0.0, 2.0, 0.5, 1.0, -1.0))
    assert route.is_saddle == (False, True, False, True, False)


def test_another_conformer_of_an_intermediate_is_a_level_of_its_own():
    other = found(BOTH.passed[0], step(-4.4, -4.0, -6.0, "C0-N2 breaks"))
    assert report.collect_route(other).energies == pytest.approx((0, 2, 0.5, 0.6, 1, -1))


def test_only_ends_that_are_reached_are_named():
    half = found(BOTH.passed[0], verdict=Connection.HALF)
    assert report.collect_route(half).names == ("minimum", "H1 moves", "minimum")


def test_the_figure_has_each_level_and_says_what_joins_them():
    ax = report.draw_route(BOTH)
    assert isinstance(ax.figure, Figure)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["reactant\n0.00", "2.00", "minimum\n0.50", "1.00", "product\n-1.00"]
    assert "H1 moves\nC0-N2 breaks" in ax.get_title()
    empty = report.draw_route(found(verdict=""))
    assert "ring: Met." in "".join(text.get_text() for text in empty.texts)


def test_the_table_has_a_row_for_each_saddle_and_for_what_was_not_found():
    table = report.found_table([BOTH, found(verdict="")])
    assert list(table["bonds"]) == ["H1 moves", "C0-N2 breaks", "Met."]
    assert list(table["back (eV)"]) == ["1.50", "2.00", "-"]
    assert report.found_sentence([BOTH, found(verdict="")]) == "Of 2 reactions: 1 in steps."
    assert report.found_sentence([]) == "No saddle was followed downhill."


def test_intended_saddles_without_a_barrier_to_compare_with_are_not_said_to_be_none():
    blank = PathRecord.failed(Record.blank(START, Status.SADDLE, ""), "")
    for verdict, told in (
        (Connection.INTENDED, "No barrier of a reference to compare with."),
        (Connection.UNINTENDED, "No saddle joins the reactant and the product."),
    ):
        figure = report.draw_verdicts([replace(blank, verdict=verdict)])
        left, right = figure.axes
        assert [text.get_text() for text in right.texts] == [told]
        assert all(float(tick).is_integer() for tick in left.get_xticks())
