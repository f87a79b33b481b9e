"""Records for other programs: what is written is read back, by ASE and here, as it was."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from gadlib.batch import Batch
from gadlib.calculators import get
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules import geometries
from gadlib.screening.atoms import atoms_of, beside, is_point, require_room, write_points
from gadlib.screening.search import search
from gadlib.settings.reading import InputError
from gadlib.units import frequency_cm1

pytest.importorskip("scine_sparrow")

NAMES = ["flat", 'a "b" c', "it's [1] {x}"]


def flat_ammonia(name: str) -> Atoms:
    positions = [[0.0, 0.0, 0.12], [0.94, 0.0, 0.0], [-0.47, 0.81, 0.0], [-0.47, -0.81, 0.0]]
    return Atoms("NH3", positions, info={"name": name})


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    nitrogen = Atoms("N2", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], info={"name": "nitrogen"})
    guesses = [nitrogen, *map(flat_ammonia, NAMES)]
    out = tmp_path_factory.mktemp("found") / "own.json"
    return search(guesses, workers=0, out=out), out


def test_saddles_stand_beside_the_result_file_and_are_read_back_as_they_were(records):
    found, out = records
    written = beside(out)
    points = [record for record in found if is_point(record)]
    assert [record.name for record in points] == NAMES
    for atoms, record in zip(ase.io.read(written, ":"), points, strict=True):
        assert atoms.info["name"] == record.name
        assert atoms.info["status"] == record.status == "saddle"
        assert atoms.info["bound"] and atoms.info["order"] == 1
        assert (atoms.info["charge"], atoms.info["multiplicity"]) == (0, 1)
        assert atoms.get_potential_energy() == pytest.approx(record.energy, abs=1e-9)
        np.testing.assert_allclose(atoms.get_forces(), record.forces, atol=1e-8)
        np.testing.assert_allclose(atoms.positions, record.positions, atol=1e-8)
        np.testing.assert_allclose(atoms.arrays["mode"], record.mode, atol=1e-8)
        assert atoms.info["imaginary_cm1"] == pytest.approx(record.imaginary_cm1, abs=1e-3)
        assert not atoms.pbc.any()
    for geometry, record in zip(geometries.read(written), points, strict=True):
        assert (geometry.name, geometry.problem) == (record.name, "")
        np.testing.assert_allclose(geometry.positions, record.positions, atol=1e-8)


def test_the_mode_and_the_forces_are_those_of_the_calculator(records):
    record = records[0][1]
    batch = Batch.pack([torch.tensor(record.positions)], [record.atomic_numbers])
    known = get("scine")(batch, hessian=True)
    mode = np.array(record.mode)
    assert np.linalg.norm(mode) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(known.forces[0].numpy(), record.forces, atol=1e-4)
    weighted = batch.masses[0].sqrt().numpy()[:, None] * mode
    lowest = spectrum(known.hessian, batch)
    along = lowest.modes[0, :, 0].numpy() @ weighted.ravel() / np.linalg.norm(weighted)
    assert abs(along) == pytest.approx(1.0, abs=1e-4)
    assert -record.imaginary_cm1 == pytest.approx(
        frequency_cm1(float(lowest.eigenvalues[0, 0])), rel=1e-3
    )
    assert mode[0, 2] * mode[1, 2] < 0  # nitrogen goes through the plane of the hydrogens


def test_columns_that_viewers_take_for_vectors_are_the_mode(records):
    lines = beside(records[1]).read_text().splitlines()
    assert "Properties=species:S:1:pos:R:3:mode:R:3:forces:R:3" in lines[1]


def test_what_was_not_computed_is_not_written(records, tmp_path):
    nitrogen = records[0][0]
    assert nitrogen.status == "bad_start" and not is_point(nitrogen)
    assert write_points(tmp_path / "none.json", [nitrogen]) is None
    assert not list(tmp_path.iterdir())
    assert atoms_of(nitrogen).calc is None


@pytest.mark.parametrize("name", ["found.xyz", "found", "found.extxyz", "found.JSON.bak"])
def test_results_into_a_name_of_another_kind_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: results are JSON; expected a name that ends in"):
        search(flat_ammonia("a"), workers=0, out=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_of_geometries_that_is_there_is_never_overwritten(tmp_path):
    own = tmp_path / "own.extxyz"
    ase.io.write(own, flat_ammonia("mine"))
    before = own.read_text()
    with pytest.raises(InputError, match=r"own\.extxyz exists, where the geometries of own\.json"):
        require_room(tmp_path / "own.json")
    (tmp_path / "own.json").write_text("")
    with pytest.raises(InputError, match=r"which holds the guesses; expected another name"):
        search(own, workers=0, out=tmp_path / "own.json", resume=True)
    assert own.read_text() == before


def test_an_older_result_file_gets_its_geometries_when_it_is_resumed(records, tmp_path):
    out = tmp_path / "own.json"
    out.write_bytes(records[1].read_bytes())
    search([Atoms("N2", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], info={"name": "nitrogen"}),
            *map(flat_ammonia, NAMES)], workers=0, out=out, resume=True)  # fmt: skip
    assert beside(out).read_text() == beside(records[1]).read_text()
