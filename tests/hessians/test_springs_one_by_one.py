"""The guess of the Hessian against a sum over springs, written out one by one."""

from itertools import permutations

import numpy as np
import pytest
import torch
from ase.data import covalent_radii

from gadlib.hessians.springs import model_hessian, pair_hessian
from gadlib.systems.batch import Batch
from gadlib.units import EV_PER_HARTREE

BOND, ANGLE, TORSION, EVERYWHERE = 30.0, 0.15 * EV_PER_HARTREE, 0.005 * EV_PER_HARTREE, 0.05


def angle(a, b, c):
    u, v = a - b, c - b
    return torch.atan2(torch.linalg.cross(u, v).norm(), u @ v)


def torsion(a, b, c, d):
    first, middle, last = b - a, c - b, d - c
    n, m = torch.linalg.cross(first, middle), torch.linalg.cross(middle, last)
    return torch.atan2(torch.linalg.cross(n, m) @ middle / middle.norm(), n @ m)


def gradient(coordinate, places, atoms):
    """Of an internal coordinate, by all coordinates of the molecule."""
    free = places.clone().requires_grad_()
    (found,) = torch.autograd.grad(coordinate(*(free[a] for a in atoms)), free)
    return found.flatten()


def sine_square(a, b, c):
    u, v = a - b, c - b
    return float(torch.linalg.cross(u, v).square().sum() / (u @ u) / (v @ v))


def across(places, atoms):
    """The bend of a nearly straight angle out of its plane."""
    i, j, k = atoms
    a, c = places[i] - places[j], places[k] - places[j]
    normal = torch.linalg.cross(a, c)
    normal = normal / normal.norm()
    found = torch.zeros_like(places)
    found[i], found[k] = normal / a.norm(), normal / c.norm()
    found[j] = -found[i] - found[k]
    return found.flatten()


def summed(places: np.ndarray, numbers: list[int]) -> tuple[torch.Tensor, dict[str, int]]:
    """The whole guess, and how many springs of each kind it has."""
    p, n = torch.tensor(places), len(numbers)
    radii = covalent_radii[numbers]
    share = np.zeros((n, n))
    counts = {"angles": 0, "across": 0, "torsions": 0}
    total = EVERYWHERE * torch.eye(3 * n).double()
    for i, j in permutations(range(n), 2):
        scaled = float((p[i] - p[j]).norm()) / (radii[i] + radii[j])
        share[i, j] = np.exp(-3 * (max(scaled, 0.8) ** 2 - 1))
        if i < j:
            g = gradient(lambda a, b: (a - b).norm(), p, (i, j))
            total += BOND * share[i, j] * torch.outer(g, g)
    for i, j, k in permutations(range(n), 3):
        kept = share[i, j] * share[j, k]
        if i > k or kept <= 0.02 or min(share[i, j], share[j, k]) <= 0.02:
            continue
        counts["angles"] += 1
        springs = [gradient(angle, p, (i, j, k))]
        if float(torch.cos(angle(p[i], p[j], p[k]))) < -0.94:
            counts["across"] += 1
            springs.append(across(p, (i, j, k)))
        total += sum(ANGLE * kept * torch.outer(g, g) for g in springs)
    for i, j, k, m in permutations(range(n), 4):
        links = [share[i, j], share[j, k], share[k, m]]
        pairs = (links[0] * links[1], np.prod(links))
        sines = [sine_square(p[i], p[j], p[k]), sine_square(p[j], p[k], p[m])]
        if j > k or min(*links, *pairs) <= 0.02 or min(sines) <= 0.1:
            continue
        counts["torsions"] += 1
        g = gradient(torsion, p, (i, j, k, m))
        total += TORSION * np.prod(links) * torch.outer(g, g)
    return total, counts


def guess(places: np.ndarray, numbers: list[int]) -> torch.Tensor:
    return model_hessian(Batch.pack([places], [numbers]))[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_guess_is_the_sum_of_all_springs(seed):
    random = np.random.default_rng(seed)
    corners = 1.3 * np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in (0, 1, 2, 4, 7)])
    places = corners + random.normal(scale=0.15, size=(5, 3))
    numbers = [6, 8, 1, 7, 6]
    expected, counts = summed(places, numbers)
    assert counts["angles"] > 5
    assert counts["torsions"] > 3
    torch.testing.assert_close(guess(places, numbers), expected, rtol=1e-7, atol=1e-9)


def bent(degrees: float, first: float = 1.2, second: float = 1.2) -> np.ndarray:
    turn = np.radians(degrees)
    end = second * np.array([np.cos(turn), np.sin(turn), 0])
    return np.array([[first, 0, 0], [0, 0, 0], end])


