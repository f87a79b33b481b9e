"""Down to a minimum and not over a ridge: damped quasi-Newton steps within a trust radius.

Each step lowers the energy, or is taken back. What is found is certified by an exact Hessian; where
that curves down, the descent goes on from there.

References: Nocedal, Wright, Numerical Optimization, Springer (2006), algorithm 4.1 (the radius) and
procedure 18.2 (the damping).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.trust_region import predicted_change, trust_step
from gadlib.hessians.updates import bfgs
from gadlib.progress import signs_of_life
from gadlib.solver.points import add_hessian, compute
from gadlib.solver.state import State, along_modes, displacement
from gadlib.systems.batch import longest
from gadlib.systems.rows import pick, put, take

RELAXED_FORCE = 0.005
"""eV/A on any atom, at a minimum."""

RELAXED_STEP = 0.02
"""A that an atom has left to go to the minimum of the model. Along a soft mode forces below
RELAXED_FORCE may be half an angstrom away from it."""

_PROOFS = 5
"""Exact Hessians after which a minimum along a mode that hardly resists, as of two molecules that
touch, is taken where it is: one such took 23."""

NO_FORCE = 5e-4
"""eV/A, what is noise in the forces of some potentials: further down nothing can be asked for."""

RISE_TOL = 1e-6
"""eV by which an energy may rise, as noise of the potential."""

RADIUS, _RADIUS_MAX, _RADIUS_MIN = 0.2, 0.5, 1e-4  # amu^1/2 A
_HOPELESS = 0.02  # a failure so near to a point that could be computed ends the descent


def relax(
    calculator: Calculator,
    state: State,
    *,
    n_steps: int = 300,
    is_enough: Callable[[State], Bool[Tensor, " B"]] | None = None,
) -> State:
    """The state at minima, each certified by its exact Hessian, or where the steps ran out.

    Args:
        calculator: the potential.
        state: where to begin, with exact Hessians or models of them.
        n_steps: moves at most, those taken back included.
        is_enough: who stops earlier.
    """
    radius = torch.full_like(state.energy, RADIUS)
    proofs = torch.zeros_like(state.steps)
    active = can_go_on(state).nonzero().flatten()
    for _ in range(n_steps):
        here = take(state, active)
        active = active[~_is_minimum(here, proofs[active]) & can_go_on(here)]
        if is_enough is not None and len(active):
            active = active[~is_enough(take(state, active))]
        if not len(active):
            break
        signs_of_life.stepped(len(active), len(active))
        part, radius[active] = relax_step(calculator, take(state, active), radius[active])
        is_claimed = is_calm(part) & (part.order == 0) & ~part.is_exact & can_go_on(part)
        is_stuck = (radius[active] < 2 * _RADIUS_MIN) & can_go_on(part)
        is_asked = is_claimed | (is_stuck & ~part.is_exact)
        part = make_exact(calculator, part, is_asked)
        proofs[active] += is_asked.long()
        is_ridge = is_stuck & part.is_exact & (part.order > 0)
        radius[active] = torch.where(is_ridge, RADIUS, radius[active])
        state = put(state, active, lambda _, part=part: part)
        active = active[(radius[active] > _RADIUS_MIN) | ~state.is_exact[active]]
        radius[active] = radius[active].clamp(min=2 * _RADIUS_MIN)
    return make_exact(calculator, state, ~state.is_exact & can_go_on(state))


def can_go_on(state: State) -> Bool[Tensor, " B"]:
    """Which systems have not failed."""
    return torch.tensor([not text for text in state.message], device=state.energy.device).bool()


def make_exact(calculator: Calculator, state: State, chosen: Bool[Tensor, " B"]) -> State:
    """The state with exact Hessians of the chosen systems, where they are."""
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return state
    return put(state, rows, lambda part: _call_exact(add_hessian(calculator, part)))


def _call_exact(state: State) -> State:
    return replace(state, is_exact=torch.ones_like(state.is_exact))


def _is_minimum(state: State, proofs: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Whether the last exact Hessian shows a minimum, near enough or asked for often enough."""
    is_least = state.is_exact & (state.order == 0) & (state.max_force < RELAXED_FORCE)
    return is_least & (is_calm(state) | (proofs >= _PROOFS))


