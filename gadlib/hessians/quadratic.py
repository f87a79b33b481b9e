"""The quadratic model of a surface: the trust-region step on it and the updates of its Hessian.

Everything here is batched linear algebra in one set of coordinates; it knows no molecules and calls
no calculator. Floor 0.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P (the image
step, TRIM); Conn, Gould, Toint, Trust-Region Methods, SIAM (2000), chapter 7 (the subproblem);
Bofill, J. Comput. Chem. 15, 1 (1994), doi:10.1002/jcc.540150102.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm as norm

_NEWTON_STEPS, _RELATIVE_STEPS = 8, 3
_RADIUS_TOL, _RELATIVE_TOL = 1e-6, 0.05
_TINY = 1e-14

Measure = Callable[[Float[Tensor, "B K"]], Float[Tensor, " B"]]
"""How long steps are, over what is allowed."""


def matvec(matrix: Float[Tensor, "B K L"], vector: Float[Tensor, "B L"]) -> Float[Tensor, "B K"]:
    """Each matrix times its vector."""
    return torch.bmm(matrix, vector[..., None])[..., 0]


def trust_step(
    gradient: Float[Tensor, "B K"],
    curvature: Float[Tensor, "B K"],
    radius: Float[Tensor, " B"],
    relative: Measure | None = None,
) -> Float[Tensor, "B K"]:
    """The step that minimises g.d + d.(curvature d)/2 with |d| <= radius, in the eigenbasis.

    d_k = -g_k / (lambda_k + mu) with the smallest mu >= 0 that makes every lambda_k + mu positive
    and the step no longer than the radius. In the hard case, where the gradient has no component
    along a negative lowest curvature, the step is filled up to the radius along that component,
    towards positive coordinates. Directions of infinite curvature are left out.

    Args:
        gradient: along the eigenvectors.
        curvature: the eigenvalues.
        radius: the longest step allowed.
        relative: another measure of steps than their length over the radius, to be met within five
            percent; the radius is then but a guess of the length that this comes to.
    """
    measure = relative or (lambda step: norm(step, dim=-1) / radius)
    tolerance = _RELATIVE_TOL if relative else _RADIUS_TOL
    g = torch.where(curvature.isfinite(), -gradient, 0.0)
    lowest, place = curvature.min(-1, keepdim=True)
    lowest = torch.where(lowest.isfinite(), lowest, 1.0)
    least = (-lowest).clamp(min=0)
    mu = (g.gather(1, place).abs() / radius[:, None] - lowest).clamp(min=0)
    step, over = g, radius[:, None]
    n_steps = _RELATIVE_STEPS if relative else _NEWTON_STEPS
    for _ in range(n_steps):  # on 1 / |d|, which is nearly linear in mu
        shifted = (curvature + mu).clamp(min=_TINY)
        step = g / shifted
        over = measure(step)[:, None]
        is_off = (over > 1 + tolerance) | ((over < 1 - tolerance) & (mu > least))
        if not is_off.any():
            break
        squares = step.square()
        slope = (squares / shifted).sum(-1, keepdim=True).clamp(min=_TINY)
        better = torch.maximum(mu + squares.sum(-1, keepdim=True) / slope * (over - 1), least)
        mu = torch.where(is_off, better, mu)
    step = step / over.clamp(min=1.0)
    is_hard = (lowest < 0) & (mu <= least)
    if not is_hard.any():
        return step
    missing = (radius.square() - step.square().sum(-1)).clamp(min=0).sqrt()[:, None]
    sign = torch.where(step.gather(1, place) < 0, -1.0, 1.0)
    step = step.scatter_add(1, place, torch.where(is_hard, sign * missing, 0.0))
    return step / measure(step)[:, None].clamp(min=1.0)


def image_step(
    gradient: Float[Tensor, "B K"],
    eigenvalues: Float[Tensor, "B K"],
    climbed: Float[Tensor, "B K"],
    radius: Float[Tensor, " B"],
    relative: Measure | None = None,
) -> Float[Tensor, "B K"]:
    """The trust-region step where gradient and curvature of the climbed modes (1) change sign.

    Helgaker, Chem. Phys. Lett. 182, 503 (1991). With nothing climbed it is the step of a
    minimisation.
    """
    sign = 1 - 2 * climbed
    curvature = torch.where(eigenvalues.isfinite(), sign * eigenvalues, torch.inf)
    return trust_step(sign * gradient, curvature, radius, relative)


def predicted_change(
    gradient: Float[Tensor, "B K"], eigenvalues: Float[Tensor, "B K"], step: Float[Tensor, "B K"]
) -> Float[Tensor, " B"]:
    """The energy change of a step on the quadratic model, g.d + d.(lambda d)/2."""
    curvature = torch.where(eigenvalues.isfinite(), eigenvalues, 0.0)
    return (gradient * step + curvature * step.square() / 2).sum(-1)


def bofill(
    hessian: Float[Tensor, "B D D"], step: Float[Tensor, "B D"], change: Float[Tensor, "B D"]
) -> Float[Tensor, "B D D"]:
    """The Hessian updated so that it maps the step to the change of the gradient.

    Bofill's mixture of the symmetric rank-one (Murtagh-Sargent) and the Powell symmetric Broyden
    update, which lets eigenvalues change sign. A step of no length changes nothing.
    """
    error = change - matvec(hessian, step)
    square = step.square().sum(-1)
    along = (error * step).sum(-1)
    mixture = along.square() / (error.square().sum(-1) * square).clamp(min=_TINY**2)
    is_safe = along.abs() > 1e-8 * norm(error, dim=-1) * square.sqrt()
    rank_one = (
        error[:, :, None] * error[:, None, :] / torch.where(is_safe, along, 1.0)[:, None, None]
    )
    length = square.clamp(min=_TINY)[:, None, None]
    crossed = error[:, :, None] * step[:, None, :]
    powell = (crossed + crossed.mT) / length - (along[:, None, None] / length**2) * step[
        :, :, None
    ] * step[:, None, :]
    weight = torch.where(is_safe, mixture, 0.0)[:, None, None]
    updated = hessian + weight * rank_one + (1 - weight) * powell
    return torch.where((square > _TINY)[:, None, None], updated, hessian)


def bfgs(
    hessian: Float[Tensor, "B D D"], step: Float[Tensor, "B D"], change: Float[Tensor, "B D"]
) -> Float[Tensor, "B D D"]:
    """A positive Hessian updated by BFGS, damped to stay positive where the surface curves down.

    Where the Hessian itself curves down along the step, Bofill's update takes its place.

    Powell's damping: Nocedal, Wright, Numerical Optimization, Springer (2006), procedure 18.2.
    """
    mapped = matvec(hessian, step)
    expected, found = (step * mapped).sum(-1), (step * change).sum(-1)
    is_low = found < 0.2 * expected
    share = torch.where(is_low, 0.8 * expected / (expected - found).clamp(min=_TINY), 1.0)[:, None]
    damped = share * change + (1 - share) * mapped
    along = (step * damped).sum(-1)
    is_safe = expected > 1e-8 * norm(step, dim=-1) * norm(mapped, dim=-1)
    new = damped / torch.where(is_safe, along, 1.0)[:, None]
    old = mapped / torch.where(is_safe, expected, 1.0)[:, None]
    updated = hessian.addcmul(new[:, :, None], damped[:, None, :])
    updated = updated.addcmul_(old[:, :, None], mapped[:, None, :], value=-1)
    if is_safe.all():
        return updated
    return torch.where(is_safe[:, None, None], updated, bofill(hessian, step, change))


def ts_bfgs(
    hessian: Float[Tensor, "B D D"],
    step: Float[Tensor, "B D"],
    change: Float[Tensor, "B D"],
    weighted: Float[Tensor, "B D"],
) -> Float[Tensor, "B D D"]:
    """The Hessian near a saddle updated to meet the secant condition; it may stay indefinite.

    The correction is spread along u = (y.s) y + (s.w) w with y the change of the gradient and w the
    step mapped by the Hessian with
    its negative eigenvalues turned round: Bofill, Int. J. Quantum Chem. 94, 324 (2003),
        doi:10.1002/qua.10709, as used in Sella by Hermes, Sargsyan, Najm, Zador, J. Chem. Theory
        Comput. 15, 6536 (2019), doi:10.1021/acs.jctc.9b00869.
    """
    error = change - matvec(hessian, step)
    spread = (change * step).sum(-1, keepdim=True) * change + (step * weighted).sum(
        -1, keepdim=True
    ) * weighted
    along = (spread * step).sum(-1, keepdim=True)
    scale = norm(spread, dim=-1, keepdim=True) * norm(step, dim=-1, keepdim=True)
    is_safe = along > 1e-8 * scale
    spread = torch.where(is_safe, spread / along, 0.0)
    error = error - (error * step).sum(-1, keepdim=True) / 2 * spread
    return _crossed(hessian, error, spread)


def _crossed(
    hessian: Float[Tensor, "B D D"], a: Float[Tensor, "B D"], b: Float[Tensor, "B D"]
) -> Float[Tensor, "B D D"]:
    """H + a b^T + b a^T."""
    updated = hessian.addcmul(a[:, :, None], b[:, None, :])
    return updated.addcmul_(b[:, :, None], a[:, None, :])


def probe(
    hessian: Float[Tensor, "B D D"],
    directions: Float[Tensor, "B D K"],
    changes: Float[Tensor, "B D K"],
) -> Float[Tensor, "B D D"]:
    """The Hessian corrected so that it maps orthonormal directions to the given vectors.

    The Powell symmetric update for many directions at once.
    """
    error = torch.baddbmm(changes, hessian, directions, alpha=-1)
    within = torch.bmm(directions.mT, error)
    error = torch.baddbmm(error, directions, within, alpha=-0.5)
    crossed = torch.bmm(error, directions.mT)
    return hessian + crossed + crossed.mT
