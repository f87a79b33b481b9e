"""Saddles between ends, sought on a cheap potential first; the ways down from a file likewise."""

import json

import pytest

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.cli.parser import main
from gadlib.paths.comparison import measure_reference
from gadlib.paths.find import find
from gadlib.paths.records import read_paths
from gadlib.paths.references import Known
from gadlib.screening.records import read_records

pytest.importorskip("scine_sparrow")

NAME = "rxn0062"
PM6 = {"scine_functional": "PM6", "cheap": "scine:DFTB0"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The result file of a saddle of PM6 found on DFTB0 first."""
    out = tmp_path_factory.mktemp("find") / "saddle.json"
    find(only=NAME, solver="delta", workers=0, out=out, **PM6)
    return out


def test_the_costly_potential_is_asked_for_ends_search_and_proof_alone(file):
    (record,) = read_records(file)[1]
    assert record.verdict == "intended" and record.bound
    assert record.n_end == 2 and record.n_image == 0
    assert record.n_gradient <= 15
    assert record.n_path_gradient <= 30 and record.n_path_hessian == 0


def test_the_record_tells_how_far_its_saddle_is_from_that_of_the_cheap_potential(file):
    (record,) = read_records(file)[1]
    assert "on the cheap potential first" in record.message


def test_saddles_of_a_file_are_followed_with_its_cheap_potential(file, tmp_path, capsys):
    assert main(["irc", str(file), "--out-dir", str(tmp_path)]) == 0
    assert "cheap 'scine:DFTB0'" in capsys.readouterr().err
    (path,) = read_paths(tmp_path / "paths.json")
    (record,) = read_records(file)[1]
    assert path.verdict == "intended"
    assert path.n_hessian == 0 and path.n_gradient <= 30
    assert path.thermochemistry == []
    assert path.barrier == pytest.approx(record.passed[0].barrier, abs=2e-3)
    assert json.loads((tmp_path / "paths.json").read_text())["settings"]["cheap"] == "scine:DFTB0"


def test_references_are_not_computed_with_a_costly_potential(file):
    (record,) = read_records(file)[1]

    def never(*_, **__):
        raise AssertionError("it was asked")

    calculator = Paired(never, get("scine", functional="DFTB0"))
    assert measure_reference(calculator, record, Known()) == {}
