"""How near to their starts searches have ended, in a sentence and a table."""

from __future__ import annotations

from dataclasses import replace

from little_searches import record_of

from gadlib import report

BOUND = {"index1": True, "strict": True, "bound": True}


def bound(name: str, *, near: bool | None, rmsd: float):
    record = replace(record_of(9), name=name)
    return replace(record, criteria=BOUND, near=near, rmsd_start=rmsd, bonds_changed=3,
                   energy=2.0, energy_start=-1.5)  # fmt: skip


def test_bound_saddles_that_are_not_near_are_listed_with_their_distance_the_farthest_first():
    records = [
        bound("a", near=True, rmsd=0.1), bound("b", near=False, rmsd=0.9),
        bound("c", near=False, rmsd=1.4), replace(bound("d", near=None, rmsd=2.0), criteria={}),
    ]  # fmt: skip
    table = report.nearness_table(records)
    assert table["reaction"].tolist() == ["c", "b"]
    assert table["RMSD (Å)"].tolist() == [1.4, 0.9]
    assert table["bonds changed"].tolist() == [3, 3]
    assert table["above the start (eV)"].tolist() == [3.5, 3.5]
    said = report.nearness_sentence(records)
    assert said.startswith("3 of 4 searches end at a bound saddle, 1 of them near the start")


def test_of_records_that_do_not_tell_nothing_is_claimed():
    assert "is it known" in report.nearness_sentence([bound("a", near=None, rmsd=0.1)])
    assert not len(report.nearness_table([]))
