"""Saddles from reactants and products: images, searches, the way downhill, two steps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read, write

from gadlib.calculators import get
from gadlib.cli.parser import main
from gadlib.molecules import reactions
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.interpolation import crowding, idpp, linear, with_room
from gadlib.molecules.starting_points import starts
from gadlib.paths.ends import prepare_ends, within
from gadlib.paths.find import find
from gadlib.paths.finding import find_each
from gadlib.paths.plans import Plan
from gadlib.paths.saddles import find_saddle
from gadlib.screening.jobs import Job
from gadlib.screening.records import read_records
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError

pytest.importorskip("scine_sparrow")

KNOWN = {reaction.name: reaction for reaction in reactions.read(None)}
SHIFT = KNOWN["rxn0098"]


def ends(reaction, order=None):
    """The two ends as ASE's atoms, the product's atoms in another order if one is given."""
    numbers = reaction.atomic_numbers
    order = np.arange(len(numbers)) if order is None else order
    return (
        Atoms(numbers, reaction.reactant),
        Atoms(numbers[order], reaction.product[order]),
    )


def test_the_saddle_of_a_reaction_is_found_from_files_with_atoms_in_another_order(tmp_path):
    order = np.random.default_rng(1).permutation(len(SHIFT.atomic_numbers))
    for name, atoms in zip("rp", ends(SHIFT, order), strict=True):
        write(tmp_path / f"{name}.xyz", atoms)
    out = tmp_path / "saddle.json"
    files = [str(tmp_path / "r.xyz"), str(tmp_path / "p.xyz")]
    assert main(["find", *files, "--out", str(out), "--workers", "0", "--quiet"]) == 0
    (told,) = json.loads(out.read_text())["records"]
    assert told["verdict"] == "intended"
    assert 7 < told["n_gradient"] < 200
    assert told["n_image"] == 7
    (saddle,) = read(out.with_suffix(".extxyz"), index=":")
    assert saddle.info["imaginary_cm1"] > 50
    (record,) = read_records(out)[1]
    assert record.passed[0].barrier == pytest.approx(1.943, abs=0.01)
    assert len(record.passed[0].ends) == 2


def test_reactions_of_a_set_are_found_and_resumed(tmp_path):
    out = tmp_path / "found.json"
    asked = {"split": "val", "max_samples": 2, "workers": 0}
    before = find(**asked, out=out)
    assert [record.verdict for record in before] == [Connection.INTENDED] * 2
    assert find(**asked, out=out, resume=True) == before


def test_images_go_evenly_from_end_to_end_and_through_no_atom():
    numbers, reactant, product = SHIFT.atomic_numbers, SHIFT.reactant, SHIFT.product
    images = linear(reactant, product, 3)
    np.testing.assert_allclose(images[1], (images[0] + images[2]) / 2)
    swapped = molecule("CH4").positions
    images = idpp(np.array([6, 1, 1, 1, 1]), swapped, swapped[[0, 2, 1, 3, 4]] * [1, 1, 1.001], 7)
    assert np.isfinite(images).all()
    distance = np.linalg.norm(images[:, :, None] - images[:, None], axis=-1)
    distance[:, np.arange(5), np.arange(5)] = np.inf
    assert distance.min() > 0.6
    np.testing.assert_array_equal(
        idpp(numbers, reactant, product, 3), idpp(numbers, reactant, product, 3)
    )


def test_images_in_which_atoms_lie_on_each_other_get_room():
    methane = molecule("CH4")
    methane.positions[1] = methane.positions[2] + [0, 0, 0.1]
    assert crowding(methane.numbers, methane.positions) == "atoms H1 and H2 are 0.10 A apart"
    (freed,) = with_room(methane.numbers, methane.positions[None])
    assert not crowding(methane.numbers, freed)
    np.testing.assert_allclose(freed[3:], methane.positions[3:])


def test_ends_of_a_molecule_that_is_turned_are_superposed_first():
    start = starts([SHIFT], "reactant")[0]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    turned = within(replace(start, ends=(start.ends[0], start.ends[1] @ turn + 5)))
    np.testing.assert_allclose(turned.ends[1], within(start).ends[1], atol=1e-8)


def test_a_budget_ends_the_search_and_what_was_found_is_told():
    start = within(starts([SHIFT], "reactant")[0])
    job = Job(get("scine"), (start,), SOLVERS["trust"](), "bound", 5, mode="reaction")
    ((_, record),) = find_each(job, plan=Plan(budget=10))
    assert not record.converged
    assert record.verdict == ""
    assert record.n_gradient == 10
    assert record.n_image == 7
    told = "The search was stopped where the criterion is not met. The budget of 10 gradients is"
    assert record.message.startswith(told)


@pytest.mark.parametrize(
    ("reactant", "product", "told"),
    [
        (molecule("H2O"), molecule("NH3"), "the reactant is H2O and the product H3N: expected the"),
        (molecule("CH4"), molecule("CH4"), "reactant and product are the same geometry"),
        (molecule("CH4"), None, "the product is not given; expected both ends"),
    ],
)
def test_ends_that_are_no_reaction_are_refused_in_a_sentence(reactant, product, told):
    with pytest.raises(InputError, match=told):
        find(reactant, product)


def test_mirror_images_are_refused_unless_a_bond_goes_from_atom_to_atom():
    chiral = Atoms(
        "CHFClBr", [[0, 0, 0], [0, 0, 1.1], [1.3, 0, -0.4], [-0.9, 1.5, -0.5], [0, -1.8, -0.6]]
    )
    mirrored = chiral.copy()
    mirrored.positions[:, 0] *= -1
    with pytest.raises(InputError, match="mirror images of each other, and no bond changes"):
        find(chiral, mirrored)
    with pytest.raises(InputError, match="the same geometry"):
        find(chiral, chiral[[0, 1, 4, 2, 3]])


def test_atoms_that_lie_on_each_other_in_an_end_are_refused():
    reactant, product = ends(SHIFT)
    product.positions[3] = product.positions[2] + 0.1
    with pytest.raises(InputError, match=r"atoms C2 and \w3 are 0.17 A apart in the product"):
        find(reactant, product)


def test_a_hydrogen_that_goes_from_an_atom_to_its_like_is_a_reaction():
    acid = molecule("HCOOH")
    oxygens = np.flatnonzero(acid.numbers == 8)
    other = acid.copy()
    other.positions[oxygens] = acid.positions[oxygens[::-1]]
    (record,) = find(acid, other, workers=0, relax_ends="far")
    assert record.verdict == Connection.INTENDED
    assert "moves from" in record.passed[0].change
    assert record.passed[0].reaction_energy == pytest.approx(0, abs=0.01)
    assert "The ends were relaxed first." in record.message


def test_forces_at_ends_that_are_no_minima_are_said_and_relaxing_them_is_offered():
    reactant, product = ends(SHIFT)
    product.rattle(0.03, seed=1)
    (record,) = find(reactant, product, workers=0)
    assert "One end is no minimum of this potential: forces of" in record.message
    assert "eV/A at the product; relax_ends=far relaxes them." in record.message
    assert record.n_end == 2
    (relaxed,) = find(reactant, product, workers=0, relax_ends="far")
    assert "The ends were relaxed first." in relaxed.message
    assert relaxed.verdict == Connection.INTENDED
    assert relaxed.n_end > 2
    assert relaxed.n_gradient > relaxed.n_end + relaxed.n_image


def test_ends_that_relax_to_one_minimum_are_a_record_that_says_so():
    reactant, _ = ends(SHIFT)
    product = reactant.copy()
    product.rattle(0.1, seed=1)
    (record,) = find(reactant, product, workers=0, relax_ends="always")
    assert record.status == "bad_start"
    assert "both ends relax to one minimum: reactant and product are the same" in record.message
    assert record.n_gradient == record.n_end > 2


def test_an_end_that_becomes_another_molecule_is_said():
    reactant, product = ends(SHIFT)
    hydrogen = int(np.flatnonzero(product.numbers == 1)[0])
    partner = int(np.argsort(product.get_distances(hydrogen, range(len(product))))[1])
    product.set_distance(partner, hydrogen, 3.0, fix=0)
    start = within(
        replace(starts([SHIFT], "reactant")[0], ends=(reactant.positions, product.positions))
    )
    prepared = prepare_ends(get("scine"), start, "always")
    assert "The product is no minimum of this potential, and became another" in prepared.told


class Fails:
    """A calculator that can't compute molecules far from those that it knows."""

    def __init__(self, known):
        self.inner, self.known = get("scine"), known

    def __call__(self, batch, *, hessian=True):
        found = self.inner(batch, hessian=hessian)
        places = batch.positions.numpy()
        far = [min(np.abs(p - k).max() for k in self.known) > 0.01 for p in places]
        return replace(found, failures={i: "too far" for i, is_far in enumerate(far) if is_far})


