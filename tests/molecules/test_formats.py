"""Files of other programs: atoms, charge, multiplicity read right, or a sentence and a place."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from gadlib.molecules import geometries
from gadlib.settings.reading import InputError
from gadlib.units import ANGSTROM_PER_BOHR

SYMBOLS = ["O", "H", "H"]
PLACES = np.array([[0.0, 0.0, 0.1], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
ROWS = [f"{s} {x} {y} {z}" for s, (x, y, z) in zip(SYMBOLS, PLACES.tolist(), strict=True)]
IN_BOHR = PLACES / ANGSTROM_PER_BOHR


def rows(places=PLACES, form="{s} {x:.9f} {y:.9f} {z:.9f}", symbols=SYMBOLS) -> str:
    each = enumerate(zip(symbols, places.tolist(), strict=True), start=1)
    return "\n".join(form.format(s=s, x=x, y=y, z=z, n=n) for n, (s, (x, y, z)) in each)


def orca(head="* xyz 1 2", atoms=None, end="*", before="! HF def2-SVP Opt\n%pal nprocs 4 end\n"):
    return f"{before}{head}\n{rows() if atoms is None else atoms}\n{end}\n"


def coords(*lines: str, atoms=None) -> str:
    inside = "\n".join(f" {line}" for line in (*lines, "coords", atoms or rows(), "end"))
    return f"! HF\n%coords\n{inside}\nend\n"


def gaussian(
    electrons="1 2", atoms=None, route="#p opt b3lyp/6-31g(d)", title="0 1 of what"
) -> str:
    return f"%chk=a\n%mem=1GB\n{route}\n\n{title}\n\n{electrons}\n{atoms or rows()}\n\n"


def coord(head="$coord", atoms=None, more="") -> str:
    form = "  {x:.14f}  {y:.14f}  {z:.14f}  {s}"
    return f"{head}\n{atoms or rows(IN_BOHR, form).lower()}\n{more}$end\n"


def mol(more="", codes=(0, 0, 0), end="M  END\n", head="name\n  gadlib            3D\n\n") -> str:
    atoms = "".join(
        f"{x:10.4f}{y:10.4f}{z:10.4f} {s:<3} 0{code:3d}  0  0\n"
        for s, (x, y, z), code in zip(SYMBOLS, PLACES.tolist(), codes, strict=True)
    )
    return f"{head}  3  0  0  0  0  0  0  0  0  0999 V2000\n{atoms}{more}{end}"


def pdb(charges=("", "", ""), elements=SYMBOLS, names=("O", "H1", "H2")) -> str:
    form = "HETATM{:5d}  {:<3} HOH A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00          {:>2}{:>2}\n"
    each = zip(names, PLACES.tolist(), elements, charges, strict=True)
    return "".join(form.format(i + 1, n, *p, e, q) for i, (n, p, e, q) in enumerate(each)) + "END\n"


def orca_output(charge=1, multiplicity=2, n=2) -> str:
    block = "---\nCARTESIAN COORDINATES (ANGSTROEM)\n---\n"
    first = rows(PLACES + 1.0, "  {s}  {x:.6f}  {y:.6f}  {z:.6f}")
    last = rows(form="  {s}  {x:.6f}  {y:.6f}  {z:.6f}")
    said = f" Total Charge           Charge          ....    {charge}\n"
    said += f" Multiplicity           Mult            ....    {multiplicity}\n"
    blocks = [f"{block}{first}\n\n"] * (n - 1) + [f"{block}{last}\n\n---\n"]
    return f"          * O   R   C   A *\n{said}{''.join(blocks)}"


def gaussian_output(charge=1, multiplicity=2, kind="Standard") -> str:
    def table(places):
        atoms = "\n".join(
            f"      {i + 1}          {z}           0   {x:11.6f} {y:11.6f} {w:11.6f}"
            for i, (z, (x, y, w)) in enumerate(zip([8, 1, 1], places.tolist(), strict=True))
        )
        rule = " " + "-" * 69
        head = f"{rule}\n Center     Atomic      Atomic             Coordinates (Angstroms)\n"
        return f"{head} Number     Number       Type             X  Y  Z\n{rule}\n{atoms}\n{rule}\n"

    said = f" Charge = {charge:2d} Multiplicity = {multiplicity}\n"
    first = f"                         Input orientation:\n{table(PLACES + 1.0)}"
    return (
        f" Entering Gaussian System, Link 0=g16\n Gaussian 16:  ES64L-G16RevC.01\n{said}{first}"
        f"                         {kind} orientation:\n{table(PLACES)}"
    )


READ_RIGHT = {
    # kind: (name of the file, its text, charge, multiplicity)
    "ORCA": ("a.inp", orca(), 1, 2),
    "ORCA, close": ("a.inp", orca("*xyz +1 2"), 1, 2),
    "ORCA, capitals, comments": (
        "a.inp",
        orca("  * XYZ -1 2   # an anion", rows() + "\n# the end"),
        -1,
        2,
    ),
    "ORCA in Bohr": ("a.inp", orca("* xyz 0 1", rows(IN_BOHR), before="! HF Bohrs\n"), 0, 1),
    "ORCA, fragments": ("a.inp", orca("* xyz 0 3", rows(form="{s}({n}) {x} {y} {z}")), 0, 3),
    "ORCA without an ending": ("water", orca("* xyz 0 1"), 0, 1),
    "ORCA as text": ("a.txt", orca("* xyz 0 1"), 0, 1),
    "ORCA's %coords": ("a.inp", coords("CTyp xyz", "Charge -1", "Mult 2", "Units Angs"), -1, 2),
    "ORCA's %coords in Bohr": (
        "a.inp",
        coords("Charge = 0", "Units Bohrs", atoms=rows(IN_BOHR)),
        0,
        1,
    ),
    "ORCA's output": ("a.out", orca_output(), 1, 2),
    "ORCA's output of one point": ("a.log", orca_output(0, 3, n=1), 0, 3),
    "Gaussian": ("a.gjf", gaussian(), 1, 2),
    "Gaussian, commas": ("a.com", gaussian("0,1", rows(form="{s},{x},{y},{z}")), 0, 1),
    "Gaussian, windows": ("a.com", gaussian("0 1").replace("\n", "\r\n"), 0, 1),
    "Gaussian, free atoms": ("a.com", gaussian("-1 2", rows(form="{s} 0 {x} {y} {z}")), -1, 2),
    "Gaussian, types and layers": (
        "a.com",
        gaussian("0 1", rows(form="{s}-XX-0.5 {x} {y} {z} H")),
        0,
        1,
    ),
    "Gaussian, fragments": (
        "a.com",
        gaussian("0 1 0 1", rows(form="{s}(Fragment={n}) {x} {y} {z}")),
        0,
        1,
    ),
    "Gaussian, labels": ("a.com", gaussian("0 1", rows(form="{s}{n} {x} {y} {z}")), 0, 1),
    "Gaussian in Bohr": (
        "a.gjf",
        gaussian("0 1", rows(IN_BOHR), route="# hf/sto-3g units=au"),
        0,
        1,
    ),
    "Gaussian, two jobs": (
        "a.gjf",
        gaussian() + "--Link1--\n%chk=a\n# freq geom=allcheck guess=read\n\n",
        1,
        2,
    ),
    "Gaussian, comments": ("a.gjf", "! mine\n" + gaussian("0 1 ! neutral"), 0, 1),
    "Gaussian's output": ("a.log", gaussian_output(), 1, 2),
    "Gaussian's other output": ("a.out", gaussian_output(-1, 2, kind="Input"), -1, 2),
    "Turbomole": ("coord", coord(), 0, 1),
    "Turbomole with an ending": ("water.coord", coord(), 0, 1),
    "Turbomole, as tmol": ("water.tmol", coord(), 0, 1),
    "Turbomole, electrons": ("coord", coord(more="$eht charge=1 unpaired=1\n"), 1, 2),
    "xtb": ("coord", coord(more="$chrg -1\n$spin 1\n"), -1, 2),
    "Turbomole in angstrom": (
        "coord",
        coord("$coord angs", rows(form="{x} {y} {z} {s}")),
        0,
        1,
    ),
    "mol": ("a.mol", mol(), 0, 1),
    "mol, charged": ("a.mol", mol("M  CHG  1   1   1\n"), 1, 2),
    "mol, charges that cancel": ("a.mol", mol("M  CHG  2   1  -1   2   1\n"), 0, 1),
    "mol, radical": ("a.mol", mol("M  CHG  1   1  -1\nM  RAD  1   1   2\n"), -1, 2),
    "mol, triplet": ("a.mol", mol("M  RAD  1   1   3\n"), 0, 3),
    "mol, codes of charges": ("a.mol", mol(codes=(5, 0, 0)), -1, 2),
    "sdf": ("a.sdf", mol() + "$$$$\n", 0, 1),
    "sdf without an end": ("a.sdf", mol(), 0, 1),
    "pdb": ("a.pdb", pdb(), 0, 1),
    "pdb, charged": ("a.pdb", pdb(("1+", "", "")), 1, 2),
    "pdb, charges that cancel": ("a.pdb", pdb(("2-", "1+", "+1")), 0, 1),
    "pdb without elements": ("a.ent", pdb(elements=["", "", ""]), 0, 1),
}


@pytest.mark.parametrize("kind", READ_RIGHT)
def test_a_file_of_another_program_is_read_right(tmp_path, kind):
    name, text, charge, multiplicity = READ_RIGHT[kind]
    path = tmp_path / name
    path.write_bytes(text.encode())
    [found] = geometries.read(path)
    assert found.problem == ""
    assert Atoms(found.atomic_numbers).get_chemical_symbols() == SYMBOLS
    np.testing.assert_allclose(found.positions, PLACES, atol=1e-6)
    assert (found.charge, found.multiplicity) == (charge, multiplicity)


SPOILT = {
    # kind: (name of the file, its text, what is said of it)
    "ORCA, no number": (
        "a.inp",
        orca(atoms="O 0 0 0\nH 0 zero 1"),
        "line 5, column 5: 'zero' is no number",
    ),
    "ORCA, no element": ("a.inp", orca(atoms="Oo 0 0 0"), "line 4, column 1: 'Oo' is no element"),
    "ORCA, ghost": ("a.inp", orca(atoms="O: 0 0 0"), "line 4, column 1: 'O:' is no element"),
    "ORCA, two numbers": ("a.inp", orca(atoms="O 0 0"), "line 4, column 6: the end of the line; e"),
    "ORCA, isotope": ("a.inp", orca(atoms="O 0 0 0 M = 18"), "line 4, column 9: an isotope; expec"),
    "ORCA, no charge": (
        "a.inp",
        orca("* xyz"),
        "line 3, column 6: the end of the line; expected t",
    ),
    "ORCA, half a charge": ("a.inp", orca("* xyz 0.5 1"), "line 3, column 7: '0.5' is no integer"),
    "ORCA, multiplicity 0": (
        "a.inp",
        orca("* xyz 0 0"),
        "line 3, column 9: multiplicity 0; expected at least 1",
    ),
    "ORCA, no end": ("a.inp", orca(end=""), "the end of the file; expected * after the atoms"),
    "ORCA, internal": (
        "a.inp",
        orca("* int 0 1"),
        "column 3: * int; expected the atoms, after * xy",
    ),
    "ORCA, another file": (
        "a.inp",
        "! HF\n* xyzfile 0 1 b.xyz\n",
        "line 2, column 3: * xyzfile, so that the atoms are in another file; expected that one",
    ),
    "ORCA, electrons": (
        "a.inp",
        orca("* xyz 1 1"),
        "9 electrons at a charge of +1 and a multiplic",
    ),
    "ORCA, %coords of what": ("a.inp", coords("CTyp gzmt"), "ctyp gzmt; expected CTyp xyz"),
    "ORCA, torn output": (
        "a.out",
        orca_output().replace("0.760000", "********"),
        "did not fit its",
    ),
    "Gaussian, no charge": (
        "a.gjf",
        gaussian("O 0 0 0"),
        "line 7, column 1: 'O' is no integer; expected the charge",
    ),
    "Gaussian, no title": (
        "a.gjf",
        f"# hf\n\n0 1\n{rows()}\n\n",
        "the end of the job; expected title, charge and atoms",
    ),
    "Gaussian, no route": ("a.gjf", rows(), "column 1: 'O 0.0000"),
    "Gaussian, frozen": (
        "a.gjf",
        gaussian(atoms="O -1 0.0 0.0 0.0"),
        "line 8, column 3: a frozen a",
    ),
    "Gaussian, isotope": (
        "a.gjf",
        gaussian(atoms="O(Iso=18) 0.0 0.0 0.0"),
        "line 8, column 1: an isotope; expected",
    ),
    "Gaussian, translation": (
        "a.gjf",
        gaussian(atoms=rows() + "\nTv 9.0 0.0 0.0"),
        "line 11, column 1: 'Tv' is no element",
    ),
    "Gaussian, Z-matrix": ("a.gjf", gaussian(atoms="O\nH 1 r\nH 1 r 2 a"), "a Z-matrix that can't"),
    "Gaussian, torn output": (
        "a.log",
        gaussian_output().rstrip().rstrip("-").rstrip(),
        "the end of the file; expected the end of the table of atoms",
    ),
    "Turbomole, fractions": (
        "coord",
        coord("$coord frac"),
        "line 1, column 8: fractions of a cell",
    ),
    "Turbomole, frozen": (
        "coord",
        coord(atoms="0 0 0 o f"),
        "line 2, column 9: a frozen atom; exp",
    ),
    "Turbomole, periodic": (
        "coord",
        coord(more="$periodic 3\n"),
        "a periodic cell; expected a free",
    ),
    "Turbomole, no end": (
        "coord",
        "$coord\n0 0 0 o\n",
        "line 2: the end of the file; expected $end",
    ),
    "Turbomole, symbol first": (
        "coord",
        coord(atoms="o 0 0 0"),
        "line 2, column 1: 'o' is no number",
    ),
    "mol in two dimensions": (
        "a.mol",
        mol(head="name\n  gadlib            2D\n\n"),
        "line 2, column 21: 2D; expected positions in three dimensions",
    ),
    "mol, V3000": (
        "a.mol",
        mol().replace("V2000", "V3000"),
        "line 4, column 34: V3000; expected V2",
    ),
    "mol, isotopes": (
        "a.mol",
        mol("M  ISO  1   2   2\n"),
        "line 8, column 4: ISO, isotopes; expect",
    ),
    "mol, too short": (
        "a.mol",
        mol().replace("  3  0", "  9  0", 1),
        "the end of the molecule; expe",
    ),
    "mol, no count": (
        "a.mol",
        mol().replace("  3  0", "     0", 1),
        "line 4, column 1: '0  0  0",
    ),
    "mol, no number": (
        "a.mol",
        mol().replace("0.7600", "0,7600"),
        "column 11: '0,7600' has a comma",
    ),
    "mol, no element": (
        "a.mol",
        mol().replace(" O ", " R ", 1),
        "line 5, column 32: 'R' is no elem",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_can_t_be_read_right_is_told_with_its_place(tmp_path, kind):
    name, text, sentence = SPOILT[kind]
    path = tmp_path / name
    path.write_text(text)
    found = geometries.read(path)
    assert sentence in found[0].problem
    assert "expected" in found[0].problem


REFUSED = {
    # kind: (name of the file, its text, what is said of it)
    "pdb, which element": (
        "a.pdb",
        pdb(elements=["", "", ""], names=("CA", "H1", "H2")),
        "line 1, column 13: 'CA' may be Ca or C; expected one of these in columns 77 and 78",
    ),
    "pdb, which charge": ("a.pdb", pdb(("+?", "", "")), "line 1, column 79: '+?' is no charge"),
    "nothing in an output": (
        "a.out",
        "    * O   R   C   A *\n",
        "no geometry in it; expected at l",
    ),
    "nothing in an input": ("a.gjf", "# hf geom=allcheck\n\n", "no geometry in it; expected at l"),
    "charge that ASE passes over": (
        "a.gro",
        "water, charge 1\n    3\n    1HOH      O    1   0.000   0.000   0.010\n"
        "    1HOH      H    2   0.000   0.076  -0.048\n"
        "    1HOH      H    3   0.000  -0.076  -0.048\n"
        "   0.00000   0.00000   0.00000\n",
        "line 1, column 8: 'charge 1', which is not read from such files; expected xyz",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_nothing_sure_can_be_read_from_is_refused(tmp_path, kind):
    name, text, sentence = REFUSED[kind]
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        geometries.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


def test_a_z_matrix_has_the_charge_of_its_line(tmp_path):
    path = tmp_path / "a.gjf"
    path.write_text(gaussian("1 2", "O\nH 1 0.97\nH 1 0.97 2 104.5"))
    [found] = geometries.read(path)
    assert (found.charge, found.multiplicity, found.problem) == (1, 2, "")
    atoms = Atoms(found.atomic_numbers, found.positions)
    assert atoms.get_distance(0, 1) == pytest.approx(0.97, abs=1e-6)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(104.5, abs=1e-4)


def test_all_molecules_of_a_file_are_read_with_their_names(tmp_path):
    text = mol() + "$$$$\n" + mol("M  CHG  1   1   1\n").replace("name", "ion") + "$$$$\n"
    (tmp_path / "a.sdf").write_text(text)
    found = geometries.read(tmp_path / "a.sdf")
    assert [(one.name, one.charge) for one in found] == [("name", 0), ("ion", 1)]
    (tmp_path / "a.inp").write_text(orca() + "$new_job\n" + orca("* xyz 0 1"))
    assert [one.charge for one in geometries.read(tmp_path / "a.inp")] == [1, 0]
    (tmp_path / "a.gjf").write_text(gaussian() + "--Link1--\n" + gaussian("0 3"))
    assert [one.multiplicity for one in geometries.read(tmp_path / "a.gjf")] == [2, 3]


def test_each_frame_of_a_trajectory_is_a_geometry_with_its_electrons(tmp_path):
    frames = [molecule("H2O") for _ in range(4)]
    frames[1].info |= {"charge": 1, "multiplicity": 2}
    frames[2].info |= {"charge": -1, "spin": 2}
    frames[3].set_initial_magnetic_moments([2.0, 0.0, 0.0])
    ase.io.write(tmp_path / "a.traj", frames)
    found = geometries.read(tmp_path / "a.traj")
    assert [(one.charge, one.multiplicity) for one in found] == [(0, 1), (1, 2), (-1, 2), (0, 3)]
    assert not any(one.problem for one in found)


@pytest.mark.parametrize("name", ["a.gen", "a.json", "a.db", "a.cube", "a.xsf", "a.cif"])
def test_what_ase_writes_is_read(tmp_path, name):
    ase.io.write(tmp_path / name, molecule("H2O"))
    [found] = geometries.read(tmp_path / name)
    assert (found.problem, found.atomic_numbers.tolist()) == ("", [8, 1, 1])
    np.testing.assert_allclose(found.positions, molecule("H2O").positions, atol=1e-3)
