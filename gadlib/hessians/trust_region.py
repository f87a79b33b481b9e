"""The trust-region step on the quadratic model of a surface, and on its image.

Batched linear algebra in one set of coordinates; it knows no molecules and calls no calculator.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P (the image
step, TRIM); Conn, Gould, Toint, Trust-Region Methods, SIAM (2000), chapter 7 (the subproblem).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm as norm

_RADIUS_TOL, _RELATIVE_TOL = 1e-6, 0.05
"""How near to the radius a step is to be, as a share of it; in another measure of steps nearness is
no use, since the radius itself is a guess."""

_NEWTON_STEPS, _RELATIVE_STEPS = 8, 3
"""Newton steps to come so near; Newton's method on 1 / |d| doubles the digits with each."""

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
