"""The wall, by numbers worked out by hand."""

import pytest
import torch

from gadlib.molecules.bonds import n_fragments
from gadlib.solver.trust.wall import Wall, wall
from gadlib.systems.batch import Batch

C2 = 1.52  # the sum of two carbon radii, in A


def line(*places: float, is_free: bool = True) -> Batch:
    """Carbon atoms on a line, their places in scaled distances."""
    positions = torch.tensor([[C2 * x, 0.0, 0.0] for x in places], dtype=torch.float64)
    return Batch.pack([positions], [[6] * len(places)], is_free=is_free)


def wall_around(batch: Batch, max_fragments: int = 1) -> Wall:
    return wall(batch, n_fragments(batch), torch.tensor([max_fragments]))


@pytest.mark.parametrize(("distance", "energy", "pull"), [
    (1.4, 45 / 2 * 0.1**2, 45 * 0.1 / C2),
    (1.59, 45 / 2 * 0.29**2, 45 * 0.29 / C2),
    (1.61, 45 / 2 * 0.3**2 + 45 * 0.3 * 0.01, 45 * 0.3 / C2),
    (2.6, 45 / 2 * 0.3**2 + 45 * 0.3 * 1.0, 45 * 0.3 / C2),
    (9.3, 45 / 2 * 0.3**2 + 45 * 0.3 * 7.7, 45 * 0.3 / C2),
])  # fmt: skip
def test_two_atoms_are_pulled_harmonically_and_then_with_a_constant_force(distance, energy, pull):
    found = wall_around(line(0.0, distance))
    assert found.energy.item() == pytest.approx(energy)
    assert found.gradient[0].tolist() == pytest.approx([-pull, 0, 0, pull, 0, 0])
    assert found.is_active.tolist() == [True]
    along = 45 / C2**2 if distance < 1.6 else 0.0
    assert found.hessian[0, 0, 0].item() == pytest.approx(along, abs=1e-6)
    assert found.hessian[0, 0, 3].item() == pytest.approx(-along, abs=1e-6)
    across = pull / (C2 * distance)
    assert found.hessian[0, 1, 1].item() == pytest.approx(across)


@pytest.mark.parametrize(("batch", "max_fragments"), [
    (line(0.0, 1.29), 1),
    (line(0.0, 5.0), 2),
    (line(0.0, 5.0, is_free=False), 1),
])  # fmt: skip
def test_where_there_are_no_more_pieces_than_allowed_there_is_no_wall(batch, max_fragments):
    found = wall_around(batch, max_fragments)
    assert not any(t.any() for t in (found.energy, found.gradient, found.hessian))
    assert found.is_active.tolist() == [False]


def test_of_more_pieces_than_allowed_the_nearest_are_joined():
    found = wall_around(line(0.0, 1.5, 4.5), 2)
    assert found.energy.item() == pytest.approx(45 / 2 * 0.2**2)
    assert not found.gradient[0, 6:].any()


def test_a_link_is_pulled_beyond_its_own_limit():
    batch = line(0.0, 1.4, 3.05)
    limits = torch.full_like(batch.distances, 1.3)
    limits[0, 1, 2] = limits[0, 2, 1] = 1.55
    found = wall(batch, torch.tensor([3]), torch.tensor([1]), limits)
    assert found.energy.item() == pytest.approx(45 / 2 * (0.1**2 + 0.1**2))
    limits[0, 0, 1] = limits[0, 1, 0] = 1.55
    found = wall(batch, torch.tensor([2]), torch.tensor([1]), limits)
    assert found.gradient[0, ::3].tolist() == pytest.approx([0, -45 * 0.1 / C2, 45 * 0.1 / C2])


def test_the_wall_of_one_molecule_knows_nothing_of_the_others():
    both = Batch.pack([line(0.0, 1.0).positions[0], line(0.0, 2.0).positions[0]], [[6, 6]] * 2)
    found = wall(both, n_fragments(both), torch.tensor([1, 1]))
    assert found.is_active.tolist() == [False, True]
    assert found.energy[1] == wall_around(line(0.0, 2.0)).energy[0]
