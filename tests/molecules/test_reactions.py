from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from little_reactions import LITTLE, N_LITTLE, geometries, on_each_other, write_h5, write_reaction
from little_reactions import write_xyz as write_xyz_file

from gadlib.molecules import reactions, starting_points
from gadlib.settings.reading import InputError


@pytest.fixture
def path(tmp_path):
    return write_h5(tmp_path / "little.h5")


def test_reactions_come_in_the_order_of_splits_and_file(path):
    found = reactions.read(path, split="test,train")
    assert [r.name for r in found] == ["rxn21", "rxn20", "rxn00", "rxn01", "rxn02"]
    assert [r.split for r in found] == ["test"] * 2 + ["train"] * 3


def test_all_means_every_split_and_a_split_named_twice_counts_once(path):
    assert len(reactions.read(path, split="all")) == N_LITTLE
    assert len(reactions.read(path, split="val,val")) == len(LITTLE["val"])


def test_max_samples_takes_the_first(path):
    everything = [r.name for r in reactions.read(path)]
    assert [r.name for r in reactions.read(path, max_samples=2)] == everything[:2]


def test_parts_of_a_reaction_are_those_written(path):
    (found,) = reactions.read(path, split="val")
    numbers, parts = geometries("H2CO")
    assert found.formula == "CH2O"
    np.testing.assert_array_equal(found.atomic_numbers, numbers)
    for read, written in zip(
        (found.reactant, found.transition_state, found.product), parts, strict=True
    ):
        np.testing.assert_array_equal(read, written)


def test_further_datasets_do_not_disturb(path):
    before = reactions.read(path, split="val")
    with h5py.File(path, "a") as file:
        reaction = file["data/CH2O/rxn10"]
        reaction["wB97x_6-31G(d).energy"] = np.zeros(3)
        reaction["reactant"]["hash"] = "abc"
    after = reactions.read(path, split="val")
    np.testing.assert_array_equal(after[0].transition_state, before[0].transition_state)


def write_ten_thousand(path: Path) -> Path:
    """A file of so many reactions, under ten formulas, all of them the same one."""
    with h5py.File(path, "w") as file:
        data, links = file.create_group("data"), file.create_group("train")
        reaction = write_reaction(file, "one", *geometries("H2O"))
        for k in range(10):
            formula = data.create_group(f"F{k}")
            for i in range(1000):
                formula[f"rxn{i:04}"] = reaction
            links[f"F{k}"] = h5py.SoftLink(f"/data/F{k}")
    return path


@pytest.mark.timeout(60)
def test_hundred_of_ten_thousand_reactions_are_read_in_two_seconds(tmp_path):
    path = write_ten_thousand(tmp_path / "large.h5")
    started = time.process_time()
    found = reactions.read(path, split="train", max_samples=100)
    seconds = time.process_time() - started
    assert [r.name for r in found] == [f"rxn{i:04}" for i in range(100)]
    assert seconds < 2


def test_fragments_allowed_are_those_of_the_transition_state():
    numbers, (whole, *_) = geometries("H2O")
    torn = whole + np.array([[0, 0, 0], [0, 0, 9.0], [0, 0, -9.0]])
    reaction = reactions.Reaction("rxn", "H2O", "test", numbers, whole, torn, whole)
    (start,) = starting_points.starts([reaction], "reactant")
    assert start.max_fragments == 3


def test_starts_that_all_have_atoms_on_each_other_are_refused():
    reaction = _reaction("H2O")
    flat = np.zeros((3, 3))
    bad = reactions.Reaction("rxn9", "H2O", "test", reaction.atomic_numbers, flat, flat, flat)
    with pytest.raises(
        InputError, match=r"rxn9 are 0.000 A apart at ts; expected at least 0.001 A"
    ):
        starting_points.starts([bad], "ts")
    assert len(starting_points.starts([bad, reaction], "ts")) == 2


def test_pair_at_the_floor_distance_is_accepted_and_below_it_named():
    def start(distance: float) -> starting_points.Start:
        atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, distance]])
        return starting_points.Start("x", "HO", "", "f", None, atoms.numbers, atoms.positions, 1)

    assert starting_points.too_close(start(0.1), 0.1) == ""
    told = starting_points.too_close(start(0.099), 0.1)
    assert told.startswith("atoms O0 and H1 of x are 0.099 A")


