"""How far from its start a search has ended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadlib.molecules.geometries import Geometry
from gadlib.molecules.starting_points import at_geometry
from gadlib.screening.nearness import far_sentence, from_start
from gadlib.screening.records import Record
from gadlib.settings.criteria import NEAR_RISE
from gadlib.solver.state import PastTry, Status

WATER = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
START = at_geometry(
    Geometry(name="water", atomic_numbers=np.array([8, 1, 1]), positions=WATER), "own"
)
BOUND = {"index1": True, "strict": True, "bound": True}
CLIMBED = PastTry("climbing", "circles", 3, 4)
SETTLED = PastTry("settling", "scattered", 3, 4)
LAST = PastTry("climbing", "saddle", 3, 4)


def ended(positions=WATER, *, tries=(LAST,), criteria=BOUND, rise=0.0, converged=True) -> Record:
    blank = Record.blank(START, Status.SADDLE, "The criterion is met.")
    record = replace(
        blank, positions=positions.tolist(), tries=[*tries], criteria=dict(criteria),
        energy=rise, energy_start=0.0, converged=converged,
    )  # fmt: skip
    return from_start(record, START)


FAR = WATER + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 2.5]])


def test_a_turned_and_shifted_molecule_is_where_it_was():
    turned = WATER @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]).T + 3.0
    record = ended(turned)
    assert record.rmsd_start == pytest.approx(0, abs=1e-3) and record.bonds_changed == 0


@pytest.mark.parametrize("tries", [(LAST,), (SETTLED, LAST), (CLIMBED, LAST)])
def test_a_saddle_is_near_within_the_limits_whichever_try_found_it(tries):
    assert ended(tries=tries).near is True
    assert ended(tries=tries).message == "The criterion is met."
    assert ended(tries=tries, rise=NEAR_RISE + 0.1).near is False
    assert ended(FAR, tries=tries).near is False


def test_what_is_not_near_says_in_what_and_which_try_found_it():
    far = ended(FAR, tries=(CLIMBED, SETTLED, LAST))
    sentence = f"It is not near its start: {far.rmsd_start:.1f} A, 1 bond off (try 3)."
    assert far.message == f"The criterion is met. {sentence}" and far_sentence(far) == sentence
    high = ended(rise=NEAR_RISE + 0.1)
    assert far_sentence(high) == "It is not near its start: 0.0 A, 3.1 eV off."


def test_of_a_saddle_that_a_search_was_put_back_to_no_try_is_known():
    record = ended(FAR, converged=False)
    assert record.near is False and "in try" not in record.message


def test_bonds_that_the_reaction_itself_changes_do_not_count():
    start = replace(START, ends=(WATER, FAR))
    record = from_start(replace(ended(FAR), bonds_changed=None), start)
    assert record.bonds_changed == 0


def test_what_is_not_bound_is_not_near_and_where_nothing_is_known_neither_is_that():
    assert ended(criteria=BOUND | {"bound": False}).near is False
    assert ended(criteria=dict.fromkeys(BOUND)).near is None
    nothing = from_start(Record.blank(START, Status.BAD_START, "no"), START)
    assert (nothing.rmsd_start, nothing.bonds_changed, nothing.near) == (None, None, None)
