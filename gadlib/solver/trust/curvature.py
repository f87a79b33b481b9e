"""What the trust solver knows of the curvature: exact Hessians, probes along soft modes, updates.

Every calculator call of the trust solver but the first is made here, and counted. Floor 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from gadlib.batch import Batch
from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.normal_modes import Spectrum, judged, spectrum
from gadlib.hessians.springs import bond_hessian, model_hessian
from gadlib.hessians.trust_region import matvec
from gadlib.hessians.updates import bfgs, probe, ts_bfgs
from gadlib.rows import put, take
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.state import State
from gadlib.solver.trust.tries import is_aiming, most_aimed

_PROBES, _PROBES_ROUGH = 11, 14
_ROUGH_FORCE = 8.0  # eV/A; so far from a minimum the lowest mode is harder to find
_PROBE = 0.01
_PROBES_AT_ONCE, _PROBES_AFTER = 8, 3
_STALL_STEPS = 8
_STALL_FORCE = 0.03
_ADDED = 1e-3  # of a vector's length; less of it is noise, not a direction of its own


def updated(state: State, moved: State) -> Float[Tensor, "B D D"]:
    """The Hessian updated from a step to the moved state, downhill by BFGS, uphill by TS-BFGS.

    First it follows the springs of the bonds from point to point, so that a step need not tell what
    these know: that bonds turn as atoms move, and fade as they stretch. On the way down it does so
    where it stays positive. To follow angles and torsions, too, takes eight times as long, gains
    nothing, and loses saddles near the start. Structured updates: Dennis, Gay, Welsch, ACM Trans.
    Math. Softw. 7, 348 (1981), doi:10.1145/355958.355965.
    """
    is_down = state.memory.is_settling
    step = (moved.batch.positions - state.batch.positions).flatten(1)
    change = (state.forces - moved.forces).flatten(1)
    hessian = _followed(state, moved.batch)
    if is_down.all():
        return bfgs(hessian, step, change)
    root, modes = state.batch.sqrt_masses, state.spectrum.modes
    eigenvalues = state.spectrum.eigenvalues
    positive = torch.where(eigenvalues.isfinite(), eigenvalues.abs(), 0.0)
    mapped = root * matvec(modes, positive * matvec(modes.mT, root * step))
    up = ts_bfgs(hessian, step, change, mapped)
    rows = is_down.nonzero().flatten()
    if not len(rows):
        return up
    return up.index_copy(0, rows, bfgs(hessian[rows], step[rows], change[rows]))


def _followed(state: State, there: Batch) -> Float[Tensor, "B D D"]:
    """The Hessian plus what the bonds' springs gain, where one on the way down stays positive."""
    followed = state.hessian + (bond_hessian(there) - bond_hessian(state.batch))
    rows = state.memory.is_settling.nonzero().flatten()
    if not len(rows):
        return followed
    padding = torch.diag_embed((state.batch.sqrt_masses[rows] == 0).to(followed.dtype))
    is_positive = torch.linalg.cholesky_ex(followed[rows] + padding).info == 0
    rows = rows[~is_positive]
    return followed.index_copy(0, rows, state.hessian[rows]) if len(rows) else followed


@dataclass(frozen=True)
class _Curved:
    """What probing needs of a state, and what it changes of it, so that no more is moved about.

    Attributes:
        is_aimed: whether the mode most along the aim is the first to be probed.
        n_probes: gradients computed.
        seconds: time in the calculator.
    """

    batch: Batch
    wanted: Aim
    is_aimed: Bool[Tensor, " B"]
    forces: Float[Tensor, "B D"]
    wall_hessian: Float[Tensor, "B D D"]
    hessian: Float[Tensor, "B D D"]
    spectrum: Spectrum
    n_probes: Int[Tensor, " B"]
    seconds: Float[Tensor, " B"]


def _probed(calculator: Calculator, curved: _Curved, number: int) -> _Curved:
    """The Hessians corrected along their softest modes by differences of gradients.

    Each correction changes what is softest, so that the last ones close in on the lowest mode, as
    in Davidson's method.
    """
    inverse = curved.batch.inverse_sqrt_masses
    known = torch.zeros_like(inverse[:, :, None])[:, :, :0]
    found = known
    for size in _rounds(number):
        modes, is_mode = _to_probe(curved, size)
        vectors, is_new = independent(inverse[:, :, None] * modes, is_mode, known)
        if not is_new.any():
            break
        changes, n_asked, seconds = _differences(calculator, curved, vectors, is_new)
        known = torch.cat([known, vectors], -1)
        found = torch.cat([found, changes], -1)
        hessian = probe(curved.hessian, known, found)
        motions = curved.spectrum.motions
        curved = replace(
            curved,
            hessian=hessian,
            spectrum=spectrum(hessian + curved.wall_hessian, curved.batch, motions),
            n_probes=curved.n_probes + n_asked,
            seconds=curved.seconds + seconds / max(1, len(curved.batch)),
        )
    return curved


