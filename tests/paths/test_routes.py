"""Steps put together: routes from reactant to product, turned steps, gaps."""

from dataclasses import replace

import numpy as np
import pytest

from gadlib.molecules.endpoints import Connection
from gadlib.molecules.starting_points import Start
from gadlib.paths.found import worth_trying
from gadlib.paths.routes import Landscape, Minimum, in_steps, turned
from gadlib.screening.record_parts import Passed
from gadlib.screening.records import Record
from gadlib.solver.state import Status

NUMBERS = np.array([6, 14, 8, 7, 1])
HEAVY = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5]], dtype=float)
ENERGY = (0.0, 0.3, 0.2, -0.5)


def at(k):
    """Four atoms far from each other, hydrogen at the k-th: another molecule for each."""
    return np.vstack([HEAVY, HEAVY[k] + 0.6])


def minimum(k):
    return Minimum.at(NUMBERS, at(k), ENERGY[k])


def step(k, m, top):
    """The record of a saddle of that energy from the k-th to the m-th molecule."""
    start = Start("a", "", "", "idpp_rp", None, NUMBERS, at(k), 4)
    barrier, change = top - ENERGY[k], ENERGY[m] - ENERGY[k]
    ends = [at(k).tolist(), at(m).tolist()]
    passed = Passed("half intended", "", top, 500.0, barrier, change, ends[0], ends)
    return replace(Record.blank(start, Status.SADDLE, ""), passed=[passed])


def test_steps_found_in_whatever_order_and_direction_make_a_route():
    land = Landscape(minimum(0), minimum(3))
    for record in (step(3, 2, 1.0), step(1, 2, 1.5)):
        land = land.with_step(record)
        assert land.route == []
    land = land.with_step(step(0, 1, 1.2))
    route = land.route
    assert [round(r.passed[0].barrier, 6) for r in route] == [1.2, 1.2, 0.8]
    assert [r.passed[0].ends[1] for r in route] == [at(k).tolist() for k in (1, 2, 3)]
    whole = in_steps(route, "Met.")
    assert whole.verdict == Connection.IN_STEPS
    assert whole.message == (
        "Met. The reaction goes in three steps, over 2 intermediates; this is the highest saddle."
    )
    assert [p.energy for p in whole.passed] == [1.2, 1.5, 1.0]
    assert whole.passed[2].change == "H4 moves from O2 to N3"


def test_the_shortest_route_is_taken_and_none_is_longer_than_three_steps():
    long = [step(0, 1, 1.0), step(1, 2, 1.0), step(2, 3, 1.0)]
    land = Landscape(minimum(0), minimum(3), tuple(long))
    assert len(land.route) == 3
    assert len(land.with_step(step(3, 1, 2.0)).route) == 2
    bent = np.vstack([HEAVY, [2.5, 2.5, 2.5]])
    alone = Minimum.at(NUMBERS, bent, 0.0)
    assert Landscape(minimum(0), alone, tuple(long)).route == []


def test_a_reaction_whose_ends_are_alike_has_no_route_over_something_else():
    land = Landscape(minimum(0), minimum(0), (step(0, 1, 1.0),))
    assert land.route == []


def test_the_gap_lies_between_what_was_reached_from_either_side():
    land = Landscape(minimum(0), minimum(3))
    assert land.gap() == (land.reactant, land.product)
    land = land.with_step(step(0, 1, 1.0)).with_step(step(3, 2, 1.0))
    one, other = land.gap()
    assert land.is_one(one, minimum(1))
    assert land.is_one(other, minimum(2))
    assert other.energy == pytest.approx(ENERGY[2])


def test_a_step_turned_twice_is_itself():
    record = turned(step(0, 3, 1.0))
    assert record.passed[0].barrier == pytest.approx(1.5)
    assert record.passed[0].reaction_energy == pytest.approx(0.5)
    again = turned(turned(record))
    assert again.passed[0].barrier == pytest.approx(record.passed[0].barrier)
    assert again.passed[0].change == record.passed[0].change == "H4 moves from N3 to C0"


def judged(record, verdict, energy=0.0):
    return replace(record, verdict=str(verdict), energy=energy)


def test_saddles_below_that_join_neither_end_are_not_worth_trying():
    bad = judged(step(1, 2, 1.0), Connection.UNINTENDED)
    same = judged(step(1, 1, 1.0), Connection.NO_REACTION)
    half = judged(step(0, 1, 1.0), Connection.HALF)
    land = Landscape(minimum(0), minimum(3), (bad, same, half))
    assert worth_trying(land) == [half]
    assert worth_trying(Landscape(minimum(0), minimum(3), (bad, same))) == []


def test_those_of_the_route_are_tried_first_whatever_else_is_known_of_them():
    way = [judged(step(0, 1, 1.0), Connection.HALF), judged(step(1, 3, 1.0), Connection.UNINTENDED)]
    other = judged(step(0, 2, 1.0), Connection.HALF)
    land = Landscape(minimum(0), minimum(3), (other, *way))
    assert worth_trying(land) == [*way, other]