def test_images_that_fail_are_told_and_ends_that_fail_are_refused():
    start = within(starts([SHIFT], "reactant")[0])
    image = idpp(start.atomic_numbers, *start.ends, 7)[3]
    for known, told in (
        (start.ends, "7 of 7 images could not be computed"),
        ((*start.ends, image), "6 of 7 images could not be computed"),
        ((start.ends[0],), "The product could not be computed"),
    ):
        job = Job(Fails(known), (start,), SOLVERS["trust"](), "bound", 5, mode="reaction")
        ((_, record),) = find_each(job, plan=Plan())
        assert not record.converged
        assert told in record.message


def test_ends_of_other_electrons_are_refused():
    reactant, product = ends(SHIFT)
    product.info["charge"] = 2
    with pytest.raises(InputError, match=r"a charge of \+0 and a multiplicity of 1, the product"):
        find(reactant, product)


def test_atoms_come_in_and_the_saddle_between_them_comes_out():
    reactant, product = ends(SHIFT)
    saddle = find_saddle(reactant, product, calculator=get("scine"))
    assert saddle.info["verdict"] == "intended"
    assert saddle.info["barrier"] == pytest.approx(1.943, abs=0.01)
    assert np.linalg.norm(saddle.get_forces(), axis=1).max() < 0.01
    assert reactant.calc is None
    with pytest.raises(InputError, match="Atoms and str; expected ASE's Atoms"):
        find_saddle(reactant, "p.xyz", calculator=get("scine"))


