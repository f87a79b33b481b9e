"""The process of a difference: derivatives, symmetries, and what it learns of known functions."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gadlib.solver.delta.observations import MAX_VALUES, Observations, Told
from gadlib.solver.delta.process import Process, inverse_distances, jacobian, learn, likelihood

RING = torch.tensor(
    [[0.0, 0.0, 0.0], [1.3, 0.0, 0.1], [1.4, 1.2, 0.0], [0.1, 1.3, -0.2]], dtype=torch.float64
)
FLAT = RING * torch.tensor([1.0, 1.0, 0.0])


def energy_of(positions: Tensor) -> Tensor:
    """In eV: a soft and smooth function of the distances, with torsion-like couplings."""
    distances = 1 / inverse_distances(positions)
    weights = torch.linspace(0.5, 1.5, len(distances), dtype=distances.dtype)
    return (weights * torch.cos(1.5 * distances)).sum() + 0.3 * distances[0] * distances[-1]


def seen_at(*places: Tensor, energy=energy_of) -> Observations:
    """What is observed of the function there."""
    found = Observations.none(len(places[0]))
    for place in places:
        at = place.clone().requires_grad_()
        value = energy(at)
        (gradient,) = torch.autograd.grad(value, at)
        found = found.plus(place, (value.detach(), gradient), nothing(place))
    return found


def nothing(place: Tensor) -> Told:
    """What no potential says."""
    return place.new_zeros(()), torch.zeros_like(place)


def around(middle: Tensor, n: int, *, by: float = 0.1, seed: int = 0) -> list[Tensor]:
    """So many geometries near one."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, *middle.shape, generator=generator, dtype=torch.float64)
    return list(middle + by * noise)


def slope(process: Process, positions: Tensor, step: float = 1e-5) -> Tensor:
    """The gradient by central differences of the energy."""
    flat = torch.zeros(positions.numel(), dtype=torch.float64)
    for k in range(len(flat)):
        move = torch.zeros_like(flat)
        move[k] = step
        move = move.reshape(positions.shape)
        up, down = (process.energy_and_gradient(positions + s * move)[0] for s in (1, -1))
        flat[k] = (up - down) / (2 * step)
    return flat


def curvatures(process: Process, positions: Tensor, step: float = 1e-5) -> Tensor:
    """The Hessian by central differences of the gradient."""
    rows = []
    for k in range(positions.numel()):
        move = torch.zeros(positions.numel(), dtype=torch.float64)
        move[k] = step
        move = move.reshape(positions.shape)
        up, down = (process.energy_and_gradient(positions + s * move)[1] for s in (1, -1))
        rows.append((up - down).flatten() / (2 * step))
    return torch.stack(rows)


@pytest.mark.parametrize("middle", [RING, FLAT], ids=["in space", "planar"])
@pytest.mark.parametrize("n", [1, 2, 8])
def test_gradient_and_hessian_are_those_of_its_energy(middle, n):
    process = learn(seen_at(*around(middle, n)))
    at = around(middle, 1, seed=9)[0] if middle is RING else middle
    _, gradient = process.energy_and_gradient(at)
    assert gradient.flatten() == pytest.approx(slope(process, at), abs=1e-6)
    hessian = process.hessian(at)
    assert (hessian - hessian.mT).abs().max() < 1e-10
    assert (hessian - curvatures(process, at)).abs().max() < 1e-6
    assert hessian.abs().max() > 0.1


def test_the_derivatives_of_inverse_distances_are_those_of_differences():
    found = jacobian(RING)
    step = 1e-6 * torch.eye(12, dtype=torch.float64).reshape(12, 4, 3)
    columns = [(inverse_distances(RING + s) - inverse_distances(RING - s)) / 2e-6 for s in step]
    assert (found - torch.stack(columns, -1)).abs().max() < 1e-8


