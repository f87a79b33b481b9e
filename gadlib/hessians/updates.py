"""Updates of a model Hessian by what steps and probes have shown of the true one.

Batched linear algebra in one set of coordinates; it knows no molecules and calls no calculator.

References: Bofill, J. Comput. Chem. 15, 1 (1994), doi:10.1002/jcc.540150102.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm as norm

from gadlib.hessians.trust_region import matvec

_TINY = 1e-14


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
    step mapped by the Hessian with its negative eigenvalues turned round: Bofill, Int. J. Quantum
    Chem. 94, 324 (2003), doi:10.1002/qua.10709, as used in Sella by Hermes, Sargsyan, Najm, Zador,
    J. Chem. Theory Comput. 15, 6536 (2019), doi:10.1021/acs.jctc.9b00869.
    """
    error = change - matvec(hessian, step)
    of_change = (change * step).sum(-1, keepdim=True)
    of_weighted = (step * weighted).sum(-1, keepdim=True)
    spread = of_change * change + of_weighted * weighted
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