def test_an_ase_calculator_finds_it_too():
    tblite = pytest.importorskip("tblite.ase")
    reactant, product = ends(SHIFT)
    saddle = find_saddle(reactant, product, calculator=tblite.TBLite(verbosity=0), budget=300)
    assert saddle.info["status"] == "saddle"
    assert saddle.info["n_gradient"] > 7


class OneByOne:
    """A calculator that computes no two molecules at once, so that each is asked for again."""

    def __init__(self):
        self.inner = get("scine")

    def __call__(self, batch, *, hessian=True):
        if len(batch) > 1:
            raise RuntimeError("one at a time")
        return self.inner(batch, hessian=hessian)


def test_images_that_are_asked_for_twice_are_counted_twice():
    start = within(starts([SHIFT], "reactant")[0])
    job = Job(OneByOne(), (start,), SOLVERS["trust"](), "bound", 1, mode="reaction")
    ((_, record),) = find_each(job, plan=Plan(budget=1))
    assert record.n_image == 14


def test_the_geodesic_is_taken_where_it_is_asked_for():
    pytest.importorskip("geodesic_interpolate")
    (record,) = find(*ends(SHIFT), workers=0, interpolation="geodesic")
    assert record.start == "geodesic_rp"
    assert record.verdict == Connection.INTENDED
    with pytest.raises(InputError, match="start_from 'ts': expected none with files"):
        find(*ends(SHIFT), start_from="ts")
    with pytest.raises(InputError, match="several starts in turn; expected one guess"):
        find(start_from="ts+ts_noise0.1A", max_samples=1)