def test_geometries_come_in_the_order_of_frames_with_their_names(tmp_path):
    path = write_xyz_file(tmp_path / "two.extxyz", ("H2O", "HCN"))
    found = starting_points.read_geometries(path)
    assert [s.name for s in found] == ["start of H2O", "start of HCN"]
    assert [s.formula for s in found] == ["H2O", "CHN"]
    assert all(s.split == "" and s.start == "two.extxyz" for s in found)


def test_nameless_frames_are_named_after_the_file(tmp_path):
    ase.io.write(tmp_path / "mine.xyz", [molecule("H2O"), molecule("CO2")])
    assert [s.name for s in starting_points.read_geometries(tmp_path / "mine.xyz")] == [
        "mine-0",
        "mine-1",
    ]


def _reaction(name: str) -> reactions.Reaction:
    numbers, parts = geometries(name)
    return reactions.Reaction(name, name, "test", numbers, *parts)


def _spoil(path, how: str) -> None:
    with h5py.File(path, "a") as file:
        reaction = file["data/CH2O/rxn10"]
        if how == "part missing":
            del reaction["product"]
        elif how == "dataset missing":
            del reaction["product/positions"]
        elif how == "other length":
            del reaction["product/atomic_numbers"]
            reaction["product/atomic_numbers"] = [6, 8, 1]
        elif how == "other atoms":
            numbers = reaction["product/atomic_numbers"]
            numbers[1] = 7
        elif how == "not finite":
            reaction["product/positions"][0, 0, 0] = np.nan
        elif how == "no element":
            for part in ("reactant", "transition_state", "product"):
                reaction[part]["atomic_numbers"][0] = 200
        elif how == "no molecule":
            del file["data/CH2O/rxn10"]
            file["data/CH2O/rxn10"] = 1.0
        elif how == "dangling":
            del file["data/CH2O"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("part missing", "reaction val/CH2O/rxn10: product lacks atomic_numbers or positions"),
        ("dataset missing", "reaction val/CH2O/rxn10: product lacks atomic_numbers or positions"),
        ("other length", "product has 3 atomic_numbers and positions of shape (1, 4, 3); expected"),
        ("other atoms", "product is ONH2 in its order of atoms, the reactant OCH2; expected the"),
        ("not finite", "product has positions that are not finite"),
        ("no element", "reactant has atomic number 200; expected 1 .. 118"),
        ("no molecule", "val/CH2O/rxn10: leads nowhere; expected a group of reactant, transition_"),
        ("dangling", "val/CH2O leads nowhere (a link to /data/CH2O); expected a link to data/CH2O"),
    ],
)
def test_damaged_reaction_is_refused_with_file_and_place(path, how, told):
    _spoil(path, how)
    with pytest.raises(InputError) as caught:
        reactions.read(path, split="val")
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


