"""The embedded set on GFN2-xTB keeps what its file says of itself."""

import json

import h5py
import numpy as np
import pytest

from gadlib import calculators
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


def test_some_are_charged_and_some_are_large(found):
    assert sum(reaction.charge != 0 for reaction in found) >= 4
    assert sum(len(reaction.atomic_numbers) >= 25 for reaction in found) >= 1


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
