"""Orders asked by products: what is told, what is missed, what it costs."""

import math

import numpy as np
import pytest
import torch

from gadlib.hessians.davidson import Products
from gadlib.hessians.inquiry import CHANCE, FLAT, Order, inquire
from gadlib.hessians.missed import TAKEN_FOR, Rest

WIDTH = 16


def rotation(generator: np.random.Generator, width: int = WIDTH) -> np.ndarray:
    return np.linalg.qr(generator.normal(size=(width, width)))[0]


def spread(*lowest: float, width: int = WIDTH) -> np.ndarray:
    """The lowest eigenvalues and others up to 10, as of bends and stretches."""
    return np.array([*lowest, *np.geomspace(0.2, 10.0, width - len(lowest))])


def matrix(modes: np.ndarray, values: np.ndarray) -> np.ndarray:
    return (modes * values) @ modes.T


def model_of(hessian: np.ndarray, generator: np.random.Generator, error: float) -> np.ndarray:
    """A model off by so much of what each mode has, in another basis: soft where that is soft."""
    values, modes = np.linalg.eigh(hessian)
    root = modes * np.sqrt(np.abs(values) + 0.01)
    noise = generator.normal(size=hessian.shape) / math.sqrt(2 * len(hessian))
    return hessian + error * root @ (noise + noise.T) @ root.T


