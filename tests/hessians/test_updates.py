"""Updates of a model Hessian, against the formulas of the papers in numpy and at their limits."""

import numpy as np
import pytest
import torch

from gadlib.hessians.updates import bfgs, bofill, probe, ts_bfgs


def drawn(seed: int, size: int = 4, width: int = 5):
    """Symmetric indefinite Hessians, steps and changes of the gradient."""
    random = np.random.default_rng(seed)
    hessian = random.normal(size=(size, width, width))
    return (
        hessian + hessian.transpose(0, 2, 1),
        random.normal(size=(size, width)),
        random.normal(size=(size, width)),
    )


def tensors(*arrays):
    return tuple(torch.tensor(np.array(a, dtype=float)) for a in arrays)


def bofill_of_one(h, s, y):
    """Bofill (1994), equations 5 to 9, for one system."""
    e = y - h @ s
    rank_one = np.outer(e, e) / (e @ s)
    powell = (np.outer(e, s) + np.outer(s, e)) / (s @ s) - (e @ s) / (s @ s) ** 2 * np.outer(s, s)
    phi = (e @ s) ** 2 / ((e @ e) * (s @ s))
    return h + phi * rank_one + (1 - phi) * powell


def test_bofill_is_the_mixture_of_rank_one_and_powell():
    found = bofill(*tensors(*drawn(0))).numpy()
    for i, (h, s, y) in enumerate(zip(*drawn(0), strict=True)):
        assert found[i] == pytest.approx(bofill_of_one(h, s, y), rel=1e-10)


def test_bofill_is_powells_update_where_the_error_is_across_the_step():
    found = bofill(*tensors(np.zeros((1, 2, 2)), [[2.0, 0.0]], [[0.0, 3.0]]))[0]
    assert found.tolist() == [[0.0, 1.5], [1.5, 0.0]]


