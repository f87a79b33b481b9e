"""The quadratic model: step, update, prediction."""

import pytest
import torch

from gadlib.hessians.trust_region import image_step, predicted_change, trust_step
from gadlib.hessians.updates import bfgs, bofill


def _random(seed, size=16, width=5):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(size, width), draw(size, width) * 2, draw(size).abs() * 0.5 + 0.05


def _model(gradient, curvature, step):
    return (gradient * step + curvature * step.square() / 2).sum(-1)


@pytest.mark.parametrize("seed", range(5))
def test_trust_step_beats_every_point_of_the_ball(seed):
    gradient, curvature, radius = _random(seed)
    step = trust_step(gradient, curvature, radius)
    assert (step.norm(dim=-1) <= radius * (1 + 1e-8)).all()
    generator = torch.Generator().manual_seed(100 + seed)
    points = torch.randn(20000, 1, 5, generator=generator, dtype=torch.float64)
    points = points / points.norm(dim=-1, keepdim=True)
    fractions = torch.rand(20000, 1, 1, generator=generator, dtype=torch.float64) ** (1 / 5)
    brute = torch.cat([points, points * fractions]) * radius[:, None]
    best = _model(gradient, curvature, brute).amin(0)
    found = _model(gradient, curvature, step)
    assert (found <= best + 1e-9).all()


def test_trust_step_is_the_newton_step_where_that_fits():
    gradient = torch.tensor([[0.1, -0.2]], dtype=torch.float64)
    curvature = torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    step = trust_step(gradient, curvature, torch.tensor([1.0], dtype=torch.float64))
    torch.testing.assert_close(step, -gradient / curvature)


def test_a_gradient_without_a_component_along_the_descent_is_filled_up_to_the_radius():
    gradient = torch.tensor([[0.0, 0.1]], dtype=torch.float64)
    curvature = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)
    step = trust_step(gradient, curvature, torch.tensor([0.3], dtype=torch.float64))
    assert step.norm() == pytest.approx(0.3)
    assert step[0, 0] > 0


def test_image_step_is_exact_on_a_quadratic_saddle():
    gradient = torch.tensor([[0.1, -0.2, 0.05]], dtype=torch.float64)
    curvature = torch.tensor([[-1.5, 2.0, 4.0]], dtype=torch.float64)
    climbed = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    step = image_step(gradient, curvature, climbed, torch.tensor([1.0], dtype=torch.float64))
    torch.testing.assert_close(gradient + curvature * step, torch.zeros_like(gradient))
    torch.testing.assert_close(
        predicted_change(gradient, curvature, step), -(gradient.square() / curvature).sum(-1) / 2
    )


def test_directions_of_infinite_curvature_are_left_out():
    gradient = torch.tensor([[0.1, 5.0]], dtype=torch.float64)
    curvature = torch.tensor([[-1.0, torch.inf]], dtype=torch.float64)
    climbed = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    step = image_step(gradient, curvature, climbed, torch.tensor([1.0], dtype=torch.float64))
    torch.testing.assert_close(step, torch.tensor([[0.1, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("update", [bofill, bfgs])
def test_updated_hessian_meets_the_secant_condition(update):
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(8, 6, 6, generator=generator, dtype=torch.float64)
    true = root @ root.mT
    step = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    change = (true @ step[..., None])[..., 0]
    guess = 5 * torch.eye(6, dtype=torch.float64).expand(8, 6, 6)
    updated = update(guess, step, change)
    torch.testing.assert_close(updated, updated.mT)
    mapped = (updated @ step[..., None])[..., 0]
    is_damped = (step * change).sum(-1) < 0.2 * 5 * step.square().sum(-1)
    expected = mapped if update is bfgs and is_damped.all() else change
    rows = ~is_damped if update is bfgs else torch.ones(8, dtype=torch.bool)
    assert rows.any()
    torch.testing.assert_close(mapped[rows], expected[rows])


def test_bfgs_stays_positive_where_the_surface_curves_down():
    step = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    updated = bfgs(torch.eye(2, dtype=torch.float64)[None], step, -step)
    assert (torch.linalg.eigvalsh(updated) > 0).all()


@pytest.mark.parametrize("update", [bofill, bfgs])
def test_a_step_of_no_length_changes_nothing(update):
    hessian = torch.eye(3, dtype=torch.float64)[None]
    zero = torch.zeros(1, 3, dtype=torch.float64)
    torch.testing.assert_close(update(hessian, zero, zero), hessian)
