"""A climb on the surrogate: from a point to its saddle, or as far as what was seen may be trusted.

Steps are those of `trust` without tries: the quadratic model's on the image surface, along the
lowest mode, or the one most like that of the step before where a search has an aim. They cost calls
of the cheap potential alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.trust_region import matvec
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.delta.observations import Observations, farthest_moves
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.image_step import adapt_radius, image_move, move_above, updated_uphill
from gadlib.solver.points import begin, compute, try_hessian
from gadlib.solver.state import State, along_modes
from gadlib.systems.batch import longest
from gadlib.systems.rows import put, take

STEPS = 100
"""Of one climb; most need 10 to 30."""

REST_FORCE = 0.003
"""eV/A on any atom, where the surrogate counts as stationary: a third of the tolerance there."""

FRESH = 0.05
"""A that an atom has moved since the cheap potential's Hessian was computed, for another one."""

CAREFUL = TrustHyperparameters(radius_start=0.03, radius_max=0.06)
"""Steps of a climb: with 0.12 A one of 40 ended 3 eV away from its guess."""

KEPT_CURVATURE, KEPT_SHARE = -0.5, 10.0
"""eV/A^2, and a tenth of what it was at first: the curvature along its mode with which a climb ends
that may lead far. Where it is lost, the surrogate lacks the saddle."""

_HALVINGS = 12  # of the last step, to find where what was seen ends; to a thousandth of it


@dataclass(frozen=True)
class Climb:
    """Climbs under way on the surrogate.

    Attributes:
        state: there; its Hessian is the surrogate's, exact or updated.
        mode: the mode that is climbed, mass-weighted, of length 1.
        is_aimed: whether the mode is followed; else the lowest one is climbed.
        observations: of each system.
        reach: how far from what was seen a climb may lead, in A.
        radius: of the next step in A.
        is_stopped: whether it ended because it would have led farther.
        is_over: whether it has ended.
        origin: where the Hessian was last exact, in A.
        begun_at: where the climb began, in A; it counts as seen.
    """

    state: State
    mode: Float[Tensor, "B D"]
    is_aimed: Bool[Tensor, " B"]
    observations: tuple[Observations, ...]
    reach: Float[Tensor, " B"]
    radius: Float[Tensor, " B"]
    is_stopped: Bool[Tensor, " B"]
    is_over: Bool[Tensor, " B"]
    origin: Float[Tensor, "B N 3"]
    begun_at: Float[Tensor, "B N 3"]


def climb(surrogate: Surrogate, start: Climb) -> Climb:
    """The climbs after their last steps; each is where the surrogate has been computed."""
    found = start
    for _ in range(STEPS):
        rows = (~found.is_over).nonzero().flatten()
        if not len(rows):
            break
        part_of = surrogate.take(rows)
        found = put(found, rows, lambda part, one=part_of: _step(one, part))
    return found


def begin_climb(
    surrogate: Surrogate,
    state: State,
    mode: Float[Tensor, "B D"],
    observations: tuple[Observations, ...],
    reach: Float[Tensor, " B"],
    origin: Float[Tensor, "B N 3"],
) -> Climb:
    """The climb at the points of a search, whose Hessian is the surrogate's there."""
    here = begin(state.batch, surrogate, state.hessian)
    no = torch.zeros_like(state.is_exact)
    radius = torch.full_like(state.energy, CAREFUL.radius_start)
    return Climb(
        here,
        mode,
        state.wanted.is_set,
        observations,
        reach,
        radius,
        is_stopped=no,
        is_over=here.is_failed,
        origin=origin,
        begun_at=state.batch.positions,
    )


def _step(surrogate: Surrogate, climb: Climb) -> Climb:
    """The climbs one step on."""
    state = climb.state
    place = follow(climb)
    climbed = torch.zeros_like(climb.mode).scatter(1, place[:, None], 1.0)
    gradient = -state.forces.flatten(1)
    step = image_move(state, along_modes(state, gradient), climbed, climb.radius)
    there = move_above(state.batch, step.unflatten(1, (-1, 3)))
    positions, is_stopped = _within_reach(climb, there.positions)
    there = state.batch.moved_to(positions)
    step = (positions - state.batch.positions).flatten(1)
    predicted = (step * (gradient + matvec(state.hessian, step) / 2)).sum(-1)
    moved = compute(surrogate, replace(state, batch=there), torch.zeros_like(is_stopped))
    failed = moved.is_failed
    moved = _with_hessian(surrogate, state, moved, step)
    ratio = (moved.energy - state.energy) / predicted
    radius, _ = adapt_radius(
        climb.radius, ratio, longest(step), CAREFUL, torch.full_like(ratio, CAREFUL.radius_max)
    )
    kept = replace(state, message=moved.message)  # which says why it can't be left
    climb = replace(
        climb,
        state=put(moved, failed.nonzero().flatten(), lambda _: take(kept, failed.nonzero()[:, 0])),
        mode=state.spectrum.mode_at(place),
        radius=radius,
        is_stopped=is_stopped,
        is_over=is_stopped | failed,
    )
    rows = ((climb.state.max_force < REST_FORCE) & ~climb.is_over).nonzero().flatten()
    if not len(rows):
        return climb
    part_of = surrogate.take(rows)
    return put(climb, rows, lambda part: _arrive(part_of, part))


