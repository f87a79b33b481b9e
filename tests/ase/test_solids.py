"""SaddleSearch finds hops on slabs and in crystals: frozen atoms stay, cells are what they are."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, Hookean
from ase.vibrations import Vibrations
from hops import adatom, copied, disturbed, vacancy

from gadlib import calculators
from gadlib.ase.saddle_search import Potential, SaddleSearch
from gadlib.ase.systems import batch_of
from gadlib.calculators.ase import Held
from gadlib.hessians.vibrations import vibrations_of
from gadlib.molecules.bonds import n_fragments
from gadlib.settings.reading import InputError
from gadlib.solver.points import begin


def barrier(found: Atoms, at_first: Atoms) -> float:
    return found.get_potential_energy() - at_first.get_potential_energy()


@pytest.mark.parametrize(
    ("site", "lift", "noise", "solver"),
    [
        (0.5, 0.0, 0.1, "trust"),
        (0.35, 0.2, 0.1, "trust"),
        (0.1, 0.05, 0.0, "trust"),  # nearly where it is at rest
        (0.4, 0.2, 0.05, "gad"),
    ],
)
def test_adatom_hops_over_the_bridge(site, lift, noise, solver):
    slab = adatom()
    slab.positions[-1] += [site * slab.cell[0, 0] / 2, 0, lift]
    frozen = slab.constraints[0].get_indices()
    before = slab.positions[frozen].copy()
    search = SaddleSearch(disturbed(slab, noise), logfile=None, solver=solver)
    assert search.run(fmax=0.01, steps=200)
    assert barrier(slab, adatom()) == pytest.approx(0.374, abs=0.002)  # ASE's tutorial
    assert barrier(slab, adatom()) == pytest.approx(barrier(adatom(0.5), adatom()), abs=1e-3)
    assert np.array_equal(slab.positions[frozen], before)


def test_barrier_of_a_hop_is_that_of_a_climbing_band():
    """By ASE's own NEB, from one hollow to the next, in 5 images."""
    from ase.mep import NEB
    from ase.optimize import FIRE

    start, end = adatom(), adatom()
    end.positions[-1, 0] += end.cell[0, 0] / 2
    end = copied(end)
    images = [start, *(copied(start) for _ in range(3)), end]
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate()
    FIRE(band, logfile=None).run(fmax=0.03, steps=200)
    slab = disturbed(images[1], 0.05)
    assert SaddleSearch(slab, logfile=None).run(fmax=0.01, steps=200)
    assert barrier(slab, adatom()) == pytest.approx(barrier(images[2], adatom()), abs=2e-3)


@pytest.mark.parametrize(("share", "noise"), [(0.5, 0.1), (0.2, 0.0)])
def test_vacancy_is_filled_by_the_neighbour_that_is_named(share, noise):
    crystal, top = vacancy(), vacancy(0.5)
    crystal.positions[0] += share / 0.5 * (top.positions[0] - crystal.positions[0])
    search = SaddleSearch(disturbed(crystal, noise), logfile=None, mode="atoms:0")
    assert search.run(fmax=0.01, steps=200)
    assert barrier(crystal, vacancy()) == pytest.approx(barrier(top, vacancy()), abs=1e-3)
    shift = crystal.positions - top.positions
    assert np.linalg.norm(shift - shift.mean(0), axis=1).max() < 0.05


def test_atoms_outside_the_cell_are_found_where_they_are():
    slab = adatom()
    slab.positions[-1, 0] += 0.4 * slab.cell[0, 0] / 2
    aside = copied(slab)
    aside.positions[[2, -1]] += slab.cell[0] - 2 * slab.cell[1]
    for atoms in (slab, aside):
        assert SaddleSearch(atoms, logfile=None).run(fmax=0.01, steps=200)
    moved = aside.positions - slab.positions
    assert moved[-1] == pytest.approx((slab.cell[0] - 2 * slab.cell[1]).tolist(), abs=1e-4)
    assert barrier(aside, slab) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("make", [lambda: adatom(0.5), lambda: bulk("Cu", cubic=True)])
