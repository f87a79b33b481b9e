"""The walk down from a saddle: steps along the reaction coordinate, on updated quadratic models.

In mass-weighted coordinates. `irc` begins it at saddles and takes it on to the minima.

References: as in `irc`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.trust_region import predicted_change
from gadlib.hessians.updates import bofill
from gadlib.solver.downhill.relaxation import (
    RELAXED_FORCE,
    RISE_TOL,
    can_go_on,
    keep,
    learn,
    make_exact,
    move,
    weighted_gradient,
)
from gadlib.solver.state import Cost, State, displacement
from gadlib.systems.rows import pick

_FIRST_DROP = 2e-3
"""eV by which the first step goes down: far above RISE_TOL, the noise, and far below a barrier."""

_FIRST_MIN, _FIRST_MAX = 0.05, 0.5
"""amu^1/2 A, the ends of that step at very stiff and very flat saddles."""

_SECOND = 0.1
"""amu^1/2 A, of the second step at most."""

_LENGTH_MIN, LENGTH_MAX = 0.01, 0.25
"""amu^1/2 A, of the steps to come, which grow and shrink as the model predicts them."""

_MAX_REJECTED = 4
"""Steps taken back in a row, each half as long; then the walk is left to `relaxation`."""


@dataclass(frozen=True)
class Walk:
    """What a way down carries from step to step.

    Attributes:
        length: of the next step, in amu^1/2 A.
        travelled: the arc so far, in amu^1/2 A.
        rejected: steps taken back in a row.
        is_down: whether the walk is over, so that what is left is to relax.
    """

    length: Float[Tensor, " B"]
    travelled: Float[Tensor, " B"]
    rejected: Int[Tensor, " B"]
    is_down: Bool[Tensor, " B"]


def lowest_mode(state: State) -> Float[Tensor, "B D"]:
    """The unit step along the lowest mode, with a sign that is always the same."""
    mode = state.spectrum.modes[:, :, 0]
    generic = torch.cos(torch.arange(mode.shape[1], device=mode.device, dtype=mode.dtype))
    sign = torch.where(mode @ generic < 0, -1.0, 1.0).to(mode.dtype)
    return torch.nn.functional.pad(sign[:, None], (0, mode.shape[1] - 1))


def depart(
    calculator: Calculator,
    top: State,
    sign: Float[Tensor, " B"],
    *,
    longest_step: float = LENGTH_MAX,
) -> State:
    """The states one step down, along the mode where the sign is 1, against it where it is -1.

    Args:
        calculator: the potential.
        top: the saddles.
        sign: of each.
        longest_step: in amu^1/2 A, also of the steps to come.
    """
    lowest = top.spectrum.eigenvalues[:, 0].abs()
    most = _FIRST_MAX if longest_step >= LENGTH_MAX else longest_step
    length = (2 * _FIRST_DROP / lowest).sqrt().clamp(min(_FIRST_MIN, most), most)
    step = displacement(top, (sign * length)[:, None] * lowest_mode(top))
    zero = torch.zeros_like(top.steps)
    top = replace(
        top,
        index=torch.arange(len(lowest), device=lowest.device),
        steps=zero,
        cost=Cost.none(top.batch),
    )
    there = update(top, move(calculator, top, step), step)
    first = length.clamp(max=min(_SECOND, longest_step))
    walk = Walk(first, length, zero, torch.zeros_like(top.is_exact))
    return replace(there, memory=walk)


def update(here: State, there: State, step: Float[Tensor, "B D"]) -> State:
    """The state there, with the Hessian updated by the step that led to it."""
    hessian = bofill(here.hessian, step, (here.forces - there.forces).flatten(1))
    return replace(there, hessian=hessian, spectrum=spectrum(hessian, there.batch))


def step_down(
    calculator: Calculator,
    state: State,
    hessian_every: int | None,
    *,
    longest_step: float = LENGTH_MAX,
) -> State:
    """The state one step on, or where it is with a better Hessian and a shorter step to come.

    A step that is taken back is learned from: by an exact Hessian where these are computed on the
    way, else by the update.

    Args:
        calculator: the potential.
        state: on its way down.
        hessian_every: steps from one exact Hessian to the next; None: none is computed.
        longest_step: in amu^1/2 A.
    """
    walk = state.memory
    gradient, values = weighted_gradient(state), state.spectrum.eigenvalues
    step = downhill(gradient, values, walk.length)
    cartesian = displacement(state, step)
    there = update(state, move(calculator, state, cartesian), cartesian)
    change = there.energy - state.energy
    accepted = can_go_on(there) & (change < RISE_TOL)
    ratio = change / predicted_change(gradient, values, step).clamp(max=-1e-12)
    factor = torch.where((ratio - 1).abs() < 0.1, 1.3, 1.0)
    factor = torch.where((ratio < 0.6) | (ratio > 1.5), 0.7, factor)
    length = walk.length * pick(accepted, factor, torch.full_like(factor, 0.5))
    rejected = pick(accepted, torch.zeros_like(walk.rejected), walk.rejected + 1)
    travelled = walk.travelled + accepted * step.norm(dim=-1)
    if hessian_every is None:
        moved_on = keep(accepted, there, learn(state, there))
    else:
        moved_on = keep(accepted, there, state)
        is_due = accepted & (moved_on.steps % hessian_every == 0) | (~accepted & ~state.is_exact)
        moved_on = make_exact(calculator, moved_on, is_due & can_go_on(moved_on))
    is_down = _is_down(moved_on, length) | (rejected >= _MAX_REJECTED)
    length = length.clamp(_LENGTH_MIN, longest_step)
    return replace(moved_on, memory=Walk(length, travelled, rejected, is_down))


def _is_down(state: State, length: Float[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Whether the minimum of the quadratic model is nearer than a step, or no force is left."""
    values = state.spectrum.eigenvalues
    newton = torch.where(values.isfinite(), weighted_gradient(state) / values, 0.0)
    is_near = (values > 0).all(-1) & (newton.norm(dim=-1) < length)
    return is_near | ((state.max_force < RELAXED_FORCE) & (values > 0).all(-1))


def downhill(
    gradient: Float[Tensor, "B K"], curvature: Float[Tensor, "B K"], length: Float[Tensor, " B"]
) -> Float[Tensor, "B K"]:
    """The step of given length along the steepest descent on the quadratic model.

    d_k = -g_k (1 - exp(-lambda_k t)) / lambda_k, with t found by bisection (Page, McIver, 1988);
    the whole way to the model's minimum where that is shorter.
    """
    g = torch.where(curvature.isfinite(), gradient, 0.0)
    values = torch.where(curvature.isfinite(), curvature, 1.0)
    values = torch.where(values.abs() < 1e-10, 1e-10, values)
    low, high = torch.full_like(length, -12.0), torch.full_like(length, 12.0)

    def at(power: Float[Tensor, " B"]) -> Float[Tensor, "B K"]:
        exponent = (-values * (10**power)[:, None]).clamp(-700, 60)
        return g * torch.expm1(exponent) / values

    for _ in range(45):
        middle = (low + high) / 2
        is_short = at(middle).norm(dim=-1) < length
        low, high = torch.where(is_short, middle, low), torch.where(is_short, high, middle)
    return at(low)
