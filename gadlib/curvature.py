"""What the trust solver knows of the curvature: exact Hessians, probes along soft modes, updates.

Every calculator call of the trust solver but the first is made here, and counted. Floor 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from gadlib.aim import Aim
from gadlib.batch import Batch, Calculator
from gadlib.hyperparameters import TrustHyperparameters
from gadlib.modes import Spectrum, spectrum
from gadlib.quadratic import bfgs, matvec, probe, ts_bfgs
from gadlib.springs import bond_hessian, model_hessian
from gadlib.state import State, evaluate
from gadlib.systems import put
from gadlib.tries import is_aiming, most_aimed

_PROBES, _PROBES_ROUGH = 11, 14
_ROUGH_FORCE = 8.0  # eV/A; so far from a minimum the lowest mode is harder to find
_PROBE = 0.01
_PROBES_AT_ONCE, _PROBES_AFTER = 8, 3
_STALL_STEPS = 8
_STALL_FORCE = 0.03
_MAX_ASKING_S = 2.0
_MANY_GRADIENTS = 8
_ASKED = 3


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
    inverse, forces = curved.batch.inverse_sqrt_masses, curved.forces
    known = torch.zeros_like(inverse[:, :, None])[:, :, :0]
    found = known
    for size in _rounds(number):
        modes, is_mode = _to_probe(curved, size)
        vectors = inverse[:, :, None] * modes
        if known.shape[-1]:
            vectors = vectors - known @ (known.mT @ vectors)
        is_new = is_mode & (vector_norm(vectors, dim=1) > 1e-6)
        vectors = torch.where(is_new[:, None, :], vectors, 0.0)  # a small molecule has fewer modes
        if size > 1:
            vectors = torch.where(is_new[:, None, :], torch.linalg.qr(vectors).Q, 0.0)
        else:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        changes, seconds = _differences(calculator, curved.batch, forces, vectors)
        known = torch.cat([known, vectors], -1)
        found = torch.cat([found, changes], -1)
        hessian = probe(curved.hessian, known, found)
        motions = curved.spectrum.motions
        curved = replace(
            curved,
            hessian=hessian,
            spectrum=spectrum(hessian + curved.wall_hessian, curved.batch, motions),
            n_probes=curved.n_probes + is_new.sum(-1),
            seconds=curved.seconds + seconds / max(1, len(curved.batch)),
        )
    return curved


def _rounds(number: int) -> list[int]:
    """How many modes are probed together, many at first."""
    rounds = [min(_PROBES_AT_ONCE, number)]
    while (left := number - sum(rounds)) > 0:
        rounds.append(min(_PROBES_AFTER, left))
    return rounds


def _differences(
    calculator: Calculator,
    batch: Batch,
    forces: Float[Tensor, "B D"],
    vectors: Float[Tensor, "B D K"],
) -> tuple[Float[Tensor, "B D K"], float]:
    """The Hessian times unit vectors, by differences to one side; the seconds that it took.

    A mode has no sign of its own, a difference to one side has: downhill.
    """
    size, _, number = vectors.shape
    is_uphill = (forces[:, :, None] * vectors).sum(1, keepdim=True) < 0
    step = _PROBE * (1 - 2 * is_uphill.to(vectors.dtype))
    if number > 1:  # all of them at once
        each = torch.arange(size, device=forces.device).repeat_interleave(number)
        batch = batch.take(each)
    moved = batch.moved_to(batch.positions + (step * vectors).mT.reshape(size * number, -1, 3))
    evaluation, seconds = evaluate(calculator, moved, hessian=False)
    there = evaluation.forces.reshape(size, number, -1).mT
    return (forces[:, :, None] - there) / step, seconds


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
    state = put(state, is_blind.nonzero().flatten(), lambda part: certified(calculator, part))
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


def is_hessian_dear(calculator: Calculator, batch: Batch) -> bool:
    """Whether a Hessian takes the time of many gradients, as the calculator says or is measured.

    Where a gradient takes so long that even asking would cost seconds, it counts as dear.
    """
    said = getattr(calculator, "is_hessian_dear", None)
    if said is not None:
        return said
    one = batch.take(torch.tensor([0], device=batch.positions.device))

    def seconds(*, hessian: bool) -> float:  # the least, for the first call is never typical
        return min(evaluate(calculator, one, hessian=hessian)[1] for _ in range(_ASKED))

    gradient_s = seconds(hessian=False)
    if 6 * int(one.n_atoms[0]) * gradient_s > _MAX_ASKING_S:
        return True
    return seconds(hessian=True) > _MANY_GRADIENTS * gradient_s


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
        n_gradient=state.n_gradient + 1,
        n_hessian=state.n_hessian + int(hessian),
        calculator_s=state.calculator_s + seconds / max(1, len(state.batch)),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(state.batch))),
    )


def certified(calculator: Calculator, state: State) -> State:
    """The state with its exact Hessian and the spectrum of that."""
    exact = _computed(calculator, state, hessian=True)
    exact = replace(exact, n_gradient=state.n_gradient)
    return replace(exact, spectrum=spectrum(exact.hessian, exact.batch, state.spectrum.motions))
