"""The intrinsic reaction coordinate: steepest descent from a saddle, both ways, to the minima.

In mass-weighted coordinates, by steps on local quadratic models whose Hessian is updated between
exact ones. What the ends are is not asked here.

References: Fukui, Acc. Chem. Res. 14, 363 (1981), doi:10.1021/ar00072a001; Page, McIver, J. Chem.
Phys. 88, 922 (1988), doi:10.1063/1.454172 (the steps); Hratchian, Schlegel, J. Chem. Phys. 120,
9918 (2004), doi:10.1063/1.1724823 (with Bofill's update).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.batch import Batch
from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.trust_region import image_step, predicted_change
from gadlib.hessians.updates import bofill
from gadlib.paths.relaxation import (
    RELAXED_FORCE,
    RISE_TOL,
    is_sound,
    keep,
    moved,
    relax,
    weighted_gradient,
    with_exact,
)
from gadlib.progress import signs_of_life
from gadlib.rows import pick, put, take
from gadlib.solver.points import begin
from gadlib.solver.state import Cost, State, displacement

_SHARP_FORCE, _SHARPENINGS = 1e-3, 5
_FIRST_DROP = 2e-3  # eV by which the first step goes down
_FIRST_MIN, _FIRST_MAX = 0.05, 0.5  # amu^1/2 A
_LENGTH_MIN, _LENGTH_MAX = 0.01, 0.25
_MAX_REJECTED = 4


@dataclass(frozen=True)
class Leg:
    """One way down: K points of the coordinate, and the minimum that it leads to.

    Attributes:
        travelled: the arc from the saddle, in amu^1/2 A.
        energy: at the points, in eV; the last one is that of the minimum.
        positions: at the points, in A.
        max_force: at the end, in eV/A.
        order: negative vibrational eigenvalues there.
        n_gradient, n_hessian: calculator calls of this leg.
        message: why it leads nowhere; empty where it ends at a minimum.
    """

    travelled: Float[Tensor, " K"]
    energy: Float[Tensor, " K"]
    positions: Float[Tensor, "K N 3"]
    max_force: float
    order: int
    n_gradient: int
    n_hessian: int
    message: str


@dataclass(frozen=True)
class Path:
    """A saddle as it was sharpened, and the two ways down from it, along and against its mode.

    Attributes:
        energy: in eV.
        positions: in A.
        eigenvalue: the negative one, in eV/(A^2 amu).
        mode: the Cartesian displacement of the atoms along it, for a step of 1 amu^1/2 A.
        order: negative vibrational eigenvalues.
        legs: none where the saddle could not be computed.
        message: why there are none.
    """

    energy: float
    positions: Float[Tensor, "N 3"]
    eigenvalue: float
    mode: Float[Tensor, "N 3"]
    order: int
    legs: tuple[Leg, ...]
    message: str


def follow(
    calculator: Calculator, batch: Batch, *, hessian_every: int = 5, n_steps: int = 400
) -> list[Path]:
    """The paths through the given saddles, in their order; what fails says so in its message.

    A saddle is first sharpened by Newton steps, since what is left of its forces would bend a path
    that begins flat.

    Args:
        calculator: the potential.
        batch: the saddles.
        hessian_every: steps from one exact Hessian to the next.
        n_steps: steps along the coordinate at most, on each side.
    """
    found = dict(followed(calculator, batch, hessian_every=hessian_every, n_steps=n_steps))
    return [found[i] for i in range(len(batch))]


def followed(
    calculator: Calculator, batch: Batch, *, hessian_every: int = 5, n_steps: int = 400
) -> Iterator[tuple[int, Path]]:
    """The place of each saddle and its path, as they end; otherwise as `follow`."""
    saddle = _sharpened(calculator, begin(batch, calculator))
    reasons = [
        text or ("" if order else "There is no mode with a negative eigenvalue to follow.")
        for text, order in zip(saddle.message, saddle.order.tolist(), strict=True)
    ]
    mode = displacement(saddle, _first(saddle)).unflatten(1, (-1, 3))

    def path(i: int, legs: tuple[Leg, ...]) -> Path:
        n = int(batch.n_atoms[i])
        return Path(
            energy=float(saddle.energy[i]),
            positions=saddle.batch.positions[i, :n],
            eigenvalue=float(saddle.spectrum.eigenvalues[i, 0]),
            mode=mode[i, :n],
            order=int(saddle.order[i]),
            legs=legs,
            message=reasons[i],
        )

    rows = [i for i, text in enumerate(reasons) if not text]
    for i in set(range(len(reasons))) - set(rows):
        yield i, path(i, ())
    both = torch.tensor(rows, dtype=torch.int64, device=saddle.index.device).repeat_interleave(2)
    for place, legs in _legs(calculator, take(saddle, both), hessian_every, n_steps):
        yield rows[place], path(rows[place], legs)


def _first(state: State) -> Float[Tensor, "B D"]:
    """The unit step along the lowest mode, with a sign that is always the same."""
    mode = state.spectrum.modes[:, :, 0]
    generic = torch.cos(torch.arange(mode.shape[1], device=mode.device, dtype=mode.dtype))
    sign = torch.where(mode @ generic < 0, -1.0, 1.0).to(mode.dtype)
    return torch.nn.functional.pad(sign[:, None], (0, mode.shape[1] - 1))


def _sharpened(calculator: Calculator, state: State) -> State:
    """The saddles with less force left, where Newton steps can do it."""
    for _ in range(_SHARPENINGS):
        todo = (is_sound(state) & (state.order == 1) & (state.max_force > _SHARP_FORCE)).nonzero()
        if not len(todo):
            break
        here = take(state, todo.flatten())
        climbed = _first(here).abs()
        radius = torch.full_like(here.energy, 0.1)
        step = image_step(weighted_gradient(here), here.spectrum.eigenvalues, climbed, radius)
        there = moved(calculator, here, displacement(here, step))
        there = with_exact(calculator, there, is_sound(there))
        is_better = is_sound(there) & (there.order == 1) & (there.max_force < here.max_force)
        there = keep(is_better, there, here)
        state = put(state, todo.flatten(), lambda _, there=there: there)
    return state


@dataclass(frozen=True)
class _Walk:
    """What a way down remembers: its next step's length, the way so far, steps taken back."""

    length: Float[Tensor, " B"]
    travelled: Float[Tensor, " B"]
    rejected: Int[Tensor, " B"]
    is_down: Bool[Tensor, " B"]


