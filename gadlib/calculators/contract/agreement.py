"""Whether two answers of a calculator agree, and have the form of the protocol; else where not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ase import Atoms
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation
from gadlib.systems.batch import Batch

UNITS = {"energy": "eV", "forces": "eV/A", "hessian": "eV/A^2"}
"""Of what a calculator answers."""


class ContractError(AssertionError):
    """A calculator broke the contract; the sentence says where and by how much."""


@dataclass(frozen=True)
class Ask:
    """A calculator whose answers are looked at, and the deviations that it is granted."""

    calculator: Calculator
    tolerances: dict[str, float]

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """The calculator's answer.

        Raises:
            ContractError: when it has not the form of the protocol, or a system failed.
        """
        answer = self.calculator(batch, hessian=hessian)
        if (answer.hessian is not None) != hessian:
            what = "no Hessian" if hessian else "a Hessian"
            raise ContractError(f"{what} was given with hessian={hessian}")
        for place, sentence in answer.failures.items():
            raise ContractError(f"{label(batch, place)} failed: {sentence}; expected none to fail")
        _require_form(answer, batch)
        if answer.hessian is not None:
            claim = "the hessian is not symmetric"
            self.close(claim, "hessian", answer.hessian, answer.hessian.mT, batch)
        return answer

    def same(self, claim: str, found: Evaluation, expected: Evaluation, batch: Batch) -> None:
        """Raise ContractError unless both evaluations agree in what both have."""
        for name in UNITS:
            one, two = getattr(found, name), getattr(expected, name)
            if one is not None and two is not None:
                self.close(f"{name} changed {claim}", name, one, two, batch)

    def close(self, claim: str, name: str, found: Tensor, expected: Tensor, batch: Batch) -> None:
        """Raise ContractError unless both tensors agree; it names what deviates most."""
        found, expected = found.reshape(len(batch), -1), expected.reshape(len(batch), -1)
        allowed = self.tolerances[name] * (1 + expected.abs().amax(-1))
        excess = ((found - expected).abs() / allowed[:, None]).nan_to_num(torch.inf)
        worst = int(excess.amax(-1).argmax())
        place = int(excess[worst].argmax())
        if float(excess[worst, place]) <= 1:
            return
        deviation = float((found - expected)[worst, place].abs())
        raise ContractError(
            f"{claim}: {label(batch, worst)}{_where(name, place, batch)} is off by"
            f" {deviation:.2g} {UNITS[name]}, expected at most {float(allowed[worst]):.2g}"
        )


def _require_form(answer: Evaluation, batch: Batch) -> None:
    """Raise ContractError unless shapes, dtypes and padding are as the protocol says."""
    b, n = batch.positions.shape[:2]
    is_atom = batch.mask.repeat_interleave(3, -1)
    wanted = {
        "energy": ((b,), torch.ones_like(answer.energy, dtype=torch.bool)),
        "forces": ((b, n, 3), batch.mask[..., None]),
        "hessian": ((b, 3 * n, 3 * n), is_atom[:, :, None] & is_atom[:, None, :]),
    }
    for name, (shape, is_real) in wanted.items():
        tensor = getattr(answer, name)
        if tensor is None:
            continue
        device = batch.positions.device
        found = (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad)
        for one, expected in zip(found, (shape, torch.float64, device, False), strict=True):
            if one != expected:
                what = "requires_grad " if expected is False else ""
                raise ContractError(f"{name}: {what}{one}, expected {expected}")
        if torch.where(is_real, 0.0, tensor).any():
            raise ContractError(f"{name}: not zero where a system is padded")
        for row in (~tensor.reshape(b, -1).isfinite()).any(-1).nonzero().flatten().tolist():
            raise ContractError(f"{name}: not finite for {label(batch, row)}, nor in failures")


def label(batch: Batch, row: int) -> str:
    """What a system of a batch is called, as in `system 0 (H2O)`."""
    return f"system {row} ({Atoms(batch.system(row)[0]).get_chemical_formula()})"


def _where(name: str, place: int, batch: Batch) -> str:
    def coordinate(k: int) -> str:
        return f"atom {k // 3} {'xyz'[k % 3]}"

    if name == "energy":
        return ""
    if name == "forces":
        return f", {coordinate(place)}"
    row, column = divmod(place, 3 * batch.positions.shape[1])
    return f", {coordinate(row)} by {coordinate(column)}"
