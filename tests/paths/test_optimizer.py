"""IRC goes down from a saddle both ways, as an ASE optimizer."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read
from ase.optimize.optimize import Optimizer

from gadlib import calculators
from gadlib.ase import IRC
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import read as read_reactions
from gadlib.settings.reading import InputError
from gadlib.solver.downhill import irc
from gadlib.systems.batch import Batch


@pytest.fixture(scope="module")
def reaction():
    pytest.importorskip("scine_sparrow")
    return read_reactions(split="test", max_samples=1)[0]


def at_saddle(reaction) -> Atoms:
    atoms = Atoms(reaction.atomic_numbers, reaction.transition_state)
    atoms.calc = calculators.get("scine")
    return atoms


def test_both_directions_end_where_gadlibs_paths_do(reaction, tmp_path):
    atoms = at_saddle(reaction)
    search = IRC(atoms, logfile=None, trajectory=str(tmp_path / "irc.traj"))
    assert isinstance(search, Optimizer)
    batch = Batch.pack([reaction.transition_state], [reaction.atomic_numbers])
    (path,) = irc.follow(calculators.get("scine"), batch)
    known = [leg.positions[-1].numpy() for leg in path.legs]
    found = []
    for direction in ("forward", "reverse"):
        assert search.run(fmax=0.005, steps=300, direction=direction)
        assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.005
        assert search.path_length > 1
        distances = [rmsd(atoms.numbers, atoms.positions, end) for end in known]
        found.append(int(np.argmin(distances)))
        assert min(distances) < 0.05
    assert sorted(found) == [0, 1]
    assert search.n_hessian == 1
    assert search.n_gradient < 200
    energies = [frame.get_potential_energy() for frame in read(tmp_path / "irc.traj", ":")]
    assert max(energies) == pytest.approx(path.energy, abs=1e-3)


def test_steps_are_no_longer_than_dx(reaction):
    atoms = at_saddle(reaction)
    search, lengths = IRC(atoms, logfile=None, dx=0.05), [0.0]
    for _ in search.irun(fmax=0.05, steps=12):
        lengths.append(search.path_length)
    assert 0 < max(np.diff(lengths)) <= 0.05 + 1e-9


def test_forward_is_where_the_first_atom_goes_up(reaction):
    atoms = at_saddle(reaction)
    search = IRC(atoms, logfile=None)
    ends = {}
    for direction in ("forward", "reverse"):
        search.run(steps=1, direction=direction)
        ends[direction] = atoms.positions - reaction.transition_state
    assert np.allclose(ends["forward"], -ends["reverse"], atol=1e-8)
    moved = ends["forward"].ravel()
    assert moved[np.abs(moved) > 1e-6][0] > 0


def test_metal_cluster_goes_down_with_emt():
    atoms = Atoms("Cu4", [[1.15, 0, 0], [-1.15, 0, 0], [0, 2.0, 0.0], [0, -2.0, 0.0]])
    atoms.calc = EMT()
    search = IRC(atoms, logfile=None, dx=0.2)
    assert search.run(fmax=0.02, steps=200)
    assert search.n_hessian == 1


def test_what_is_no_saddle_or_no_direction_is_refused(reaction):
    atoms = molecule("H2O", calculator=calculators.get("scine"))
    with pytest.raises(InputError, match="the atoms are at no saddle"):
        IRC(atoms, logfile=None).run()
    with pytest.raises(InputError, match="direction 'up': expected forward or reverse"):
        IRC(at_saddle(reaction), logfile=None).run(direction="up")
    with pytest.raises(InputError, match="dx = 3: expected"):
        IRC(at_saddle(reaction), logfile=None, dx=3)
