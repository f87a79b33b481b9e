import math
import pickle

import pytest
import torch
from clusters import POTENTIAL, clusters

from gadlib.calculators import NAMES, get
from gadlib.calculators.contract import check
from gadlib.calculators.surfaces import (
    SURFACES,
    double_well,
    lennard_jones,
    muller_brown,
    quadratic,
)
from gadlib.hessians.normal_modes import spectrum
from gadlib.systems.batch import Batch

POINTS = [
    (name, order)
    for name, surface in SURFACES.items()
    for order in sorted({point.order for point in surface.points})
]


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_keep_the_contract(name):
    check(SURFACES[name], SURFACES[name].start, hessian_tolerance=1e-4)


def test_lennard_jones_keeps_the_contract_for_any_molecules():
    check(POTENTIAL, clusters(0), hessian_tolerance=1e-4)


@pytest.mark.parametrize(("name", "order"), POINTS)
def test_known_points_are_stationary_at_their_energy_and_order(name, order):
    surface = SURFACES[name]
    batch = surface.stationary(order)
    told = surface(batch)
    energies = [point.energy for point in surface.points if point.order == order]
    # Mueller and Brown give three decimals of places with curvatures of up to 4000.
    force_tol, energy_tol = (0.45, 6e-4) if name == "muller_brown" else (1e-12, 1e-12)
    assert told.energy.tolist() == pytest.approx(energies, abs=energy_tol)
    assert float(told.forces.abs().max()) < force_tol
    assert told.hessian is not None
    assert spectrum(told.hessian, batch).order.tolist() == [order] * len(batch)


@pytest.mark.parametrize("name", SURFACES)
def test_starts_are_not_stationary(name):
    surface = SURFACES[name]
    assert (surface(surface.start, hessian=False).forces.norm(dim=-1).amax(-1) > 0.1).all()


# x, y and energy where the gradient of Mueller and Brown's formula is zero, by mpmath, 30 digits.
EXACT = {
    0: [
        (-0.558223634633, 1.441725841805, -146.699517209954),
        (-0.050010822998, 0.466694104872, -80.767818129659),
        (0.623499404931, 0.028037758529, -108.166724116852),
    ],
    1: [
        (-0.822001558733, 0.624312802815, -40.664843508657),
        (0.212486582001, 0.292988325107, -72.248940112325),
    ],
}


@pytest.mark.parametrize("order", EXACT)
def test_newton_steps_from_the_published_points_end_at_the_exact_ones(order):
    surface = muller_brown()
    batch = surface.stationary(order)
    for _ in range(5):
        told = surface(batch)
        step = torch.linalg.solve(told.hessian, told.forces.flatten(1))
        batch = batch.moved_to(batch.positions + step[:, None])
    ends = torch.cat([batch.positions[:, 0, :2], surface(batch).energy[:, None]], -1)
    exact = torch.tensor(EXACT[order], dtype=torch.float64)
    torch.testing.assert_close(ends, exact, rtol=0, atol=2e-12)


@pytest.mark.parametrize("order", EXACT)
def test_published_points_are_the_exact_ones_rounded(order):
    # Table 1 of Mueller and Brown, Theor. Chim. Acta 53, 75 (1979), doi:10.1007/BF00547608
    points = [point for point in muller_brown().points if point.order == order]
    published = [(*point.positions[0][:2], point.energy) for point in points]
    assert published == [tuple(round(number, 3) for number in exact) for exact in EXACT[order]]


def test_muller_brown_by_hand_at_a_simple_point():
    # at (1, 0): the first term is -200, the others by their definition
    expected = -200 - 100 * math.exp(-1 - 10 * 0.25)
    expected += -170 * math.exp(-6.5 * 2.25 - 11 * 1.5 * 1.5 - 6.5 * 2.25)
    expected += 15 * math.exp(0.7 * 4 - 0.6 * 2 + 0.7)
    batch = Batch.pack([torch.tensor([[1.0, 0.0, 0.0]])], [[1]], is_free=False)
    assert float(muller_brown()(batch).energy) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("eigenvalues", [(-2.0, 1.0, 3.0), (-1.0, -0.5, 2.0, 3.0, 5.0, 7.0)])
def test_quadratic_has_the_chosen_eigenvalues_everywhere(eigenvalues):
    surface = quadratic(eigenvalues)
    hessian = surface(surface.start).hessian
    assert hessian is not None
    for values in torch.linalg.eigvalsh(hessian):
        assert values.tolist() == pytest.approx(sorted(eigenvalues))
    assert (hessian[0] - hessian[0].diagonal().diag()).abs().max() > 0.1