def hidden(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A Hessian with two negative eigenvalues, and a model that takes the second for positive.

    The hidden mode is one of the model's upper half, and has no part in its lowest ones.
    """
    modes = rotation(generator)
    model = matrix(modes, spread(-1.0, 0.1))
    place = generator.integers(WIDTH // 2, WIDTH)
    values = spread(-1.0, 0.1)
    values[place] = -generator.uniform(0.05, 0.5)
    return matrix(modes, values), model


def told(
    hessian: np.ndarray,
    model: np.ndarray,
    *,
    seed: int = 0,
    n_most: int = 1000,
    chance: float = CHANCE,
    rough: float = 0.0,
):
    """What an inquiry finds, and the gradients that it asked for; one side may be rough."""
    asking, n_gradient = inquire(torch.tensor(model), seed, n_most, chance), 0
    wish = next(asking)
    while True:
        gram = wish.directions.mT @ wish.directions
        torch.testing.assert_close(gram, torch.eye(len(gram), dtype=gram.dtype))
        n_gradient += wish.n_gradient
        images = torch.tensor(hessian) @ wish.directions
        if not wish.is_central:
            images += rough * torch.sin(7 * torch.arange(images.numel())).view_as(images)
        try:
            wish = asking.send(images)
        except StopIteration as ended:
            return ended.value, n_gradient


@pytest.mark.parametrize(
    ("lowest", "order"),
    [
        ((0.05, 0.1), Order.NONE),
        ((-1.0, 0.1), Order.ONE),
        ((-1.0, -0.1, 0.1), Order.MORE),
        ((-1.0, -0.5, -0.1), Order.MORE),
        ((-0.3, -0.3), Order.MORE),
        ((-1.0, 0.1, 0.1, 0.1), Order.ONE),
        ((-1e-2, 1e-2), Order.ONE),
    ],
)
@pytest.mark.parametrize("error", [0.0, 0.2])
def test_orders_are_told_as_they_are(lowest, order, error):
    for seed in range(3):
        generator = np.random.default_rng(seed)
        hessian = matrix(rotation(generator), spread(*lowest))
        found, _ = told(hessian, model_of(hessian, generator, error), seed=seed)
        assert found.order == order


def test_a_hidden_negative_mode_is_found_by_the_random_vector_alone():
    """Without it, most of these points are called saddles: their residuals are zero."""
    generator = np.random.default_rng(1)
    cases = [hidden(generator) for _ in range(30)]
    found = [told(*case, seed=i)[0].order for i, case in enumerate(cases)]
    assert set(found) == {Order.MORE}
    believed = [told(*case, seed=i, chance=1.1)[0].order for i, case in enumerate(cases)]
    assert believed.count(Order.ONE) > 20


@pytest.mark.parametrize("chance", [0.2, 0.05])
def test_a_hidden_mode_is_missed_no_oftener_than_the_chance_says(chance):
    """The chance is that of a mode which the model takes for 500 cm-1; it grows with these."""
    generator = np.random.default_rng(2)
    orders, allowed = [], 0.0
    for seed in range(60):  # an error beside the hidden mode, so that one product is not enough
        hessian, model = hidden(generator)
        model = model_of(model, generator, 0.3)
        orders.append(told(hessian, model, seed=seed, chance=chance)[0].order)
        mode = np.linalg.eigh(hessian)[1][:, 1]
        allowed += chance * math.sqrt(mode @ model @ mode / TAKEN_FOR)
    assert 0 < orders.count(Order.ONE) <= allowed


def test_a_vector_is_the_longer_the_softer_its_directions_are():
    """A mode that the model takes for soft is what is missed, and what is looked for."""
    model = torch.diag(torch.tensor([-1.0, 0.04, 4.0], dtype=torch.float64))
    first = torch.eye(3, dtype=torch.float64)[:, :1]
    known, generator = Products(first, model @ first), torch.Generator().manual_seed(0)
    samples = [Rest.of(model, known, generator) for _ in range(200)]
    lengths = torch.stack([rest.basis @ rest.sample for rest in samples if rest]).square().mean(0)
    assert float(lengths[1] / lengths[2]) == pytest.approx(100, rel=0.5)


@pytest.mark.parametrize("second", [0.5 * FLAT, 0.0, -0.5 * FLAT])
def test_an_all_but_flat_second_mode_stays_open(second):
    generator = np.random.default_rng(3)
    hessian = matrix(rotation(generator), spread(-1.0, second))
    assert told(hessian, model_of(hessian, generator, 0.1))[0].order == Order.OPEN


@pytest.mark.parametrize(("second", "order"), [(1e-3, Order.ONE), (-1e-3, Order.MORE)])
def test_soft_modes_are_told_by_what_both_sides_say(second, order):
    """What one side says of others' coupling to them is rough, and does not count."""
    for seed in range(4):
        generator = np.random.default_rng(seed)
        hessian = matrix(rotation(generator), spread(-1.0, second, 0.1))
        model = model_of(hessian, generator, 0.05)
        assert told(hessian, model, seed=seed, rough=0.01)[0].order == order


def test_an_order_is_not_open_while_the_lowest_modes_are_not_known_yet():
    """The model's lowest mode has no curvature, since it is a mixture of two with some."""
    modes = np.eye(WIDTH)
    modes[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]
    hessian = matrix(np.eye(WIDTH), spread(-0.36, 0.64))
    assert abs(modes[:, 0] @ hessian @ modes[:, 0]) < 1e-12
    model = matrix(modes, np.array([0.1, 1.0, *np.geomspace(0.2, 5.0, WIDTH - 2)]))
    assert told(hessian, model)[0].order == Order.ONE


def test_a_sharper_image_counts_for_all_others():
    generator = np.random.default_rng(5)
    hessian = torch.tensor(matrix(rotation(generator), spread(-1.0, 0.1)))
    directions = torch.tensor(rotation(generator)[:, :3])
    rough = hessian @ directions + 0.05 * torch.tensor(generator.normal(size=(WIDTH, 3)))
    vector = directions @ torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    sharp = Products(directions, rough).with_image(vector, hessian @ vector)
    torch.testing.assert_close(sharp.images @ (vector @ directions), hessian @ vector)
    torch.testing.assert_close(vector @ sharp.images, (hessian @ vector) @ directions)


def test_a_good_model_needs_few_products_and_a_poor_one_more():
    numbers = []
    for error in (0.0, 0.1, 0.4):
        generator = np.random.default_rng(4)
        hessian = matrix(rotation(generator), spread(-1.0, 0.1))
        found, _ = told(hessian, model_of(hessian, generator, error))
        assert found.order == Order.ONE
        numbers.append(found.products.number)
    assert numbers[0] == 3  # the two modes and the random vector
    assert numbers == sorted(numbers)
    assert numbers[-1] < WIDTH


@pytest.mark.parametrize("n_most", [2, 4, 7])
def test_no_more_gradients_are_asked_for_than_allowed(n_most):
    generator = np.random.default_rng(5)
    hessian = matrix(rotation(generator), spread(-1.0, 0.1))
    found, n_gradient = told(hessian, model_of(hessian, generator, 0.5), n_most=n_most)
    assert (found.order, n_gradient <= n_most) == (Order.OPEN, True)


def test_bounds_hold_and_soft_values_are_computed_to_both_sides():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        hessian = matrix(rotation(generator), spread(-1.0, 0.03))
        found, n_gradient = told(hessian, model_of(hessian, generator, 0.2), seed=seed)
        lowest, second = np.linalg.eigvalsh(hessian)[:2]
        values = found.products.ritz.values
        assert lowest - 1e-9 <= float(values[0]) < 0
        assert abs(found.lowest - lowest) < abs(float(values[0]) - lowest) + 1e-9
        assert found.lowest == pytest.approx(lowest, rel=0.05)
        assert 0 < found.second_least <= second <= float(values[1]) + 1e-9
        assert n_gradient > found.products.number


@pytest.mark.parametrize(
    ("values", "order"), [([-1.0], Order.ONE), ([2.0], Order.NONE), ([-1.0, 0.5], Order.ONE)]
)
def test_one_or_two_vibrations_are_known_by_as_many_products(values, order):
    found, n_gradient = told(np.diag(values), np.diag([1.0] * len(values)))
    assert (found.order, n_gradient) == (order, len(values))


def test_some_eigenvalue_lies_within_the_error_of_each_ritz_value():
    generator = np.random.default_rng(6)
    hessian = matrix(rotation(generator), spread(-1.0, 0.1))
    directions = torch.tensor(rotation(generator)[:, :5])
    ritz = Products(directions, torch.tensor(hessian) @ directions).ritz
    apart = np.abs(np.linalg.eigvalsh(hessian)[None] - ritz.values.numpy()[:, None]).min(1)
    assert (apart <= ritz.errors.numpy() + 1e-12).all()


def test_what_is_left_of_the_sample_bounds_its_part_of_a_null_vector():
    """B u = 0 for the limit's own eigenvector: the residual is never shorter than <u, x>."""
    generator = np.random.default_rng(7)
    modes = rotation(generator)
    hessian = torch.tensor(matrix(modes, spread(-1.0, 0.1, 0.0)))
    model = torch.tensor(matrix(modes, spread(-1.0, 0.1, 0.5)))
    first = torch.tensor(modes[:, :2].copy())
    known = Products(first, hessian @ first)
    rest = Rest.of(model, known, torch.Generator().manual_seed(0))
    assert rest is not None
    hides = torch.linalg.solve(rest.root, rest.basis.mT @ torch.tensor(modes[:, 2].copy()))
    part = abs(float(rest.sample @ hides) / float(hides.norm()))
    products = known
    for _ in range(6):
        residual = rest.residual(products)
        assert float(residual.norm()) >= part * (1 - 1e-5)
        directions = products.independent(rest.towards(residual))
        products = products.grown(directions, hessian @ directions)
    assert float(rest.residual(products).norm()) == pytest.approx(part, rel=1e-5)
