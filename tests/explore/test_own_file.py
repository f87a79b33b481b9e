"""The page with a file of one's own, driven without a browser: open, aim, run, follow, keep."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import numpy as np
import pytest
from ase.io import read
from little_reactions import write_h5

from gadlib.explore.page import Page, page

AMMONIA = "N 0 0 0.05\nH 0.95 0 -0.02\nH -0.47 0.82 -0.02\nH -0.47 -0.82 -0.02\n"
BENT = "N 0 0 0.3\nH 0.95 0 -0.1\nH -0.47 0.82 -0.1\nH -0.47 -0.82 -0.1\n"
FILE = f"4\nname=flat\n{AMMONIA}4\nname=bent\n{BENT}".encode()
SMALL = {"max_samples": 2, "solver": "trust", "criterion": "bound", "n_steps_per_sample": 60}


@pytest.fixture(scope="module")
def made() -> Page:
    """The page after `flat` of an uploaded file was searched."""
    found = page(SMALL)
    assert isinstance(found, Page)
    upload(found, "guesses.xyz", FILE)
    assert found.wait(60)
    found.search.start()
    assert found.search.wait(60)
    return found


def upload(made: Page, name: str, content: bytes) -> None:
    sent = {"name": name, "content": memoryview(content), "size": len(content), "type": ""}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    made.controls.sources.upload.value = (sent | {"last_modified": moment},)


def words(made: Page) -> list[str]:
    made.runs.copy_button.click()
    return shlex.split(made.browser.copied["text"])


def test_an_uploaded_file_is_offered_beside_the_set_and_its_start_is_shown():
    made = page(SMALL)
    upload(made, "guesses.xyz", FILE)
    assert made.controls.sources.source.options == ("embedded set", "guesses.xyz")
    assert [label for label, _ in made.controls.molecule.options] == [
        "flat H3N, 4 atoms",
        "bent H3N, 4 atoms",
    ]
    assert 'role="status"' in made.message.value
    assert "guesses.xyz: 2 geometries" in made.message.value
    assert made.view.molecule.positions[2] == 0.05
    made.controls.molecule.value = 1
    assert made.view.molecule.positions[2] == 0.3
    assert made.controls.anchor.disabled
    made.controls.sources.source.value = "embedded set"
    assert not made.controls.anchor.disabled


def test_a_file_of_this_machine_is_opened_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.xyz").write_bytes(FILE)
    write_h5(tmp_path / "little.h5")
    made = page(SMALL)
    assert set(made.controls.sources.path.options) == {"here.xyz", "little.h5"}
    made.controls.sources.path.value = "here.xyz"
    assert made.controls.task().start.name == "flat"
    made.controls.sources.path.value = "little.h5"
    assert (made.controls.task().start.name, made.controls.task().settings.h5_path) == (
        "rxn00",
        "little.h5",
    )
    made.controls.sources.path.value = "gone.xyz"
    assert 'role="alert"' in made.message.value
    assert "gone.xyz: no such file" in made.message.value


def test_a_broken_upload_is_named_as_the_reader_knows_it():
    made = page(SMALL)
    upload(made, "mine.xyz", b"two\natoms\n")
    assert "mine.xyz: line 1, column 1: &#x27;two&#x27;" in made.message.value
    assert "/" not in made.message.value.split("mine.xyz")[0].split(">")[-1]
    assert made.controls.sources.source.options == ("embedded set",)


class TestMode:
    def test_clicked_atoms_are_those_that_the_mode_is_to_move(self, made):
        made.controls.mode.value = "lowest"
        for atom in (2, 0, 3, 0):
            made.view.molecule.clicked = [atom, made.view.molecule.clicked[1] + 1]
        assert made.controls.task().settings.mode == "atoms:2,3"
        assert made.view.molecule.picked == [2, 3]

    def test_two_clicks_are_a_bond(self, made):
        made.controls.mode.value = "bonds:"
        for atom in (3, 0, 1):
            made.view.molecule.clicked = [atom, made.view.molecule.clicked[1] + 1]
        assert made.controls.task().settings.mode == "bonds:0-3"
        assert made.view.molecule.picked == [0, 3, 1]

    def test_by_name(self, made):
        made.controls.mode.kind.value = "atoms"
        made.controls.mode.atoms.value = "1, 2"
        assert made.controls.task().settings.mode == "atoms:1,2"

    def test_atoms_that_are_not_there_are_refused_at_once(self, made):
        made.controls.mode.value = "atoms:9"
        made.search.start()
        assert "atom 9" in made.message.value
        made.controls.mode.value = "reaction"
        made.search.start()
        assert "reactant and product are not known" in made.message.value
        made.controls.mode.value = "lowest"

    def test_another_molecule_drops_the_atoms(self):
        made = page(SMALL)
        made.controls.mode.value = "atoms:0"
        made.controls.molecule.value = 1
        assert made.controls.mode.value == "lowest"
        assert made.view.molecule.picked == []


class TestElectrons:
    def test_are_those_of_the_file_and_go_with_the_search(self):
        made = page(SMALL)
        upload(made, "ion.xyz", b"3\ncharge=-1 name=amide\nN 0 0 0\nH 0 0 1\nH 0 1 0\n")
        assert made.controls.electrons["charge"].value == -1
        task = made.controls.task()
        assert (task.start.charge, task.start.multiplicity, task.settings.charge) == (-1, 1, None)

    def test_that_are_changed_are_those_of_the_search_and_fit(self, made):
        made.controls.electrons["charge"].value = 1
        assert made.controls.electrons["multiplicity"].value == 2
        task = made.controls.task()
        assert (task.start.charge, task.start.multiplicity) == (1, 2)
        assert (task.settings.charge, task.settings.multiplicity) == (1, 2)
        made.controls.electrons["multiplicity"].value = 3
        made.search.start()
        assert "9 electrons at a charge of +1 and a multiplicity of 3" in made.message.value
        made.controls.electrons["charge"].value = 0
        made.controls.electrons["multiplicity"].value = 1


def test_the_settings_of_a_run_come_back(made):
    run = made.search.shown
    made.controls.sources.source.value = "embedded set"
    made.controls.solver.value = "gad"
    made.controls.potential.value = "scine PM6"
    made.controls.mode.value = "atoms:1"
    made.controls.seed.value = 7
    made.runs.back_button.click()
    assert made.controls.chosen is run.molecule
    assert made.controls.task().settings == run.settings
    assert f"settings of run {run.number}" in made.message.value


def test_a_run_is_copied_as_the_command_that_searches_the_same(made):
    found = words(made)
    assert found[:3] == ["gadlib", "search", "guesses.xyz"]
    assert found[found.index("--only") + 1] == "flat"
    assert "--start-from" not in found


def test_the_last_point_is_kept_as_a_file_that_others_read(made, tmp_path):
    made.runs.save_button.click()
    run = made.search.shown
    path = tmp_path / made.browser.kept["name"]
    path.write_text(made.browser.kept["text"])
    assert path.name == "flat-run1-saddle.xyz"
    atoms = read(path)
    assert atoms.get_chemical_formula() == "H3N"
    assert atoms.get_potential_energy() == pytest.approx(run.record.energy)
    assert np.linalg.norm(atoms.arrays["mode"]) == pytest.approx(1.0, abs=1e-4)
    assert atoms.info["imaginary_cm1"] == pytest.approx(run.record.imaginary_cm1, abs=0.1)
    assert (atoms.info["charge"], atoms.info["multiplicity"]) == (0, 1)


def test_the_saddle_is_followed_to_its_two_ends(made, tmp_path):
    made.path.follow_button.click()
    assert made.path.wait(60)
    run = made.search.shown
    assert run.path is not None, made.message.value
    assert made.tabs.selected_index == 1
    assert made.view.frame.max == len(run.path.travelled) - 1
    first = bytes(made.path.profile.value)
    made.view.frame.value = 0
    assert bytes(made.path.profile.value) != first
    assert "+0.00 eV from the first end" in made.view.molecule.caption
    assert np.allclose(
        np.reshape(made.view.molecule.positions, (-1, 3)), run.path.ends[0], atol=1e-3
    )
    assert [view.caption for view in made.view.ends] == ["first end", "second end"]
    made.path.save_button.click()
    path = tmp_path / "path.xyz"
    path.write_text(made.browser.kept["text"])
    frames = read(path, ":")
    assert len(frames) == len(run.path.travelled)
    energies = [atoms.get_potential_energy() for atoms in frames]
    assert max(energies) == pytest.approx(run.record.energy, abs=1e-3)
    assert energies[0] == pytest.approx(energies[-1], abs=1e-3)  # the umbrella inverts
    made.tabs.selected_index = 0
    assert made.view.frame.max == len(run.points) - 1


def test_nothing_is_done_with_a_run_that_is_not_there():
    made = page(SMALL)
    for act in (made.runs.copy_button, made.runs.save_button, made.runs.back_button):
        made.message.value = ""
        act.click()
        assert "No run is shown" in made.message.value
    made.path.follow_button.click()
    assert "expected one that ended at a saddle" in made.message.value
