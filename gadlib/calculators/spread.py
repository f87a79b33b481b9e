"""A batch computed by several processes at once, part by part.

Each system is computed as it would be alone, so that who computes it changes no bit. A process that
a system brings down costs that system, and no other.
"""

from __future__ import annotations

import pickle
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import torch
from loky import ProcessPoolExecutor
from torch import Tensor

from gadlib.calculators.failures import blanked
from gadlib.evaluation import Calculator, Evaluation
from gadlib.processes.executors import keep, submit
from gadlib.systems.batch import Batch

PARTS = 8
"""Of a batch for each process, so that none waits long for the others; a part costs
some milliseconds of its own."""


class _Part(NamedTuple):
    rows: Tensor
    executor: ProcessPoolExecutor


def spread(
    calculator: Calculator, batch: Batch, *, hessian: bool, workers: int, name: str
) -> Evaluation:
    """What a calculator says of a batch, computed by so many processes.

    Args:
        calculator: asked in the processes; it can be pickled, and keeps the contract.
        batch: the systems.
        hessian: whether Hessians are asked for.
        workers: how many processes compute at once.
        name: what the calculator is called in a sentence.
    """
    waiting = deque(torch.arange(len(batch)).tensor_split(min(len(batch), PARTS * workers)))
    running: dict[Future, _Part] = {}
    found = _nothing(batch, hessian)
    failures: dict[int, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                rows = waiting.popleft()
                asked = pickle.dumps((calculator, batch.take(rows), hessian))
                executor, future = submit(_answered, asked)
                running[future] = _Part(rows, executor)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                rows, executor = running.pop(future)
                error = future.exception()
                if not isinstance(error, BrokenProcessPool):
                    keep(executor)
                if error is None:
                    failures |= _put(found, rows, pickle.loads(future.result()))
                elif len(rows) > 1:
                    waiting.extend(rows.split(1))
                else:
                    failures[int(rows)] = f"{name}: its process ended ({_line(error)})"
    except BaseException:
        for part in running.values():
            part.executor.shutdown(wait=False, kill_workers=True)
        raise
    return blanked(Evaluation(*found, dict(sorted(failures.items()))), batch)


def _answered(asked: bytes) -> bytes:
    """The evaluation in this process, as bytes: tensors would be put into shared memory."""
    calculator, batch, hessian = pickle.loads(asked)
    return pickle.dumps(calculator(batch, hessian=hessian))


def _nothing(batch: Batch, hessian: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    size, width = batch.positions.shape[:2]
    second = batch.positions.new_zeros(size, 3 * width, 3 * width) if hessian else None
    return batch.positions.new_zeros(size), torch.zeros_like(batch.positions), second


def _put(
    found: tuple[Tensor, Tensor, Tensor | None], rows: Tensor, answer: Evaluation
) -> dict[int, str]:
    """Write the answer into the rows that it is of; its failures by their places."""
    energy, forces, second = found
    energy[rows], forces[rows] = answer.energy, answer.forces
    if second is not None and answer.hessian is not None:
        second[rows] = answer.hessian
    return {int(rows[place]): reason for place, reason in answer.failures.items()}


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
