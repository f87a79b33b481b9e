"""A saddle given as Atoms is followed to Atoms: ends, path, barriers."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from hops import adatom

import gadlib
from gadlib import calculators
from gadlib.molecules.alignment import rmsd
from gadlib.settings.reading import InputError


def bent_hcn() -> Atoms:
    return Atoms("HCN", [[0.35, 1.15, 0.05], [0.0, 0.0, 0.0], [1.18, 0.0, 0.0]])


def test_saddle_between_hydrogen_cyanide_and_its_isomer_joins_them():
    pytest.importorskip("scine_sparrow")
    scine = calculators.get("scine")
    saddle = gadlib.find_saddle(bent_hcn(), calculator=scine)
    found = gadlib.follow(saddle, calculator=scine)
    assert found.message == ""
    assert found.path[0] is found.ends[0]
    assert found.path[-1] is found.ends[1]
    energies = [atoms.get_potential_energy() for atoms in found.path]
    top = next(i for i, atoms in enumerate(found.path) if atoms.info["point"] == "saddle")
    assert energies[top] == pytest.approx(saddle.get_potential_energy(), abs=1e-4)
    assert (np.diff(energies[: top + 1]) > -1e-5).all()
    assert (np.diff(energies[top:]) < 1e-5).all()
    lengths = [atoms.info["path_length"] for atoms in found.path]
    assert lengths == sorted(lengths)
    assert lengths[top] == 0
    assert found.barriers == pytest.approx(
        (energies[top] - energies[0], energies[top] - energies[-1])
    )
    assert found.barriers[0] > found.barriers[1] > 0
    assert re.fullmatch(r"H\d moves from C\d to N\d", found.change)
    assert found.saddle.info["frequency_cm1"] < 0 < found.ends[0].info["frequency_cm1"]
    assert [end.get_distance(0, 1) < 1.2 for end in found.ends] in ([True, False], [False, True])
    assert found.n_gradient > 0


def test_hop_on_a_slab_leads_from_hollow_to_hollow():
    bridge = adatom(0.5)
    found = gadlib.follow(bridge)
    assert found.message == ""
    frozen = bridge.constraints[0].get_indices()
    for end in found.ends:
        assert end.get_potential_energy() == pytest.approx(
            adatom().get_potential_energy(), abs=2e-3
        )
        assert np.array_equal(end.positions[frozen], bridge.positions[frozen])
        assert end.pbc.tolist() == [True, True, False]
    shift = found.ends[1].positions[12] - found.ends[0].positions[12]
    assert abs(shift[0]) == pytest.approx(bridge.cell.array[0, 0] / 2, abs=0.1)
    assert found.barriers == pytest.approx((0.374, 0.374), abs=4e-3)


def test_what_is_no_saddle_has_no_path_and_a_reason():
    pytest.importorskip("scine_sparrow")
    water = molecule("H2O")
    found = gadlib.follow(water, calculator=calculators.get("scine"))
    assert (found.ends, found.path, found.barriers) == ((), (), ())
    assert "no mode with a negative eigenvalue" in found.message
    assert rmsd(water.numbers, water.positions, found.saddle.positions) < 0.2


def test_what_can_not_be_followed_is_refused_in_a_sentence():
    pytest.importorskip("scine_sparrow")
    saddle = gadlib.find_saddle(bent_hcn(), calculator=calculators.get("scine"), n_steps=0)
    with pytest.raises(InputError, match="carry results of a calculation, and no calculator"):
        gadlib.follow(saddle)
    with pytest.raises(InputError, match="hessian_every 0: expected an integer of at least 1"):
        gadlib.follow(saddle, calculator=EMT(), hessian_every=0)