def independent(
    vectors: Float[Tensor, "B D K"], is_vector: Bool[Tensor, "B K"], known: Float[Tensor, "B D L"]
) -> tuple[Float[Tensor, "B D K"], Bool[Tensor, "B K"]]:
    """Orthonormal directions of what vectors add to known ones and each other; which add anything.

    What is left of a vector that lies within the others is rounding. Brought to unit length it
    would be any direction, rigid motions among them, and be probed as one, and what comes after it
    be turned away from it; so it is left out, and zero. Each is projected twice: Parlett, The
    Symmetric Eigenvalue Problem, SIAM (1998), 6.9.
    """
    length = vector_norm(vectors, dim=1)
    rest = torch.where(is_vector[:, None, :], vectors, 0.0)
    for _ in range(2 if known.shape[-1] else 0):
        rest = rest - known @ (known.mT @ rest)
    bases, sizes = torch.linalg.qr(rest)
    is_new = is_vector & (sizes.diagonal(dim1=1, dim2=2).abs() > _ADDED * length)
    if is_new.all():
        return bases, is_new
    columns, found = [], []  # one by one, so that what is left out takes no part
    for column in rest.unbind(-1):
        for _ in range(2):
            for other in columns:
                column = column - (other * column).sum(-1, keepdim=True) * other
        size = vector_norm(column, dim=1)
        found.append(size > _ADDED * length[:, len(found)].clamp(min=1e-12))
        columns.append(torch.where(found[-1], 1 / size.clamp(min=1e-12), 0.0)[:, None] * column)
    return torch.stack(columns, -1), torch.stack(found, -1) & is_vector


def _rounds(number: int) -> list[int]:
    """How many modes are probed together, many at first."""
    rounds = [min(_PROBES_AT_ONCE, number)]
    while (left := number - sum(rounds)) > 0:
        rounds.append(min(_PROBES_AFTER, left))
    return rounds


def _differences(
    calculator: Calculator,
    curved: _Curved,
    vectors: Float[Tensor, "B D K"],
    is_new: Bool[Tensor, "B K"],
) -> tuple[Float[Tensor, "B D K"], Int[Tensor, " B"], float]:
    """The Hessian times unit vectors, by differences to one side; the calls, the seconds.

    A mode has no sign of its own, a difference to one side has: downhill. Only what is new is asked
    for. Where the calculator fails, the Hessian is left as it is along that vector.
    """
    changes = torch.bmm(curved.hessian, vectors)
    system, column = is_new.nonzero(as_tuple=True)
    directions = vectors[system, :, column]
    here = curved.forces[system]
    is_uphill = (here * directions).sum(1, keepdim=True) < 0
    step = _PROBE * (1 - 2 * is_uphill.to(vectors.dtype))
    batch = curved.batch.take(system)
    moved = batch.moved_to(batch.positions + (step * directions).unflatten(1, (-1, 3)))
    evaluation, seconds = evaluate(calculator, moved, hessian=False)
    told = (here - evaluation.forces.flatten(1)) / step
    if evaluation.failures:
        lost = torch.tensor(list(evaluation.failures), device=system.device)
        told[lost] = changes[system[lost], :, column[lost]]
    changes[system, :, column] = told
    return changes, is_new.sum(-1) * evaluation.asked, seconds


def _to_probe(
    curved: _Curved, size: int
) -> tuple[Float[Tensor, "B D {size}"], Bool[Tensor, "B {size}"]]:
    """The softest modes, before them the one that is climbed towards an aim; which ones exist."""
    eigenvalues, modes = curved.spectrum.eigenvalues, curved.spectrum.modes
    if not curved.is_aimed.any():
        return modes[:, :, :size], eigenvalues[:, :size].isfinite()
    aimed = most_aimed(curved.wanted, curved.batch, curved.spectrum)
    rank = torch.arange(modes.shape[2], device=modes.device).expand(len(aimed), -1)
    is_first = curved.is_aimed[:, None] & (rank == aimed[:, None])
    chosen = torch.where(is_first, -1, rank).argsort(dim=-1)[:, :size]
    chosen_modes = modes.gather(2, chosen[:, None, :].expand(-1, modes.shape[1], -1))
    return chosen_modes, eigenvalues.gather(1, chosen).isfinite()


