"""The check itself: every part of the contract, one after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gadlib.calculators.contract.agreement import Ask, ContractError
from gadlib.calculators.contract.equivalents import cut, equivalents, rotation
from gadlib.calculators.contract.history import HISTORY, require_no_memory
from gadlib.evaluation import Calculator, Evaluation
from gadlib.systems.batch import Batch

DISPLACEMENT = 1e-3
"""The step of the central differences, in A."""

_MOLECULES = ("H2O", "HCN", "C2H6")
_DISTORTION = 0.03


def check(
    calculator: Calculator,
    batch: Batch | None = None,
    *,
    differentiable: bool = True,
    tolerance: float = 1e-4,
    hessian_tolerance: float = 2e-3,
    history_tolerance: float | None = None,
) -> None:
    """Raise ContractError unless the calculator keeps the contract on the batch.

    Checked are: shapes and dtypes; zeros where padded; a symmetric Hessian where asked for, else
    None; the same numbers twice, for a system alone, and with more padding; where the systems are
    free, that translation, rotation and permutation of the atoms move the results along; that
    energy and forces do not depend on what was computed before, in whichever order, with and
    without other molecules between, alone and in batches; forces and Hessian against central
    differences; and that a system at positions that are not finite is named in `failures`, is NaN,
    and leaves the others as they were.

    Args:
        calculator: the potential.
        batch: where to ask; by default slightly distorted water, hydrogen cyanide and ethane.
        differentiable: whether forces and Hessian are derivatives of the energy; not so for
            potentials that predict them by separate heads.
        tolerance: the largest deviation of energy and forces, relative to 1 plus the largest
            magnitude in the same system's tensor.
        hessian_tolerance: the same for Hessians, which often are differences of forces.
        history_tolerance: the largest deviation, in eV and eV/A, from one call to another; by
            default 1e-6, or what the calculator says by `rounding`: in single precision sums depend
            on the company.

    Raises:
        ContractError: when the contract is broken; a sentence says how.
    """
    batch = molecules() if batch is None else batch
    given = batch.positions.clone()
    ask = Ask(calculator, {"energy": tolerance, "forces": tolerance, "hessian": hessian_tolerance})
    answer = ask(batch)
    if not torch.equal(batch.positions, given):
        raise ContractError("the calculator moved the positions of the batch it was given")
    ask.same("without a Hessian", ask(batch, hessian=False), answer, batch)
    ask.same("in a second call", ask(batch), answer, batch)
    for claim, other, expected in equivalents(batch, answer):
        ask.same(claim, ask(other), expected, other)
    rounding = getattr(calculator, "rounding", HISTORY)
    require_no_memory(calculator, batch, history_tolerance or rounding)
    if differentiable:
        _require_derivatives(ask, batch, answer)
    _require_failure_is_contained(ask, batch, answer)


def molecules() -> Batch:
    """Water, hydrogen cyanide and ethane, turned, and distorted by some hundredths of an A."""
    generator = np.random.default_rng(0)
    from ase.build import molecule  # takes half a second, and every process imports this module

    atoms = [molecule(name) for name in _MOLECULES]
    noise = [generator.normal(scale=_DISTORTION, size=a.positions.shape) for a in atoms]
    noise[1] = noise[1] * [0, 0, 1]  # hydrogen cyanide lies along z and stays linear
    turn = rotation().numpy()  # no bond along an axis, where some methods are singular
    places = [(a.positions + shift) @ turn for a, shift in zip(atoms, noise, strict=True)]
    return Batch.pack(places, [a.numbers for a in atoms])


def _require_derivatives(ask: Ask, batch: Batch, answer: Evaluation) -> None:
    """Raise ContractError unless forces and Hessian are differences of energy and forces."""
    slopes, curvatures = [], []
    for coordinate in range(3 * batch.positions.shape[1]):
        shift = torch.zeros_like(batch.positions)
        shift.flatten(1)[:, coordinate] = DISPLACEMENT
        ahead = ask(batch.moved_to(batch.positions + shift), hessian=False)
        behind = ask(batch.moved_to(batch.positions - shift), hessian=False)
        slopes.append((behind.energy - ahead.energy) / (2 * DISPLACEMENT))
        curvatures.append((behind.forces - ahead.forces).flatten(1) / (2 * DISPLACEMENT))
    claim = "the forces are not minus the derivative of the energy"
    ask.close(claim, "forces", answer.forces, torch.stack(slopes, 1), batch)
    claim = "the hessian is not minus the derivative of the forces"
    assert answer.hessian is not None
    ask.close(claim, "hessian", answer.hessian, torch.stack(curvatures, 2), batch)


def _require_failure_is_contained(ask: Ask, batch: Batch, answer: Evaluation) -> None:
    """Raise ContractError unless a system of NaN is named, is NaN, and disturbs no other."""
    middle = len(batch) // 2
    rows = [*range(middle + 1), *range(middle, len(batch))]
    mixed, broken = batch.take(torch.tensor(rows)), middle + 1
    positions = mixed.positions.clone()
    positions[broken, 0] = torch.nan
    mixed = replace(mixed, positions=positions)
    try:
        evaluation = ask.calculator(mixed)
    except Exception as error:  # whatever a calculator raises, here it breaks the contract
        raise ContractError(
            f"a system at positions that are not finite makes the calculator raise"
            f" {type(error).__name__}: {error}; expected it to be named in failures"
        ) from error
    if set(evaluation.failures) != {broken}:
        named = ", ".join(map(str, evaluation.failures)) or "none"
        raise ContractError(f"failures names {named}: expected system {broken}, at NaN positions")
    is_atom = mixed.mask[broken]
    if evaluation.energy[broken].isfinite() or evaluation.forces[broken, is_atom].isfinite().any():
        raise ContractError(f"system {broken} failed, but its energy or forces are not NaN")
    others = torch.tensor([row for row in range(len(mixed)) if row != broken])
    found = cut(evaluation, others, mixed.positions.shape[1])
    ask.same("beside a system that failed", found, answer, batch)
