"""What a search cost, as costs are compared: in gradients, with or without the proof."""

from __future__ import annotations

from dataclasses import replace

from gadlib.screening.records import Record


def without_proof(record: Record) -> Record:
    """The record without what proves its strict saddle: a Hessian, or products."""
    return replace(
        record,
        n_energy=record.n_energy - record.n_proof,
        n_gradient=record.n_gradient - record.n_proof,
        n_hessian=record.n_hessian - (bool(record.strict) and not record.proof),
    )


def gradients_of(record: Record) -> int:
    """What a search cost in gradients: its own, and for each Hessian 6N, as by differences."""
    return record.n_gradient + 6 * len(record.atomic_numbers) * record.n_hessian


def proof_of(record: Record) -> int:
    """What the proof of a saddle costs in gradients: of products, else of a Hessian."""
    return record.n_proof or 6 * len(record.atomic_numbers)