@pytest.mark.parametrize("eigenvalues", [(), (1.0, 2.0)])
def test_quadratic_asks_for_three_eigenvalues_per_atom(eigenvalues):
    with pytest.raises(ValueError, match="expected three for each atom"):
        quadratic(eigenvalues)


def test_quadratic_fails_for_systems_of_another_size_alone():
    surface = quadratic((-1.0, 1.0, 2.0))
    batch = Batch.pack([torch.ones(1, 3), torch.ones(2, 3)], [[1], [1, 1]], is_free=False)
    told = surface(batch)
    assert list(told.failures) == [1]
    assert told.energy.isfinite().tolist() == [True, False]


def test_the_barrier_of_the_double_well_is_the_chosen_one():
    surface = double_well(barrier=0.3)
    told = surface(surface.stationary(1))
    assert told.energy.tolist() == pytest.approx([0.3] * 4)


def test_lennard_jones_pair_has_depth_epsilon_at_its_known_distance():
    surface = lennard_jones(epsilon=0.01, sigma=3.4)
    distance = 2 ** (1 / 6) * 3.4
    places = torch.tensor([[0.0, 0, 0], [0, distance, 0]], dtype=torch.float64)
    told = surface(Batch.pack([places], [[18, 18]]))
    assert float(told.energy) == pytest.approx(-0.01, rel=1e-12)
    assert float(told.forces.abs().max()) < 1e-14
    # the curvature of the pair is 72 / 2^(1/3) epsilon / sigma^2
    assert told.hessian is not None
    assert float(told.hessian[0, 1, 1]) == pytest.approx(72 / 2 ** (1 / 3) * 0.01 / 3.4**2, 1e-12)


def test_lennard_jones_heptamer_has_its_published_energy():
    # Pentagonal bipyramid: Wales, Doye, J. Phys. Chem. A 101, 5111 (1997), doi:10.1021/jp970984n,
    # -16.505384 as ASE quotes it; more decimals by mpmath, solved for the ring's radius and height
    ring = [[math.cos(2 * math.pi * k / 5), math.sin(2 * math.pi * k / 5), 0] for k in range(5)]
    places = 0.95 * torch.tensor([*ring, [0, 0, 0.55], [0, 0, -0.55]], dtype=torch.float64)
    batch, surface = Batch.pack([places], [[18] * 7]), lennard_jones()
    told = surface(batch)
    for _ in range(10):
        assert told.hessian is not None
        values, modes = torch.linalg.eigh(told.hessian[0])
        along = modes.mT @ told.forces.flatten()
        shift = modes @ torch.where(values.abs() > 1e-6, along / values.abs().clamp(min=1), 0.0)
        batch = batch.moved_to(batch.positions + shift.reshape(1, 7, 3).clamp(-0.1, 0.1))
        told = surface(batch)
    assert float(told.energy) == pytest.approx(-16.505384168012, abs=2e-12)
    assert told.hessian is not None
    assert spectrum(told.hessian, batch).order.tolist() == [0]


def test_leps_far_apart_is_a_molecule_and_an_atom():
    surface = SURFACES["leps"]
    places = torch.tensor([[0.0, 0, 0], [0.742, 0, 0], [24.0, 0, 0]], dtype=torch.float64)
    told = surface(Batch.pack([places], [[1, 1, 1]]))
    assert float(told.energy) == pytest.approx(-4.746, abs=1e-12)
    (saddle,) = (point for point in surface.points if point.order == 1)
    assert 0.2 < saddle.energy + 4.746 < 0.6


@pytest.mark.parametrize("n", [1, 2, 4])
def test_leps_is_of_three_atoms(n):
    told = SURFACES["leps"](Batch.pack([torch.eye(4, 3).double()[:n]], [[1] * n]))
    assert list(told.failures) == [0]


def test_coinciding_atoms_are_a_failure():
    told = lennard_jones()(Batch.pack([torch.zeros(2, 3)], [[1, 1]]))
    assert list(told.failures) == [0]
    assert told.energy.isnan().all() and told.forces.isnan().all()


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_are_pickled_for_worker_processes(name):
    copy = pickle.loads(pickle.dumps(SURFACES[name]))
    batch = SURFACES[name].start
    assert torch.equal(copy(batch).energy, SURFACES[name](batch).energy)


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_are_found_by_name_and_have_a_source(name):
    assert "surface" in NAMES
    assert get("surface", name=name) is SURFACES[name]
    assert SURFACES[name].source


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"surface 'DFTB0': expected one of muller_brown, "):
        get("surface", name="DFTB0")
    with pytest.raises(ValueError, match=r"calculator 'vasp': expected one of .*surface"):
        get("vasp")
