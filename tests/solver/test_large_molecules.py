"""Large molecules are shaken at one place, and not swung about for long."""

import math
from dataclasses import replace

import pytest
import torch
from hand_made import H, pulled, search_state

from gadlib.benchmarks.scaling import build_alkane
from gadlib.molecules.repair import mended
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.trust.curvature import has_stalled
from gadlib.solver.trust.disturbances import disturbed, draw_noise, is_near
from gadlib.solver.trust.phases import Ending, Phase
from gadlib.solver.trust.tries import find_endings
from gadlib.systems.batch import Batch

SPARING = TrustHyperparameters(exact_hessians="proof")


def chains(*n_carbons: int) -> Batch:
    """Stretched alkanes side by side."""
    numbers, positions = zip(*(build_alkane(n, math.pi) for n in n_carbons), strict=True)
    return Batch.pack(list(positions), list(numbers))


def with_modes(state, *eigenvalues: float):
    """The state with these for its lowest eigenvalues."""
    values = state.spectrum.eigenvalues.clone()
    values[:, : len(eigenvalues)] = torch.tensor(eigenvalues, dtype=values.dtype)
    return replace(state, spectrum=replace(state.spectrum, eigenvalues=values))


def test_a_small_molecule_is_shaken_whole_a_large_one_at_one_place_and_another_each_time():
    batch = chains(7, 8)
    assert batch.n_atoms.tolist() == [23, 26]
    assert is_near(batch, torch.tensor([3, 3])).sum(-1).tolist() == [23, 6]
    places = {tuple(is_near(batch, torch.tensor([n, n]))[1].tolist()) for n in range(1, 9)}
    assert len(places) == 8
    chosen = is_near(batch, torch.tensor([3, 3]))[1]
    here = batch.positions[1, chosen]
    assert torch.cdist(here, here).max() < 4.0


def test_only_the_atoms_of_that_place_are_shaken():
    state = search_state(chains(8), n_rebuilt=2, n_tries=2)
    number = torch.tensor([3])
    near = is_near(state.batch, number)
    noise = H.kick * draw_noise(3, 26) * near[0, :, None]
    shaken = state.batch.moved_to(state.memory.origin.positions + noise)
    assert torch.equal(disturbed(state, number, H).positions, mended(shaken).positions)


@pytest.mark.parametrize(
    ("n_carbons", "force", "lowest", "is_outdated"),
    [
        (8, 0.2, (-0.5, -0.1), True),
        (7, 0.2, (-0.5, -0.1), False),
        (8, 0.4, (-0.5, -0.1), False),
        (8, 0.2, (-0.5, 0.1), False),
    ],
)
def test_the_hessian_of_a_large_molecule_at_peace_with_two_modes_down_is_outdated(
    n_carbons, force, lowest, is_outdated
):
    state = search_state(chains(n_carbons), h=SPARING, age=8)
    state = with_modes(replace(state, forces=pulled(state, force)), *lowest)
    assert has_stalled(state, SPARING).tolist() == [is_outdated]


@pytest.mark.parametrize(
    ("n_carbons", "steps", "lowest", "ending"),
    [
        (8, 40, 5e-4, Ending.TOO_SOFT),
        (7, 40, 5e-4, Ending.GOES_ON),
        (8, 39, 5e-4, Ending.GOES_ON),
        (8, 40, 2e-3, Ending.GOES_ON),
        (8, 40, -5e-4, Ending.GOES_ON),
    ],
)
def test_a_large_molecule_is_not_swung_about_for_long(n_carbons, steps, lowest, ending):
    state = search_state(chains(n_carbons), Phase.CLIMBING, h=SPARING, steps=steps)
    state = with_modes(replace(state, forces=pulled(state, 0.02)), lowest)
    assert find_endings(state, SPARING).tolist() == [ending]
