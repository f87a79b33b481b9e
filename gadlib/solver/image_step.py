"""One step on the image surface: how far it goes, how it is learned from, where it may not lead.

What the trust solver, the landing of `gad` and the polish of the ASE face share. On the image
surface the gradient and the curvature of the climbed mode change sign.

References: Helgaker, Chem. Phys. Lett. 182, 503 (1991), doi:10.1016/0009-2614(91)90115-P; Conn,
Gould, Toint, Trust-Region Methods, SIAM (2000), chapter 6 (the radius).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.trust_region import image_step, matvec
from gadlib.hessians.updates import ts_bfgs
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.points import arrive, compute
from gadlib.solver.state import State, along_modes, displacement
from gadlib.systems.batch import Batch, longest

FLOOR = 0.6
"""Two atoms are never brought closer than this many times the sum of their covalent radii; bonds
are longer (N2 0.77, H2 1.2)."""

_HALVINGS = 6
"""Of a step that leads below the floor; the last one is a sixty-fourth, and is taken as it is."""

STRIDE = 3.0
"""How many times farther a step may go where it need not stay near its start: in all climbs of
`trust` but the first, and in a landing of `gad`. Measured as the constants of `trust` are: with 1
101 and 98 gradients, not 101 and 107, which is within errors."""

_WELL, _POORLY = (0.7, 1.4), (0.2, 2.0)
"""Actual over predicted change of the energy: within the first limits a step was well predicted,
outside of the second poorly. Usual limits are 0.75 and 0.25 for a descent (Conn, Gould, Toint,
2000, section 6.1); a climb may err to both sides."""

_FULL = 0.7
"""Of the radius; only a step as long as that tells that the radius may grow."""

_POLISH_RADIUS = 0.1
"""Of a polishing step in A for the heaviest atom; near a saddle Newton's step is far shorter."""

_POLISH_HALVINGS = 6
"""Of a polishing step that raises the forces; after them it is 0.002 A, and the mode flat."""


def image_move(
    state: State,
    components: Float[Tensor, "B D"],
    climbed: Float[Tensor, "B D"],
    max_move: Float[Tensor, " B"],
) -> Float[Tensor, "B D"]:
    """The image step in A, with a radius at which no atom moves farther than `max_move` (A)."""
    guess = max_move * state.batch.sqrt_masses.amax(-1)
    farthest = lambda step: longest(displacement(state, step)) / max_move  # noqa: E731
    step = image_step(components, state.spectrum.eigenvalues, climbed, guess, farthest)
    return displacement(state, step)


def lowest_mode(state: State) -> Float[Tensor, "B D"]:
    """1 at the lowest mode, 0 at the others: what a search climbs that has no aim."""
    climbed = torch.zeros_like(state.spectrum.eigenvalues)
    climbed[:, 0] = 1
    return climbed


def adapt_radius(
    radius: Float[Tensor, " B"],
    ratio: Float[Tensor, " B"],
    length: Float[Tensor, " B"],
    h: TrustHyperparameters,
    max_radius: Float[Tensor, " B"],
) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
    """The radius after a step of that length, and whether the step was poorly predicted.

    Args:
        radius: before the step, in A.
        ratio: the actual over the predicted change of the energy.
        length: how far the atom moved that moved farthest, in A.
        h: how much the radius grows and shrinks, and the least one.
        max_radius: the largest one, in A.
    """
    is_good = (ratio > _WELL[0]) & (ratio < _WELL[1]) & (length > _FULL * radius)
    is_poor = ~((ratio > _POORLY[0]) & (ratio < _POORLY[1]))
    radius = torch.where(is_good, radius * h.radius_grow, radius)
    radius = torch.where(is_poor, torch.minimum(radius, length) * h.radius_shrink, radius)
    return radius.clamp(min=h.radius_min).minimum(max_radius), is_poor


def updated_uphill(
    state: State,
    hessian: Float[Tensor, "B D D"],
    step: Float[Tensor, "B D"],
    change: Float[Tensor, "B D"],
) -> Float[Tensor, "B D D"]:
    """The Hessian by TS-BFGS after a step (A) from a state that changed the gradient (eV/A).

    The step is weighted by the state's own Hessian with its negative eigenvalues turned round.
    """
    return ts_bfgs(hessian, step, change, turned_round(state, step))


def turned_round(state: State, step: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """A step (A) mapped by the state's Hessian, its negative eigenvalues turned round, in eV/A."""
    root, modes = state.batch.sqrt_masses, state.spectrum.modes
    eigenvalues = state.spectrum.eigenvalues
    positive = torch.where(eigenvalues.isfinite(), eigenvalues.abs(), 0.0)
    return root * matvec(modes, positive * matvec(modes.mT, root * step))


def move_above(batch: Batch, move: Float[Tensor, "B N 3"], floor: float = FLOOR) -> Batch:
    """The molecules moved, the moves halved until no pair comes below the floor that was not there.

    A pair that is below it already may go where it gets no closer.
    """
    moved = batch.moved_to(batch.positions + move)
    if not batch.is_free:
        return moved
    before = batch.scaled_distances
    for _ in range(_HALVINGS):
        after = moved.scaled_distances
        is_bad = ((after < floor) & (after < before)).any(-1).any(-1)
        if not is_bad.any():
            break
        move = torch.where(is_bad[:, None, None], move / 2, move)
        moved = batch.moved_to(batch.positions + move)
    return moved


def polish(calculator: Calculator, state: State) -> State:
    """The state after a Newton step uphill along the lowest mode and downhill along all others.

    Near a saddle the image step is Newton's. Where a mode is so flat that the step would raise the
    forces, it is shortened until it does not. For a batch of one.
    """
    gradient = along_modes(state, -state.forces.flatten(1))
    climbed = lowest_mode(state)
    radius = _POLISH_RADIUS * state.batch.sqrt_masses.amax(-1)
    positions = state.batch.positions
    for _ in range(_POLISH_HALVINGS):
        step = image_step(gradient, state.spectrum.eigenvalues, climbed, radius)
        positions = state.batch.positions + displacement(state, step).unflatten(1, (-1, 3))
        trial = replace(state, batch=state.batch.moved_to(positions))
        trial = compute(calculator, trial, torch.zeros_like(state.is_exact))
        state = replace(state, cost=trial.cost)
        if float(trial.max_force[0]) < float(state.max_force[0]):
            break
        radius = torch.minimum(radius, step.norm(dim=-1)) / 2
    return arrive(state, positions, calculator)
