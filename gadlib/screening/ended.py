"""How a search has ended, as a record: from the last frame of it, nothing computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.molecules.contacts import gap, is_adrift
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import AT_POINTS, CRITERIA
from gadlib.solver.criteria import Verdict
from gadlib.solver.goal import Frame
from gadlib.solver.handing_over import told_on_the_way
from gadlib.solver.state import State, lowest_displacement
from gadlib.solver.trust.tries import tell_tries
from gadlib.systems.batch import Batch


def record_of(start: Start, frame: Frame, row: int, criterion: str) -> Record:
    """The record of a search that has ended.

    Args:
        start: where it began.
        frame: that it ended with.
        row: its place there.
        criterion: that was asked for.
    """
    state, status = frame.state, frame.status[row]
    reasons = (
        () if status.is_met else (state.message[row], state.doubt[row], _drifted(start, state, row))
    )
    reasons = (status.sentence, *reasons, told_on_the_way(state, row))
    message = " ".join(text for text in reasons if text)
    return replace(
        Record.blank(start, status, message),
        converged=bool(frame.verdict.meets(criterion)[row]),
        steps=int(state.steps[row]),
        escapes=int(state.escapes[row]),
        n_energy=int(state.cost.n_gradient[row]),
        n_gradient=int(state.cost.n_gradient[row]),
        n_hessian=int(state.cost.n_hessian[row]),
        elapsed_s=round(float(state.cost.elapsed_s[row]), 6),
        calculator_s=round(float(state.cost.calculator_s[row]), 6),
        positions=state.batch.system(row)[1].tolist(),
        tries=list(tell_tries(state, row, str(status))),
        **describe(frame.verdict, row),
    )


def describe(verdict: Verdict, row: int) -> dict[str, Any]:
    """What is known of a point, as fields of its record; without an exact Hessian not all are."""
    state, known = verdict.state, {}
    if state.is_computed[row]:
        known |= {
            "n_fragments": int(verdict.n_fragments[row]),
            "fmax": float(state.max_force[row]),
            "energy": float(state.energy[row]),
            "forces": _of_atoms(state, row, state.forces[row]),
        }
    if state.is_computed[row] and state.is_exact[row]:
        known |= {
            "criteria": dict.fromkeys(CRITERIA)
            | {name: bool(verdict.meets(name)[row]) for name in AT_POINTS},
            "imaginary_cm1": float(verdict.imaginary_cm1[row]),
            "order": int(state.order[row]),
            "eigenvalues": state.spectrum.eigenvalues[row, :2].tolist(),
            "mode": _lowest_mode(state, row),
        }
        if (proof := state.proof[row]) is not None:
            known |= {"proof": proof.sentence, "n_proof": proof.n_gradient}
    return known


def _lowest_mode(state: State, row: int) -> list[list[float]]:
    """The displacement of the atoms along the lowest mode, of length 1, always of one sign."""
    unit = lowest_displacement(state, row)
    generic = torch.cos(torch.arange(len(unit), device=unit.device, dtype=unit.dtype))
    sign = -1.0 if float(unit @ generic) < 0 else 1.0
    return _of_atoms(state, row, (sign * unit).unflatten(0, (-1, 3)))


def _of_atoms(state: State, row: int, vectors: Float[Tensor, "N 3"]) -> list[list[float]]:
    """Vectors of the atoms as a record keeps them."""
    return vectors[: int(state.batch.n_atoms[row])].double().round(decimals=8).tolist()


def _drifted(start: Start, state: State, row: int) -> str:
    """That pieces which may be apart went from one another, in words; empty where they did not."""
    here = state.batch.take(torch.tensor([row], device=state.index.device))
    first = Batch.of([start])
    several = state.max_fragments[[row]] > 1
    now, then = gap(here, several), gap(first, several.cpu())
    if not is_adrift(now.cpu(), then).any():
        return ""
    return (
        "Its pieces have gone from one another, to"
        f" {float(now):.1f} times the sum of the covalent radii ({float(then):.1f} at the start)."
    )
