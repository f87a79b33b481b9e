"""Vibrations and thermochemistry of points that are given, as files and as Atoms."""

import json

import pytest
from ase.build import molecule
from ase.io import write
from ase.optimize import BFGS
from ase.vibrations import Vibrations

import gadlib
from gadlib import report
from gadlib.ase.potential import Potential
from gadlib.cli.parser import main
from gadlib.paths.frequencies import frequencies
from gadlib.settings.reading import InputError


@pytest.fixture(scope="module")
def ammonia():
    """Ammonia at its minimum on DFTB0."""
    pytest.importorskip("scine_sparrow")
    atoms = molecule("NH3")
    atoms.calc = Potential(gadlib.calculators.get("scine"))
    BFGS(atoms, logfile=None).run(fmax=1e-4)
    return atoms


def test_wavenumbers_and_zero_point_are_those_of_ases_vibrations(ammonia, tmp_path):
    (found,) = frequencies(ammonia)
    (gas,) = found.thermochemistry
    vibrations = Vibrations(ammonia, name=str(tmp_path / "vib"), delta=0.005)
    vibrations.run()
    assert gas.wavenumbers_cm1 == pytest.approx(vibrations.get_frequencies().real[6:], abs=3)
    assert gas.zero_point == pytest.approx(vibrations.get_energies().real[6:].sum() / 2, abs=1e-3)
    assert (found.kind, found.order, found.message) == ("minimum", 0, "")
    assert (gas.symmetry_number, gas.is_symmetry_given) == (3, False)
    assert len(found.modes) == len(gas.reduced_masses) == 6


def test_conditions_are_those_that_are_asked_for(ammonia):
    (usual,) = frequencies(ammonia)[0].thermochemistry
    (other,) = frequencies(ammonia, pressure=202650.0, symmetry_number=1)[0].thermochemistry
    # k T ln 2 for twice the pressure, less k T ln 3 of the symmetry number.
    assert other.gibbs - usual.gibbs == pytest.approx(0.0256926 * (0.693147 - 1.098612), abs=1e-5)
    (hot,) = frequencies(ammonia, temperature=600.0)[0].thermochemistry
    assert hot.gibbs < usual.gibbs


def test_command_prints_and_writes_what_a_file_holds(ammonia, tmp_path, capsys):
    bare = ammonia.copy()
    off = molecule("H2O")
    write(tmp_path / "both.xyz", [bare, off], format="extxyz")
    out = tmp_path / "both.json"
    assert main(["frequencies", str(tmp_path / "both.xyz"), "--out", str(out), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "symmetry number counted from the geometry" in printed
    assert "no stationary point of this potential" in printed
    assert "not stationary" in printed
    written = json.loads(out.read_text())["frequencies"]
    assert [each["order"] for each in written] == [0, 0]
    with pytest.raises(InputError, match="nothing is overwritten"):
        frequencies(tmp_path / "both.xyz", out=out)


def test_electrons_that_are_not_paired_have_entropy(ammonia):
    radical = molecule("NH2")
    radical.calc = Potential(gadlib.calculators.get("scine", functional="PM6"))
    (found,) = frequencies(radical, scine_functional="PM6")
    assert found.multiplicity == found.thermochemistry[0].multiplicity == 2


def test_table_marks_imaginary_vibrations(ammonia):
    flat = ammonia.copy()
    flat.positions[:, 2] = 0.0
    (found,) = frequencies(flat)
    table = report.frequencies_table(found)
    assert table["cm⁻¹"][0].endswith("i")
    assert not table["cm⁻¹"][1].endswith("i")


@pytest.mark.parametrize("content", ["{}", '{"paths": []}', '{"settings": {}, "records": []}'])
def test_file_without_a_point_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json: "):
        frequencies(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({"temperature": 0}, "temperature = 0"), ({"pressure": -1.0}, r"pressure = -1\.0")],
)
def test_conditions_that_no_gas_has_are_refused(ammonia, setting, expected):
    with pytest.raises(InputError, match=expected):
        frequencies(ammonia, **setting)
