"""Large molecules are shaken at one place, and not swung about for long."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hand_made import H, pulled, search_state

from gadlib.benchmarks.scaling import build_alkane
from gadlib.evaluation import Evaluation
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules.repair import mended
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.mode_following import read_aim, stack
from gadlib.solver.trust.constants import CLOSING_ROUNDS, DOWN_PROBES
from gadlib.solver.trust.curvature import has_many_down, has_stalled, sharpen
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
    ("n_carbons", "force", "lowest", "age", "is_asked"),
    [
        (8, 0.2, (-0.5, -0.1), 8, True),
        (8, 0.2, (-0.5, -0.1), 7, False),
        (8, 0.2, (-0.5, -0.1), 0, False),
        (7, 0.2, (-0.5, -0.1), 8, False),
        (8, 0.4, (-0.5, -0.1), 8, False),
        (8, 0.2, (-0.5, 0.1), 8, False),
    ],
)
def test_modes_of_a_large_molecule_at_peace_are_probed_where_two_curve_down(
    n_carbons, force, lowest, age, is_asked
):
    state = search_state(chains(n_carbons), h=SPARING, age=age)
    state = with_modes(replace(state, forces=pulled(state, force)), *lowest)
    assert has_many_down(state).tolist() == [is_asked]
    assert not has_stalled(state, SPARING).any()


@dataclass(frozen=True)
class Quadratic:
    """A potential that has one Hessian everywhere, and at the origin these forces."""

    origin: torch.Tensor
    forces: torch.Tensor
    hessian: torch.Tensor

    def __call__(self, batch: Batch, *, hessian: bool) -> Evaluation:
        moved = (batch.positions - self.origin).flatten(1)
        forces = self.forces - (moved @ self.hessian).view_as(batch.positions)
        return Evaluation(torch.zeros(len(batch)).double(), forces)


def test_modes_that_curve_down_falsely_are_set_right_and_the_climbed_one_is_kept():
    state = search_state(chains(8), Phase.CLIMBING, h=SPARING, age=8, steps=9)
    state = replace(state, forces=pulled(state, 0.01))
    root = state.batch.sqrt_masses[0, :, None] * state.spectrum.modes[0]
    values = state.spectrum.eigenvalues[0]
    values = torch.where(values.isfinite(), values, 0.0)
    values[:2] = torch.tensor([-0.5, 0.05])
    real = Quadratic(state.batch.positions, state.forces, root @ torch.diag(values) @ root.T)
    values[1] = -0.02
    model = (root @ torch.diag(values) @ root.T)[None]
    state = replace(state, hessian=model, spectrum=spectrum(model, state.batch))
    assert state.order.item() == 2
    found = sharpen(real, state, SPARING)
    asked = found.cost.n_gradient - state.cost.n_gradient
    assert (found.order.item(), asked.item()) == (1, DOWN_PROBES)
    lowest, second = found.spectrum.eigenvalues[0, :2].tolist()
    assert lowest == pytest.approx(-0.5, abs=0.01)
    assert second == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(("n_carbons", "is_few"), [(8, True), (7, False)])
def test_a_large_molecule_closes_in_on_what_it_aims_at_not_on_its_softest_modes(n_carbons, is_few):
    batch = chains(n_carbons)
    numbers, positions = batch.atomic_numbers[0].numpy(), batch.positions[0].numpy()
    wanted = stack([read_aim("bonds:0-1", numbers, positions)], batch.positions.shape[1])
    state = replace(search_state(batch, Phase.CLIMBING, h=SPARING), wanted=wanted)
    state = replace(state, forces=pulled(state, 0.01))
    root = state.batch.sqrt_masses[0]
    aim = wanted.directions(batch)[0, :, 0]
    along = state.batch.inverse_sqrt_masses[0] * aim
    depth = 0.5 + along @ state.hessian[0] @ along
    broken = -depth * torch.outer(root * aim, root * aim)
    real = Quadratic(batch.positions, state.forces, state.hessian[0] + broken)
    found = sharpen(real, state, SPARING)
    asked = int(found.cost.n_gradient - state.cost.n_gradient)
    assert (1 <= asked <= 1 + CLOSING_ROUNDS) is is_few
    exact = spectrum(real.hessian[None], batch)
    assert found.spectrum.eigenvalues[0, 0] == pytest.approx(
        float(exact.eigenvalues[0, 0]), rel=0.2
    )


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
