from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, replace

import numpy as np
import pytest
from little_reactions import geometries

from gadlib.files import writing
from gadlib.molecules.starting_points import Start
from gadlib.screening import records
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import PastTry, Status


@pytest.fixture
def record():
    numbers, (positions, *_) = geometries("H2O")
    return Record.blank(
        Start("a", "H2O", "val", "ts", None, numbers, positions, 1), Status.BAD_START, "Why."
    )


def test_records_come_back_from_their_file_as_they_were(tmp_path, record):
    path = writing.write_json(
        tmp_path / "r.json", records.payload(SearchSettings(split="val"), [record])
    )
    settings, found = records.read_records(path)
    assert found == [record]
    assert SearchSettings.read(settings) == SearchSettings(split="val")


TRIES = [
    PastTry("climbing", "circles", 34, 71),
    PastTry("climbing", "saddle", 9, 20),
]


def test_tries_come_back_from_their_file_and_old_files_have_none(record):
    values = asdict(replace(record, tries=TRIES))
    assert records.Record.read(json.loads(json.dumps(values))).tries == TRIES
    del values["tries"]
    assert records.Record.read(values).tries == []


@pytest.mark.parametrize(
    "wrong", ["none", [{"phase": "climbing"}], [3], [{**asdict(TRIES[0]), "steps": -1}]]
)
def test_tries_of_another_form_are_refused(record, wrong):
    with pytest.raises(InputError, match="tries"):
        records.Record.read(asdict(record) | {"tries": wrong})


def test_result_file_tells_settings_and_versions(tmp_path, record):
    content = records.payload(SearchSettings(), [record], more=1)
    assert list(content) == ["format", "settings", "versions", "more", "records"]
    assert content["settings"]["noise_seed"] == 42
    assert {"gadlib", "python", "torch", "optuna"} <= set(content["versions"])


def test_numbers_that_are_not_finite_are_written_as_null(tmp_path):
    path = writing.write_json(tmp_path / "n.json", {"a": [math.nan, math.inf, 1.5], "b": -math.inf})
    assert json.loads(path.read_text()) == {"a": [None, None, 1.5], "b": None}


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = writing.write_json(tmp_path / "r.json", {"a": 1})

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", no_room)
    with pytest.raises(InputError, match=r"r.json: can't be written \(No space left on device\)"):
        writing.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_content_that_is_no_json_never_touches_the_file(tmp_path):
    path = writing.write_json(tmp_path / "r.json", {"a": 1})
    with pytest.raises(TypeError):
        writing.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_folders_are_made_and_the_umask_says_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        path = writing.write_json(tmp_path / "a" / "b" / "r.json", [])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_folder_below_a_file_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^output folder .*/file/out: can't be written \(Not a"):
        writing.require_writable(tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"can't be read \(No such file"),
        ("{", "not JSON"),
        ("[]", "expected an object with settings and records"),
        ('{"settings": {}}', "expected an object with settings and records"),
    ],
)
def test_file_that_is_no_result_file_is_refused_with_its_name(tmp_path, content, told):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=f"^{path}: {told}"):
        records.read_records(path)


def test_record_that_lacks_fields_is_refused_and_further_ones_are_left_out(record):
    values = asdict(record)
    assert records.Record.read(values | {"from_the_future": 1}) == record
    del values["fmax"], values["order"]
    with pytest.raises(InputError, match="expected one as gadlib writes it; lacks order, fmax"):
        records.Record.read(values)


def test_records_of_format_1_keep_their_criteria(tmp_path, record):
    values = asdict(record)
    del values["criteria"]
    values |= {"index1": True, "strict": False, "bound": None}
    content = {"settings": {}, "records": [values]}
    _, (found,) = records.read_records(writing.write_json(tmp_path / "old.json", content))
    assert found.criteria == {"index1": True, "strict": False, "bound": None}
    assert (found.index1, found.strict, found.bound) == (True, False, None)
    assert [found.meets(name) for name in found.criteria] == [True, False, False]


def test_a_record_without_any_criterion_is_refused(record):
    values = asdict(record)
    del values["criteria"]
    with pytest.raises(InputError, match="lacks criteria"):
        records.Record.read(values)


def test_a_criterion_that_a_record_was_not_judged_by_is_not_met(record):
    assert not record.meets("one of the future")


@pytest.mark.parametrize(("number", "is_read"), [(0, False), (1, True), (2, True), (3, False)])
def test_formats_that_are_not_known_are_refused(tmp_path, record, number, is_read):
    content = records.payload(SearchSettings(), [record]) | {"format": number}
    path = writing.write_json(tmp_path / "r.json", content)
    if is_read:
        assert records.read_records(path)[1] == [record]
        return
    with pytest.raises(InputError, match=f"^{path}: format {number}; expected 1 .. 2, or a newer"):
        records.read_records(path)


def test_a_fault_of_a_record_is_told_with_its_file_and_place(tmp_path, record):
    content = records.payload(SearchSettings(), [record, record])
    content["records"][1]["positions"] = [[0.0, 0.0]]
    path = writing.write_json(tmp_path / "r.json", content)
    with pytest.raises(InputError, match=rf"^{path}: records\[1\] \('a'\): positions of 1 atoms"):
        records.read_records(path)


def test_an_old_record_of_a_point_that_is_not_stationary_is_no_saddle(record):
    met = {"index1": True, "strict": False, "bound": False}
    values = asdict(replace(record, status=str(Status.SADDLE), criteria=met))
    assert records.Record.read(values).status == Status.ORDER_ONE
    assert records.Record.read(values | {"criteria": met | {"strict": True}}).status == "saddle"


@pytest.mark.parametrize("name", ["forces", "mode"])
def test_vectors_are_of_the_atoms_and_old_records_have_none(record, name):
    values = asdict(record)
    assert records.Record.read({k: v for k, v in values.items() if k != name}) == record
    with pytest.raises(InputError, match=f"{name} of 1 atoms; expected three numbers for each of"):
        records.Record.read(values | {name: [[0.0, 0.0, 0.0]]})


def test_record_of_an_anion_is_read_again():
    start = Start("OH", "HO", "", "given", None, np.array([8, 1]), np.eye(3)[:2], 1, charge=-1)
    record = Record.blank(start, Status.BAD_START, "Why.")
    assert Record.read(asdict(record)).charge == -1
