"""Files of geometries and reactions as people have them: read right, a record, or one sentence."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
import warm
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from faulty import Springs
from little_reactions import geometries as geometries_of
from little_reactions import write_h5
from optuna.trial import TrialState

from gadlib.calculators.sparrow import Sparrow
from gadlib.cli.parser import main
from gadlib.molecules import geometries, reactions, starting_points
from gadlib.screening.setup import mark_unknown
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings
from gadlib.tuning import tune

ATOMS = [
    ("C", -0.02, 0.68, 0.0),
    ("O", 0.02, -0.75, 0.0),
    ("H", 1.0, 1.05, 0.1),
    ("H", -0.5, 1.0, 0.9),
    ("H", -0.5, 1.1, -0.9),
    ("H", 0.9, -1.05, 0.1),
]
SYMBOLS = [atom[0] for atom in ATOMS]
PLACES = np.array([atom[1:] for atom in ATOMS])
LINES = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, x, y, z in ATOMS]
IN_BOHR = [
    f"{s} {x / 0.529177211:.9f} {y / 0.529177211:.9f} {z / 0.529177211:.9f}" for s, x, y, z in ATOMS
]


def xyz(
    *,
    count: str = "6",
    comment: str = "methanol",
    lines: list[str] = LINES,
    changed: dict[int, str] | None = None,
    end: str = "\n",
) -> str:
    """The text of one frame, with some lines of atoms changed, by their place."""
    rows = [(changed or {}).get(i, line) for i, line in enumerate(lines)]
    return end.join([count, comment, *rows]) + end


def with_column(values: Sequence[float]) -> list[str]:
    return [f"{line} {value}" for line, value in zip(LINES, values, strict=True)]


PROPERTIES = "Properties=species:S:1:pos:R:3"
NUMBERS = {"C": "6", "O": "8", "H": "1"}
WORDS = [line.split() for line in LINES]

READ_RIGHT = {
    "plain": xyz(),
    "windows line ends": xyz(end="\r\n"),
    "line ends twice translated": xyz(end="\r\r\n"),
    "old mac line ends": xyz(end="\r"),
    "mark of UTF-8": b"\xef\xbb\xbf" + xyz().encode(),
    "UTF-16": xyz().encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + xyz().encode("utf-16-be"),
    "UTF-32": xyz().encode("utf-32"),
    "latin-1 comment": xyz(comment="m\xe9thanol \xb0").encode("latin-1"),
    "line separator in the comment": xyz(comment="meth\u2028anol \x0c \x85"),
    "non-breaking spaces": xyz(changed={0: "C\xa0 -0.02\xa0 0.68 0.0"}),
    "tabs": xyz(lines=["\t".join(words) for words in WORDS]),
    "blank lines before": "\n \n" + xyz(),
    "blank lines after": xyz() + "\n  \n\n",
    "no last line end": xyz().rstrip("\n"),
    "empty comment": xyz(comment=""),
    "small letters": xyz(lines=[line.lower() for line in LINES]),
    "atomic numbers": xyz(lines=[" ".join([NUMBERS[w[0]], *w[1:]]) for w in WORDS]),
    "labels": xyz(lines=[" ".join([f"{w[0]}{i}", *w[1:]]) for i, w in enumerate(WORDS)]),
    "more labels": xyz(
        changed={2: "H_a 1.0 1.05 0.1", 3: "H(4) -0.5 1 .9", 4: "H1' -.5 1.1 -9.e-1"}
    ),
    "Fortran exponents": xyz(changed={0: "C -2.0D-02 6.8d-01 0.00000000D+00"}),
    "Fortran exponents of three digits": xyz(changed={0: "C -0.02 0.68 0.123-100"}),
    "exponents of QM9": xyz(changed={2: "H 1.0 1.05 1.0*^-1"}),
    "count with angstrom": xyz(count="6 angstrom"),
    "count with bohr": xyz(count=" 6  Bohr ", lines=IN_BOHR),
    "units in the comment": xyz(comment="units=bohr", lines=IN_BOHR),
    "bohr in the comment": xyz(comment="coordinates in Bohr", lines=IN_BOHR),
    "further columns": xyz(lines=[line + " 0.1 -0.2 0.3 5" for line in LINES]),
    "broken key and quote": xyz(comment="E = -17.23 ; step=3 name='a b\" c"),
    "energy of xtb": xyz(comment=" energy: -8.12 gnorm: 0.001 xtb: 6.7.1 (edcfbbe)"),
    "neutral singlet": xyz(comment="charge=0 multiplicity=1"),
    "neutral singlet, bare": xyz(comment="0 1"),
    "neutral singlet by spin": xyz(comment="charge=0 spin=1"),
    "frame numbers": xyz(comment="3 12"),
    "extxyz, other order": xyz(
        comment='Properties=pos:R:3:species:S:1:forces:R:3 energy=-1.0 pbc="F F F"',
        lines=[" ".join([*w[1:], w[0], "0.1 -0.2 0.3"]) for w in WORDS],
    ),
    "lattice that does not repeat": xyz(
        comment=f'{PROPERTIES} Lattice="9 0 0 0 9 0 0 0 9" pbc="F F F"'
    ),
    "partial charges": xyz(
        comment="Properties=species:S:1:pos:R:3:charges:R:1",
        lines=[
            f"{line} {q}" for line, q in zip(LINES, (-0.3, -0.6, 0.2, 0.2, 0.1, 0.4), strict=True)
        ],
    ),
    "standard masses": xyz(
        comment="Properties=species:S:1:pos:R:3:masses:R:1",
        lines=[
            f"{line} {m}"
            for line, m in zip(LINES, (12.011, 15.999, 1.008, 1.008, 1.008, 1.008), strict=True)
        ],
    ),
    "end of QM9": xyz(comment="gdb 1\t157.7", lines=[line + " -0.5" for line in LINES])
    + "1341.3\t1341.4\nCO\tCO\nInChI=1S/CH4O\tInChI=1S/CH4O\n",
}


def _written(folder: Path, content: str | bytes, name: str = "mine.xyz") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", READ_RIGHT)
def test_file_as_people_have_it_is_read_right(tmp_path, kind):
    (found,) = geometries.read(_written(tmp_path, READ_RIGHT[kind]))
    assert found.problem == ""
    assert Atoms(found.atomic_numbers).get_chemical_symbols() == SYMBOLS
    np.testing.assert_allclose(found.positions, PLACES, atol=1e-7)


ELECTRONS = {
    # comment, or the whole frame: charge and multiplicity
    "": (0, 1),
    "charge=1": (1, 2),
    "q charge: -2 e": (-2, 1),
    "total charge 2": (2, 1),
    "charge = 1, multiplicity = 2": (1, 2),
    "-1 2": (-1, 2),
    "name=t Spin_Multiplicity=3": (0, 3),
    "uhf=2": (0, 3),
    "spin=2": (0, 3),
    "spin=3": (0, 3),
    "charge=1 spin=1": (1, 2),
    "charge=1 spin=2": (1, 2),
    xyz(comment=f"{PROPERTIES}:charges:R:1", lines=with_column([0.5, 0.5, 0.5, 0.25, 0.25, 0])): (
        2,
        1,
    ),
    xyz(comment=f"{PROPERTIES}:magmoms:R:1", lines=with_column([1, 1, 0, 0, 0, 0])): (0, 3),
}


@pytest.mark.parametrize("comment", ELECTRONS)
def test_charge_and_multiplicity_are_read_as_people_write_them(tmp_path, comment):
    text = comment if "\n" in comment else xyz(comment=comment)
    (found,) = geometries.read(_written(tmp_path, text))
    assert found.problem == ""
    assert (found.charge, found.multiplicity) == ELECTRONS[comment]


def test_settings_tell_the_electrons_of_frames_that_do_not(tmp_path):
    path = _written(tmp_path, xyz() + xyz(comment="charge=0") + xyz(comment="0 3"))
    given = starting_points.read_geometries(path, charge=-2, multiplicity=3)
    assert [(s.charge, s.multiplicity) for s in given] == [(-2, 3), (0, 3), (0, 3)]
    odd = geometries.read(path, multiplicity=2)
    assert "18 electrons and a multiplicity of 2" in odd[0].problem
    assert not odd[2].problem


SPOILT = {
    # kind: (the frame, what is said of it)
    "deuterium": (xyz(changed={5: "D 0.9 -1.05 0.1"}), "line 8, column 1: 'D' is deuterium, and"),
    "tritium": (xyz(changed={5: " T1 0.9 -1.05 0.1"}), "line 8, column 2: 'T1' is tritium, and"),
    "isotope": (
        xyz(changed={0: "13C 0 0.68 0"}),
        "line 3, column 1: '13C' is no element; expected",
    ),
    "dummy atom": (xyz(changed={5: "X 3 3 3"}), "line 8, column 1: 'X' is a dummy atom; expected"),
    "ghost atom": (xyz(changed={5: "H: 3 3 3"}), "line 8, column 1: 'H:' is no element; expected"),
    "no element": (xyz(changed={1: "Qq 0 0 0"}), "line 4, column 1: 'Qq' is no element; expected"),
    "translation vector": (xyz(changed={1: "Tv 9 0 0"}), "line 4, column 1: 'Tv' is no element"),
    "two readings": (xyz(changed={0: "CA 0 0.68 0"}), "'CA' may be Ca or C; expected one of these"),
    "two readings with a label": (xyz(changed={2: "HG1 1 1 0"}), "'HG1' may be Hg or H; expected"),
    "fractional number": (
        xyz(changed={0: "6.2 0 0.68 0"}),
        "'6.2' is no element; expected the sym",
    ),
    "number 0": (xyz(changed={0: "0 0 0.68 0"}), "'0' is no atomic number; expected 1 .. 118"),
    "number 119": (
        xyz(changed={0: "119 0 0.68 0"}),
        "'119' is no atomic number; expected 1 .. 118",
    ),
    "number of 400 digits": (
        xyz(changed={0: f"{'9' * 400} 0 0.68 0"}),
        "is no atomic number; expec",
    ),
    "charged symbol": (xyz(changed={1: "O- 0 -0.75 0"}), "line 4, column 1: 'O-' is no element"),
    "not a number": (
        xyz(changed={0: "C -0.02 nan 0"}),
        "line 3, column 9: 'nan' is not finite; ex",
    ),
    "infinite": (
        xyz(changed={0: "C -0.02 0 -Infinity"}),
        "column 11: '-Infinity' is not finite; ex",
    ),
    "beyond numbers": (
        xyz(changed={0: "C 1e999 0 0"}),
        "column 3: '1e999' is beyond all numbers; ex",
    ),
    "absurd": (
        xyz(changed={0: "C 1e300 0 0"}),
        "frame 0 has a coordinate of 1e+300 A; expected at m",
    ),
    "stars": (
        xyz(changed={0: "C 0 ******** 0"}),
        "column 5: '********' is a number that did not fit",
    ),
    "decimal comma": (
        xyz(changed={0: "C -0,02 0,68 0,0"}),
        "column 3: '-0,02' has a comma for the",
    ),
    "commas between": (
        xyz(lines=[line.replace(" ", ",") for line in LINES]),
        "1 columns ('C,-0.0200",
    ),
    "glued numbers": (
        xyz(changed={0: "C -0.02-10.68 0 0"}),
        "column 3: '-0.02-10.68' is no number; e",
    ),
    "underscores": (
        xyz(changed={0: "C 1_0 0 0"}),
        "line 3, column 3: '1_0' is no number; expected x",
    ),
    "other minus": (
        xyz(changed={0: "C \u22120.02 0 0"}),
        "column 3: '\u22120.02' is no number; expe",
    ),
    "two coordinates": (
        xyz(changed={3: "H 0 0"}),
        "line 6, column 6: 3 columns ('H 0 0'); expected a",
    ),
    "index first": (
        xyz(changed={0: "1 C 0 0.68 0"}),
        "line 3, column 3: 'C' is no number; expected",
    ),
    "nuclear charges": (
        xyz(lines=[" ".join([w[0], NUMBERS[w[0]] + ".0", *w[1:]]) for w in WORDS]),
        "line 3, column 3: column 2 has the nuclear charges; expected x, y and z after the symbol",
    ),
    "more charges than electrons": (
        xyz(comment="charge=19"),
        "frame 0 has a charge of +19 e, more than its 18 electrons; expected fewer",
    ),
    "more electrons than atoms hold": (
        xyz(comment="charge=-1e300"),
        "frame 0 has a charge of -1e+300 e on 6 atoms; expected at least -24",
    ),
    "charge that is none": (
        xyz(comment="charge=plus"),
        "charge 'plus' in the comment; expected an in",
    ),
    "half a charge": (
        xyz(comment="charge=0.5"),
        "charge '0.5' in the comment; expected an integer",
    ),
    "multiplicity that does not fit": (
        xyz(comment="multiplicity=2"),
        "frame 0 has 18 electrons and a multiplicity of 2; expected 1 or 3 or 5, or another charge",
    ),
    "no multiplicity at all": (
        xyz(comment="multiplicity=0"),
        "frame 0 has 18 electrons and a multiplicity of 0; expected 1 or 3 or 5",
    ),
    "half a multiplicity": (
        xyz(comment="multiplicity=1.5"),
        "multiplicity '1.5' in the comment; expected an integer",
    ),
    "charges of atoms": (
        xyz(comment=f"{PROPERTIES}:charges:R:1 mult=3", lines=[line + " 0.1667" for line in LINES]),
        "frame 0 has 17 electrons at a charge of +1 and a multiplicity of 3; expected 2 or 4 or 6",
    ),
    "periodic": (
        xyz(comment=f'Lattice="10 0 0 0 10 0 0 0 10" {PROPERTIES} pbc="T T T"'),
        "frame 0 has a periodic cell; expected a free molecule",
    ),
    "lattice alone": (
        xyz(comment='Lattice="10 0 0 0 10 0 0 0 10"'),
        "frame 0 has a periodic cell; exp",
    ),
    "one periodic axis": (
        xyz(comment=f'{PROPERTIES} pbc="F F T"'),
        "frame 0 has a periodic cell; exp",
    ),
    "isotopes by mass": (
        xyz(comment=f"{PROPERTIES}:masses:R:1", lines=[f"{line} 2.014" for line in LINES]),
        "frame 0 has a mass of 2.014 amu at atom O1; expected 15.999",
    ),
    "positions of two columns": (
        xyz(comment="Properties=species:S:1:pos:R:2"),
        "expected name:kind:co",
    ),
    "no species": (
        xyz(comment="Properties=pos:R:3"),
        "Properties=pos:R:3; expected name:kind:columns",
    ),
    "half of the properties": (
        xyz(comment="Properties=species:S:1:pos"),
        "expected name:kind:columns",
    ),
    "fewer columns than declared": (
        xyz(comment=f"{PROPERTIES}:forces:R:3"),
        "line 3, column 30: 4 columns ('C -0.020000 0.680000 0.000000'); expected 7",
    ),
    "more columns than declared": (
        xyz(comment=PROPERTIES, changed={1: "O 0 0 0 0"}),
        "line 4, column 10: 5 columns ('O 0 0 0 0'); expected 4",
    ),
    "fixed atoms": (
        xyz(comment=f"{PROPERTIES}:move_mask:L:1", lines=[line + " T" for line in LINES]),
        "a move_mask; expected none, as all atoms move in a search",
    ),
    "bohr without a word": (
        xyz(comment="", lines=IN_BOHR),
        "all of them in Bohr; expected A, or units",
    ),
    "bohr that is not": (
        xyz(comment="dipole 1.2 e bohr"),
        "the word Bohr in its comment and distances",
    ),
    "one atom": (
        xyz(count="1", lines=["He 0 0 0"]),
        "has no vibrations; expected two, so three atoms",
    ),
    "two atoms": (
        xyz(count="2", lines=["N 0 0 0", "N 0 0 1.1"]),
        "has 1 vibration; expected two, so t",
    ),
    "no atoms": ("0\n\n", "line 1: 0 atoms; expected at least one"),
    "atoms on each other": (
        xyz(lines=[f"{w[0]} 0 0 0" for w in WORDS]),
        "are 0.000 A apart at mine.xyz; expected at least",
    ),
    "too many atoms": (
        xyz(count="5001", lines=["H 0 0 0"] * 5001),
        "frame 0 has 5001 atoms; expected at most 5000",
    ),
}


def _search(*arguments: object) -> int:
    return main(["search", *map(str, arguments), "--workers", "0", "--n-steps", "1"])


def _told(capsys: pytest.CaptureFixture) -> str:
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out
    return told.err


@pytest.mark.parametrize("kind", SPOILT)
def test_frame_that_no_search_can_use_is_refused_alone_with_its_place(tmp_path, capsys, kind):
    content, sentence = SPOILT[kind]
    path = _written(tmp_path, content)
    assert _search(path, "--out", tmp_path / "out" / "found.json") == 2
    told = _told(capsys)
    assert sentence in told
    assert str(path) in told
    assert "expected" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", SPOILT)
def test_frame_that_no_search_can_use_costs_its_record_alone(tmp_path, kind):
    content, sentence = SPOILT[kind]
    good = xyz(comment="name=good")
    found = starting_points.read_geometries(_written(tmp_path, good + content + "\n" + good))
    assert [start.name for start in found][::2] == ["good", "good-2"]
    problems = [starting_points.problem_of(start, 0.1) for start in found]
    assert problems[::2] == ["", ""]
    there = re.sub(r"^line (\d+)", lambda m: f"line {int(m[1]) + 8}", sentence)
    assert there.replace("frame 0", "frame 1") in problems[1]


REFUSED = {
    # kind: (the file, what is said of it)
    "empty": ("", "an empty file; expected starting geometries in xyz or extxyz"),
    "blank": (" \n\n", "an empty file; expected starting geometries in xyz or extxyz"),
    "zeros": (b"\0" * 4096, "line 1, column 1: a NUL byte; expected geometries as text"),
    "UTF-16 without a mark": (
        xyz().encode("utf-16-le"),
        "line 1, column 2: a NUL byte; expected ge",
    ),
    "count too large": (
        xyz(count="7"),
        "line 9, column 1: the end of the file; expected another of the 7 atoms",
    ),
    "count too small": (
        xyz(count="5"),
        "line 8, column 1: 'H 0.900000 -1.050000 0.100000'; expected the number of atoms of a"
        " frame, or the end of the file, after the 5 atoms that line 1 announces",
    ),
    "count too large before a frame": (
        xyz(count="7") + xyz(),
        "line 9, column 1: '6'; expected another of the 7 atoms that line 1 announces",
    ),
    "count of 4e9": (
        xyz(count="4000000000"),
        "line 1, column 1: '4000000000'; expected the number",
    ),
    "count of 4e8": (
        xyz(count="400000000"),
        "line 9, column 1: the end of the file; expected another of the 400000000 atoms",
    ),
    "count of 5000 digits": (
        xyz(count="9" * 5000),
        f"line 1, column 1: '{'9' * 37}...'; expected the number of atoms",
    ),
    "negative count": (xyz(count="-6"), "line 1, column 1: '-6'; expected the number of atoms"),
    "count with a point": (
        xyz(count="6.0"),
        "line 1, column 1: '6.0'; expected the number of atoms",
    ),
    "count in words": (xyz(count="six"), "line 1, column 1: 'six'; expected the number of atoms"),
    "no count": (
        "\n".join(LINES),
        "line 1, column 1: 'C -0.020000 0.680000 0.000000'; expected the n",
    ),
    "no comment": (
        "\n".join(["6", *LINES]) + "\n",
        "line 8, column 1: the end of the file; expected another of the 6 atoms that line 1"
        " announces (line 2 looks like an atom: is the line of the comment missing?)",
    ),
    "no comments": (
        "\n".join(["6", *LINES] * 2),
        "line 8, column 1: '6'; expected another of the 6 atoms",
    ),
    "blank line among atoms": (
        xyz(changed={2: ""}),
        "line 5, column 1: a blank line; expected another of the 6 atoms",
    ),
    "trailer": (
        xyz() + "VEC1 9 0 0\n",
        "line 9, column 1: 'VEC1 9 0 0'; expected the number of ato",
    ),
    "trailer after blank lines": (
        xyz() + "\n\nfreq\n",
        "line 11, column 1: 'freq'; expected the numb",
    ),
    "web page": (
        "<!DOCTYPE html><html>404</html>",
        "a web page, as a failed download leaves it; exp",
    ),
    "pointer of Git LFS": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 62\n",
        "a pointer of Git LFS, whose content `git lfs pull` fetches; expected starting geometries",
    ),
    "HDF5": (
        b"\x89HDF\r\n\x1a\n" + bytes(99),
        "an HDF5 file, which --h5-path takes; expected start",
    ),
    "script": (
        "#!/bin/sh\nexit 3\n",
        "line 1, column 1: '#!/bin/sh'; expected the number of atoms",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_file_of_which_no_frame_may_be_lost_is_refused_with_line_and_column(tmp_path, capsys, kind):
    content, sentence = REFUSED[kind]
    path = _written(tmp_path, content)
    assert _search(path, "--out", tmp_path / "out" / "found.json") == 2
    told = _told(capsys)
    assert f"{path}: {sentence}" in told or (
        kind in ("no comment", "count of 5000 digits") and sentence in told
    )
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _unpacks_to_257_megabytes(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(257):
            file.write(bytes(2**20))


def _of_40_gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 * 2**30)


ODD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    # kind: (name, what makes it, what is said of it)
    "pipe": ("odd.xyz", os.mkfifo, "a pipe or a device and no file; expected"),
    "device": ("/dev/zero", lambda path: None, "a pipe or a device and no file; expected"),
    "folder": ("odd.xyz", Path.mkdir, "a folder; expected"),
    "nothing": ("odd.xyz", lambda path: None, "no such file; expected"),
    "link to nowhere": ("odd.xyz", lambda path: path.symlink_to("gone"), "no such file; expected"),
    "name of 300 letters": ("x" * 300, lambda path: None, "no such file; expected"),
    "name with a zero": ("a\0b.xyz", lambda path: None, "no such file; expected"),
    "huge": ("odd.xyz", _of_40_gigabytes, "more than 268435456 bytes; expected"),
    "huge unpacked": ("o.xyz.gz", _unpacks_to_257_megabytes, "more than 268435456 bytes; expected"),
    "torn archive": (
        "odd.xyz.gz",
        lambda path: path.write_bytes(gzip.compress(xyz().encode())[:40]),
        "can't be read (",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("as_reactions", [False, True])
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_or_too_large_is_told_and_never_waited_for(
    tmp_path, capsys, kind, as_reactions
):
    name, make, sentence = ODD[kind]
    make(tmp_path / name)
    given = ("--h5-path", tmp_path / name) if as_reactions else (tmp_path / name,)
    assert _search(*given, "--out", tmp_path / "out" / "found.json") == 2
    told = _told(capsys)
    is_looked_into = kind in ("huge", "huge unpacked", "torn archive")
    if as_reactions and kind == "name with a zero":
        sentence = "has a NUL character, expected"
    assert ("not an HDF5 file; expected" if as_reactions and is_looked_into else sentence) in told
    assert told.count("\n") == 1


def test_frames_between_blank_lines_are_all_read(tmp_path):
    content = "\n".join([xyz(comment="name=a"), xyz(comment="name=b"), "\n", xyz(comment="name=c")])
    assert [g.name for g in geometries.read(_written(tmp_path, content))] == ["a", "b", "c"]


def test_joined_files_with_marks_are_all_read(tmp_path):
    one = b"\xef\xbb\xbf" + xyz().encode()
    assert len(geometries.read(_written(tmp_path, one + one))) == 2


def test_names_are_printable_of_bearable_length_and_no_two_alike(tmp_path):
    comments = [
        *('name="a\\nb\tc\x07"', "name=Ω·ü", "name=007", "name=1,3-butadiene", "name=same"),
        *("name=same", "name=same-2", f"name={'x' * 9000}", 'name=" "', r'name="a \"b\" c"'),
    ]
    found = geometries.read(_written(tmp_path, "".join(xyz(comment=c) for c in comments)))
    assert [g.name for g in found[:7]] == [
        *("a b c", "Ω·ü", "007", "1,3-butadiene", "same", "same-2", "same-2-2")
    ]
    assert len(found[7].name) == 120
    assert [g.name for g in found[8:]] == ["mine-8", 'a "b" c']


def test_all_that_are_wrong_are_named_together(tmp_path, capsys):
    frames = [xyz(comment=f"name=ion{i} charge={i + 1} mult=0") for i in range(12)]
    assert _search(_written(tmp_path, "".join(frames))) == 2
    told = _told(capsys)
    assert all(f"ion{i}: frame {i} has {17 - i} electrons" in told for i in range(8))
    assert "; and 4 more" in told


def test_search_of_good_and_bad_frames_writes_a_record_of_each(tmp_path, capsys):
    pytest.importorskip("scine_sparrow")
    path = _written(
        tmp_path,
        xyz(comment="name=good")
        + xyz(comment="name=ion charge=1 mult=1")
        + xyz(comment="name=torn", changed={0: "C 0 **** 0"})
        + xyz(comment="name=iron", changed={0: "Fe 0 0.68 0"})
        + xyz(count="2", comment="name=nitrogen", lines=["N 0 0 0", "N 0 0 1.1"]),
    )
    assert _search(path, "--out", tmp_path / "found.json") == 0
    assert "4 of 5 starts were not searched: ion: " in capsys.readouterr().out
    records = json.loads((tmp_path / "found.json").read_text())["records"]
    found = {r["name"]: r for r in records}
    assert list(found) == ["good", "ion", "torn", "iron", "nitrogen"]
    assert found["good"]["status"] in ("out_of_steps", "saddle")
    assert all(r["status"] == "bad_start" for r in records[1:])
    for name, reason in {
        "ion": "17 electrons at a charge of +1 and a multiplicity of 1; expected 2",
        "torn": "line 19, column 5: '****' is a number that did not fit its columns",
        "iron": "the calculator does not know element Fe",
        "nitrogen": "nitrogen has 1 vibration; expected two",
    }.items():
        assert reason in found[name]["message"]
    assert (found["torn"]["atomic_numbers"], found["torn"]["positions"]) == ([], [])


def _pdb(*, cell: str = "", end: str = "END\n") -> str:
    form = "ATOM  {:5d}  {:<3} MOL A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00          {:>2}\n"
    return cell + "".join(form.format(i + 1, *a, a[0]) for i, a in enumerate(ATOMS)) + end


def _mol(end: str = "M  END\n") -> str:
    rows = "".join(f"{x:10.4f}{y:10.4f}{z:10.4f} {s:<3} 0  0  0\n" for s, x, y, z in ATOMS)
    return f"name\n  gadlib\n\n  6  0  0  0  0  0  0  0  0  0999 V2000\n{rows}{end}"


GEN = "6 C\nC O H\n" + "".join(
    f"{i + 1} {'COH'.index(s) + 1} {x} {y} {z}\n" for i, (s, x, y, z) in enumerate(ATOMS)
)
CELL = "CRYST1 {0:8.3f} {0:8.3f} {0:8.3f}  90.00  90.00  90.00 P 1           1\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.pdb", _pdb(), ""),
        ("a.pdb", _pdb(cell=CELL.format(1.0)), ""),
        ("a.pdb", _pdb(cell=CELL.format(30.0)), "a periodic cell; expected a free molecule"),
        ("a.pdb", _pdb() + _pdb(end=""), "12 atoms, of which 6 are read; expected END after the"),
        ("a.mol", _mol(), ""),
        ("a.sdf", _mol() + "$$$$\n", ""),
        (
            "a.mol",
            _mol("M  ISO  1   6   2\nM  END\n"),
            "line 11, column 4: ISO, isotopes; expected",
        ),
        ("a.gen", GEN, ""),
        ("a.gen", "six\n", "not readable as geometries ("),
        ("a.nothing", "hello\n", "not readable as geometries ("),
        ("a.xyz.gz", gzip.compress(xyz().encode(), mtime=0), ""),
        ("a@2.xyz", xyz(), ""),
        ("noending", xyz(), ""),
    ],
)
def test_other_formats_are_read_whole_or_refused(tmp_path, name, content, sentence):
    path = _written(tmp_path, content, name)
    if sentence:
        with pytest.raises(InputError) as caught:
            starting_points.read_geometries(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert sentence in str(caught.value)
        return
    (found,) = starting_points.read_geometries(path)
    assert Atoms(found.atomic_numbers).get_chemical_symbols() == SYMBOLS
    np.testing.assert_allclose(found.positions, PLACES, atol=1e-3)


def test_what_ases_own_files_tell_of_a_molecule_is_minded(tmp_path):
    frames = [molecule("CH3OH") for _ in range(7)]
    frames[1].set_initial_charges([1, 0, 0, 0, 0, 0])
    frames[2].set_initial_magnetic_moments([1, 1, 0, 0, 0, 0])
    frames[3].info["charge"] = -1
    frames[4].set_masses([12.011, 15.999, 2.014, 1.008, 1.008, 1.008])
    frames[5].set_constraint(FixAtoms([0]))
    frames[6].set_cell([9, 9, 9])
    frames[6].pbc = True
    ase.io.write(tmp_path / "all.traj", frames)
    found = geometries.read(tmp_path / "all.traj")
    assert [(g.charge, g.multiplicity) for g in found[:4]] == [(0, 1), (1, 2), (0, 3), (-1, 2)]
    problems = [g.problem for g in found]
    assert problems[0] == ""
    for problem, sentence in zip(
        problems[1:],
        (
            *("", "", "", "mass of 2.014 amu at atom H2"),
            *("constraints; expected none", "a periodic cell"),
        ),
        strict=True,
    ):
        assert sentence in problem


# Files of reactions


REACTANT = "data/H2O2/rxn20/reactant"


def _put(name: str, value: object) -> Callable[[h5py.File], None]:
    """What puts another dataset of the reactant, a group or a link in the place of one."""

    def put(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return put


def _group_for_numbers(file: h5py.File) -> None:
    del file[f"{REACTANT}/positions"]
    file.create_group(f"{REACTANT}/positions")


def _claim_of_4e9_atoms(file: h5py.File) -> None:
    del file[f"{REACTANT}/positions"]
    file.create_dataset(
        f"{REACTANT}/positions", shape=(4 * 10**9, 3), dtype="f8", chunks=(10**4, 3)
    )


def _link_to_a_pipe(file: h5py.File) -> None:
    os.mkfifo(Path(file.filename).with_name("pipe.h5"))
    _put("test/H2O2", h5py.ExternalLink("pipe.h5", "/data/H2O2"))(file)


def _without_saddle(file: h5py.File) -> None:
    del file["data/H2O2/rxn20/transition_state"]


PLACE = geometries_of("H2O2")[1][0]
BAD_REACTIONS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    # kind: (what is done to the file, what is said of the reaction)
    "fractional numbers": (
        _put(f"{REACTANT}/atomic_numbers", np.array([8.2, 8, 1, 1])),
        "reactant has an atomic number 8.2; expected integers",
    ),
    "numbers that are none": (
        _put(f"{REACTANT}/atomic_numbers", np.full(4, np.nan)),
        "reactant has an atomic number nan; expected integers",
    ),
    "dummy atoms": (
        _put(f"{REACTANT}/atomic_numbers", np.zeros(4)),
        "reactant has atomic number 0; expected 1 .. 118",
    ),
    "symbols": (
        _put(f"{REACTANT}/atomic_numbers", np.array([b"O", b"O", b"H", b"H"])),
        "reactant: atomic_numbers of kind |S1; expected numbers",
    ),
    "claim of 4e9 atoms": (
        _claim_of_4e9_atoms,
        "reactant: positions of shape (4000000000, 3); expected at most 5000 atoms",
    ),
    "group for numbers": (
        _group_for_numbers,
        "reactant lacks positions (there is a group); expected a dataset",
    ),
    "shape": (
        _put(f"{REACTANT}/positions", PLACE.T),
        "reactant has 4 atomic_numbers and positions of shape (3, 4); expected (1, 4, 3)",
    ),
    "no saddle": (_without_saddle, "transition_state lacks atomic_numbers or positions"),
    "not finite": (
        _put(f"{REACTANT}/positions", PLACE + np.array([0, np.inf, 0])),
        "reactant has positions that are not finite; expected numbers in A",
    ),
    "absurd": (
        _put(f"{REACTANT}/positions", PLACE + 1e300),
        "reactant has a coordinate of 1e+300 A; expected at most",
    ),
    "part is a number": (_put(REACTANT, 1.0), "reactant lacks atomic_numbers or positions"),
    "dangling reaction": (
        _put("data/H2O2/rxn20", h5py.SoftLink("/data/gone/rxn20")),
        "leads nowhere (a link to /data/gone/rxn20); expected a group of",
    ),
    "dangling formula": (
        _put("test/H2O2", h5py.SoftLink("/data/gone")),
        "test/H2O2 leads nowhere (a link to /data/gone); expected a link to data/H2O2",
    ),
    "link to a missing file": (
        _put("test/H2O2", h5py.ExternalLink("gone.h5", "/data/H2O2")),
        "test/H2O2 leads nowhere (a link to gone.h5:/data/H2O2); expected",
    ),
    "link to a pipe": (
        _link_to_a_pipe,
        "test/H2O2 leads nowhere (a link to pipe.h5:/data/H2O2); expected",
    ),
    "link in a circle": (
        _put("test/H2O2", h5py.SoftLink("/test/H2O2")),
        "test/H2O2 leads nowhere (a link to /test/H2O2); expected",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", BAD_REACTIONS)
def test_bad_reaction_is_a_record_of_its_own_and_refused_alone(tmp_path, how):
    path = write_h5(tmp_path / "little.h5")
    spoil, sentence = BAD_REACTIONS[how]
    with h5py.File(path, "a") as file:
        spoil(file)
    found = reactions.read(path, split="test")
    bad = [reaction for reaction in found if reaction.problem]
    assert [r.name for r in found if not r.problem] == ["rxn21"]
    assert len(bad) == 1
    assert sentence in bad[0].problem
    places = starting_points.starts(found, "ts_noise0.1A")
    assert [bool(start.problem) for start in places] == [bool(r.problem) for r in found]
    with h5py.File(path, "a") as file:
        del file["test/CO2"]
    with pytest.raises(InputError) as caught:
        reactions.read(path, split="test")
    assert str(caught.value).startswith(f"{path}: no reaction can be used: ")
    assert sentence in str(caught.value)


def test_links_that_lead_somewhere_and_names_of_all_letters_are_read(tmp_path):
    whole = write_h5(tmp_path / "little.h5")
    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        for split in reactions.SPLITS:
            file.create_group(split)
        file["test"].create_group("x·ü")["rxn·Ω"] = h5py.ExternalLink(
            whole.name, "/data/H2O2/rxn20"
        )
        file["val/H₂O"] = h5py.ExternalLink(whole.name, "/data/H2O")
    found = reactions.read(path, split="test,val")
    assert [(r.formula, r.name, r.problem) for r in found] == [
        ("x·ü", "rxn·Ω", ""),
        ("H₂O", "rxn01", ""),
    ]


def test_set_with_a_bad_reaction_is_screened_and_tuned_without_it(tmp_path, monkeypatch):
    path = write_h5(tmp_path / "little.h5")
    with h5py.File(path, "a") as file:
        del file["data/H2O/rxn01/product"]
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    common = {"h5_path": str(path), "split": "train", "start_from": "midpoint_rt_noise0.3A"}
    small = {"n_steps_per_sample": 2, "screening_steps": 2, "n_trials": 1, "workers": 0}
    settings = TuneSettings.read(
        common | small | {"n_samples": 2, "out_dir": str(tmp_path / "out")}
    )
    study = tune.tune(settings)
    screened = json.loads((tmp_path / "out" / "screening.json").read_text())["records"]
    assert {r["name"]: r["status"] for r in screened} == {
        "rxn00": "out_of_steps",
        "rxn01": "bad_start",
        "rxn02": "out_of_steps",
    }
    (trial,) = study.get_trials(states=(TrialState.COMPLETE,))
    assert {s["name"] for s in trial.user_attrs["samples"]} == {"rxn00", "rxn02"}
    more = settings.model_copy(update={"n_samples": 3, "out_dir": str(tmp_path / "more")})
    with pytest.raises(InputError, match="n_samples 3: larger than the set, expected at most 2"):
        tune.tune(more)


# The files that stand beside a checkout

CASES = Path(__file__).parents[3] / "shared" / "cases"
EXPECTED = {
    "comma": "line 3, column 3: '-0,020000' has a comma for the decimal point",
    "deut": "line 8, column 1: 'D' is deuterium",
    "dummy": "line 9, column 1: 'X' is a dummy atom",
    "empty": "an empty file",
    "lattice": "a periodic cell",
    "nan": "line 3, column 13: 'nan' is not finite",
    "nocomment": "line 8, column 1: the end of the file; expected another of the 6 atoms that",
    "short": "line 9, column 1: the end of the file; expected another of the 7 atoms that line 1",
    "stars": "line 3, column 13: '********' is a number that did not fit its columns",
    "toomany": "line 8, column 1: 'H 0.900000 -1.050000 0.100000'; expected the number of atoms",
    "trit": "line 8, column 1: 'T' is tritium",
    "zero": "line 1: 0 atoms; expected at least one",
}
"""What is said of those that are refused; all others are methanol, but for `upper`."""
LIKE_SYMBOLS = {"upper": ["Cl", "H", "H"]}
N_FRAMES = {"multi": 3}


@pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside this checkout")
def test_files_of_the_cases_are_read_right_or_refused_with_their_reason():
    paths = sorted((CASES / "files").iterdir())
    assert set(EXPECTED) <= {path.stem for path in paths}
    for path in paths:
        if path.stem in EXPECTED:
            with pytest.raises(InputError) as caught:
                starting_points.read_geometries(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert EXPECTED[path.stem] in str(caught.value), path
            continue
        found = starting_points.read_geometries(path)
        assert len(found) == N_FRAMES.get(path.stem, 1), path
        for start in found:
            symbols = Atoms(start.atomic_numbers).get_chemical_symbols()
            assert symbols == LIKE_SYMBOLS.get(path.stem, SYMBOLS), path
            if path.stem not in LIKE_SYMBOLS:
                np.testing.assert_allclose(start.positions, PLACES, atol=1e-6)


@pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside this checkout")
def test_reaction_files_of_the_cases_are_read_right_or_refused_with_their_reason():
    refused = {
        "dangling": "rxn9999: leads nowhere (a link to /data/nowhere/rxn9999)",
        "ext": "rxn0004: leads nowhere (a link to ok.h5:/data/C2H3N3/rxn0004)",
        "html": "a web page, as a failed download leaves it",
        "lfs": "a pointer of Git LFS",
        "nosplits": "no group 'test'",
        "trunc1k": "damaged, or not readable",
        "trunc50": "damaged, or not readable",
    }
    read = {"formlink": 4, "unicode": 1}
    paths = {path.stem: path for path in (CASES / "h5").iterdir()}
    assert refused.keys() | read.keys() == paths.keys()
    for name, sentence in refused.items():
        with pytest.raises(InputError) as caught:
            reactions.read(paths[name], split="test")
        assert str(caught.value).startswith(f"{paths[name]}: ")
        assert sentence in str(caught.value)
    for name, n in read.items():
        assert len([r for r in reactions.read(paths[name], split="test") if not r.problem]) == n


@pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside this checkout")
def test_molecules_of_the_cases_are_searched_unless_told_why_not():
    charged = starting_points.read_geometries(CASES / "charged.xyz")
    assert [(s.charge, s.multiplicity) for s in charged] == [
        *((1, 1), (1, 1), (0, 2), (-1, 1), (-1, 1), (0, 3))
    ]
    assert not any(s.problem for s in charged)
    lines = starting_points.read_geometries(CASES / "lin.xyz")
    assert [bool(starting_points.problem_of(s, 0.1)) for s in lines] == [False] * 4 + [True] * 4
    for name in ("h2o_nearlinear.xyz", "sym.extxyz", "vdw.extxyz", "big62.extxyz", "c60.extxyz"):
        assert not any(s.problem for s in starting_points.read_geometries(CASES / name)), name


@pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside this checkout")
def test_elements_that_a_method_lacks_cost_their_molecules_alone():
    pytest.importorskip("scine_sparrow")
    starts = starting_points.read_geometries(CASES / "heavy.xyz")
    lost = {s.name: s.problem for s in mark_unknown(Sparrow("DFTB0"), starts) if s.problem}
    assert lost.keys() == {"FeO", "BH", "BiO", "HBr_Br", "silylene_like"}
    assert "knows no unpaired electrons" in lost["HBr_Br"]
    assert "does not know element Si (" in lost["silylene_like"]


def test_reactions_that_another_program_is_writing_are_locked_not_damaged(tmp_path, capsys):
    path = tmp_path / "open.h5"
    with h5py.File(path, "w"):
        code = (
            "import sys; from gadlib.cli.parser import main; sys.exit(main(['search', '--h5-path',"
            f" {str(path)!r}, '--out', {str(tmp_path / 'found.json')!r}]))"
        )
        ended = warm.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "open.h5: locked by another program" in ended.stderr
