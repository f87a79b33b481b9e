from little_studies import MIXED

from gadlib import report


def test_costs_are_drawn():
    assert len(report.draw_costs(report.collect_costs(MIXED)).patches) == 10
