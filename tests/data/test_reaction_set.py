"""The embedded reaction set keeps what its file says of itself."""

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.symbols import Symbols

import gadlib
from gadlib import calculators
from gadlib.hessians import normal_modes
from gadlib.molecules import bonds
from gadlib.systems.batch import Batch
from gadlib.units import frequency_cm1

FILE = Path(gadlib.__file__).parent / "data" / "reactions.h5"
POINTS = ("reactant", "transition_state", "product")
SPLITS = {"train": 0.6, "val": 0.2, "test": 0.2}
ATTRIBUTES = {"title", "level_of_theory", "units", "script", "script_sha256", "paths_sha256"}
ATTRIBUTES |= {"command", "seed", "versions", "criteria", "license", "rejected_attempts"}


@pytest.fixture(scope="module")
def file():
    with h5py.File(FILE) as opened:
        yield opened


@pytest.fixture(scope="module")
def reactions(file) -> list[h5py.Group]:
    return [
        file["data"][formula][name] for formula in file["data"] for name in file["data"][formula]
    ]


@pytest.fixture(scope="module")
def criteria(file) -> dict[str, float]:
    return json.loads(file.attrs["criteria"])


def batch_of(reaction: h5py.Group) -> Batch:
    numbers = reaction["atomic_numbers"][:]
    return Batch.pack(list(reaction["positions"][:]), [numbers] * 3)


def test_set_holds_at_least_ninety_reactions_of_twenty_formulas(file, reactions):
    assert len(reactions) >= 90
    assert len(file["data"]) >= 20


def test_file_is_smaller_than_two_mebibytes():
    assert FILE.stat().st_size < 2 * 2**20


def test_molecules_have_four_to_fifteen_atoms_of_hydrogen_carbon_nitrogen_oxygen(reactions):
    numbers = [reaction["atomic_numbers"][:] for reaction in reactions]
    assert set(np.concatenate(numbers)) == {1, 6, 7, 8}
    assert all(4 <= len(z) <= 15 for z in numbers)


def test_half_of_the_reactions_have_eight_atoms_or_more(reactions):
    n_atoms = np.array([len(reaction["atomic_numbers"]) for reaction in reactions])
    assert (n_atoms >= 8).mean() > 0.5
    assert (n_atoms < 8).sum() >= 10


def test_electrons_are_paired(reactions):
    assert all(reaction["atomic_numbers"][:].sum() % 2 == 0 for reaction in reactions)


def test_group_names_are_hill_formulas(reactions):
    for reaction in reactions:
        formula = Symbols(reaction["atomic_numbers"][:]).get_chemical_formula("hill")
        assert reaction.parent.name == f"/data/{formula}"


def test_reactions_are_numbered_once(reactions):
    names = sorted(reaction.name.rsplit("/", 1)[1] for reaction in reactions)
    assert names == [f"rxn{i:04d}" for i in range(len(reactions))]


def test_splits_are_soft_links_that_part_the_formulas(file):
    linked = []
    for split in SPLITS:
        links = {formula: file[split].get(formula, getlink=True) for formula in file[split]}
        assert all(link.path == f"/data/{formula}" for formula, link in links.items())
        linked += links
    assert sorted(linked) == sorted(file["data"])  # disjoint and complete


def test_splits_have_about_their_share_of_reactions_and_of_sizes(file, reactions):
    mean_size = np.mean([len(reaction["atomic_numbers"]) for reaction in reactions])
    for split, share in SPLITS.items():
        members = [group for formula in file[split].values() for group in formula.values()]
        assert len(members) / len(reactions) == pytest.approx(share, abs=0.06)
        size = np.mean([len(group["atomic_numbers"]) for group in members])
        assert size == pytest.approx(mean_size, abs=1.0)


def test_file_tells_where_it_comes_from(file):
    assert set(file.attrs) >= ATTRIBUTES
    assert file.attrs["license"] == "MIT"
    assert set(json.loads(file.attrs["versions"])) >= {"python", "numpy", "ase", "scine-sparrow"}


def test_datasets_agree_in_shape_and_each_point_repeats_its_part(reactions):
    for reaction in reactions:
        numbers, positions = reaction["atomic_numbers"][:], reaction["positions"][:]
        n = len(numbers)
        assert positions.shape == (3, n, 3)
        assert reaction["DFTB0.energy"].shape == (3,)
        assert reaction["DFTB0.forces"].shape == (3, n, 3)
        for i, name in enumerate(POINTS):
            point = reaction[name]
            assert np.array_equal(point["atomic_numbers"], numbers)
            for key in ("positions", "DFTB0.energy", "DFTB0.forces"):
                assert np.array_equal(point[key], reaction[key][i : i + 1])
            assert isinstance(point["hash"].asstr()[()], str)


def test_hashes_are_all_different(reactions):
    hashes = Counter(group[name]["hash"][()] for group in reactions for name in POINTS)
    assert max(hashes.values()) == 1


def test_forces_vanish_at_all_three_points(reactions, criteria):
    for reaction in reactions:
        assert np.linalg.norm(reaction["DFTB0.forces"], axis=-1).max() < criteria["max_force"]


def test_barriers_are_within_bounds_from_both_sides(reactions, criteria):
    for reaction in reactions:
        energy = reaction["DFTB0.energy"][:]
        barriers = energy[1] - energy[[0, 2]]
        assert (
            criteria["min_barrier"] <= barriers.min() <= barriers.max() <= criteria["max_barrier"]
        )


def test_bond_graphs_of_reactant_and_product_differ(reactions):
    for reaction in reactions:
        reactant, _, product = bonds.bonds(batch_of(reaction))
        assert (reactant != product).any()


def test_only_some_products_are_in_two_fragments_and_all_else_in_one(reactions, criteria):
    pieces = np.array([bonds.n_fragments(batch_of(reaction)).numpy() for reaction in reactions])
    assert (pieces[:, :2] == 1).all()
    assert pieces[:, 2].max() <= 2
    assert (pieces[:, 2] == 2).sum() <= criteria["max_two_fragment_products"]


def test_ends_are_aligned_with_the_transition_state(reactions):
    for reaction in reactions:
        ends, saddle = reaction["positions"][::2], reaction["positions"][1]
        assert np.allclose(ends.mean(1), saddle.mean(0), atol=1e-9)
        for end in ends:
            moment = (end - end.mean(0)).T @ (saddle - saddle.mean(0))
            assert np.allclose(moment, moment.T, atol=1e-8)  # no rotation brings them closer


def test_sparrow_finds_minima_and_a_first_order_saddle(reactions, criteria):
    pytest.importorskip("scine_sparrow")
    calculator = calculators.get("scine", functional="DFTB0")
    for reaction in reactions[::8]:
        batch = batch_of(reaction)
        evaluation = calculator(batch, hessian=True)
        assert evaluation.hessian is not None
        assert np.allclose(evaluation.energy, reaction["DFTB0.energy"], atol=1e-6)
        assert np.allclose(evaluation.forces, reaction["DFTB0.forces"], atol=1e-5)
        spectrum = normal_modes.spectrum(evaluation.hessian, batch)
        assert spectrum.order.tolist() == [0, 1, 0]
        imaginary = -frequency_cm1(float(spectrum.eigenvalues[1, 0]))
        assert imaginary >= criteria["min_imaginary_cm1"]
        assert imaginary == pytest.approx(reaction.attrs["imaginary_cm1"], abs=0.1)
