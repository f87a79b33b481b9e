"""The quadratic model of a surface: the trust-region step on it and the updates of its Hessian.

Everything here is batched linear algebra in one set of coordinates; it knows no molecules and calls
no calculator. Floor 0.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P (the image
step, TRIM); Conn, Gould, Toint, Trust-Region Methods, SIAM (2000), chapter 7 (the subproblem);
Bofill, J. Comput. Chem. 15, 1 (1994), doi:10.1002/jcc.540150102.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_NEWTON_STEPS = 8
_RADIUS_TOL = 1e-6
_TINY = 1e-14


def trust_step(
    gradient: Float[Tensor, "B K"], curvature: Float[Tensor, "B K"], radius: Float[Tensor, " B"]
) -> Float[Tensor, "B K"]:
    """The step that minimises g.d + d.(curvature d)/2 with |d| <= radius, in the eigenbasis.

    d_k = -g_k / (lambda_k + mu) with the smallest mu >= 0 that makes every lambda_k + mu positive
    and the step no longer than the radius. In the hard case, where the gradient has no component
    along a negative lowest curvature, the step is filled up to the radius along that component,
    towards positive coordinates. Directions of infinite curvature are left out.
    """
    is_free = curvature.isfinite()
    g = torch.where(is_free, gradient, 0.0)
    lowest, place = curvature.min(-1)
    lowest = torch.where(lowest.isfinite(), lowest, 1.0)
    at_lowest = g.gather(1, place[:, None])[:, 0].abs()
    mu = torch.maximum(-lowest, at_lowest / radius - lowest).clamp(
        min=0
    )  # the shift is at least this
    for _ in range(_NEWTON_STEPS):  # on 1 / |d|, from the left, where it converges monotonically
        shifted = (curvature + mu[:, None]).clamp(min=_TINY)
        squares = (g / shifted).square()
        square = squares.sum(-1)
        excess = square.sqrt() / radius - 1
        is_long = excess > _RADIUS_TOL
        if not is_long.any():
            break
        slope = (squares / shifted).sum(-1).clamp(min=_TINY)
        mu = mu + torch.where(is_long, square / slope * excess, 0.0)
    step = -g / (curvature + mu[:, None]).clamp(min=_TINY)
    length = step.norm(dim=-1)
    step = step * (radius / length.clamp(min=_TINY)).clamp(max=1.0)[:, None]
    missing = (radius**2 - length**2).clamp(min=0).sqrt()
    is_hard = (lowest < 0) & (missing > 1e-3 * radius)
    along = step.gather(1, place[:, None])
    fill = torch.where(is_hard[:, None], torch.where(along < 0, -1.0, 1.0) * missing[:, None], 0.0)
    return step.scatter_add(1, place[:, None], fill)


def image_step(
    gradient: Float[Tensor, "B K"],
    eigenvalues: Float[Tensor, "B K"],
    climbed: Float[Tensor, "B K"],
    radius: Float[Tensor, " B"],
) -> Float[Tensor, "B K"]:
    """The trust-region step where gradient and curvature of the climbed modes (1) change sign.

    Helgaker, Chem. Phys. Lett. 182, 503 (1991). With nothing climbed it is the step of a
    minimisation.
    """
    sign = 1 - 2 * climbed
    return trust_step(
        sign * gradient, torch.where(eigenvalues.isfinite(), sign * eigenvalues, torch.inf), radius
    )


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
    error = change - (hessian @ step[..., None])[..., 0]
    square = step.square().sum(-1)
    along = (error * step).sum(-1)
    mixture = along.square() / (error.square().sum(-1) * square).clamp(min=_TINY**2)
    is_safe = along.abs() > 1e-8 * error.norm(dim=-1) * square.sqrt()
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
    mapped = (hessian @ step[..., None])[..., 0]
    expected, found = (step * mapped).sum(-1), (step * change).sum(-1)
    is_low = found < 0.2 * expected
    share = torch.where(is_low, 0.8 * expected / (expected - found).clamp(min=_TINY), 1.0)[:, None]
    damped = share * change + (1 - share) * mapped
    along = (step * damped).sum(-1)
    is_safe = expected > 1e-8 * step.norm(dim=-1) * mapped.norm(dim=-1)
    new = damped[:, :, None] * damped[:, None, :] / torch.where(is_safe, along, 1.0)[:, None, None]
    old = (
        mapped[:, :, None] * mapped[:, None, :] / torch.where(is_safe, expected, 1.0)[:, None, None]
    )
    updated = hessian + new - old
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
    error = change - (hessian @ step[..., None])[..., 0]
    spread = (change * step).sum(-1, keepdim=True) * change + (step * weighted).sum(
        -1, keepdim=True
    ) * weighted
    along = (spread * step).sum(-1, keepdim=True)
    is_safe = along > 1e-8 * spread.norm(dim=-1, keepdim=True) * step.norm(dim=-1, keepdim=True)
    spread = torch.where(is_safe, spread / along, 0.0)
    crossed = (error - (error * step).sum(-1, keepdim=True) / 2 * spread)[:, :, None] * spread[
        :, None, :
    ]
    return hessian + crossed + crossed.mT


def probe(
    hessian: Float[Tensor, "B D D"],
    directions: Float[Tensor, "B D K"],
    changes: Float[Tensor, "B D K"],
) -> Float[Tensor, "B D D"]:
    """The Hessian corrected so that it maps orthonormal directions to the given vectors.

    The Powell symmetric update for many directions at once.
    """
    error = changes - hessian @ directions
    crossed = (error - directions @ (directions.mT @ error) / 2) @ directions.mT
    return hessian + crossed + crossed.mT
