"""What is written for other programs is read back as it was, by ASE, by pandas and here."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from gadlib.cli.parser import main
from gadlib.files.writing import write_json
from gadlib.molecules import geometries
from gadlib.molecules.starting_points import from_atoms
from gadlib.paths.atoms import ENDS, frames_of, write_paths
from gadlib.paths.frequencies import FrequencyRecord
from gadlib.paths.records import PathRecord
from gadlib.paths.thermochemistry import Thermochemistry
from gadlib.report.exchange.export import export
from gadlib.screening.records import Record, payload, read_records
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status
from gadlib.units import ANGSTROM_PER_BOHR

NUMBERS = [6, 7, 1]
PLACES = [[0.0, 0.0, 0.0], [1.17, 0.01, 0.0], [0.3, 1.2, 0.000012]]
MODE = [[0.1, 0.0, 0.0], [-0.2, 0.3, 0.0], [0.4, -0.8, 0.05]]


def record(name: str = "a", **changes) -> Record:
    [start] = from_atoms([Atoms(NUMBERS, PLACES, info={"name": name})])
    known = {
        "criteria": {"index1": True, "strict": True, "bound": name != "loose"},
        "imaginary_cm1": 1167.2109,
        "eigenvalues": [-5.01, 2.0],
        "order": 1,
        "energy": -123.456789012,
        "fmax": 0.004,
        "forces": [[0.001, -0.002, 0.003], [0.0, 0.0, 0.0], [0.0, 0.0, 1e-7]],
        "mode": MODE,
    }
    return replace(Record.blank(start, Status.SADDLE, "Met."), **(known | changes))


def failed(name: str = "none") -> Record:
    [start] = from_atoms([Atoms(NUMBERS, PLACES, info={"name": name})])
    return Record.blank(start, Status.BAD_START, "Why, and\nwhy.")


def path_record(name: str = "p", **changes) -> PathRecord:
    points = [[[x + 0.1 * k for x in row] for row in PLACES] for k in range(5)]
    known = {
        "imaginary_cm1": 812.5,
        "energy": -50.0,
        "travelled": [-2.0, -1.0, 0.0, 1.0, 2.5],
        "energies": [-1.0, -0.5, 0.0, -0.25, -2.0],
        "positions": points,
        "atomic_numbers": NUMBERS,
        "saddle": points[2],
        "ends": [points[0], points[4]],
    }
    return PathRecord(name, "CHN", "", "own", "no reference", "", **(known | changes))


@pytest.fixture
def searched(tmp_path):
    content = payload(SearchSettings(), [record(), failed(), record("loose"), record("b c/d")])
    return write_json(tmp_path / "found.json", content)


@pytest.fixture
def followed(tmp_path):
    lost = PathRecord("q", "CHN", "", "own", "failed", "Why.")
    paths = [asdict(path_record()), asdict(lost), asdict(path_record("r"))]
    return write_json(tmp_path / "paths.json", {"format": 2, "settings": {}, "paths": paths})


@pytest.mark.parametrize("kind", ["xyz", "extxyz"])
def test_geometries_are_read_back(searched, kind):
    done = export(searched, to=kind)
    assert (done.n_results, done.files) == (3, [searched.with_suffix(f".{kind}")])
    assert done.left_out == ["none has no point that was computed"]
    frames = ase.io.read(done.files[0], ":", format="extxyz")
    assert [atoms.info["name"] for atoms in frames] == ["a", "loose", "b c/d"]
    for atoms in frames:
        assert atoms.get_chemical_symbols() == ["C", "N", "H"]
        np.testing.assert_allclose(atoms.positions, PLACES, atol=1e-8)
        assert atoms.get_potential_energy() == pytest.approx(-123.456789012, abs=1e-9)
        assert (atoms.info["charge"], atoms.info["multiplicity"]) == (0, 1)
    own = geometries.read(done.files[0])
    assert [(one.name, one.problem) for one in own] == [(n, "") for n in ("a", "loose", "b c/d")]
    np.testing.assert_allclose(own[0].positions, PLACES, atol=1e-8)


def test_plain_xyz_has_four_columns(searched):
    lines = export(searched, to="xyz", name="a").files[0].read_text().splitlines()
    assert lines[0] == "3" and [len(line.split()) for line in lines[2:]] == [4, 4, 4]


def section(text: str, name: str) -> list[str]:
    """The lines of a section of a Molden file."""
    return text.split(f"[{name}]")[1].split("[")[0].strip().splitlines()


def test_molden_has_one_molecule_in_a_file_with_its_mode_in_bohr(searched):
    done = export(searched, to="molden")
    assert [path.name for path in done.files] == [
        *("found-a.molden", "found-loose.molden", "found-b_c_d.molden")
    ]
    text = done.files[0].read_text()
    assert text.startswith("[Molden Format]\n")
    rows = [line.split() for line in section(text, "Atoms")[1:]]
    assert [row[:3] for row in rows] == [["C", "1", "6"], ["N", "2", "7"], ["H", "3", "1"]]
    np.testing.assert_allclose(np.array(rows)[:, 3:].astype(float), PLACES, atol=1e-8)
    assert "[Atoms] Angs\n" in text
    assert float(section(text, "FREQ")[0]) == pytest.approx(-1167.2109, abs=0.01)
    in_bohr = np.array([line.split()[1:] for line in section(text, "FR-COORD")], dtype=float)
    np.testing.assert_allclose(in_bohr * ANGSTROM_PER_BOHR, PLACES, atol=1e-7)
    head, *mode = section(text, "FR-NORM-COORD")
    assert head == "vibration 1"
    np.testing.assert_allclose(np.array([row.split() for row in mode], float), MODE, atol=1e-8)


def test_molden_of_a_point_without_an_exact_hessian_is_left_out_and_said(tmp_path):
    blind = record("blind", mode=[], eigenvalues=[None, None], order=None, imaginary_cm1=None)
    path = write_json(tmp_path / "r.json", payload(SearchSettings(), [blind, record()]))
    done = export(path, to="molden")
    assert done.left_out == ["blind has no normal mode in it"]
    assert "1 result in" in done.sentence and "1 left out: blind has no" in done.sentence
    with pytest.raises(InputError, match="nothing to write as molden: blind has no normal mode"):
        export(path, to="molden", name="blind", out=tmp_path / "other.molden")


def test_a_table_has_all_fields_with_their_numbers(searched):
    table = pd.read_csv(export(searched, to="csv").files[0])
    records = read_records(searched)[1]
    fields = {*asdict(records[0])} - {"criteria"} | {*CRITERIA}
    assert set(table.columns) == fields
    assert table["name"].tolist() == [r.name for r in records]
    assert table["message"].tolist()[1] == "Why, and\nwhy."
    for row, one in zip(table.to_dict("records"), records, strict=True):
        assert json.loads(row["positions"]) == one.positions
        assert json.loads(row["forces"]) == one.forces
        assert one.energy is None or row["energy"] == one.energy


def test_paths_are_written_with_energy_and_length_at_each_point(followed):
    [file] = export(followed, to="extxyz", name="p").files
    frames = ase.io.read(file, ":")
    assert [a.info["point"] for a in frames] == [
        *("first end", "path", "saddle", "path", "second end")
    ]
    assert [a.info["path_length"] for a in frames] == [-2.0, -1.0, 0.0, 1.0, 2.5]
    assert [a.get_potential_energy() for a in frames] == [-51.0, -50.5, -50.0, -50.25, -52.0]
    assert frames[2].info["imaginary_cm1"] == 812.5
    for atoms, place in zip(frames, path_record().positions, strict=True):
        np.testing.assert_allclose(atoms.positions, place, atol=1e-8)
    assert len(geometries.read(file)) == 5


def test_molden_of_a_path_has_its_points_and_energies(followed):
    done = export(followed, to="molden")
    assert [path.name for path in done.files] == ["paths-p.molden", "paths-r.molden"]
    text = done.files[0].read_text()
    assert [float(e) for e in section(text, "GEOCONV")[1:]] == [-51.0, -50.5, -50.0, -50.25, -52.0]
    assert section(text, "GEOMETRIES")[0].strip() == "XYZ"
    assert len(section(text, "GEOMETRIES")) == 1 + 5 * 5


def test_paths_and_ends_stand_beside_their_result_file(tmp_path):
    write_paths(tmp_path / "paths.json", [path_record(), path_record("r")])
    assert len(ase.io.read(tmp_path / "paths.extxyz", ":")) == 10
    ends = ase.io.read(tmp_path / ENDS, ":")
    assert [atoms.info["name"] for atoms in ends] == [
        *("p first end", "p second end", "r first end", "r second end")
    ]
    assert [atoms.get_potential_energy() for atoms in ends[:2]] == [-51.0, -52.0]


def test_an_older_path_has_its_ends_and_saddle(tmp_path):
    frames = frames_of(path_record(positions=[], energy=None))
    assert [atoms.info["path_length"] for atoms in frames] == [-2.0, 0.0, 2.5]
    assert [atoms.info["relative_energy"] for atoms in frames] == [-1.0, 0.0, -2.0]
    assert frames[0].calc is None


def test_only_what_meets_a_criterion_is_written_where_that_is_asked(searched):
    assert export(searched, to="xyz", criterion="bound").n_results == 2


def test_nothing_that_is_there_is_overwritten(searched):
    [file] = export(searched, to="xyz").files
    before = file.read_text()
    with pytest.raises(InputError, match=r"found\.xyz exists; choose another name \(--out\)"):
        export(searched, to="xyz", criterion="bound")
    assert file.read_text() == before
    export(searched, to="molden", name="b c/d", out=searched.with_name("x-a.molden"))
    with pytest.raises(InputError, match=r"x-a\.molden exists"):
        export(searched, to="molden", out=searched.with_name("x.molden"))
    assert not searched.with_name("x-loose.molden").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "no --to: expected one of xyz, extxyz, molden, csv"),
        ({"to": "pdb"}, "--to 'pdb': expected one of xyz, extxyz, molden, csv"),
        ({"to": "xyz", "out": "a.csv"}, "a.csv: xyz goes into it; expected a name ending in .xyz"),
        ({"to": "xyz", "criterion": "best"}, "criterion 'best': expected one of index1, strict"),
        ({"to": "xyz", "name": "z"}, "name 'z': none in .*; expected one of a; none; loose; b c/d"),
        ({"to": "xyz", "name": "none"}, "nothing to write as xyz: none has no point that was"),
        ({"to": "csv", "what": 1}, "what: unknown setting"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_a_sentence(searched, given, sentence):
    with pytest.raises(InputError, match=sentence):
        export(searched, **given)
    assert [path.name for path in searched.parent.iterdir()] == ["found.json"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"best_params": {}}, "expected a result file with records or paths or frequencies, found"),
        ([], "expected a result file with records or paths or frequencies, found"),
        ({"records": 3, "settings": {}}, "records"),
        ({"paths": [{"name": 1}]}, "lacks formula"),
    ],
)
def test_what_is_no_result_file_is_refused_with_its_name(tmp_path, content, sentence):
    path = write_json(tmp_path / "no.json", content)
    with pytest.raises(InputError, match=f"{path}.*{sentence}"):
        export(path, to="xyz")


def test_criteria_are_of_searches_alone(followed):
    with pytest.raises(InputError, match="is of no searches; expected a file of such"):
        export(followed, to="xyz", criterion="bound")


def test_the_command_says_what_it_wrote(searched, capsys):
    assert main(["export", str(searched), "--to", "molden", "--criterion", "bound"]) == 0
    assert capsys.readouterr().out == "2 results in 2 files\n"
    assert main(["export", str(searched), "--out", str(searched.with_name("x.csv"))]) == 0
    assert capsys.readouterr().out == f"4 results in {searched.with_name('x.csv')}\n"
    assert main(["export", str(searched), "--out", str(searched.with_name("x.csv"))]) == 2
    assert "exists; choose another name" in capsys.readouterr().err


def test_frequencies_are_written_with_all_their_modes(tmp_path):
    gas = Thermochemistry(
        *(-50.0, 0.5, -49.0, -49.6, 0.002), 298.15, 1e5, 1, 1, 0, 1, False, [-900.0, 1200.0, 3000.5]
    )
    modes = [MODE, [[0.0, 0.1 * k, 1.0] for k in range(3)], PLACES]
    known = {"atomic_numbers": NUMBERS, "positions": PLACES, "order": 1, "fmax": 0.001}
    found = FrequencyRecord("s", "CHN", "", modes=modes, thermochemistry=[gas], **known)
    lost = FrequencyRecord("lost", "CHN", "Why.")
    content = {"format": 1, "settings": {}, "frequencies": [asdict(found), asdict(lost)]}
    path = write_json(tmp_path / "freq.json", content)
    done = export(path, to="molden")
    assert (done.files, len(done.left_out)) == ([tmp_path / "freq.molden"], 1)
    text = done.files[0].read_text()
    assert [float(line) for line in section(text, "FREQ")] == [-900.0, 1200.0, 3000.5]
    lines = section(text, "FR-NORM-COORD")
    assert [line for line in lines if "vibration" in line] == [f"vibration {k}" for k in (1, 2, 3)]
    read = np.array([line.split() for line in lines if "vibration" not in line], dtype=float)
    np.testing.assert_allclose(read.reshape(3, 3, 3), modes, atol=1e-8)
    [atoms] = ase.io.read(export(path, to="extxyz").files[0], ":")
    assert atoms.get_potential_energy() == -50.0
    table = pd.read_csv(export(path, to="csv").files[0])
    assert table["gibbs"][0] == -49.6 and table["kind"].tolist() == ["saddle", "not computed"]
