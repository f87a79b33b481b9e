"""How much of a set a process is given at a time."""

from __future__ import annotations

from collections.abc import Sequence

from gadlib.evaluation import Calculator
from gadlib.molecules.starting_points import Start

_BATCHES_ON_GPU = 4
"""Batches of a job there: a batch half empty costs as much as a full one."""

_MOST_BATCHES = 16
"""Batches of a job at most: what a process has not given yet is lost when it is killed."""

_JOBS_EACH = 3
"""Jobs for each process, so that all are busy to the end."""


def job_size(calculator: Calculator, batch_size: int, n_each: float = 0) -> int:
    """How many molecules a process is given at a time.

    Several batches, so that a molecule that ends makes room for one that waits: on a GPU a half
    empty batch costs as much as a full one, and on a CPU some of it. There small jobs are the way
    to keep all processes busy to the end, so that each is to have several.

    Args:
        calculator: it tells the device.
        batch_size: molecules that step together.
        n_each: molecules that wait for each process, infinite where there is but one.
    """
    device = getattr(calculator, "device", None)
    is_gpu = device is not None and device.type != "cpu"
    n_batches = _BATCHES_ON_GPU if is_gpu else n_each / (batch_size * _JOBS_EACH)
    return batch_size * int(min(max(n_batches, 1), _MOST_BATCHES))


def chunks(places: Sequence[int], starts: Sequence[Start], size: int) -> list[list[int]]:
    """The places in batches, large molecules first, lest one process end up alone with them."""
    ordered = sorted(places, key=lambda i: -len(starts[i].atomic_numbers))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
