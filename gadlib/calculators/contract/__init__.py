"""The contract that every calculator keeps, as a test to run on one of your own.

It asks for what the rest of the package relies on: shapes, padding, batches, invariances,
derivatives, and that a system that fails harms nobody else. It says nothing about whether the
chemistry is right.

A calculator of your own is a callable, such as one of equal springs between all atoms:

    >>> import torch
    >>> from gadlib.evaluation import Evaluation
    >>> from gadlib.calculators import check
    >>> def springs(batch, *, hessian=True):
    ...     is_atom = batch.mask.double()
    ...     net = torch.diag_embed(batch.n_atoms[:, None] * is_atom)
    ...     net = net - is_atom[:, :, None] * is_atom[:, None, :]
    ...     forces = -net @ batch.positions
    ...     energy = -(forces * batch.positions).sum((1, 2)) / 2
    ...     second = torch.stack([torch.kron(one, torch.eye(3)) for one in net])
    ...     bad = (~energy.isfinite()).nonzero().flatten().tolist()
    ...     failures = dict.fromkeys(bad, "the positions are not finite")
    ...     return Evaluation(energy, forces, second if hessian else None, failures)
    >>> check(springs)
"""

from gadlib.calculators.contract.agreement import ContractError
from gadlib.calculators.contract.checking import check, molecules

__all__ = ["ContractError", "check", "molecules"]
