"""Batches whose results follow from those of another: parts, padding, order, rigid motions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

_N_EXTRA = 2


class Equivalent(NamedTuple):
    """A batch, what is expected for it, and how it differs from the given one."""

    claim: str
    batch: Batch
    expected: Evaluation


def equivalents(batch: Batch, answer: Evaluation) -> Iterator[Equivalent]:
    """Batches whose results follow from those of the given one."""
    for i in range(len(batch)):
        n, row = int(batch.n_atoms[i]), torch.tensor([i])
        alone = replace(
            batch.take(row),
            positions=batch.positions[row, :n],
            atomic_numbers=batch.atomic_numbers[row, :n],
        )
        yield Equivalent(f"for system {i} alone", alone, cut(answer, row, n))
    yield Equivalent("with more padding", _padded(batch), _padded_evaluation(answer))
    backwards = torch.arange(len(batch)).flip(0)
    expected = cut(answer, backwards, batch.positions.shape[1])
    yield Equivalent("in another order of the systems", batch.take(backwards), expected)
    if not batch.is_free:
        return
    shift = batch.positions.new_tensor([1.3, -0.7, 2.1])
    yield Equivalent("after a translation", batch.moved_to(batch.positions + shift), answer)
    turn = rotation().to(batch.positions)
    turned = batch.moved_to(batch.positions @ turn.mT)
    yield Equivalent("after a rotation", turned, _turned(answer, turn))
    yield Equivalent("after a permutation of the atoms", *_permuted(batch, answer))


def cut(answer: Evaluation, rows: Tensor, n: int) -> Evaluation:
    """The answer for some systems, of n atoms each."""
    hessian = None if answer.hessian is None else answer.hessian[rows, : 3 * n, : 3 * n]
    return Evaluation(answer.energy[rows], answer.forces[rows, :n], hessian)


def _padded(batch: Batch) -> Batch:
    pad = torch.nn.functional.pad
    positions = pad(batch.positions, (0, 0, 0, _N_EXTRA))
    numbers = pad(batch.atomic_numbers, (0, _N_EXTRA))
    return replace(batch, positions=positions, atomic_numbers=numbers)


def _padded_evaluation(answer: Evaluation) -> Evaluation:
    pad, extra = torch.nn.functional.pad, 3 * _N_EXTRA
    hessian = None if answer.hessian is None else pad(answer.hessian, (0, extra, 0, extra))
    return Evaluation(answer.energy, pad(answer.forces, (0, 0, 0, _N_EXTRA)), hessian)


def rotation() -> Float[Tensor, "3 3"]:
    """A turn about no axis in particular."""
    axis, angle = torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64), 1.1
    generator = torch.linalg.cross(torch.eye(3, dtype=torch.float64), (axis / axis.norm())[None])
    return torch.linalg.matrix_exp(angle * generator)


def _turned(answer: Evaluation, turn: Float[Tensor, "3 3"]) -> Evaluation:
    n = answer.forces.shape[1]
    big = torch.kron(torch.eye(n).to(turn), turn.contiguous())
    hessian = None if answer.hessian is None else big @ answer.hessian @ big.mT
    return Evaluation(answer.energy, answer.forces @ turn.mT, hessian)


def _permuted(batch: Batch, answer: Evaluation) -> tuple[Batch, Evaluation]:
    """Every system with its atoms backwards, the padding where it was."""
    place = torch.arange(batch.positions.shape[1]).to(batch.n_atoms)
    order = torch.where(batch.mask, batch.n_atoms[:, None] - 1 - place, place)
    rows = torch.arange(len(batch)).to(order)[:, None]
    numbers = batch.atomic_numbers[rows, order]
    moved = replace(batch, positions=batch.positions[rows, order], atomic_numbers=numbers)
    coordinates = (3 * order[..., None] + torch.arange(3).to(order)).flatten(1)
    hessian = answer.hessian
    if hessian is not None:
        hessian = hessian[rows[..., None], coordinates[:, :, None], coordinates[:, None, :]]
    return moved, Evaluation(answer.energy, answer.forces[rows, order], hessian)