def test_bofill_is_rank_one_where_the_error_is_along_the_step():
    found = bofill(*tensors(np.zeros((1, 2, 2)), [[2.0, 0.0]], [[3.0, 0.0]]))[0]
    assert found.tolist() == [[1.5, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("update", [bofill, bfgs])
def test_an_update_by_what_the_hessian_says_already_changes_nothing(update):
    hessian, step, _ = tensors(*drawn(1))
    hessian = hessian @ hessian.mT if update is bfgs else hessian
    change = (hessian @ step[..., None])[..., 0]
    torch.testing.assert_close(update(hessian, step, change), hessian)


@pytest.mark.parametrize(("length", "is_learnt"), [(0.9e-7, False), (1.1e-7, True)])
def test_bofill_learns_nothing_from_steps_of_no_length(length, is_learnt):
    hessian, step, change = tensors(np.eye(2)[None], [[length, 0.0]], [[3 * length, length]])
    found = bofill(hessian, step, change)[0]
    expected = bofill_of_one(np.eye(2), step[0].numpy(), change[0].numpy())
    assert found.numpy() == pytest.approx(expected if is_learnt else np.eye(2), rel=1e-6)


def positive(seed: int):
    """Positive Hessians, steps, and the same mapped by the Hessians."""
    hessian, step, _ = drawn(seed)
    hessian = hessian @ hessian.transpose(0, 2, 1) + 0.1 * np.eye(5)
    return hessian, step, np.einsum("bij,bj->bi", hessian, step)


def bfgs_of_one(h, s, y):
    """Nocedal, Wright (2006), procedure 18.2, for one system."""
    expected, found = s @ h @ s, s @ y
    theta = 1.0 if found >= 0.2 * expected else 0.8 * expected / (expected - found)
    r = theta * y + (1 - theta) * h @ s
    return h - np.outer(h @ s, h @ s) / expected + np.outer(r, r) / (s @ r)


@pytest.mark.parametrize("share", [-2.0, 0.1, 0.19, 0.21, 0.9, 3.0])
def test_bfgs_is_the_damped_update(share):
    hessian, step, mapped = positive(2)
    change = share * mapped + 0.1 * (mapped - np.roll(mapped, 1))
    found = bfgs(*tensors(hessian, step, change)).numpy()
    for i in range(len(step)):
        one = bfgs_of_one(hessian[i], step[i], change[i])
        assert found[i] == pytest.approx(one, rel=1e-9)


def test_bfgs_leaves_a_fifth_of_the_curvature_where_the_surface_shows_less():
    hessian, step, mapped = positive(3)
    found = bfgs(*tensors(hessian, step, -mapped)).numpy()
    for i in range(len(step)):
        assert step[i] @ found[i] @ step[i] == pytest.approx(0.2 * step[i] @ mapped[i])


def test_bfgs_is_bofills_update_for_those_systems_alone_that_curve_down_along_the_step():
    hessian, step, mapped = positive(4)
    hessian[1] *= -1
    change = mapped + 0.1
    found = bfgs(*tensors(hessian, step, change)).numpy()
    for i in range(len(step)):
        expected = (bofill_of_one if i == 1 else bfgs_of_one)(hessian[i], step[i], change[i])
        assert found[i] == pytest.approx(expected, rel=1e-9)


def test_bfgs_is_bofills_update_where_the_hessian_is_flat_along_the_step():
    hessian, step, change = np.diag([0.0, 1.0])[None], [[1.0, 0.0]], [[2.0, 0.5]]
    found = bfgs(*tensors(hessian, step, change))[0].numpy()
    assert found == pytest.approx(bofill_of_one(hessian[0], np.array(step[0]), np.array(change[0])))


@pytest.mark.parametrize(("curvature", "is_positive"), [(2e-8, True), (0.5e-8, False)])
def test_bfgs_asks_for_curvature_along_the_step_beyond_rounding(curvature, is_positive):
    hessian = np.array([[[curvature, 1.0], [1.0, 2e8]]])
    step, change = [[1.0, 0.0]], [[1.0, 0.2]]
    found = bfgs(*tensors(hessian, step, change))[0].numpy()
    one = bfgs_of_one if is_positive else bofill_of_one
    assert found == pytest.approx(one(hessian[0], np.array(step[0]), np.array(change[0])), rel=1e-6)


def test_ts_bfgs_spreads_the_correction_as_in_bofills_paper():
    hessian, step, change = drawn(5)
    values, vectors = np.linalg.eigh(hessian)
    turned = np.einsum("bij,bj,bkj->bik", vectors, np.abs(values), vectors)
    weighted = np.einsum("bij,bj->bi", turned, step)
    found = ts_bfgs(*tensors(hessian, step, change, weighted)).numpy()
    for i, (h, s, y, w) in enumerate(zip(hessian, step, change, weighted, strict=True)):
        e = y - h @ s
        m = (y @ s) * y + (s @ w) * w
        u = m / (m @ s)
        expected = h + np.outer(u, e) + np.outer(e, u) - (e @ s) * np.outer(u, u)
        assert found[i] == pytest.approx(expected, rel=1e-9)
        assert found[i] @ s == pytest.approx(y, rel=1e-9)


def test_ts_bfgs_changes_nothing_where_there_is_no_step_or_nothing_to_spread_along():
    hessian, step, _ = tensors(*drawn(6))
    zero = torch.zeros_like(step)
    assert torch.equal(ts_bfgs(hessian, zero, zero, zero), hessian)
    assert torch.equal(ts_bfgs(hessian, step, zero, zero), hessian)


def test_probed_hessians_map_the_directions_as_measured_and_keep_the_rest():
    hessian, _, _ = drawn(7)
    random = np.random.default_rng(8)
    directions = np.linalg.qr(random.normal(size=(4, 5, 2)))[0]
    true, _, _ = drawn(9)
    changes = true @ directions
    found = probe(*tensors(hessian, directions, changes)).numpy()
    assert found @ directions == pytest.approx(changes, abs=1e-12)
    assert found == pytest.approx(found.transpose(0, 2, 1), abs=1e-12)
    for i in range(4):
        rest = np.eye(5) - directions[i] @ directions[i].T
        assert rest @ found[i] @ rest == pytest.approx(rest @ hessian[i] @ rest, abs=1e-12)


@pytest.mark.parametrize("update", [bofill, bfgs, ts_bfgs])
def test_short_steps_are_learnt_from_beside_long_ones(update):
    hessian, step, change = drawn(10)
    scale = np.array([[1e-4], [1.0], [1e3], [1e-2]])
    extra = (scale * step,) if update is ts_bfgs else ()
    together = update(*tensors(hessian, scale * step, scale * change, *extra))
    for i in range(4):
        one = (x[i : i + 1] for x in (hessian, scale * step, scale * change, *extra))
        torch.testing.assert_close(together[i : i + 1], update(*tensors(*one)))
        assert not torch.allclose(together[i], torch.tensor(hessian[i]))
