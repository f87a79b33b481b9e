"""find_saddle takes Atoms and gives Atoms: where the search ended, and all that is known there."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read, write
from hops import adatom, disturbed

import gadlib
from gadlib import calculators
from gadlib.ase.saddles import find_saddle
from gadlib.settings.reading import InputError


def nearly_flat() -> Atoms:
    atoms = molecule("NH3")
    atoms.positions[1:, 2] *= 0.2
    atoms.info["label"] = "inversion"
    return atoms


@pytest.fixture
def scine():
    pytest.importorskip("scine_sparrow")
    return calculators.get("scine")


def test_saddle_of_a_molecule_is_that_of_the_records(scine):
    guess = nearly_flat()
    before = guess.positions.copy()
    saddle = find_saddle(guess, calculator=scine)
    (record,) = gadlib.search(guess, solver="trust", criterion="bound", workers=0)
    assert np.array_equal(guess.positions, before)
    assert (guess.calc, set(guess.info)) == (None, {"label"})
    assert saddle.positions == pytest.approx(np.array(record.positions), abs=1e-9)
    assert saddle.get_potential_energy() == pytest.approx(record.energy, abs=1e-9)
    told = {name: getattr(record, name) for name in ("status", "message", "order", "n_fragments")}
    assert {name: saddle.info[name] for name in told} == told
    for name in ("fmax", "steps", "n_gradient", "n_hessian"):
        assert saddle.info[name] == pytest.approx(getattr(record, name), rel=1e-6)
    assert saddle.info["frequency_cm1"] == pytest.approx(-(record.imaginary_cm1 or 0.0))
    assert saddle.info["imaginary_cm1"] == pytest.approx(record.imaginary_cm1)
    judged = {name: met for name, met in record.criteria.items() if met is not None}
    assert {name: saddle.info[name] for name in judged} == judged
    assert saddle.info["label"] == "inversion"
    assert np.linalg.norm(saddle.get_forces(), axis=1).max() < 0.01


def test_mode_is_the_way_over_the_saddle(scine):
    saddle = find_saddle(nearly_flat(), calculator=scine)
    mode = saddle.arrays["mode"]
    assert np.linalg.norm(mode) == pytest.approx(1)
    across = np.abs(mode / np.linalg.norm(mode, axis=1, keepdims=True))
    normal = np.linalg.svd(saddle.positions - saddle.positions.mean(0))[2][2]
    assert np.abs(across @ np.abs(normal)) == pytest.approx(1, abs=0.02)  # out of the plane


def test_saddle_is_written_and_read_as_any_atoms(scine, tmp_path):
    saddle = find_saddle(nearly_flat(), calculator=scine)
    write(tmp_path / "saddle.xyz", saddle)
    again = read(tmp_path / "saddle.xyz")
    assert isinstance(again, Atoms)
    assert again.get_potential_energy() == pytest.approx(saddle.get_potential_energy())
    assert again.info["status"] == "saddle"
    assert again.info["frequency_cm1"] == pytest.approx(saddle.info["frequency_cm1"])
    assert again.arrays["mode"] == pytest.approx(saddle.arrays["mode"], abs=1e-7)


def test_saddle_of_a_slab_keeps_cell_and_constraints_and_is_soft():
    guess = disturbed(adatom(0.5), 0.05)
    saddle = find_saddle(guess)
    assert saddle.info["status"] == "saddle"
    assert (saddle.info["strict"], saddle.info["bound"]) == (True, False)
    assert -50 < saddle.info["frequency_cm1"] < -10
    assert saddle.get_potential_energy() == pytest.approx(
        adatom(0.5).get_potential_energy(), abs=1e-3
    )
    assert (saddle.cell.array == guess.cell.array).all()
    assert saddle.pbc.tolist() == [True, True, False]
    frozen = guess.constraints[0].get_indices()
    assert saddle.constraints[0].get_indices().tolist() == frozen.tolist()
    assert not saddle.arrays["mode"][frozen].any()
    assert int(np.abs(saddle.arrays["mode"]).max(1).argmax()) == 12


def test_search_that_finds_none_tells_so_and_gives_where_it_ended(scine):
    end = find_saddle(nearly_flat(), calculator=scine, n_steps=1)
    assert (end.info["status"], end.info["steps"]) == ("out_of_steps", 1)
    assert "steps ran out" in end.info["message"]
    assert end.get_potential_energy() < 0
    assert "mode" in end.arrays


def test_guess_that_can_not_be_computed_comes_back_with_the_reason():
    end = find_saddle(Atoms("Xe3", [[0, 0, 0], [0, 0, 3.0], [0, 3, 0]]), calculator=EMT())
    assert end.info["status"] == "bad_start"
    assert "EMT: " in end.info["message"]
    assert end.calc is None
    assert not {"order", "fmax", "mode"} & ({*end.info} | {*end.arrays})


def test_calculator_of_the_guess_is_used_and_left_as_it_is():
    guess = Atoms("Cu4", [[1.15, 0, 0], [-1.15, 0, 0], [0, 2.0, 0.15], [0, -2.0, 0.1]])
    guess.calc = calc = EMT()
    saddle = find_saddle(guess, criterion="strict")
    assert saddle.info["status"] == "saddle"
    assert guess.calc is calc


@pytest.mark.parametrize(
    ("guess", "options", "told"),
    [
        (molecule("H2O"), {}, "no calculator"),
        (molecule("H2O"), {"calculator": 7}, "atoms.calc is 7; expected a calculator"),
        (molecule("H2O"), {"calculator": EMT(), "solver": "neb"}, "expected one of gad, trust"),
        (molecule("H2O"), {"calculator": EMT(), "criterion": "best"}, "expected one of index1"),
        (molecule("H2O"), {"calculator": EMT(), "n_steps": -1}, "n_steps -1: expected an integer"),
        (molecule("H2O"), {"calculator": EMT(), "mode": "atoms:9"}, "no atom 9"),
        (bulk("Cu"), {"calculator": EMT()}, "have 0 vibrations"),
    ],
)
def test_what_can_not_be_searched_is_refused_in_a_sentence(guess, options, told):
    with pytest.raises(InputError, match=told):
        find_saddle(guess, **options)
