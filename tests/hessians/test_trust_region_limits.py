"""Trust-region steps against a multiplier found by bisection, and at the limits of every case."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from gadlib.hessians.trust_region import image_step, matvec, predicted_change, trust_step


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def step_by_bisection(gradient, curvature, radius):
    """The step of one system whose gradient has a part along the lowest curvature."""
    lowest = curvature.min()
    if lowest > 0 and np.linalg.norm(gradient / curvature) <= radius:
        return -gradient / curvature
    least = max(-lowest, 0.0)
    over = lambda mu: np.linalg.norm(gradient / (curvature + mu)) - radius  # noqa: E731
    mu = brentq(over, least + 1e-12, least + 1e3, xtol=1e-13)
    return -gradient / (curvature + mu)


@pytest.mark.parametrize("seed", range(6))
def test_the_step_is_that_of_the_multiplier_that_meets_the_radius(seed):
    random = np.random.default_rng(seed)
    gradient, curvature = random.normal(size=(2, 20, 5)) * [[[1.0]], [[3.0]]]
    radius = random.uniform(0.02, 1.0, size=20)
    found = trust_step(*(torch.tensor(a) for a in (gradient, curvature, radius))).numpy()
    for i in range(20):
        expected = step_by_bisection(gradient[i], curvature[i], radius[i])
        assert found[i] == pytest.approx(expected, abs=2e-5 * radius[i])


def test_a_newton_step_is_not_shortened_and_a_longer_one_ends_on_the_radius():
    for radius, expected in ((0.5001, 0.5), (0.4, 0.4)):
        step = trust_step(row(0.3, 0.4), row(1.0, 1.0), torch.tensor([radius]).double())
        assert float(step.norm()) == pytest.approx(expected, rel=2e-6)
        assert step[0].tolist() == pytest.approx([-0.6 * expected, -0.8 * expected], rel=2e-6)


def test_the_step_is_never_longer_than_the_radius():
    random = np.random.default_rng(0)
    gradient = torch.tensor(random.normal(size=(200, 6)))
    curvature = torch.tensor(random.normal(size=(200, 6)) * 10)
    radius = torch.tensor(random.uniform(1e-3, 1.0, size=200))
    assert (trust_step(gradient, curvature, radius).norm(dim=-1) <= radius * (1 + 1e-12)).all()


@pytest.mark.parametrize(("along", "sign"), [(0.0, 1), (1e-17, -1), (-1e-17, 1)])
def test_in_the_hard_case_the_step_is_filled_up_on_the_side_it_leans_to(along, sign):
    step = trust_step(row(along, 0.3), row(-1.0, 2.0), torch.tensor([0.5]).double())
    expected = [sign * (0.5**2 - 0.1**2) ** 0.5, -0.1]
    assert step[0].tolist() == pytest.approx(expected, abs=5e-4)


def test_only_the_hard_of_a_batch_are_filled_up():
    gradient = torch.tensor([[0.0, 0.3], [0.1, 0.2], [0.0, 0.0], [0.4, 0.3]]).double()
    curvature = torch.tensor([[-1.0, 2.0], [1.0, 2.0], [3.0, 1.0], [-1.0, 2.0]]).double()
    found = trust_step(gradient, curvature, torch.full((4,), 0.5).double()).numpy()
    assert found[0] == pytest.approx([(0.5**2 - 0.1**2) ** 0.5, -0.1])
    assert found[1] == pytest.approx([-0.1, -0.1])
    assert found[2].tolist() == [0.0, 0.0]
    expected = step_by_bisection(np.array([0.4, 0.3]), np.array([-1.0, 2.0]), 0.5)
    assert found[3] == pytest.approx(expected, rel=1e-5)


def test_a_flat_direction_without_gradient_is_not_walked():
    step = trust_step(row(0.0, 0.1), row(0.0, 1.0), torch.tensor([0.5]).double())
    assert step[0].tolist() == pytest.approx([0.0, -0.1])


def test_nothing_moves_where_all_curvature_is_infinite():
    step = trust_step(row(0.1, 0.2), row(torch.inf, torch.inf), torch.tensor([0.5]).double())
    assert step[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("curvature", [(1.0, 2.0, 5.0), (-1.0, 2.0, 5.0)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_another_measure_of_steps_is_met_within_five_percent_and_never_passed(curvature, scale):
    """The radius is but a guess, wrong by the scale."""
    gradient = row(1.0, 2.0, -0.7)
    measure = lambda step: step.abs().amax(-1) / 0.2  # noqa: E731
    radius = torch.tensor([0.2 * scale]).double()
    step = trust_step(gradient, row(*curvature), radius, measure)
    assert 0.95 <= float(measure(step)) <= 1 + 1e-12
    assert (step * gradient < 0).all()


def test_a_measure_fills_up_the_hard_case_no_further_than_allowed():
    measure = lambda step: step.abs().amax(-1) / 0.2  # noqa: E731
    step = trust_step(row(0.0, 0.1), row(-1.0, 2.0), torch.tensor([0.5]).double(), measure)
    assert float(measure(step)) == pytest.approx(1.0)
    assert step[0, 0] > 0


def test_where_the_newton_step_is_short_the_measure_is_not_filled_up():
    measure = lambda step: step.norm(dim=-1) / 0.5  # noqa: E731
    step = trust_step(row(0.1, 0.1), row(1.0, 2.0), torch.tensor([0.5]).double(), measure)
    assert step[0].tolist() == pytest.approx([-0.1, -0.05])


def test_a_step_up_the_climbed_modes_is_one_down_their_image():
    gradient, values = row(0.3, -0.4, 0.2), row(-2.0, 1.0, 3.0)
    radius = torch.tensor([0.1]).double()
    for climbed, sign in ((row(1, 0, 0), row(-1, 1, 1)), (row(0, 0, 0), row(1, 1, 1))):
        found = image_step(gradient, values, climbed, radius)
        torch.testing.assert_close(found, trust_step(sign * gradient, sign * values, radius))


def test_a_climbed_mode_of_infinite_curvature_is_left_out():
    step = image_step(row(0.1, 5.0), row(1.0, torch.inf), row(0, 1), torch.tensor([1.0]).double())
    torch.testing.assert_close(step, row(-0.1, 0.0))


def test_an_image_step_meets_the_other_measure():
    measure = lambda step: step.abs().amax(-1) / 0.1  # noqa: E731
    step = image_step(
        row(3.0, 1.0), row(-1.0, 2.0), row(1, 0), torch.tensor([0.2]).double(), measure
    )
    assert 0.95 <= float(measure(step)) <= 1 + 1e-12
    assert float(step[0, 0]) > 0


def test_the_predicted_change_is_that_of_the_quadratic_model():
    change = predicted_change(row(1.0, -2.0, 9.0), row(4.0, -6.0, torch.inf), row(0.5, 1.0, 0.0))
    assert change.tolist() == [1.0 * 0.5 - 2.0 + (4.0 * 0.25 - 6.0) / 2]


def test_each_matrix_maps_its_own_vector():
    matrix = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert matvec(matrix, torch.tensor([[1.0, 1.0], [5.0, 6.0]])).tolist() == [[3, 7], [6, 5]]
