"""A guess beside reactant and product: searched from first, images where it leads elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from gadlib.cli.parser import main
from gadlib.molecules import geometries, reactions
from gadlib.paths.find import GUESS, _from_guess, _order_of_guess, find, pair
from gadlib.screening.records import read_records
from gadlib.settings.reading import InputError

pytest.importorskip("scine_sparrow")

SHIFT = next(one for one in reactions.read(None) if one.name == "rxn0098")
NUMBERS = SHIFT.atomic_numbers


def atoms(positions, numbers=NUMBERS, **info):
    return Atoms(numbers, positions, info=info)


ENDS = atoms(SHIFT.reactant), atoms(SHIFT.product)


def shaken(width, seed=1):
    """The reference saddle, turned, with noise."""
    noise = np.random.default_rng(seed).normal(scale=width, size=SHIFT.transition_state.shape)
    return (SHIFT.transition_state + noise)[:, [1, 2, 0]]


APART = 5.0 * np.arange(3 * len(NUMBERS), dtype=float).reshape(-1, 3)


def found(guess, **settings):
    (record,) = find(*ENDS, guess=guess, **{"workers": 0} | settings)
    return record


def test_a_guess_near_the_saddle_takes_no_images():
    record = found(atoms(shaken(0.1)))
    assert (record.verdict, record.start, record.n_image) == ("intended", GUESS, 0)
    assert record.passed[0].barrier == pytest.approx(1.943, abs=0.01)
    assert record.n_gradient < found(None).n_gradient


HYDROGENS = np.flatnonzero(NUMBERS == 1)


@pytest.mark.parametrize(
    "order",
    [
        np.arange(len(NUMBERS))[::-1],
        np.random.default_rng(3).permutation(len(NUMBERS)),
        [
            int(np.roll(HYDROGENS, 1)[list(HYDROGENS).index(i)]) if i in HYDROGENS else i
            for i in range(len(NUMBERS))
        ],
    ],
    ids=["backwards", "shuffled", "hydrogens alone"],
)
def test_a_guess_whose_atoms_are_numbered_otherwise_is_put_right(order):
    guess = shaken(0.02)
    start = pair(*(geometries.only(geometries.of_atoms([one]), "end") for one in ENDS))
    given = geometries.only(geometries.of_atoms([atoms(guess[order], NUMBERS[order])]), "guess")
    np.testing.assert_allclose(_from_guess(start, given).positions, guess, atol=1e-10)
    assert not np.allclose(given.positions, guess)


def test_a_guess_in_order_stays_as_it_is():
    start = pair(*(geometries.only(geometries.of_atoms([one]), "end") for one in ENDS))
    for width in (0.0, 0.1):
        given = geometries.only(geometries.of_atoms([atoms(shaken(width))]), "guess")
        assert _order_of_guess(start, NUMBERS, given.positions) == range(len(NUMBERS))


def test_where_a_guess_leads_elsewhere_the_images_are_taken():
    other = atoms(SHIFT.reactant + np.array([0.0, 0.0, 0.02]) * (NUMBERS[:, None] == 1))
    record = found(other, mode="lowest")
    assert (record.verdict, record.n_image) == ("intended", 7)


def test_a_guess_is_kept_where_the_ends_are_relaxed_first():
    record = found(atoms(shaken(0.05)), relax_ends="always")
    assert (record.verdict, record.n_image) == ("intended", 0)


def test_a_costly_potential_is_asked_a_few_times_from_a_guess():
    costly = {"solver": "delta", "scine_functional": "PM6", "cheap": "scine:DFTB0", "workers": 0}
    (record,) = find(**costly, only="rxn0062", start_from="ts")
    assert (record.verdict, record.n_image) == ("intended", 0)
    assert record.n_gradient <= 30


def test_starts_of_a_set_can_be_guesses():
    asked = {"split": "val", "max_samples": 2, "workers": 0, "noise_seed": 3}
    for record in find(**asked, start_from="ts_noise0.1A"):
        assert (record.start, record.n_image) == ("ts_noise0.1A", 0)
        assert record.verdict == "intended"
        assert record.noise_seed is not None
    for record in find(**asked):
        assert (record.start, record.n_image, record.noise_seed) == ("idpp_rp", 7, None)


def test_a_guess_of_a_file_is_what_the_command_begins_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"r": ENDS[0], "p": ENDS[1], "g": atoms(shaken(0.1))}
    for name, geometry in files.items():
        write(f"{name}.xyz", geometry)
    asked = ["find", "r.xyz", "p.xyz", "--guess", "g.xyz", "--out", "s.json"]
    more = ["--workers", "0", "--quiet"]
    assert main([*asked, *more]) == 0
    before, (record,) = read_records(Path("s.json"))
    assert (before["guess"], record.start, record.n_image) == ("g.xyz", GUESS, 0)
    assert main([*asked, *more, "--resume"]) == 0
    write("g.xyz", atoms(shaken(0.2, seed=2)))
    assert main([*asked, *more, "--resume"]) == 2


@pytest.mark.parametrize(
    ("guess", "sentence"),
    [
        (
            atoms(shaken(0)[:-1], NUMBERS[:-1]),
            r"the reactant is .* and the guess .*: expected the same",
        ),
        (
            atoms(APART, NUMBERS[::-1]),
            "the guess has .*0 where the reactant has .*0, and",
        ),
        (atoms(shaken(0), charge=2), r"the guess has a charge of \+2 and a multiplicity of 1"),
    ],
)
def test_a_guess_of_another_molecule_is_refused(guess, sentence):
    with pytest.raises(InputError, match=sentence):
        found(guess)


def test_a_calculator_can_be_named_as_in_search():
    """Given as a word it was called, and each end refused, as that is no function."""
    (record,) = find(*ENDS, guess=atoms(shaken(0.02)), calculator="scine", workers=0)
    assert record.verdict == "intended"
    with pytest.raises(InputError, match="calculator 'vasp': expected one of"):
        find(*ENDS, calculator="vasp", workers=0)


def test_guesses_and_recipes_have_their_places():
    with pytest.raises(InputError, match="a guess without ends: expected reactant and product"):
        find(guess="g.xyz", split="val", max_samples=1)
    with pytest.raises(InputError, match="start_from 'ts': expected none with files"):
        find(*ENDS, start_from="ts")
    with pytest.raises(InputError, match="start 'tss': expected one of"):
        find(split="val", max_samples=1, start_from="tss")