@pytest.mark.parametrize(("degrees", "n_across"), [(159.9, 0), (160.2, 1), (175.0, 1)])
def test_an_angle_beyond_160_degrees_bends_out_of_its_plane_too(degrees, n_across):
    expected, counts = summed(bent(degrees), [8, 6, 8])
    assert counts["across"] == n_across
    torch.testing.assert_close(guess(bent(degrees), [8, 6, 8]), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_straight_angle_bends_alike_wherever_it_points(axis):
    places = np.zeros((3, 3))
    places[[0, 2], axis] = 1.2, -1.3
    found = guess(places, [8, 6, 8])
    share = [np.exp(-3 * ((d / (covalent_radii[6] + covalent_radii[8])) ** 2 - 1)) for d in (1.2, 1.3)]  # fmt: skip  # noqa: E501
    bend = np.array([1 / 1.2, -1 / 1.2 - 1 / 1.3, 1 / 1.3])
    expected = ANGLE * share[0] * share[1] * np.outer(bend, bend) + EVERYWHERE * np.eye(3)
    for other in {0, 1, 2} - {axis}:
        assert found[other::3, other::3].numpy() == pytest.approx(expected, rel=1e-7)


def length_of(share: float, radius: float) -> float:
    return radius * (1 - np.log(share) / 3) ** 0.5


@pytest.mark.parametrize(("shares", "is_there"), [
    ((0.5, 0.0401), True), ((0.5, 0.0399), False),  # their product
    ((2.0, 0.0201), True), ((2.0, 0.0199), False),  # the weaker one
])  # fmt: skip
def test_an_angle_ends_where_a_bond_or_the_product_of_both_has_a_fiftieth_left(shares, is_there):
    radius = covalent_radii[6] + covalent_radii[8]
    places = bent(110.0, *(length_of(share, radius) for share in shares))
    expected, counts = summed(places, [8, 6, 8])
    assert counts["angles"] == is_there
    torch.testing.assert_close(guess(places, [8, 6, 8]), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("last", "is_there"), [(0.0401, True), (0.0399, False)])
def test_a_torsion_ends_where_the_product_of_its_bonds_has_a_fiftieth_left(last, is_there):
    apart = length_of(last, covalent_radii[8] + covalent_radii[1])
    middle = length_of(0.5 / 0.999, 2 * covalent_radii[8])
    first = length_of(0.999, covalent_radii[8] + covalent_radii[1])
    places = np.array([[0, first, 0], [0, 0, 0], [middle, 0, 0], [middle, 0, apart]])
    expected, counts = summed(places, [1, 8, 8, 1])
    assert counts["torsions"] == is_there
    torch.testing.assert_close(guess(places, [1, 8, 8, 1]), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("scaled", [0.79, 0.81])
def test_bonds_do_not_stiffen_below_four_fifths_of_their_length(scaled):
    apart = scaled * 2 * covalent_radii[6]
    found = guess(np.array([[0, 0, 0], [0, 0, apart]]), [6, 6])
    stiffness = 30.0 * np.exp(-3 * (max(scaled, 0.8) ** 2 - 1))
    assert float(found[2, 5]) == pytest.approx(-stiffness, rel=1e-9)
    assert float(found[2, 2]) == pytest.approx(stiffness + 0.05, rel=1e-9)
    assert float(found[0, 0]) == 0.05


@pytest.mark.parametrize(("degrees", "n_torsions"), [(18.4, 0), (18.5, 1)])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_there_is_no_torsion_about_an_axis_that_its_atoms_are_nearly_on(degrees, n_torsions, order):
    """The squared sine of either angle within it is more than a tenth."""
    turn = np.radians(degrees)
    first = 0.96 * np.array([np.cos(turn), np.sin(turn), 0])
    places = np.array([first, [0, 0, 0], [-1.4, 0, 0], [-1.8, 0.3, 0.9]])[order]
    numbers = np.array([1, 8, 8, 1])[order].tolist()
    expected, counts = summed(places, numbers)
    assert counts["torsions"] == n_torsions
    torch.testing.assert_close(guess(places, numbers), expected, rtol=1e-7, atol=1e-9)


def test_springs_of_company_stay_with_their_own_molecule():
    random = np.random.default_rng(5)
    corners = 1.3 * np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in (0, 1, 2, 4, 7)])
    clusters = [corners[:n] + random.normal(scale=0.15, size=(n, 3)) for n in (3, 5, 2, 4)]
    numbers = [[8, 6, 8], [6, 8, 1, 7, 6], [6, 6], [7, 6, 1, 8]]
    found = model_hessian(Batch.pack(clusters, numbers))
    for i, (places, z) in enumerate(zip(clusters, numbers, strict=True)):
        n = 3 * len(z)
        torch.testing.assert_close(found[i, :n, :n], summed(places, z)[0], rtol=1e-7, atol=1e-9)
        assert not found[i, n:].any()
        assert not found[i, :, n:].any()


def test_pairs_at_rest_have_no_stiffness_across():
    batch = Batch.pack([np.array([[0, 0, 0], [0, 0, 2.0]])], [[1, 1]])
    along = torch.tensor([[[0.0, 3.0], [3.0, 0.0]]]).double()
    at_rest = pair_hessian(batch, along)[0]
    assert at_rest[2, [2, 5]].tolist() == [3.0, -3.0]
    assert at_rest[0, [0, 3]].tolist() == [0.0, 0.0]
    stretched = pair_hessian(batch, along, along / 6)[0]
    assert stretched[2, [2, 5]].tolist() == [3.0, -3.0]
    assert stretched[0, [0, 3]].tolist() == [0.5, -0.5]


def test_every_straight_angle_of_a_batch_bends_as_if_it_were_alone():
    places = [np.array([[0, 0, end], [0, 0, 0], [0, 0, -1.25]]) for end in (1.2, 1.3)]
    found = model_hessian(Batch.pack(places, [[8, 6, 8]] * 2))
    for i in range(2):
        torch.testing.assert_close(found[i], guess(places[i], [8, 6, 8]), rtol=1e-12, atol=1e-12)