def spared(calculator: Calculator, state: State, h: TrustHyperparameters) -> State:
    """The state with its softest modes probed where Hessians are spared and a probe is due.

    Where none are spared, a climb begins with an exact one. A climb that no longer moves, since its
    Hessian has become useless (on a potential with kinks, each step across one adds a curvature
    that exists nowhere), begins again with a model.
    """
    memory = state.memory
    is_begun = (memory.try_steps == 0) & ~memory.is_settling
    is_blind = is_begun & ~memory.is_thrifty & ~state.is_exact
    state = put(state, is_blind.nonzero().flatten(), lambda part: if_possible(calculator, part)[0])
    is_climbing = memory.is_thrifty & ~memory.is_settling
    is_stalled = is_climbing & (memory.age >= _STALL_STEPS)
    is_stalled &= (memory.radius <= 1.001 * h.radius_min) & (state.max_force > _STALL_FORCE)
    is_first = memory.is_thrifty & is_begun
    is_due = is_climbing & (state.steps % h.probe_every == 0) & ~is_first & ~is_stalled
    state = put(state, is_stalled.nonzero().flatten(), lambda part: _remodelled(part, h))
    is_rough = state.max_force > _ROUGH_FORCE
    many = (is_first & is_rough) | is_stalled
    curved = _Curved(
        state.batch,
        state.wanted,
        is_aiming(state),
        state.forces.flatten(1),
        memory.wall_hessian,
        state.hessian,
        state.spectrum,
        torch.zeros_like(state.n_gradient),
        torch.zeros_like(state.calculator_s),
    )
    for chosen, number in ((is_due, 1), (many, _PROBES_ROUGH), (is_first & ~is_rough, _PROBES)):
        rows = chosen.nonzero().flatten()
        curved = put(curved, rows, lambda part, number=number: _probed(calculator, part, number))
    return replace(
        state,
        hessian=curved.hessian,
        spectrum=curved.spectrum,
        is_exact=state.is_exact & (curved.n_probes == 0),
        n_gradient=state.n_gradient + curved.n_probes,
        calculator_s=state.calculator_s + curved.seconds,
    )


def _remodelled(state: State, h: TrustHyperparameters) -> State:
    model = model_hessian(state.batch)
    memory = replace(
        state.memory,
        age=torch.zeros_like(state.memory.age),
        radius=torch.full_like(state.memory.radius, h.radius_start),
    )
    here = spectrum(model + memory.wall_hessian, state.batch)
    return replace(state, hessian=model, spectrum=here, memory=memory)


def is_hessian_dear(calculator: Calculator) -> bool:
    """Whether a Hessian costs many gradients, as the calculator declares; it does where none is.

    Declared, not timed: on a busy machine a search is the same, and no call is spent on asking.
    """
    said = getattr(calculator, "is_hessian_dear", None)
    return True if said is None else bool(said)


def evaluated(calculator: Calculator, state: State, is_exact: Bool[Tensor, " B"]) -> State:
    """The state evaluated at its positions, with Hessians where they are to be exact."""
    for chosen, wanted in ((is_exact, True), (~is_exact, False)):
        rows = chosen.nonzero().flatten()
        state = put(
            state, rows, lambda part, wanted=wanted: _computed(calculator, part, hessian=wanted)
        )
    return state


def _computed(calculator: Calculator, state: State, *, hessian: bool) -> State:
    evaluation, seconds = evaluate(calculator, state.batch, hessian=hessian)
    return replace(
        state,
        energy=evaluation.energy,
        forces=evaluation.forces,
        hessian=state.hessian if evaluation.hessian is None else evaluation.hessian,
        n_gradient=state.n_gradient + evaluation.asked,
        n_hessian=state.n_hessian + evaluation.asked * int(hessian),
        calculator_s=state.calculator_s + seconds / max(1, len(state.batch)),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(state.batch))),
    )


def certified(calculator: Calculator, state: State) -> State:
    """The state with its exact Hessian and the spectrum by which that is judged."""
    exact = _computed(calculator, state, hessian=True)
    exact = replace(exact, n_gradient=state.n_gradient)
    return rejudged(exact)


def rejudged(state: State) -> State:
    """The state, whose Hessian is exact, with the spectrum by which points are judged."""
    return replace(state, spectrum=judged(state.hessian, state.batch, state.forces))


def if_possible(calculator: Calculator, state: State) -> tuple[State, tuple[str, ...]]:
    """The state with exact Hessians where they can be computed, and why not where they can't.

    There the point stays as it was, but for what the attempt cost.
    """
    exact = certified(calculator, state)
    reasons = exact.message
    exact = replace(exact, is_exact=torch.ones_like(exact.is_exact), message=state.message)
    failed = torch.tensor([bool(reason) for reason in reasons], device=state.index.device)
    rows = failed.nonzero().flatten()
    stayed = replace(state, n_hessian=exact.n_hessian, calculator_s=exact.calculator_s)
    return put(exact, rows, lambda _: take(stayed, rows)), reasons
