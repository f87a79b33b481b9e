"""A cheap potential with what was learned of a costly one: itself a calculator."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation
from gadlib.solver.delta.below import evaluate_below
from gadlib.solver.delta.process import Process
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Surrogate:
    """The surrogate of each system of a batch, in the batch's order.

    Attributes:
        cheap: the potentials below, of each system.
        processes: what is added to it for each system.
    """

    cheap: tuple[Calculator, ...]
    processes: tuple[Process, ...]
    is_hessian_costly = False

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """The evaluation of the batch; where the cheap potential fails so does this."""
        below = evaluate_below(self.cheap, batch, hessian=hessian)
        energy, forces, second = below.energy.clone(), below.forces.clone(), below.hessian
        for row, process in enumerate(self.processes):
            n = int(batch.n_atoms[row])
            more, gradient = process.energy_and_gradient(batch.positions[row, :n].cpu())
            energy[row] += more.to(energy)
            forces[row, :n] -= gradient.to(forces)
        if second is not None:
            second = second + self.correction(batch)
        return replace(below, energy=energy, forces=forces, hessian=second)

    def correction(self, batch: Batch) -> Float[Tensor, "B D D"]:
        """The Hessians of the processes in eV/A^2."""
        width = 3 * batch.positions.shape[1]
        found = batch.positions.new_zeros(len(batch), width, width)
        for row, process in enumerate(self.processes):
            n = int(batch.n_atoms[row])
            part = process.hessian(batch.positions[row, :n].cpu())
            found[row, : 3 * n, : 3 * n] = part.to(found)
        return found

    def take(self, rows: Tensor) -> Surrogate:
        """The surrogates of the systems at these places."""
        places = rows.tolist()
        return Surrogate(
            tuple(self.cheap[row] for row in places),
            tuple(self.processes[row] for row in places),
        )
