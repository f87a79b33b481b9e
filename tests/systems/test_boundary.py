"""A boundary freezes atoms and repeats cells; a batch with one is what ASE says of such atoms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc100, molecule

from gadlib.calculators import get
from gadlib.evaluation import Evaluation, evaluate
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.rigid_motions import motions_of, rigid_motions
from gadlib.hessians.springs import bond_hessian, model_hessian
from gadlib.molecules.bonds import bonds, n_fragments
from gadlib.molecules.contacts import push_apart
from gadlib.molecules.repair import mended
from gadlib.systems.batch import Batch
from gadlib.systems.boundary import Boundary, is_same
from gadlib.systems.rows import concatenate, narrow, put, take


def held(*systems: Atoms, frozen: tuple[list[int], ...] | None = None) -> Batch:
    """The systems as a batch, with their cells and the atoms that are frozen of each."""
    frozen = frozen or ([],) * len(systems)
    is_frozen = torch.zeros(len(systems), max(map(len, systems)), dtype=torch.bool)
    for row, atoms in enumerate(frozen):
        is_frozen[row, atoms] = True
    boundary = Boundary(
        is_frozen,
        torch.tensor(np.array([s.cell.array for s in systems])),
        torch.tensor(np.array([s.pbc for s in systems])),
    )
    return Batch.pack(
        [s.positions for s in systems], [s.numbers for s in systems], boundary=boundary
    )


def skewed() -> Atoms:
    """Four carbon atoms in a skewed cell that is periodic along two of its vectors."""
    places = [[0.1, 0.2, 0.3], [4.4, 0.1, 2.9], [2.2, 5.0, 0.0], [1.0, 7.7, 0.5]]
    return Atoms("C4", places, cell=[[5, 0, 0], [4.6, 2.0, 0], [0.3, 0.2, 6]], pbc=[1, 1, 0])


def across_the_edge() -> Atoms:
    """Methanol in a box whose face goes through its C-O bond."""
    atoms = molecule("CH3OH", cell=[7, 8, 9], pbc=True)
    atoms.positions -= atoms.positions[:2].mean(0)
    atoms.wrap()
    return atoms


@pytest.mark.parametrize("make", [skewed, across_the_edge, lambda: bulk("Cu", cubic=True) * 2])
def test_distances_in_a_cell_are_those_of_the_nearest_images(make):
    atoms = make()
    batch = held(atoms)
    found = torch.where(batch.is_pair, batch.distances, 0.0)[0].numpy()
    assert found == pytest.approx(atoms.get_all_distances(mic=True), abs=1e-10)
    assert torch.equal(batch.apart, -batch.apart.mT)


def test_bonds_across_the_faces_of_a_cell_are_counted():
    inside, outside = molecule("CH3OH"), across_the_edge()
    free = Batch.pack([inside.positions], [inside.numbers])
    assert torch.equal(bonds(held(outside)), bonds(free))
    assert n_fragments(held(outside)).tolist() == [1]
    assert int(n_fragments(Batch.pack([outside.positions], [outside.numbers]))[0]) > 1


def test_model_of_a_molecule_is_the_same_across_the_faces_of_a_cell():
    inside, outside = molecule("CH3OH"), across_the_edge()
    free = Batch.pack([inside.positions], [inside.numbers])
    assert torch.allclose(model_hessian(held(outside)), model_hessian(free), atol=1e-9)


def test_frozen_atoms_do_not_move():
    batch = held(molecule("CH3OH"), molecule("H2O"), frozen=([0, 2], []))
    moved = batch.moved_to(batch.positions + 1.0)
    assert torch.equal(moved.positions[0, [0, 2]], batch.positions[0, [0, 2]])
    assert torch.equal(moved.positions[0, [1, 3]], batch.positions[0, [1, 3]] + 1)
    assert not moved.positions[1, 3:].any()
    assert (batch.n_moving.tolist(), batch.n_atoms.tolist()) == ([4, 3], [6, 3])


def test_atom_upon_a_frozen_one_is_the_one_that_is_pushed_away():
    batch = push_apart(held(Atoms("C2", [[0, 0, 0], [0.2, 0, 0]]), frozen=([0],)), 0.65)
    assert batch.positions[0, 0].tolist() == [0, 0, 0]
    assert float(batch.scaled_distances.min()) == pytest.approx(0.65, abs=1e-4)


def n_rigid(batch: Batch) -> list[int]:
    return (3 * batch.n_moving - motions_of(batch).n_left).tolist()


@pytest.mark.parametrize(
    ("pbc", "frozen", "left"),
    [
        ([0, 0, 0], [], 6),
        ([0, 0, 0], [1], 3),  # rotations about it
        ([0, 0, 0], [1, 3], 1),  # about the line through both
        ([0, 0, 0], [0, 1, 3], 0),
        ([1, 0, 0], [], 4),  # translations, rotation about the one periodic direction
        ([1, 0, 0], [1], 1),
        ([1, 1, 0], [], 3),
        ([1, 1, 1], [], 3),
        ([1, 1, 1], [2], 0),
        ([1, 1, 0], [0, 1, 2, 3, 4], 0),
    ],
)
def test_rigid_motions_are_those_that_leave_frozen_atoms_and_lattice_in_place(pbc, frozen, left):
    atoms = molecule("CH3OH", cell=[[6, 1, 0], [0, 7, 1], [1, 0, 8]], pbc=pbc)
    batch = held(atoms, frozen=(frozen,))
    assert n_rigid(batch) == [left]
    rigid = rigid_motions(batch)
    moves = batch.moves.repeat_interleave(3, -1)
    assert torch.allclose(rigid.mT @ rigid, torch.diag_embed(rigid.square().sum(1)), atol=1e-10)
    motions = motions_of(batch)
    assert motions.left is not None
    basis = motions.left[0, :, : int(motions.n_left[0])]
    assert torch.allclose(basis.mT @ basis, torch.eye(basis.shape[1]).double(), atol=1e-10)
    assert not basis[~moves[0]].any()
    assert float((rigid[0].mT @ basis).abs().max()) < 1e-10


def test_rotation_about_the_line_of_two_frozen_atoms_is_none_where_all_are_on_it():
    line = Atoms("OCO", [[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]])
    assert n_rigid(held(line, frozen=([0, 2],))) == [0]


def test_free_molecule_beside_others_has_the_motions_it_has_alone():
    water, copper = molecule("H2O"), fcc100("Cu", (1, 1, 3), vacuum=4.0)
    batch = held(water, copper, skewed(), frozen=([], [0, 1], []))
    assert n_rigid(batch) == [6, 0, 3]
    alone = rigid_motions(Batch.pack([water.positions], [water.numbers]))
    assert torch.allclose(rigid_motions(batch)[0, :9], alone[0], atol=1e-12)


def some_hessian(batch: Batch, seed: int = 0) -> torch.Tensor:
    """A symmetric matrix without meaning, zero where padded."""
    size = batch.sqrt_masses.shape
    noise = torch.randn(*size, size[1], generator=torch.Generator().manual_seed(seed)).double()
    atom = batch.mask.repeat_interleave(3, -1)
    return (noise + noise.mT) * atom[:, :, None] * atom[:, None, :]


def test_spectrum_is_that_of_what_moves():
    batch = held(molecule("CH3OH"), molecule("NH3"), frozen=([1, 2, 5], [0]))
    hessian = some_hessian(batch)
    found = spectrum(hessian, batch)
    moving = batch.moves[0].repeat_interleave(3)
    part = hessian[0][moving][:, moving] / torch.outer(*(batch.sqrt_masses[0, moving],) * 2)
    expected = torch.linalg.eigvalsh(part)
    assert torch.allclose(found.eigenvalues[0, :9], expected, atol=1e-9)
    assert found.eigenvalues[0, 9:].isinf().all()
    assert not found.modes[0, ~moving, :9].any()
    assert int(found.eigenvalues[1].isfinite().sum()) == 9 - 3


def test_shifted_spectrum_of_a_gpu_is_the_one_that_is_cut_out():
    batch = held(molecule("CH3OH"), skewed(), frozen=([1, 2], []))
    hessian, motions = some_hessian(batch), motions_of(batch)
    cut = spectrum(hessian, batch, motions)
    shifted = spectrum(hessian, batch, replace(motions, left=None))
    assert torch.allclose(cut.eigenvalues, shifted.eigenvalues, atol=1e-9)
    overlap = (cut.modes * shifted.modes).sum(1).abs()
    assert torch.allclose(overlap[cut.eigenvalues.isfinite()], torch.ones(()).double(), atol=1e-6)


def test_nothing_is_told_of_what_pulls_at_frozen_atoms():
    batch = held(molecule("CH3OH"), frozen=([1, 2],))

    def calculator(batch: Batch, *, hessian: bool = True) -> Evaluation:
        ones = torch.ones_like(batch.positions)
        width = 3 * ones.shape[1]
        return Evaluation(ones[:, 0, 0], ones, torch.ones(1, width, width).double())

    found, _ = evaluate(calculator, batch, hessian=True)
    moves = batch.moves[0]
    assert torch.equal(found.forces[0], moves[:, None].double().expand(-1, 3))
    assert found.hessian is not None
    both = torch.outer(*(moves.repeat_interleave(3),) * 2)
    assert torch.equal(found.hessian[0], both.double())
    for model in (model_hessian(batch), bond_hessian(batch)):
        assert not model[0][~both].any()


def test_solids_are_not_rebuilt_and_molecules_beside_them_are():
    broken = molecule("CH3OH")
    broken.rattle(0.6, seed=1)
    in_a_cell = broken.copy()
    in_a_cell.pbc, in_a_cell.cell = True, [9, 9, 9]
    batch = held(broken, in_a_cell)
    found = mended(batch)
    assert torch.equal(found.positions[1], batch.positions[1])
    alone = mended(Batch.pack([broken.positions], [broken.numbers]))
    assert torch.allclose(found.positions[0], alone.positions[0], atol=1e-9)


def test_boundary_goes_with_its_systems():
    batch = held(molecule("H2O"), skewed(), molecule("NH3"), frozen=([0], [1], [2, 3]))
    for part in (take(batch, torch.tensor([1, 0])), batch.take(torch.tensor([1, 0]))):
        assert part.boundary is not None
        assert part.boundary.is_frozen.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
        assert part.boundary.is_periodic.tolist() == [[1, 1, 0], [0, 0, 0]]
    both = concatenate([batch, batch])
    assert both.boundary is not None
    assert len(both.boundary.cell) == 6
    narrowed = narrow(batch.take(torch.tensor([0])), 3)
    assert narrowed.boundary is not None
    assert narrowed.boundary.is_frozen.tolist() == [[1, 0, 0]]
    moved = put(batch, torch.tensor([2]), lambda part: part.moved_to(part.positions + 1))
    assert is_same(moved.boundary, batch.boundary)
    assert is_same(batch.to("cpu").boundary, batch.boundary)
    assert not is_same(batch.boundary, None)


def test_springs_of_metals_are_as_stiff_as_those_of_emt():
    copper = bulk("Cu", cubic=True) * 3
    batch = held(copper)
    emt = get("ase", calculator="ase.calculators.emt:EMT")
    near = int(batch.distances[0, 0].argmin())
    unit = batch.units[0, :, 0, near]
    moved = batch.positions.clone()
    moved[0, 0] += 0.01 * unit
    told = evaluate(emt, batch.moved_to(moved), hessian=False)[0].forces[0, near] @ unit / 0.01
    block = bond_hessian(batch)[0, :3, 3 * near : 3 * near + 3]
    assert -float(unit @ block @ unit) == pytest.approx(float(told), rel=0.35)