def _legs(
    calculator: Calculator, top: State, hessian_every: int, n_steps: int
) -> Iterator[tuple[int, tuple[Leg, ...]]]:
    """The place of each saddle and its legs, as both have ended; in the state it stands twice."""
    walk = _departed(calculator, top)
    trails = [[(0.0, float(e), p)] for e, p in zip(top.energy, top.batch.positions, strict=True)]
    _note(trails, walk)
    active = is_sound(walk).nonzero().flatten()
    open_ = set(range(len(top.batch) // 2))
    for _ in range(n_steps):
        here = take(walk, active)
        active = active[~here.memory.is_down & is_sound(here)]
        still = {row // 2 for row in active.tolist()}
        yield from _ended(calculator, walk, trails, sorted(open_ - still))
        open_ = still
        if not len(active):
            return
        signs_of_life.stepped(len(active), len(active))
        part = _step(calculator, take(walk, active), hessian_every)
        walk = put(walk, active, lambda _, part=part: part)
        _note(trails, part)
    yield from _ended(calculator, walk, trails, sorted(open_))


def _ended(
    calculator: Calculator, walk: State, trails: list[list], places: list[int]
) -> Iterator[tuple[int, tuple[Leg, ...]]]:
    """The places of saddles and their legs, from where these have come down to the minima."""
    if not places:
        return
    rows = [row for place in places for row in (2 * place, 2 * place + 1)]
    ends = relax(calculator, take(walk, torch.tensor(rows, device=walk.index.device)))
    legs = [_leg(trails[row], ends, i) for i, row in enumerate(rows)]
    for i, place in enumerate(places):
        yield place, tuple(legs[2 * i : 2 * i + 2])


def _departed(calculator: Calculator, top: State) -> State:
    """The states a first step down: one of each pair along the mode, the other against it."""
    lowest = top.spectrum.eigenvalues[:, 0].abs()
    length = (2 * _FIRST_DROP / lowest).sqrt().clamp(_FIRST_MIN, _FIRST_MAX)
    sign = 1.0 - 2.0 * (torch.arange(len(lowest), device=lowest.device) % 2)
    step = displacement(top, (sign * length)[:, None] * _first(top))
    zero = torch.zeros_like(top.steps)
    top = replace(
        top,
        index=torch.arange(len(lowest), device=lowest.device),
        steps=zero,
        cost=Cost.none(top.batch),
    )
    there = _updated(top, moved(calculator, top, step), step)
    walk = _Walk(length.clamp(max=0.1), length, zero, torch.zeros_like(top.is_exact))
    return replace(there, memory=walk)


def _updated(here: State, there: State, step: Float[Tensor, "B D"]) -> State:
    hessian = bofill(here.hessian, step, (here.forces - there.forces).flatten(1))
    return replace(there, hessian=hessian, spectrum=spectrum(hessian, there.batch))


def _step(calculator: Calculator, state: State, hessian_every: int) -> State:
    """The state one step on, or where it is with a better Hessian and a shorter step to come."""
    walk = state.memory
    gradient, values = weighted_gradient(state), state.spectrum.eigenvalues
    step = downhill(gradient, values, walk.length)
    cartesian = displacement(state, step)
    there = _updated(state, moved(calculator, state, cartesian), cartesian)
    change = there.energy - state.energy
    accepted = is_sound(there) & (change < RISE_TOL)
    ratio = change / predicted_change(gradient, values, step).clamp(max=-1e-12)
    factor = torch.where((ratio - 1).abs() < 0.1, 1.3, 1.0)
    factor = torch.where((ratio < 0.6) | (ratio > 1.5), 0.7, factor)
    length = walk.length * pick(accepted, factor, torch.full_like(factor, 0.5))
    rejected = pick(accepted, torch.zeros_like(walk.rejected), walk.rejected + 1)
    travelled = walk.travelled + accepted * step.norm(dim=-1)
    moved_on = keep(accepted, there, state)
    is_due = accepted & (moved_on.steps % hessian_every == 0) | (~accepted & ~state.is_exact)
    moved_on = with_exact(calculator, moved_on, is_due & is_sound(moved_on))
    is_down = _is_down(moved_on, length) | (rejected >= _MAX_REJECTED)
    length = length.clamp(_LENGTH_MIN, _LENGTH_MAX)
    return replace(moved_on, memory=_Walk(length, travelled, rejected, is_down))


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


def _note(trails: list[list], state: State) -> None:
    """The points of the state, each appended to its trail where it is a new one."""
    for row, place in enumerate(state.index.tolist()):
        travelled = float(state.memory.travelled[row])
        if not state.message[row] and travelled > trails[place][-1][0]:
            point = (travelled, float(state.energy[row]), state.batch.positions[row])
            trails[place].append(point)


def _leg(trail: Sequence[tuple[float, float, Tensor]], ends: State, i: int) -> Leg:
    n = int(ends.batch.n_atoms[i])
    here = ends.batch.positions[i]
    root = ends.batch.masses[i].sqrt()[:, None]
    rest = float((root * (here - trail[-1][2])).norm())
    trail = [*trail, (trail[-1][0] + rest, float(ends.energy[i]), here)]
    message = ends.message[i]
    if not message and float(ends.max_force[i]) >= RELAXED_FORCE:
        message = f"forces of {float(ends.max_force[i]):.3f} eV/A are left where the steps ran out"
    return Leg(
        travelled=torch.tensor([point[0] for point in trail], dtype=torch.float64),
        energy=torch.tensor([point[1] for point in trail], dtype=torch.float64),
        positions=torch.stack([point[2][:n] for point in trail]),
        max_force=float(ends.max_force[i]),
        order=int(ends.order[i]),
        n_gradient=int(ends.cost.n_gradient[i]),
        n_hessian=int(ends.cost.n_hessian[i]),
        message=message,
    )
