"""Multi-mode Eckart mass-weighted gentlest-ascent dynamics, the published step rule, exactly.

Every step climbs along one vibrational mode of the exact Hessian and descends in all others, with a
time step that adapts to the order of the point (its number of negative vibrational eigenvalues); a
search that is stuck at a higher order escapes along the second mode. `init` and `step` take a
calculator, a batch or state and hyperparameters; neither knows when to stop.

Where it is asked for (`integrator`), steps are damped by the curvatures along the modes. This is no
part of the published rule.

References: E, Zhou, Nonlinearity 24, 1831 (2011), doi:10.1088/0951-7715/24/6/008; Hairer, Wanner,
Solving Ordinary Differential Equations II, Springer (1996), doi:10.1007/978-3-642-05221-7, section
IV.7 (linearly implicit steps).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.normal_modes import Spectrum, most_within
from gadlib.hessians.trust_region import matvec
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver.points import arrive, begin
from gadlib.solver.state import State
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import put, take

REACHES = ("index1",)
"""The dynamics stops short of stationary points, at forces about 0.01 eV/A."""

LEAVES_SADDLES = False

FIRST_TIME_STEP = 1e-3
"""The time step at the start and after an escape, in A^2/eV."""

# As published; A, and eV/(A^2 amu).
_N_CANDIDATE_MODES = 8
_CLOSEST_PAIR_MIN = 0.5
_MAX_HALVINGS = 5
_MAX_ADAPTED_DELTA = 1.0
_SOFT_EIGENVALUE = -0.01


@dataclass(frozen=True)
class GadMemory:
    """What a search carries from step to step.

    Attributes:
        time_step: in A^2/eV.
        best_order: the lowest order since the last escape; -1 before the first step.
        stalled: steps at the best order since the time step last changed.
        mode: the climbed mode, zero before the first step.
        displacements: mean atom displacements of the last `escape_window` steps in A, newest last;
            inf where there is none yet.
        orders: the orders reached by those steps.
    """

    time_step: Float[Tensor, " B"]
    best_order: Int[Tensor, " B"]
    stalled: Int[Tensor, " B"]
    mode: Float[Tensor, "B D"]
    displacements: Float[Tensor, "B W"]
    orders: Float[Tensor, "B W"]


def init(calculator: Calculator, batch: Batch, hyperparameters: GadHyperparameters) -> State:
    """The state at the starting points."""
    return replace(begin(batch, calculator), memory=fresh(batch, hyperparameters))


def step(calculator: Calculator, state: State, hyperparameters: GadHyperparameters) -> State:
    """The state after one step of every system: an escape where it is stuck, else the dynamics."""
    is_stuck = _is_stuck(state, hyperparameters)
    memory = _follow(state.memory, state.spectrum, state.wanted.directions(state.batch))
    memory = _adapt(memory, state.order, hyperparameters)
    move = _gentlest_ascent(state, memory, hyperparameters)
    n_tries, seconds = torch.zeros_like(state.steps), 0.0
    stuck = is_stuck.nonzero().flatten()
    if len(stuck):
        move[stuck], n_tries[stuck], seconds = _escape(
            calculator, take(state, stuck), hyperparameters
        )
    if state.rejected.any():
        move = state.shortened[:, None, None] * move
    moved = arrive(
        state,
        state.batch.positions + move,
        calculator,
        escapes=state.escapes + is_stuck,
        cost=state.cost.plus(n_gradient=n_tries, calculator_s=seconds / len(state.batch)),
    )
    memory = _remember(memory, move, moved)
    memory = put(memory, stuck, lambda _: fresh(state.batch.take(stuck), hyperparameters))
    return replace(moved, memory=memory)


def reflect(forces: Float[Tensor, "B D"], mode: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """The forces with their component along the mode reversed, in eV/A.

    F - 2 (F.v) v, the gentlest-ascent field of E and Zhou, Nonlinearity 24, 1831 (2011).
    """
    return forces - 2 * (forces * mode).sum(-1, keepdim=True) * mode


def fresh(batch: Batch, hyperparameters: GadHyperparameters) -> GadMemory:
    """The memory of a search that begins here."""
    size, width = batch.positions.shape[:2]
    new = batch.positions.new_full
    return GadMemory(
        time_step=new((size,), FIRST_TIME_STEP),
        best_order=new((size,), -1, dtype=torch.int64),
        stalled=new((size,), 0, dtype=torch.int64),
        mode=new((size, 3 * width), 0.0),
        displacements=new((size, hyperparameters.escape_window), torch.inf),
        orders=new((size, hyperparameters.escape_window), 0.0),
    )


def _follow(memory: GadMemory, spectrum: Spectrum, wanted: Float[Tensor, "B D K"]) -> GadMemory:
    """The memory with the mode to climb: the lowest, then the one most like the previous one.

    Where one is wanted, it is the first that is climbed.
    """
    candidates = spectrum.modes[:, :, :_N_CANDIDATE_MODES]
    overlaps = matvec(candidates.mT, memory.mode)
    is_mode = spectrum.eigenvalues[:, :_N_CANDIDATE_MODES].isfinite()
    likeness = torch.where(is_mode, overlaps.abs(), -1.0)
    # There is no previous mode at first, and the argmax of zeros need not be the lowest.
    first = most_within(candidates, is_mode, wanted)
    best = torch.where(memory.best_order < 0, first, likeness.argmax(-1))
    rows = torch.arange(len(best), device=best.device)
    sign = torch.where(overlaps[rows, best] < 0, -1.0, 1.0)
    return replace(memory, mode=sign[:, None] * candidates[rows, :, best])


def _adapt(
    memory: GadMemory, order: Int[Tensor, " B"], hyperparameters: GadHyperparameters
) -> GadMemory:
    """The memory with the time step adapted to the order reached."""
    h, time_step = hyperparameters, memory.time_step
    is_first = memory.best_order < 0
    is_better = ~is_first & (order < memory.best_order)
    is_worse = ~is_first & (order > memory.best_order)
    stalled = torch.where(is_first | is_better | is_worse, 0, memory.stalled + 1)
    time_step = torch.where(is_better, time_step.clamp(max=FIRST_TIME_STEP), time_step)
    time_step = torch.where(is_worse, (time_step * h.plateau_shrink).clamp(min=h.dt_min), time_step)
    is_plateau = stalled >= h.plateau_patience
    time_step = torch.where(
        is_plateau, (time_step * h.plateau_boost).clamp(max=h.dt_max), time_step
    )
    return replace(
        memory,
        best_order=torch.where(is_first | is_better, order, memory.best_order),
        stalled=torch.where(is_plateau, 0, stalled),
        time_step=time_step.clamp(h.dt_min, h.dt_max),
    )


def _gentlest_ascent(
    state: State, memory: GadMemory, hyperparameters: GadHyperparameters
) -> Float[Tensor, "B N 3"]:
    """The displacement along the gentlest-ascent field, of each atom at most the trust radius."""
    move = memory.time_step[:, None] * reflect(state.forces.flatten(1), memory.mode)
    if hyperparameters.integrator == "damped":
        move = _damped(move, state, memory.time_step)
    radius = hyperparameters.trust_radius_max
    move = move * (radius / longest(move).clamp(min=radius))[:, None]
    return move.unflatten(1, (-1, 3))


def _damped(
    move: Float[Tensor, "B D"], state: State, time_step: Float[Tensor, " B"]
) -> Float[Tensor, "B D"]:
    """The displacement d of an explicit step, damped by curvature: (1 + t |H|)^-1 d.

    A linearly implicit Euler step, but with |H|, the Hessian with its vibrational curvatures made
    positive, M^1/2 V |lambda| V^T M^1/2, in place of the field's Jacobian, which grows along modes
    that curve down and may be singular. Small time steps are the explicit ones; large ones come to
    those of Newton's method, so that stiff bonds do not bound the time step.
    """
    spectrum = state.spectrum
    curvature = torch.where(spectrum.eigenvalues.isfinite(), spectrum.eigenvalues.abs(), 0.0)
    modes = state.batch.sqrt_masses[:, :, None] * spectrum.modes
    absolute = (modes * curvature[:, None, :]) @ modes.mT
    one = torch.eye(move.shape[1], dtype=move.dtype, device=move.device)
    return torch.linalg.solve(one + time_step[:, None, None] * absolute, move)


def _remember(memory: GadMemory, move: Float[Tensor, "B N 3"], moved: State) -> GadMemory:
    """The memory with the newest displacement, and the order it led to, in its history."""
    displacement = move.norm(dim=-1).sum(-1) / moved.batch.n_moving
    return replace(
        memory,
        displacements=torch.cat([memory.displacements[:, 1:], displacement[:, None]], 1),
        orders=torch.cat([memory.orders[:, 1:], moved.order[:, None].to(memory.orders.dtype)], 1),
    )


def _is_stuck(state: State, hyperparameters: GadHyperparameters) -> Bool[Tensor, " B"]:
    """Whether the search hardly moved, at an order above one that hardly changed, for a window."""
    memory: GadMemory = state.memory
    return (
        (memory.displacements.mean(-1) < hyperparameters.escape_disp_threshold)
        & (memory.orders.std(-1, correction=0) <= hyperparameters.escape_neg_vib_std)
        & (state.order > 1)
    )


def _escape(
    calculator: Calculator, state: State, hyperparameters: GadHyperparameters
) -> tuple[Float[Tensor, "B N 3"], Int[Tensor, " B"], float]:
    """Displacements along the second mode to its lower side, the energies computed, the seconds."""
    move = torch.zeros_like(state.batch.positions)
    n_tries, seconds = torch.zeros_like(state.steps), 0.0
    delta = _escape_delta(state.spectrum.eigenvalues[:, 1], hyperparameters)
    direction = _cartesian(state.spectrum.modes[:, :, 1], state.batch)
    waiting = torch.arange(len(state.batch), device=move.device)
    for _ in range(_MAX_HALVINGS + 1):
        trials = delta[waiting, None, None] * direction[waiting]
        side = _lower_side(calculator, state.batch.take(waiting), trials)
        seconds += side.seconds
        n_tries[waiting] += side.asked
        move[waiting[side.is_found]] = side.move[side.is_found]
        waiting = waiting[~side.is_found]
        delta = delta / 2
        if not len(waiting):
            break
    return move, n_tries, seconds


class _Side(NamedTuple):
    """The lower side of a trial: the move, whether a molecule can be there, the calls made."""

    move: Float[Tensor, "B N 3"]
    is_found: Bool[Tensor, " B"]
    asked: int
    seconds: float


def _lower_side(calculator: Calculator, batch: Batch, move: Float[Tensor, "B N 3"]) -> _Side:
    """Of a move and its opposite the one that leads lower, where atoms do not come too close."""
    energies, asked, seconds = [], 0, 0.0
    for sign in (1, -1):
        there = batch.moved_to(batch.positions + sign * move)
        evaluation, spent = evaluate(calculator, there, hessian=False)
        is_valid = (there.closest_pair >= _CLOSEST_PAIR_MIN) & evaluation.energy.isfinite()
        energies.append(torch.where(is_valid, evaluation.energy, torch.inf))
        asked += evaluation.asked
        seconds += spent
    is_minus = (energies[1] < energies[0])[:, None, None]
    is_found = torch.minimum(*energies).isfinite()
    return _Side(torch.where(is_minus, -move, move), is_found, asked, seconds)


def _escape_delta(
    eigenvalue: Float[Tensor, " B"], hyperparameters: GadHyperparameters
) -> Float[Tensor, " B"]:
    """The length of the escape in A, adapted to the second mode's curvature if so scaled."""
    scale = hyperparameters.adaptive_delta_scale
    delta = torch.full_like(
        eigenvalue, hyperparameters.escape_delta * (scale if scale > 0 else 1.0)
    )
    if scale <= 0:
        return delta
    adapted = (delta / eigenvalue.abs().sqrt()).clamp(max=_MAX_ADAPTED_DELTA)
    return torch.where(eigenvalue < _SOFT_EIGENVALUE, adapted, delta)


def _cartesian(mode: Float[Tensor, "B D"], batch: Batch) -> Float[Tensor, "B N 3"]:
    """A mass-weighted mode as a Cartesian displacement of unit length."""
    vector = batch.inverse_sqrt_masses * mode
    return (vector / vector.norm(dim=-1, keepdim=True)).unflatten(1, (-1, 3))
