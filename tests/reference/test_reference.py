"""Whole searches go as they went when tests/reference was written."""

import json
from pathlib import Path

import pytest

pytest.importorskip("scine_sparrow")

from reference.make_gad_sparrow import courses

STORED = json.loads(Path(__file__).with_name("gad_sparrow.json").read_text())


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    return {course["molecule"]: course for course in courses()}


def test_the_stored_searches_are_of_many_lengths_and_without_escapes():
    courses_ = STORED["courses"]
    assert len({len(course["orders"]) for course in courses_}) >= 6
    assert {course["escapes"] for course in courses_} == {0}


@pytest.mark.parametrize("stored", STORED["courses"], ids=lambda course: course["molecule"])
def test_gad_with_dftb0_goes_as_it_went(stored, found):
    course = found[stored["molecule"]]
    for name in ("status", "orders", "escapes"):
        assert course[name] == stored[name]
    for place, tolerance in (("start", 1e-6), ("end", 1e-4)):
        assert course[place]["energy"] == pytest.approx(stored[place]["energy"], abs=tolerance)
        expected = pytest.approx(stored[place]["eigenvalues"], abs=tolerance, rel=tolerance)
        assert course[place]["eigenvalues"] == expected
