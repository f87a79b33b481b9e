"""The intrinsic reaction coordinate: steepest descent from a saddle, both ways, to the minima.

In mass-weighted coordinates, by steps on local quadratic models whose Hessian is updated between
exact ones. What the ends are is not asked here.

References: Fukui, Acc. Chem. Res. 14, 363 (1981), doi:10.1021/ar00072a001; Page, McIver, J. Chem.
Phys. 88, 922 (1988), doi:10.1063/1.454172 (the steps); Hratchian, Schlegel, J. Chem. Phys. 120,
9918 (2004), doi:10.1063/1.1724823 (with Bofill's update).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.hessians.trust_region import image_step
from gadlib.hessians.vibrations import Vibrations, vibrations_of
from gadlib.progress import signs_of_life
from gadlib.solver.downhill.descent import depart, lowest_mode, step_down, update
from gadlib.solver.downhill.relaxation import (
    RELAXED_FORCE,
    can_go_on,
    keep,
    make_exact,
    move,
    relax,
    weighted_gradient,
)
from gadlib.solver.points import begin
from gadlib.solver.state import State, displacement
from gadlib.solver.trust.curvature import is_hessian_costly
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put, take

_SHARP_FORCE, _SHARPENINGS = 1e-3, 5
"""eV/A on any atom, a tenth of what ends a search, and the Newton steps that may be spent on it."""

_SHARPENING_MOST = 0.1
"""amu^1/2 A, the longest of these steps."""


@dataclass(frozen=True)
class Leg:
    """One way down: K points of the coordinate, and the minimum that it leads to.

    Attributes:
        travelled: the arc from the saddle, in amu^1/2 A.
        energy: at the points, in eV; the last one is that of the minimum.
        positions: at the points, in A.
        max_force: at the end, in eV/A.
        vibrations: there, by an exact Hessian; None where there is no such end.
        n_gradient, n_hessian: calculator calls of this leg.
        message: why it leads nowhere; empty where it ends at a minimum.
    """

    travelled: Float[Tensor, " K"]
    energy: Float[Tensor, " K"]
    positions: Float[Tensor, "K N 3"]
    max_force: float
    vibrations: Vibrations | None
    n_gradient: int
    n_hessian: int
    message: str


@dataclass(frozen=True)
class Path:
    """A saddle as it was sharpened, and the two ways down from it, along and against its mode.

    Attributes:
        energy: in eV.
        positions: in A.
        vibrations: by an exact Hessian, the imaginary one first; None where it failed.
        mode: the Cartesian displacement of the atoms downhill, for a step of 1 amu^1/2 A.
        legs: none where the saddle could not be computed.
        n_gradient, n_hessian: calculator calls at the saddle.
        message: why there are none.
    """

    energy: float
    positions: Float[Tensor, "N 3"]
    vibrations: Vibrations | None
    mode: Float[Tensor, "N 3"]
    legs: tuple[Leg, ...]
    n_gradient: int
    n_hessian: int
    message: str

    @property
    def calls(self) -> tuple[int, int]:
        """Gradients and Hessians, at the saddle and on both ways."""
        parts = (self, *self.legs)
        return sum(part.n_gradient for part in parts), sum(part.n_hessian for part in parts)

    @property
    def reasons(self) -> list[str]:
        """Why it does not lead to two minima, a sentence for each; none where it does."""
        return [part.message for part in (self, *self.legs) if part.message]


def follow(
    calculator: Calculator, batch: Batch, *, hessian_every: int | None = None, n_steps: int = 400
) -> list[Path]:
    """The paths through the given saddles, in their order; what fails says so in its message.

    A saddle is first sharpened by Newton steps, since what is left of its forces would bend a path
    that begins flat.

    Args:
        calculator: the potential.
        batch: the saddles.
        hessian_every: steps from one exact Hessian to the next; None: none between the saddle and
            the minima where the calculator declares them costly, else one at each step.
        n_steps: steps along the coordinate at most, on each side.
    """
    found = dict(follow_each(calculator, batch, hessian_every=hessian_every, n_steps=n_steps))
    return [found[i] for i in range(len(batch))]


def follow_each(
    calculator: Calculator, batch: Batch, *, hessian_every: int | None = None, n_steps: int = 400
) -> Iterator[tuple[int, Path]]:
    """The place of each saddle and its path, as they end; otherwise as `follow`."""
    if hessian_every is None and not is_hessian_costly(calculator):
        hessian_every = 1
    first = begin(batch, calculator)
    saddle, exact = _sharpen(calculator, first, is_exact=hessian_every is not None)
    reasons = [
        text or ("" if order else "There is no mode with a negative eigenvalue to follow.")
        for text, order in zip(saddle.message, exact.order.tolist(), strict=True)
    ]
    mode = displacement(saddle, lowest_mode(saddle)).unflatten(1, (-1, 3))

    def path(i: int, legs: tuple[Leg, ...]) -> Path:
        n = int(batch.n_atoms[i])
        return Path(
            energy=float(saddle.energy[i]),
            positions=saddle.batch.positions[i, :n],
            vibrations=None if reasons[i] else _vibrations(exact, i),
            mode=mode[i, :n],
            legs=legs,
            n_gradient=int(saddle.cost.n_gradient[i]),
            n_hessian=int(saddle.cost.n_hessian[i]),
            message=reasons[i],
        )

    rows = [i for i, text in enumerate(reasons) if not text]
    for i in set(range(len(reasons))) - set(rows):
        yield i, path(i, ())
    both = torch.tensor(rows, dtype=torch.int64, device=saddle.index.device).repeat_interleave(2)
    for place, legs in _descend(calculator, take(saddle, both), hessian_every, n_steps):
        yield rows[place], path(rows[place], legs)


def _sharpen(calculator: Calculator, state: State, *, is_exact: bool) -> tuple[State, State]:
    """The saddles with less force left, where Newton steps can do it, and where Hessians are exact.

    With exact Hessians at each step these are the same points. Else the Hessians are updated, and
    what is exact is where the saddles were given, or, where those were no saddles of this
    potential by their forces, where they are now.
    """
    given, todo = state, (can_go_on(state) & (state.order == 1)).nonzero().flatten()
    for _ in range(_SHARPENINGS):
        todo = todo[state.max_force[todo] > _SHARP_FORCE]
        if not len(todo):
            break
        here = take(state, todo)
        climbed = lowest_mode(here).abs()
        radius = torch.full_like(here.energy, _SHARPENING_MOST)
        step = image_step(weighted_gradient(here), here.spectrum.eigenvalues, climbed, radius)
        cartesian = displacement(here, step)
        there = update(here, move(calculator, here, cartesian), cartesian)
        there = make_exact(calculator, there, can_go_on(there) & is_exact)
        is_better = can_go_on(there) & (there.order == 1) & (there.max_force < here.max_force)
        there = keep(is_better, there, here)
        state = put(state, todo, lambda _, there=there: there)
        todo = todo[is_better]
    if is_exact:
        return state, state
    is_other = (given.max_force > FORCE_TOL) & ~state.is_exact & can_go_on(state)
    state = make_exact(calculator, state, is_other)
    rows = state.is_exact.nonzero().flatten()
    return state, put(given, rows, lambda _: take(state, rows))


def _vibrations(state: State, i: int) -> Vibrations:
    """Those of one system by its exact Hessian."""
    here = take(state, torch.tensor([i], device=state.index.device))
    return vibrations_of(here.batch, here.hessian, here.forces)[0]


def _descend(
    calculator: Calculator, top: State, hessian_every: int | None, n_steps: int
) -> Iterator[tuple[int, tuple[Leg, ...]]]:
    """The place of each saddle and its legs, as both have ended; in the state it stands twice.

    The first of each pair goes down along the mode, the second against it.
    """
    sign = 1.0 - 2.0 * (torch.arange(len(top.energy), device=top.index.device) % 2)
    walk = depart(calculator, top, sign)
    trails = [[(0.0, float(e), p)] for e, p in zip(top.energy, top.batch.positions, strict=True)]
    _note(trails, walk)
    active = can_go_on(walk).nonzero().flatten()
    open_ = set(range(len(top.batch) // 2))
    for _ in range(n_steps):
        here = take(walk, active)
        active = active[~here.memory.is_down & can_go_on(here)]
        still = {row // 2 for row in active.tolist()}
        yield from _finish(calculator, walk, trails, sorted(open_ - still))
        open_ = still
        if not len(active):
            return
        signs_of_life.stepped(len(active), len(active))
        part = step_down(calculator, take(walk, active), hessian_every)
        walk = put(walk, active, lambda _, part=part: part)
        _note(trails, part)
    yield from _finish(calculator, walk, trails, sorted(open_))


def _finish(
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
        vibrations=_vibrations(ends, i) if ends.is_exact[i] and not message else None,
        n_gradient=int(ends.cost.n_gradient[i]),
        n_hessian=int(ends.cost.n_hessian[i]),
        message=message,
    )
