"""Displacements along bent coordinates, and Hessians carried in them."""

import numpy as np
import torch
from ase.build import molecule

from gadlib.calculators import get
from gadlib.hessians.frames import Carried, bent
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch


def turning(length: float) -> tuple[Batch, torch.Tensor]:
    """Methanol, and a straight step by which its hydroxyl hydrogen turns about C-O."""
    atoms = molecule("CH3OH")
    (carbon,), (oxygen,) = np.nonzero(atoms.numbers == 6)[0], np.nonzero(atoms.numbers == 8)[0]
    hydrogen = int(atoms.get_distances(oxygen, range(6)).argsort()[1])
    axis = atoms.positions[oxygen] - atoms.positions[carbon]
    side = np.cross(axis, atoms.positions[hydrogen] - atoms.positions[oxygen])
    step = np.zeros_like(atoms.positions)
    step[hydrogen] = length * side / np.linalg.norm(side)
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    return batch, torch.as_tensor(step).reshape(1, -1)


def bonds(batch: Batch) -> torch.Tensor:
    """The lengths of the bonds of methanol, in A."""
    return batch.distances[0][torch.tensor(molecule("CH3OH").get_all_distances() < 1.6)]


def moved(batch: Batch, step: torch.Tensor) -> Batch:
    return batch.moved_to(batch.positions + step.view(1, -1, 3))


def test_a_group_that_turns_keeps_its_bonds():
    batch, step = turning(0.4)
    straight, along = moved(batch, step), moved(batch, bent(batch, step))
    stretched = [
        (bonds(there) - bonds(batch)).nan_to_num().abs().max() for there in (straight, along)
    ]
    assert stretched[0] > 0.05
    assert stretched[1] < 0.003
    assert (along.positions - batch.positions).norm() > 0.3


def test_a_bent_displacement_begins_as_the_straight_one():
    batch, _ = turning(0.1)
    direction = torch.randn(1, 18, generator=torch.Generator().manual_seed(2)).double()
    errors = [(bent(batch, s * direction) / s - direction).norm() for s in (1e-2, 1e-3)]
    assert errors[0] < 0.05
    assert errors[1] < 0.2 * errors[0]


def test_a_carried_hessian_is_nearer_the_one_there():
    calculator = get("scine")
    batch, step = turning(0.3)
    here = begin(batch, calculator)
    there = begin(moved(batch, bent(batch, step)), calculator)
    carried = Carried.between(here.batch, there.batch).form(here.hessian)
    assert (carried - there.hessian).norm() < 0.4 * (here.hessian - there.hessian).norm()


def test_a_carried_step_is_the_straight_one_that_led_there():
    batch, step = turning(0.2)
    carried = Carried.between(batch, moved(batch, bent(batch, step)))
    back = (carried.back @ carried.step[..., None])[..., 0]
    torch.testing.assert_close(back, step, atol=0.02, rtol=0.0)


def test_company_and_padding_change_nothing():
    batch, step = turning(0.2)
    water = molecule("H2O")
    both = Batch.pack(
        [batch.positions[0], water.positions], [batch.atomic_numbers[0], water.numbers]
    )
    found = bent(both, torch.cat([step, 0 * step]))
    torch.testing.assert_close(found[:1], bent(batch, step), atol=1e-10, rtol=0.0)
    assert not found[1].any()
