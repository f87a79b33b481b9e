"""A batch computed in one call; where that fails, in smaller ones, until one system is at fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from gadlib.calculators.failures import blanked
from gadlib.calculators.import_paths import in_a_line
from gadlib.evaluation import Evaluation, is_device_lost
from gadlib.systems.batch import Batch

NO_LIMIT = 1_000_000
"""More systems than any batch has."""

_LONGEST_REASON = 300  # characters; some errors bring their inputs along


@dataclass
class InHalves:
    """How many systems are tried together, and what is said of one by which they fail.

    Attributes:
        name: of the calculator, for sentences.
        device: where it computes.
        capacity: systems that are tried together at first; what filled the memory once is not
            tried again.
    """

    name: str
    device: torch.device
    capacity: int = NO_LIMIT

    def __call__(
        self,
        batch: Batch,
        hessian: bool,
        compute: Callable[[Batch], Evaluation],
        *,
        failures: Mapping[int, str],
    ) -> Evaluation:
        """What `compute` says of each system that has not failed beforehand.

        Args:
            batch: the systems.
            hessian: whether their Hessians are asked for.
            compute: some of them in one call; where it raises half as many are tried.
            failures: of systems that are not to be computed, by their places.
        """
        size, n_coordinates = len(batch), 3 * batch.positions.shape[1]
        energy = batch.positions.new_zeros(size)
        forces = torch.zeros_like(batch.positions)
        second = energy.new_zeros(size, n_coordinates, n_coordinates) if hessian else None
        failed = dict(failures)
        waiting = [i for i in range(size) if i not in failed]
        capacity = self.capacity
        while waiting:
            rows = torch.tensor(waiting[:capacity], device=energy.device)
            found, reason = self._try(batch.take(rows), compute)
            if found is None and len(rows) > 1:  # the system at fault is found by halving
                capacity = len(rows) // 2
                continue
            if found is None:
                failed[int(rows)] = reason
            else:
                failed |= {int(rows[k]): why for k, why in found.failures.items()}
                energy[rows], forces[rows] = found.energy, found.forces
                if second is not None and found.hessian is not None:
                    second[rows] = found.hessian
            waiting = waiting[len(rows) :]
        return blanked(Evaluation(energy, forces, second, failed), batch)

    def _try(
        self, batch: Batch, compute: Callable[[Batch], Evaluation]
    ) -> tuple[Evaluation | None, str]:
        """The evaluation, or why there is none."""
        try:
            return compute(batch), ""
        except torch.OutOfMemoryError:
            reason = f"{self.name}: out of memory on {self.device}"
        except Exception as error:  # foreign code may raise anything
            if is_device_lost(error):  # nothing else can be computed either
                raise
            return None, f"{self.name}: {in_a_line(error)[:_LONGEST_REASON]}"
        self.capacity = max(1, len(batch) // 2)
        torch.cuda.empty_cache()
        return None, reason
