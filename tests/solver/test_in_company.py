"""Walls and followed Hessians of a batch are those of each molecule alone."""

from dataclasses import replace

import torch
from hand_made import RING, search_state

from gadlib.hessians.frames import Carried
from gadlib.hessians.springs import pair_hessian, stretching
from gadlib.solver.trust.curvature import _carry
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.wall import wall
from gadlib.systems.batch import Batch


def chains(*gaps: tuple[float, float]) -> Batch:
    """Three carbon atoms each, so far from one another."""
    places = [[[0.0, 0.0, 0.0], [a, 0.0, 0.0], [a + b, 0.0, 0.0]] for a, b in gaps]
    return Batch.pack([torch.tensor(p).double() for p in places], [[6] * 3] * len(gaps))


def test_where_two_pieces_are_allowed_each_molecule_keeps_its_own_longest_gap_open():
    batch = chains((2.5, 3.0), (4.0, 2.6), (2.4, 2.7))
    pieces, allowed = torch.tensor([3, 3, 3]), torch.tensor([2, 2, 1])
    together = wall(batch, pieces, allowed)
    for i in range(3):
        row = torch.tensor([i])
        alone = wall(batch.take(row), pieces[row], allowed[row])
        torch.testing.assert_close(together.energy[row], alone.energy)
        torch.testing.assert_close(together.gradient[row], alone.gradient)
    assert together.gradient[0, 6] == 0  # beyond its longer gap nothing is pulled
    assert together.gradient[1, 0] == 0
    assert together.gradient[2].count_nonzero() == 3


def test_on_the_way_down_a_padded_molecule_follows_its_bonds_as_alone():
    whole, part = torch.tensor(RING).double(), torch.tensor(RING[:3]).double()
    batch = Batch.pack([whole, part], [[6] * 5, [6] * 3])
    state = search_state(batch, Phase.SETTLING)
    stiff = 50 * torch.diag_embed((state.batch.sqrt_masses > 0).double())
    state = replace(state, hessian=stiff)
    there = batch.moved_to(batch.positions * 1.01)
    carried = Carried.between(batch, there)
    fading = pair_hessian(there, stretching(there) - stretching(batch))
    torch.testing.assert_close(_carry(state, there, carried), carried.form(stiff) + fading)
    state = replace(state, hessian=stiff / 1000)  # too soft to stay positive
    assert torch.equal(_carry(state, there, carried), carried.form(stiff / 1000))
