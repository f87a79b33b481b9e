"""The intrinsic reaction coordinate: steepest descent from a saddle, both ways, to the minima.

In mass-weighted coordinates, by steps on local quadratic models whose Hessian is updated between
exact ones. What the ends are is not asked here.

References: Fukui, Acc. Chem. Res. 14, 363 (1981), doi:10.1021/ar00072a001; Page, McIver, J. Chem.
Phys. 88, 922 (1988), doi:10.1063/1.454172 (the steps); Hratchian, Schlegel, J. Chem. Phys. 120,
9918 (2004), doi:10.1063/1.1724823 (with Bofill's update).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from gadlib.evaluation import Calculator
from gadlib.progress import signs_of_life
from gadlib.solver.delta.observations import Observations
from gadlib.solver.downhill.descent import depart, lowest_mode, step_down
from gadlib.solver.downhill.on_surrogate import follow_learned
from gadlib.solver.downhill.path import Leg, Path, exact_vibrations, leg_of
from gadlib.solver.downhill.relaxation import can_go_on, relax
from gadlib.solver.downhill.sharpening import sharpen
from gadlib.solver.points import begin
from gadlib.solver.state import State, displacement
from gadlib.solver.trust.curvature import is_hessian_costly
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put, take

INSTEAD = "The way down is on the potential itself"


def follow(
    calculator: Calculator,
    batch: Batch,
    *,
    hessian_every: int | None = None,
    n_steps: int = 400,
    known: Sequence[Observations] | None = None,
) -> list[Path]:
    """The paths through the given saddles, in their order; what fails says so in its message.

    A saddle is first sharpened by Newton steps, since what is left of its forces would bend a path
    that begins flat. Of a calculator with a cheap one beside it (attribute `cheap`) all this is
    done on a surrogate (`on_surrogate`), and no Hessian of the costly one is computed; unless the
    surrogate has no saddle there after all looks, or does not lead to two minima; the path says so
    then.

    Args:
        calculator: the potential.
        batch: the saddles.
        hessian_every: steps from one exact Hessian to the next; None: none between the saddle and
            the minima where the calculator declares them costly, else one at each step.
        n_steps: steps along the coordinate at most, on each side.
        known: what was seen of each saddle's system before, where there is a cheap potential.
    """
    how = {"hessian_every": hessian_every, "n_steps": n_steps, "known": known}
    found = dict(follow_each(calculator, batch, **how))
    return [found[i] for i in range(len(batch))]


def follow_each(
    calculator: Calculator,
    batch: Batch,
    *,
    hessian_every: int | None = None,
    n_steps: int = 400,
    known: Sequence[Observations] | None = None,
) -> Iterator[tuple[int, Path]]:
    """The place of each saddle and its path, as they end; otherwise as `follow`."""
    if getattr(calculator, "cheap", None) is None:
        yield from _follow_itself(calculator, batch, hessian_every, n_steps)
        return
    for i, path in follow_learned(calculator, batch, known, n_steps):
        if not path.is_astray:
            yield i, path
            continue
        one = batch.take(torch.tensor([i], device=batch.positions.device))
        ((_, itself),) = _follow_itself(calculator, one, hessian_every, n_steps)
        cost = itself.n_gradient + path.calls[0]
        told = f"{path.told} {INSTEAD}: {path.reasons[0].rstrip('.')}.".strip()
        yield i, replace(itself, n_gradient=cost, told=told)


def _follow_itself(
    calculator: Calculator, batch: Batch, hessian_every: int | None, n_steps: int
) -> Iterator[tuple[int, Path]]:
    """The paths on the potential itself."""
    if hessian_every is None and not is_hessian_costly(calculator):
        hessian_every = 1
    first = begin(batch, calculator)
    saddle, exact = sharpen(calculator, first, is_exact=hessian_every is not None)
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
            vibrations=None if reasons[i] else exact_vibrations(exact, i),
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
    legs = [leg_of(trails[row], ends, i) for i, row in enumerate(rows)]
    for i, place in enumerate(places):
        yield place, tuple(legs[2 * i : 2 * i + 2])


def _note(trails: list[list], state: State) -> None:
    """The points of the state, each appended to its trail where it is a new one."""
    for row, place in enumerate(state.index.tolist()):
        travelled = float(state.memory.travelled[row])
        if not state.message[row] and travelled > trails[place][-1][0]:
            point = (travelled, float(state.energy[row]), state.batch.positions[row])
            trails[place].append(point)
