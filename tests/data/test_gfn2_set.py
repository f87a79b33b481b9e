"""The embedded set on GFN2-xTB keeps what its file says of itself."""

import hashlib
import json

import h5py
import networkx as nx
import numpy as np
import pytest

from gadlib import calculators
from gadlib.data.reactions import Reaction
from gadlib.hessians import normal_modes
from gadlib.molecules import reactions
from gadlib.molecules.bonds import bond_graph_of, is_same
from gadlib.systems.batch import Batch

NAME = "embedded-gfn2"
FILE = reactions.located(NAME)


@pytest.fixture(scope="module")
def found() -> list[reactions.Reaction]:
    return reactions.read(NAME)


@pytest.fixture(scope="module")
def attributes() -> dict[str, dict]:
    with h5py.File(FILE) as file:
        groups = [group for formula in file["data"].values() for group in formula.values()]
        return {group.name.rsplit("/", 1)[1]: dict(group.attrs) for group in groups}


def test_name_stands_for_a_small_file_whose_reactions_can_all_be_used(found):
    assert FILE.stat().st_size < 2**20
    assert found
    assert not [reaction.problem for reaction in found if reaction.problem]
    assert reactions.count(NAME) == len(found)


def test_there_are_sixty_of_them_some_charged_some_large(found):
    sizes = [len(reaction.atomic_numbers) for reaction in found]
    assert len(found) >= 60
    assert sum(reaction.charge != 0 for reaction in found) >= 12
    assert sum(reaction.multiplicity > 1 for reaction in found) >= 6
    assert sum(25 <= size <= 60 for size in sizes) >= 8
    assert any(size >= 25 and one.charge for size, one in zip(sizes, found, strict=True))


def test_the_first_ones_keep_their_names_and_splits(found):
    first = sorted((one for one in found if int(one.name[3:]) < 46), key=lambda one: one.name)
    told = "".join(f"{one.name} {one.formula} {one.split}\n" for one in first)
    assert len(first) == 46
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "e39ffe1f8ac524c9"


def test_known_splits_stay_and_other_formulas_fill_up_what_lacks():
    pytest.importorskip("rdkit")
    from gadlib.data.make_reactions import split_by_formula

    numbers = [[6, 1, 1, 1, 1], [8, 1, 1], [7, 1, 1, 1], [6, 8]]
    found = [hand_made(np.array(each)) for each in numbers]
    formulas = [one.formula for one in found]
    known = dict.fromkeys(formulas[:3], "test")
    splits = split_by_formula(found, known)
    assert sorted(splits["test"]) == sorted(formulas[:3])
    assert splits["train"] == formulas[3:]


def hand_made(numbers: np.ndarray) -> Reaction:
    nothing = np.zeros((3, len(numbers), 3))
    return Reaction("", numbers, nothing, np.zeros(3), nothing, (nx.Graph(), nx.Graph()), 0.0)


def test_each_says_what_found_it_and_from_what(attributes):
    for about in attributes.values():
        assert about["found_by"] in ("p-rfo", "trust")
        assert about["kind"] in ("neutral", "charged", "radical", "large")
        assert about["origin"]


def test_splits_part_the_formulas(found):
    splits: dict[str, set[str]] = {}
    for reaction in found:
        splits.setdefault(reaction.split, set()).add(reaction.formula)
    assert set(splits) == {"train", "val", "test"}
    assert not set.intersection(*splits.values())


def test_ends_differ_in_their_bonds(found):
    for reaction in found:
        ends = (reaction.reactant, reaction.product)
        assert not is_same(*(bond_graph_of(reaction.atomic_numbers, place) for place in ends))


def test_gfn2_finds_minima_and_a_first_order_saddle(found):
    pytest.importorskip("tblite")
    options = {"method": "GFN2-xTB", "accuracy": 0.1}
    calculator = calculators.get("ase", calculator="tblite.ase:TBLite", options=options)
    with h5py.File(FILE) as file:
        most = json.loads(file.attrs["criteria"])["max_force"]
    small = [reaction for reaction in found if len(reaction.atomic_numbers) < 9]
    for reaction in small[::4]:
        places = [reaction.reactant, reaction.transition_state, reaction.product]
        batch = Batch.pack(
            places,
            [reaction.atomic_numbers] * 3,
            charges=[reaction.charge] * 3,
            multiplicities=[reaction.multiplicity] * 3,
        )
        answer = calculator(batch, hessian=True)
        assert not answer.failures
        assert answer.hessian is not None
        assert np.linalg.norm(answer.forces.numpy(), axis=-1).max() < most
        assert normal_modes.spectrum(answer.hessian, batch).order.tolist() == [0, 1, 0]