def test_what_it_saw_it_says_again():
    places = around(RING, 7)
    seen = seen_at(*places)
    process = learn(seen)
    for place, energy, gradient in zip(places, seen.energies, seen.gradients, strict=True):
        said, pulled = process.energy_and_gradient(place)
        assert float(said - energy) == pytest.approx(0, abs=1e-4)
        assert (pulled - gradient).abs().max() < 1e-3


def test_it_turns_and_moves_with_the_molecule():
    process = learn(seen_at(*around(RING, 6)))
    at = around(RING, 1, seed=5)[0]
    angle = 0.7
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    turn = turn @ torch.tensor([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    moved = at @ turn.T + torch.tensor([1.0, -2.0, 3.0])
    energy, gradient = process.energy_and_gradient(at)
    again, turned = process.energy_and_gradient(moved)
    assert float(again) == pytest.approx(float(energy), abs=1e-10)
    assert (turned - gradient @ turn.T).abs().max() < 1e-10
    whole = torch.kron(torch.eye(4, dtype=torch.float64), turn)
    here, there = process.hessian(at), process.hessian(moved)
    assert (there - whole @ here @ whole.T).abs().max() < 1e-9
    assert gradient.sum(0).abs().max() < 1e-10


def test_observations_turned_in_space_teach_the_same():
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    places = around(RING, 5)
    at = around(RING, 1, seed=5)[0]
    one = learn(seen_at(*places))
    other = learn(seen_at(*(place @ turn.T for place in places)))
    assert one.length == other.length
    assert float(one.energy_and_gradient(at)[0]) == pytest.approx(
        float(other.energy_and_gradient(at)[0]), abs=1e-6
    )


def saddle_energy(positions: Tensor) -> Tensor:
    """A function of a triangle's sides that has a saddle where they are 1.2, 1.5 and 1.4 A."""
    first, second, third = 1 / inverse_distances(positions)
    x, y, z = first - 1.2, second - 1.5, third - 1.4
    return -2 * x**2 + 3 * y**2 + 4 * z**2 + x**3 + 2 * x * y * z


def triangle(first: float, second: float, third: float) -> Tensor:
    """The flat triangle of these sides, in the order of pairs."""
    x = (first**2 + second**2 - third**2) / (2 * first)
    rows = [[0, 0, 0], [first, 0, 0], [x, math.sqrt(second**2 - x**2), 0]]
    return torch.tensor(rows, dtype=torch.float64)


def test_near_a_known_saddle_errors_fall_with_observations():
    saddle = triangle(1.2, 1.5, 1.4)
    assert saddle_energy(saddle) == pytest.approx(0, abs=1e-12)
    true = torch.autograd.functional.hessian(saddle_energy, saddle).reshape(9, 9)
    assert int((torch.linalg.eigvalsh(true) < -1e-6).sum()) == 1
    places = around(saddle, 12, by=0.08, seed=1)
    errors = []
    for n in (2, 5, 12):
        process = learn(seen_at(*places[:n], energy=saddle_energy))
        _, gradient = process.energy_and_gradient(saddle)
        errors.append(
            (float(gradient.abs().max()), float((process.hessian(saddle) - true).abs().max()))
        )
    forces, hessians = zip(*errors, strict=True)
    assert forces[2] < forces[1] < forces[0]
    assert hessians[2] < hessians[1] < hessians[0]
    assert forces[2] < 0.01 and hessians[2] < 0.5


def test_a_planar_molecule_is_learned_and_pulls_at_nothing_out_of_its_plane():
    places = [p * torch.tensor([1.0, 1.0, 0.0]) for p in around(FLAT, 6)]
    process = learn(seen_at(*places))
    _, gradient = process.energy_and_gradient(FLAT)
    assert gradient[:, 2].abs().max() < 1e-10
    assert gradient[:, :2].abs().max() > 0.1
    out_of_plane = process.hessian(FLAT)[2::3, :][:, 2::3]
    assert out_of_plane.isfinite().all() and out_of_plane.abs().max() > 0.01


def test_far_from_all_it_saw_it_says_the_mean():
    process = learn(seen_at(*around(RING, 4)))
    energy, gradient = process.energy_and_gradient(0.3 * RING)
    assert float(energy) == pytest.approx(process.mean, abs=1e-5)
    assert gradient.abs().max() < 1e-4


def test_a_second_look_at_one_place_is_left_out():
    seen = seen_at(RING)
    assert len(seen) == 1
    again = seen.plus(RING + 1e-7, *seen.of(0)[1:])
    assert again is seen
    assert len(seen_at(RING, RING + 1e-3 * torch.eye(4, 3, dtype=torch.float64))) == 2


@pytest.mark.parametrize("apart", [2e-5, 1e-4, 1e-3])
def test_observations_almost_at_one_place_are_learned_from(apart):
    places = around(RING, 4)
    close = [*places, *(place + apart * RING.flip(0) for place in places)]
    seen = seen_at(*close)
    assert len(seen) == 8
    process = learn(seen)
    _, gradient = process.energy_and_gradient(places[0])
    assert (gradient - seen.gradients[0]).abs().max() < 0.05
    assert process.hessian(RING).isfinite().all()


def test_how_far_from_zero_energies_are_does_not_matter():
    places = around(RING, 6)
    near = seen_at(*places)
    far = replace(near, energies=near.energies - 2e5)
    (energy, gradient), (below, same) = (
        learn(one).energy_and_gradient(RING) for one in (near, far)
    )
    assert float(energy - below) == pytest.approx(2e5, abs=1e-6)
    assert torch.allclose(gradient, same, atol=1e-6)


def test_what_a_process_explains_is_likelier_than_what_jumps():
    smooth = seen_at(*around(RING, 8))
    jumps = replace(smooth, gradients=smooth.gradients.flip(0))
    assert likelihood(smooth) > likelihood(jumps) + smooth.n_values


def test_a_cheap_potential_that_says_the_same_leaves_nothing_and_is_the_likeliest():
    seen = seen_at(*around(RING, 6))
    same = replace(seen, cheap_energies=seen.energies + 3, cheap_gradients=seen.gradients)
    assert likelihood(same) > likelihood(seen) + 5 * seen.n_values
    energy, gradient = learn(same).energy_and_gradient(RING)
    assert float(energy) == pytest.approx(-3, abs=1e-6) and gradient.abs().max() < 1e-6


def test_a_difference_of_nothing_is_learned_as_nothing():
    process = learn(seen_at(*around(RING, 3), energy=lambda at: 0 * at.sum() + 2.5))
    energy, gradient = process.energy_and_gradient(RING)
    assert float(energy) == pytest.approx(2.5, abs=1e-6)
    assert gradient.abs().max() < 1e-6
    assert process.hessian(RING).abs().max() < 1e-5


def test_of_too_many_the_nearest_to_the_last_are_kept_in_their_order():
    n_atoms = 40
    most = MAX_VALUES // (1 + 3 * n_atoms)
    middle = torch.arange(3 * n_atoms, dtype=torch.float64).reshape(n_atoms, 3)
    moves = [0.1 * i for i in range(most + 5, 0, -1)]
    found = Observations.none(n_atoms)
    for move in [*moves, 0.0]:
        at = middle + move
        told = torch.tensor(move, dtype=torch.float64), torch.full_like(at, move)
        found = found.plus(at, told, nothing(at))
    assert len(found) == most
    assert found.energies.tolist() == [*moves[6:], 0.0]
    assert torch.equal(found.positions[:, 0, 0], found.energies)
    assert torch.equal(found.gradients[:, 3, 1], found.energies)
    assert math.isclose(float(found.distances(middle)[-2]), 0.1 * math.sqrt(3))


def test_of_a_large_molecule_two_are_kept():
    n_atoms = 500
    found = Observations.none(n_atoms)
    for move in (0.0, 0.1, 0.2):
        at = torch.full((n_atoms, 3), move, dtype=torch.float64)
        found = found.plus(at, (at[0, 0], at), nothing(at))
    assert found.energies.tolist() == [0.1, 0.2]