def is_calm(state: State) -> Bool[Tensor, " B"]:
    """Whether little force is left, and the minimum of the model is near, or hardly any force."""
    values = state.spectrum.eigenvalues
    is_soft = ~values.isfinite() | (values <= 0)
    stiffness = torch.where(is_soft, 1.0, values)
    newton = torch.where(is_soft, 0.0, -weighted_gradient(state) / stiffness)
    is_near = longest(displacement(state, newton)) < RELAXED_STEP
    return (state.max_force < RELAXED_FORCE) & (is_near | (state.max_force < NO_FORCE))


def weighted_gradient(state: State) -> Float[Tensor, "B D"]:
    """The gradient along the vibrations, in eV/(A amu^1/2)."""
    along = along_modes(state, -state.forces.flatten(1))
    return torch.where(state.spectrum.eigenvalues.isfinite(), along, 0.0)


def move(calculator: Calculator, state: State, step: Float[Tensor, "B D"]) -> State:
    """The state one Cartesian step on, its Hessian the old one."""
    batch = state.batch.moved_to(state.batch.positions + step.unflatten(1, (-1, 3)))
    there = replace(state, batch=batch, steps=state.steps + 1)
    there = compute(calculator, there, torch.zeros_like(state.is_exact))
    return replace(there, is_exact=torch.zeros_like(state.is_exact))


def keep(accepted: Bool[Tensor, " B"], there: State, here: State) -> State:
    """For each system the state there or here; what it cost is kept."""
    rows = (~accepted).nonzero().flatten()
    paid = take(there, rows)
    back = replace(take(here, rows), steps=paid.steps, cost=paid.cost)
    return put(there, rows, lambda _: back) if len(rows) else there


def relax_step(
    calculator: Calculator, state: State, radius: Float[Tensor, " B"]
) -> tuple[State, Float[Tensor, " B"]]:
    """The state one step further down, or where it is with what the step has taught; the radii.

    Args:
        calculator: the potential.
        state: with a Hessian, exact or a model.
        radius: of the step in amu^1/2 A, `RADIUS` at first.
    """
    gradient, values = weighted_gradient(state), state.spectrum.eigenvalues
    step = trust_step(gradient, values, radius)
    cartesian = displacement(state, step)
    there = move(calculator, state, cartesian)
    change = (state.forces - there.forces).flatten(1)
    hessian = bfgs(state.hessian, cartesian, change)
    there = replace(there, hessian=hessian, spectrum=spectrum(hessian, there.batch))
    gained = there.energy - state.energy
    accepted = can_go_on(there) & (gained < RISE_TOL)
    predicted = predicted_change(gradient, values, step).clamp(max=-1e-12)
    ratio = torch.where(predicted > -RISE_TOL, 0.5, gained / predicted)  # lost in noise: as it is
    is_long = step.norm(dim=-1) > 0.7 * radius
    grown = torch.where((ratio > 0.7) & is_long, (2 * radius).clamp(max=_RADIUS_MAX), radius)
    radius = pick(accepted & (ratio > 0.2), grown, radius / 3)
    is_hopeless = ~can_go_on(there) & (radius < _HOPELESS)
    stayed = learn(state, there)
    messages = zip(is_hopeless.tolist(), there.message, stayed.message, strict=True)
    stayed = replace(stayed, message=tuple(new if bad else old for bad, new, old in messages))
    return keep(accepted, there, stayed), radius


def learn(state: State, there: State) -> State:
    """The state with the Hessian that a step from it has taught, where its end could be computed.

    What a step that is taken back says of the curvature is not lost.
    """
    rows = can_go_on(there).nonzero().flatten()
    hessian = take(there, rows).hessian

    def taught(part: State) -> State:
        here = spectrum(hessian, part.batch)
        return replace(
            part, hessian=hessian, spectrum=here, is_exact=torch.zeros_like(part.is_exact)
        )

    return put(state, rows, taught)
