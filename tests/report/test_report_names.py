"""What `gadlib.report` offers."""

import inspect

import pytest

from gadlib import report


def test_every_name_of_the_stub_is_offered_and_explains_itself():
    assert dir(report) == report.__all__
    for name in report.__all__:
        offered = getattr(report, name)
        assert offered.__name__ == name
        assert inspect.getdoc(offered)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="draw_conclusions"):
        _ = report.draw_conclusions
