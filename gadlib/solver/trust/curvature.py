"""What the trust solver knows of the curvature: models, exact Hessians, probes, updates."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.frames import Carried
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian, pair_hessian, stretching
from gadlib.hessians.trust_region import matvec
from gadlib.hessians.updates import bfgs, ts_bfgs
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.image_step import turned_round
from gadlib.solver.points import try_hessian
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    APPROACH_ROUNDS,
    ARRIVED_FORCE,
    CLOSING_ROUNDS,
    DOUBT_EVERY,
    DOWN_PROBES,
    FIRST_PROBES,
    LARGE,
    ROUGH_FORCE,
    ROUGH_PROBES,
    SOLID_PROBES,
    STALL_FORCE,
    STALL_STEPS,
)
from gadlib.solver.trust.half_made import (
    guidance,
    is_guided,
    likely_directions,
    without_half_made,
)
from gadlib.solver.trust.memory import TrustMemory, is_aiming
from gadlib.solver.trust.probing import Curvature, approach, close_in, probe_modes
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put, take


def spares_hessians(calculator: Calculator, h: TrustHyperparameters) -> bool:
    """Whether the only exact Hessians are to be those that prove a saddle."""
    is_auto = h.exact_hessians == "auto"
    return is_hessian_costly(calculator) if is_auto else h.exact_hessians == "proof"


def is_hessian_costly(calculator: Calculator) -> bool:
    """Whether a Hessian costs many gradients, as the calculator declares; it does where none is.

    Declared, not timed: on a busy machine a search is the same, and no call is spent on asking.
    """
    said = getattr(calculator, "is_hessian_costly", None)
    return True if said is None else bool(said)


def sharpen(calculator: Calculator, state: State, h: TrustHyperparameters) -> State:
    """The state with its softest modes probed where Hessians are spared and a probe is due.

    Where none are spared, a climb begins with an exact one. A climb that no longer moves, since its
    Hessian has become useless (on a potential with kinks, each step across one adds a curvature
    that exists nowhere), begins again with a model.
    """
    memory: TrustMemory = state.memory
    is_begun = (memory.current.steps == 0) & memory.is_climbing
    is_blind = is_begun & ~memory.spares_hessians & ~state.is_exact
    state = put(state, is_blind.nonzero().flatten(), lambda part: try_hessian(calculator, part)[0])
    is_stalled = has_stalled(state, h)
    is_first = memory.spares_hessians & is_begun
    is_on = memory.spares_hessians & memory.is_climbing & ~is_first & ~is_stalled
    is_crooked = is_on & has_many_down(state)
    is_due = is_on & ~is_crooked & (state.steps % h.probe_every == 0) & is_doubtful(state)
    state = put(state, is_stalled.nonzero().flatten(), lambda part: _remodel(part, h))
    is_closing = (is_guided(state) | is_aimed_large(state)) & (is_first | is_stalled)
    curvature = _close_in(calculator, state, is_closing.nonzero().flatten())
    is_lost = is_closing & (curvature.spectrum.eigenvalues[:, 0] > 0)
    is_near = is_first & (~is_closing | is_lost) & ~is_aiming(state)
    curvature = _approach(calculator, state, curvature, is_near.nonzero().flatten())
    is_usual = (~is_closing | is_lost) & ~is_near
    asked = _beginnings(state, is_first & is_usual, is_stalled & is_usual)
    for rows, n in ((is_due, 1), (is_crooked, DOWN_PROBES), *asked):
        curvature = put(
            curvature,
            rows.nonzero().flatten(),
            lambda part, n=n: probe_modes(calculator, part, n),
        )
    state = put(state, is_lost.nonzero().flatten(), without_half_made)
    return replace(
        state,
        hessian=curvature.hessian,
        spectrum=curvature.spectrum,
        is_exact=state.is_exact & (curvature.n_probes == 0),
        cost=state.cost.plus(n_gradient=curvature.n_probes, calculator_s=curvature.seconds),
    )


def _beginnings(
    state: State, is_first: Bool[Tensor, " B"], is_stalled: Bool[Tensor, " B"]
) -> list[tuple[Bool[Tensor, " B"], int]]:
    """Which climbs begin towards an aim, or begin again, and how many modes are probed then."""
    is_rough = state.max_force > ROUGH_FORCE
    few = is_first & ~is_rough
    solid = few & state.batch.is_held
    many = (is_first & is_rough) | is_stalled
    return [(many, ROUGH_PROBES), (few & ~solid, FIRST_PROBES), (solid, SOLID_PROBES)]


def _close_in(calculator: Calculator, state: State, rows: Int[Tensor, " R"]) -> Curvature:
    """The curvature, in these rows with the mode that half-made bonds begin, or an aim.

    Where it does not curve down these were none of a reaction.
    """
    curvature = Curvature.of(state)
    if not len(rows):
        return curvature
    directions = guidance(take(state, rows)).directions(state.batch.take(rows))
    return put(curvature, rows, lambda part: close_in(calculator, part, directions, CLOSING_ROUNDS))


def _approach(
    calculator: Calculator, state: State, curvature: Curvature, rows: Int[Tensor, " R"]
) -> Curvature:
    """The curvature, in these rows, of climbs that begin, with the lowest mode closed in on."""
    if not len(rows):
        return curvature
    directions = likely_directions(take(state, rows))
    return put(
        curvature, rows, lambda part: approach(calculator, part, directions, APPROACH_ROUNDS)
    )


def is_aimed_large(state: State) -> Bool[Tensor, " B"]:
    """Which climbs of large molecules have an aim: its mode is none of their softest.

    Of nine guesses by hand, of 28 to 42 atoms on GFN2-xTB, eight took 0.45 of the gradients since.
    """
    return is_aiming(state) & (state.batch.n_atoms >= LARGE) & ~state.batch.is_held


def is_doubtful(state: State) -> Bool[Tensor, " B"]:
    """Whether a climbed mode is to be probed again.

    That is where none curves down, and on the way to an aim. Else steps tell enough of it. A climb
    that is guided was probed along half-made bonds alone: there, whenever its Hessian is not that
    of one climbed mode, or was not probed for a while.
    """
    is_flat = (state.order == 0) | is_aiming(state)
    is_old = (state.order != 1) | (state.memory.current.age % DOUBT_EVERY == 0)
    return torch.where(is_guided(state), is_old, is_flat)


def has_stalled(state: State, h: TrustHyperparameters) -> Bool[Tensor, " B"]:
    """Whether a climb whose Hessian is no exact one no longer moves, though forces are left."""
    memory: TrustMemory = state.memory
    is_old = memory.spares_hessians & memory.is_climbing & (memory.current.age >= STALL_STEPS)
    is_stuck = memory.radius <= 1.001 * h.radius_min
    return is_old & is_stuck & (state.max_force > STALL_FORCE)


def has_many_down(state: State) -> Bool[Tensor, " B"]:
    """Whether the modes of a large molecule that curve down are to be probed, as they are many.

    Every few steps of a climb at peace. Where it was strained many curved down, by the forces
    alone, and steps do not tell of each. What is known of the others is kept: with a new model in
    its place guesses of 65 and 69 atoms were thrown back from their saddles every eight steps.
    """
    memory: TrustMemory = state.memory
    age = memory.current.age
    is_due = memory.spares_hessians & memory.is_climbing & (age > 0) & (age % DOUBT_EVERY == 0)
    is_large = state.batch.n_atoms >= LARGE
    return is_due & is_large & (state.order > 1) & (state.max_force < ARRIVED_FORCE)


def _remodel(state: State, h: TrustHyperparameters) -> State:
    """The state with a model for its Hessian, and the trust radius of a beginning."""
    model = model_hessian(state.batch)
    current = state.memory.current
    current = replace(
        current,
        age=torch.zeros_like(current.age),
        radius=torch.full_like(current.radius, h.radius_start),
    )
    here = spectrum(model + current.wall.hessian, state.batch)
    memory = replace(state.memory, current=current)
    return replace(state, hessian=model, spectrum=here, memory=memory)


def update_hessian(state: State, moved: State) -> Float[Tensor, "B D D"]:
    """The Hessian updated from a step to the moved state, downhill by BFGS, uphill by TS-BFGS.

    First it is carried there in internal coordinates (`hessians.frames`), so that a step need not
    show that bonds and angles turn as atoms move, and the springs of bonds fade as these stretch;
    on the way down where the Hessian stays positive. Structured updates: Dennis, Gay, Welsch, ACM
    Trans. Math. Softw. 7, 348 (1981), doi:10.1145/355958.355965.
    """
    is_down = state.memory.is_settling
    carried = Carried.between(state.batch, moved.batch)
    step = carried.step
    change = carried.covector(state.forces.flatten(1)) - moved.forces.flatten(1)
    hessian = _carry(state, moved.batch, carried)
    if is_down.all():
        return bfgs(hessian, step, change)
    mapped = carried.covector(turned_round(state, matvec(carried.back, step)))
    up = ts_bfgs(hessian, step, change, mapped)
    rows = is_down.nonzero().flatten()
    if not len(rows):
        return up
    return up.index_copy(0, rows, bfgs(hessian[rows], step[rows], change[rows]))


def _carry(state: State, there: Batch, carried: Carried) -> Float[Tensor, "B D D"]:
    """The Hessian carried there, with what bonds gain, where one on the way down stays positive."""
    hessian = carried.form(state.hessian)
    faded = hessian + pair_hessian(there, stretching(there) - stretching(state.batch))
    rows = state.memory.is_settling.nonzero().flatten()
    if not len(rows):
        return faded
    padding = torch.diag_embed((state.batch.sqrt_masses[rows] == 0).to(faded.dtype))
    is_positive = torch.linalg.cholesky_ex(faded[rows] + padding).info == 0
    rows = rows[~is_positive]
    return faded.index_copy(0, rows, hessian[rows]) if len(rows) else faded