def follow(climb: Climb) -> Int[Tensor, " B"]:
    """The place of the mode to climb: with an aim the one most like the last, else the lowest.

    Without an aim the mode of a rough guess may be none of the saddle's. Followed, it led uphill
    without end; of seven guesses that failed, GFN2-xTB on DFTB0, the lowest one solved five.
    """
    spectrum = climb.state.spectrum
    alike = matvec(spectrum.modes.mT, climb.mode).abs()
    alike = torch.where(spectrum.eigenvalues.isfinite(), alike, -1.0).argmax(-1)
    return torch.where(climb.is_aimed, alike, torch.zeros_like(alike))


def keeps_mode(start: Climb, found: Climb) -> Bool[Tensor, " B"]:
    """Whether a climb ended at a saddle whose mode curves down nearly as it did at the start."""
    before, after = (_curvature(each) for each in (start, found))
    limit = torch.minimum(before / KEPT_SHARE, torch.full_like(before, KEPT_CURVATURE))
    return ~found.is_stopped & (after < limit)


def _curvature(climb: Climb) -> Float[Tensor, " B"]:
    """The Cartesian curvature along the mode that is followed, in eV/A^2."""
    state = climb.state
    moved = state.batch.inverse_sqrt_masses * state.spectrum.mode_at(follow(climb))
    squares = moved.square().sum(-1).clamp(min=1e-12)
    return (moved * matvec(state.hessian, moved)).sum(-1) / squares


def _within_reach(
    climb: Climb, there: Float[Tensor, "B N 3"]
) -> tuple[Float[Tensor, "B N 3"], Bool[Tensor, " B"]]:
    """Where steps lead, cut where they would lead too far from all that was seen."""
    found = there.clone()
    is_stopped = torch.zeros_like(climb.is_over)
    for row, seen in enumerate(climb.observations):
        here = climb.state.batch.positions[row]
        n, reach = seen.positions.shape[1], float(climb.reach[row])
        places = torch.cat([seen.positions, climb.begun_at[row, None, :n].cpu()])

        def is_far(share: float, row=row, here=here, n=n, reach=reach, places=places) -> bool:
            at = (here + share * (there[row] - here))[:n].cpu()
            return float(farthest_moves(places, at).min()) > reach

        if not is_far(1.0):
            continue
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if is_far(middle) else (middle, high)
        found[row] = here + low * (there[row] - here)
        is_stopped[row] = True
    return found, is_stopped


def _with_hessian(
    surrogate: Surrogate, state: State, moved: State, step: Float[Tensor, "B D"]
) -> State:
    """The moved state with its Hessian: the process's part anew, the cheap one's updated."""
    change = (state.forces - moved.forces).flatten(1)
    hessian = state.hessian + surrogate.correction(moved.batch) - surrogate.correction(state.batch)
    hessian = updated_uphill(state, hessian, step, change)
    return replace(moved, hessian=hessian, spectrum=spectrum(hessian, moved.batch))


def _arrive(surrogate: Surrogate, climb: Climb) -> Climb:
    """The climb over where it is at rest; first a new Hessian where the last one is far away."""
    moved = (climb.state.batch.positions - climb.origin).flatten(1)
    is_old = longest(moved) > FRESH
    climb = put(climb, is_old.nonzero().flatten(), lambda part: _refresh(surrogate, part, is_old))
    is_saddle = (climb.state.order == 1) | ~is_old
    return replace(climb, is_over=is_saddle)


def _refresh(surrogate: Surrogate, climb: Climb, is_old: Bool[Tensor, " S"]) -> Climb:
    exact, _ = try_hessian(surrogate.take(is_old.nonzero().flatten()), climb.state)
    return replace(climb, state=exact, origin=exact.batch.positions)