def test_damage_beyond_what_is_taken_goes_unseen(path):
    _spoil(path, "part missing")
    assert len(reactions.read(path, split="train,val", max_samples=3)) == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file; expected an HDF5 file"),
        (b"hello", "not an HDF5 file; expected"),
        ("half", "damaged, or not readable"),
        ("folder", "a folder; expected an HDF5 file"),
        ("no groups", "no group 'train'; expected the Transition1x groups data, train, val, test"),
    ],
)
def test_file_that_is_none_of_reactions_is_refused_with_its_name(tmp_path, content, told):
    path = tmp_path / "mine.h5"
    if content == "half":
        whole = write_h5(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "folder":
        path.mkdir()
    elif content == "no groups":
        with h5py.File(path, "w") as file:
            file["energies"] = 1.0
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        reactions.read(path)
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize("split", ["Test", "train,,val", "", "everything"])
def test_unknown_split_is_refused_with_the_known_ones(path, split):
    with pytest.raises(InputError, match="expected one of train, val, test, several with commas"):
        reactions.read(path, split=split)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file; expected starting geometries in xyz or extxyz"),
        ("", "an empty file"),
        (
            "3\n\nH 0 0 0\n",
            "line 4, column 1: the end of the file; expected another of the 3 atoms",
        ),
        ("1\n\nH 0 0 nan\n", "no start can be searched: mine-0: line 3, column 7: 'nan'"),
        ("1\n\nX 0 0 0\n", "no start can be searched: mine-0: line 3, column 1: 'X' is a"),
        ("0\n\n", "no start can be searched: mine-0: line 1: 0 atoms"),
    ],
)
def test_unusable_geometries_are_refused_with_file_and_frame(tmp_path, content, told):
    path = tmp_path / "mine.xyz"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        starting_points.read_geometries(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_geometries_that_all_have_atoms_on_each_other_are_refused(tmp_path):
    path = tmp_path / "flat.xyz"
    ase.io.write(path, on_each_other([8, 1, 1]))
    with pytest.raises(InputError, match="no start can be searched: atoms O0 "):
        starting_points.read_geometries(path)


def test_sample_is_drawn_with_its_seed_over_the_whole_split_in_the_order_of_the_file(path):
    everything = [r.name for r in reactions.read(path)]
    drawn = {}
    for seed in range(20):
        found = reactions.read(path, max_samples=3, sample_seed=seed)
        names = [r.name for r in found]
        assert names == [r.name for r in reactions.read(path, max_samples=3, sample_seed=seed)]
        assert names == [everything[r.place] for r in found]
        assert names == sorted(names, key=everything.index)
        drawn[seed] = tuple(names)
    assert len(set(drawn.values())) > 5
    assert {name for names in drawn.values() for name in names} == set(everything)


@pytest.mark.parametrize("seed", [0, 7])
def test_larger_sample_holds_the_smaller_one_and_enough_samples_are_all(seed):
    sizes = [set(reactions.drawn(50, most, seed)) for most in range(1, 60)]
    assert all(small <= large for small, large in pairwise(sizes))
    assert sizes[-1] == set(range(50))
    assert reactions.drawn(50, 3, None) == [0, 1, 2]


def test_reaction_starts_from_the_same_point_in_every_sample(path):
    recipe = "midpoint_rt_noise0.3A"
    everything = {s.name: s for s in starting_points.starts(reactions.read(path), recipe)}
    for seed in range(4):
        found = reactions.read(path, max_samples=3, sample_seed=seed)
        for start in starting_points.starts(found, recipe):
            assert start.noise_seed == everything[start.name].noise_seed
            np.testing.assert_array_equal(start.positions, everything[start.name].positions)


def test_unknown_way_to_sample_is_refused_with_the_known_ones():
    assert reactions.seed_of("seeded", 3) == 3
    assert reactions.seed_of("first", 3) is None
    with pytest.raises(InputError, match="sample 'last': expected one of seeded, first"):
        reactions.seed_of("last", 3)


def test_sample_of_a_large_file_takes_seconds_at_most(tmp_path):
    path = write_ten_thousand(tmp_path / "large.h5")
    started = time.process_time()
    found = reactions.read(path, split="train", max_samples=100, sample_seed=0)
    seconds = time.process_time() - started
    assert len({r.formula for r in found}) == 10
    assert seconds < 2


def test_charge_and_multiplicity_are_attributes_of_a_reaction_or_given(path):
    first = reactions.read(path, split="test", max_samples=1)[0]
    with h5py.File(path, "r+") as file:
        group = file[f"data/{first.formula}/{first.name}"]
        group.attrs["charge"] = np.int32(-2)
        group.attrs["multiplicity"] = 3.0
    own = reactions.read(path, split="test", max_samples=1)[0]
    assert (own.charge, own.multiplicity) == (-2, 3)
    start = starting_points.starts([own], "ts")[0]
    assert (start.charge, start.multiplicity) == (-2, 3)
    others = reactions.read(path, split="all", charge=1)
    assert {(r.charge, r.multiplicity) for r in others} == {(1, 2), (-2, 3)}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("charge", 0.5, "its attribute charge is 0.5; expected an integer"),
        ("charge", "plus", "its attribute charge is plus; expected an integer"),
        ("multiplicity", [1, 3], "its attribute multiplicity is "),
        ("multiplicity", 2, "electrons and a multiplicity of 2; expected 1 or 3 or 5"),
    ],
)
def test_a_reaction_whose_electrons_can_not_be_is_a_record_of_its_own(path, name, value, told):
    first = reactions.read(path, split="test", max_samples=1)[0]
    with h5py.File(path, "r+") as file:
        file[f"data/{first.formula}/{first.name}"].attrs[name] = value
    found = reactions.read(path, split="all")
    (spoilt,) = [reaction for reaction in found if reaction.problem]
    assert spoilt.name == first.name
    assert told in spoilt.problem
