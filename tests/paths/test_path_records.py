"""Paths as they are kept, and as files of earlier versions have them."""

from __future__ import annotations

from dataclasses import asdict

from little_searches import STARTS

from gadlib.files.writing import write_json
from gadlib.paths.records import FORMAT, PathRecord, read_paths
from gadlib.screening.records import Record
from gadlib.solver.state import Status


def test_words_of_earlier_files_are_read_with_atoms_from_0(tmp_path):
    words = {
        "change": "C1-H4 breaks, H5 moves from C1 to N12",
        "mode": "turns the O2 group at O2 about O2-C3",
        "reference_change": "no bond forms or breaks",
    }
    failed = PathRecord.failed(Record.blank(STARTS[0], Status.SADDLE, ""), "no")
    content = {"paths": [asdict(failed) | words]}
    (path,) = read_paths(write_json(tmp_path / "paths.json", content))
    assert path.change == "C0-H3 breaks, H4 moves from C0 to N11"
    assert path.mode == "turns the O2 group at O1 about O1-C2"
    assert path.reference_change == words["reference_change"]
    (path,) = read_paths(write_json(tmp_path / "paths.json", content | {"format": FORMAT}))
    assert path.change == words["change"]