def test_vibrations_are_those_of_ase(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = copied(make())
    state = begin(batch_of(atoms), Held(atoms))
    (found,) = vibrations_of(state.batch, state.hessian, state.forces)
    moving = state.batch.moves[0].nonzero().flatten().tolist()
    own = Vibrations(atoms, indices=moving, delta=0.01)
    own.run()
    values = own.get_frequencies()
    expected = np.sort(values.real - values.imag)
    if len(moving) == len(atoms):  # translations of a free cell, which ASE leaves in
        expected = np.delete(expected, np.argsort(np.abs(expected))[:3])
    assert found.wavenumbers_cm1 == pytest.approx(expected, abs=0.5)


def test_differences_are_taken_of_atoms_that_move_alone():
    class Counted(EMT):
        n_calls = 0

        def calculate(self, *args, **options):
            Counted.n_calls += 1
            super().calculate(*args, **options)

    slab = adatom(0.5)
    slab.calc = Counted()
    found = Held(slab)(batch_of(slab), hessian=True)
    assert found.hessian is not None
    assert Counted.n_calls == 6 * 5 + 1


def test_frozen_atoms_hold_a_molecule_that_is_searched_with_gadlibs_calculator():
    pytest.importorskip("scine_sparrow")
    atoms = molecule("NH3", constraint=FixAtoms([1]))
    atoms.positions[[0, 2, 3], 2] *= 0.1  # nearly flat
    before = atoms.positions[1].copy()
    atoms.calc = calculators.get("scine")
    assert SaddleSearch(atoms, logfile=None).run(fmax=0.01, steps=200)
    assert np.array_equal(atoms.positions[1], before)
    free = molecule("NH3")
    free.positions[:, 2] *= 0.1
    free.calc = calculators.get("scine")
    assert SaddleSearch(free, logfile=None).run(fmax=0.001, steps=200)
    assert barrier(atoms, free) == pytest.approx(0, abs=1e-3)


def test_atoms_that_are_frozen_meanwhile_are_searched_anew():
    slab = adatom()
    slab.positions[-1, 0] += 0.4 * slab.cell[0, 0] / 2
    search = SaddleSearch(slab, logfile=None)
    search.run(fmax=0.01, steps=2)
    slab.set_constraint(FixAtoms(range(len(slab) - 1)))
    before = slab.positions[:-1].copy()
    assert not search.converged()
    assert search.run(fmax=0.01, steps=200)
    assert np.array_equal(slab.positions[:-1], before)


def with_emt(atoms: Atoms, *constraints) -> Atoms:
    atoms.calc = EMT()
    atoms.set_constraint(constraints)
    return atoms


def in_a_box() -> Atoms:
    return molecule("H2O", cell=[9, 9, 9], pbc=True)


@pytest.mark.parametrize(
    ("make", "options", "told"),
    [
        (lambda: with_emt(fcc100("Cu", (1, 1, 3)), FixCartesian(0)), {}, "FixCartesian"),
        (lambda: with_emt(molecule("H2O"), Hookean(0, 1, 1.0, 5.0)), {}, "expected FixAtoms alone"),
        (lambda: with_emt(bulk("Cu")), {}, "have 0 vibrations; expected at least two"),
        (lambda: with_emt(in_a_box(), FixAtoms([0, 1, 2])), {}, "have 0 vibrations"),
        (lambda: with_emt(Atoms("Cu4", pbc=[1, 0, 0])), {}, "periodic along 1 directions"),
        (adatom, {"mode": "atoms:0"}, "'atoms:0': expected atoms that are not frozen"),
        (adatom, {"mode": "bonds:0-1"}, "'bonds:0-1': expected atoms that are not frozen"),
        (adatom, {"mode": "atoms:13"}, r"no atom 13; expected 0 \.\. 12"),
        (adatom, {"mode": "reaction"}, "reactant and product are not known here"),
        (adatom, {"mode": "softest"}, "expected lowest, reaction, atoms"),
        (adatom, {"max_fragments": 0}, "max_fragments 0: expected an integer of at least 1"),
    ],
)
def test_what_can_not_be_searched_is_refused_in_a_sentence(make, options, told):
    with pytest.raises(InputError, match=told):
        SaddleSearch(make(), logfile=None, **options)


def test_calculators_of_molecules_refuse_a_cell():
    pytest.importorskip("scine_sparrow")
    for calc in (calculators.get("scine"), Potential(calculators.get("scine"))):
        atoms = in_a_box()
        atoms.calc = calc
        with pytest.raises(InputError, match="gadlib's own calculators compute molecules"):
            SaddleSearch(atoms, logfile=None)


def test_pieces_of_a_bad_guess_are_not_those_of_the_saddle_that_is_asked_for():
    """Ammonia with a hydrogen that was drawn away, so that the start is in two pieces."""
    pytest.importorskip("scine_sparrow")
    atoms = molecule("NH3")
    atoms.positions[3] += 1.0 * (atoms.positions[3] - atoms.positions[0])
    atoms.calc = calculators.get("scine")
    search = SaddleSearch(atoms, logfile=None, criterion="bound", max_fragments=1)
    assert int(n_fragments(batch_of(atoms))[0]) == 2
    assert search.run(fmax=0.01, steps=300)
    assert int(n_fragments(batch_of(atoms))[0]) == 1
