"""What the trust solver knows of the curvature: exact Hessians, probes along soft modes, updates.

Every calculator call of the trust solver but the first is made here, and counted. Floor 3.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.batch import Batch, Calculator
from gadlib.modes import spectrum, sqrt_masses
from gadlib.quadratic import bfgs, probe, ts_bfgs
from gadlib.state import State, evaluate
from gadlib.tries import pick, put

_PROBE = 0.01
_PROBES_AT_ONCE = 8


def updated(
    state: State, step: Float[Tensor, "B D"], change: Float[Tensor, "B D"]
) -> Float[Tensor, "B D D"]:
    """The Hessian updated from a step, by BFGS on the way down, by TS-BFGS on the way up."""
    root = sqrt_masses(state.batch)
    positive = torch.where(
        state.spectrum.eigenvalues.isfinite(), state.spectrum.eigenvalues.abs(), 0.0
    )
    modes = state.spectrum.modes
    mapped = root * (modes @ (positive[..., None] * (modes.mT @ (root * step)[..., None])))[..., 0]
    up = ts_bfgs(state.hessian, step, change, mapped)
    return pick(state.memory.is_relaxing, bfgs(state.hessian, step, change), up)


def probed(calculator: Calculator, state: State, number: int) -> State:
    """The state with its Hessian corrected along its softest modes by differences of gradients.

    Each correction changes what is softest, so that the last ones close in on the lowest mode, as
    in Davidson's method.
    """
    root = sqrt_masses(state.batch)
    inverse = torch.where(root > 0, 1 / root.clamp(min=1e-12), 0.0)
    extra = 0.0 if state.memory is None else state.memory.wall_hessian
    known = torch.zeros_like(inverse[:, :, None])[:, :, :0]
    found = known
    block = min(_PROBES_AT_ONCE, number)
    for size in [block] + [1] * (number - block):
        vectors = inverse[:, :, None] * state.spectrum.modes[:, :, :size]
        vectors = vectors - known @ (known.mT @ vectors)
        is_new = state.spectrum.eigenvalues[:, :size].isfinite() & (vectors.norm(dim=1) > 1e-6)
        vectors = torch.linalg.qr(torch.where(is_new[:, None, :], vectors, 0.0)).Q
        vectors = torch.where(is_new[:, None, :], vectors, 0.0)  # a small molecule has fewer modes
        changes = []
        for vector in vectors.unbind(-1):
            moved = state.batch.moved_to(
                state.batch.positions + _PROBE * vector.unflatten(1, (-1, 3))
            )
            evaluation, seconds = evaluate(calculator, moved, hessian=False)
            changes.append((state.forces - evaluation.forces).flatten(1) / _PROBE)
            spent = state.calculator_s + seconds / len(state.batch)
            state = replace(state, calculator_s=spent)
        state = replace(state, n_gradient=state.n_gradient + is_new.sum(-1))
        known = torch.cat([known, vectors], -1)
        found = torch.cat([found, torch.stack(changes, -1)], -1)
        hessian = probe(state.hessian, known, found)
        here = spectrum(hessian + extra, state.batch)
        state = replace(
            state, hessian=hessian, spectrum=here, is_exact=torch.zeros_like(state.is_exact)
        )
    return state


def gradient_s(calculator: Calculator, batch: Batch) -> float:
    """The seconds that one gradient of one molecule takes; the first call is not timed."""
    one = batch.take(torch.tensor([0], device=batch.positions.device))
    evaluate(calculator, one, hessian=False)
    return evaluate(calculator, one, hessian=False)[1]


def evaluated(calculator: Calculator, state: State, is_exact: Bool[Tensor, " B"]) -> State:
    """The state evaluated at its positions, with Hessians where they are to be exact."""
    for chosen, wanted in ((is_exact, True), (~is_exact, False)):
        rows = chosen.nonzero().flatten()
        if len(rows):
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
        calculator_s=state.calculator_s + seconds / len(state.batch),
        message=tuple(evaluation.failures.get(i, "") for i in range(len(state.batch))),
    )


def certified(calculator: Calculator, state: State) -> State:
    """The state with its exact Hessian and the spectrum of that."""
    exact = _computed(calculator, state, hessian=True)
    exact = replace(exact, n_gradient=state.n_gradient)
    return replace(exact, spectrum=spectrum(exact.hessian, exact.batch))
