"""A saddle between two ends followed downhill, and what its record says of it then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gadlib.evaluation import Calculator
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.ends import bonds_changed
from gadlib.paths.comparison import compare_path
from gadlib.paths.references import Known
from gadlib.paths.thermochemistry import Conditions
from gadlib.screening.record_parts import Passed
from gadlib.screening.records import Record
from gadlib.solver.delta.observations import Observations
from gadlib.solver.downhill import irc
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

_NEARLY_DOWN = 0.05
"""eV/A on any atom, at an end whose bonds are compared though it is not relaxed to the last."""


def followed(
    calculator: Calculator,
    record: Record,
    known: Known,
    seen: Sequence[Observations] | None = None,
) -> Record:
    """The record with what its saddle joins, and what it cost to go there.

    Args:
        calculator: the potential.
        record: of a search that ended at a saddle.
        known: the ends that it is meant to join.
        seen: by that search, where it was one on a surrogate.
    """
    batch = Batch.of([record]).to(getattr(calculator, "device", "cpu"))
    (path,) = irc.follow(calculator, batch, known=seen)
    n_gradient, n_hessian = path.calls
    record = replace(record, n_path_gradient=n_gradient, n_path_hessian=n_hessian)
    legs, reasons = path.legs, path.reasons
    if reasons and not (legs and all(leg.max_force < _NEARLY_DOWN for leg in legs)):
        message = f"{record.message} It could not be followed downhill: {reasons[0]}"
        return _judged(record, Connection.FAILED, message)
    told = compare_path(path, record, known, Conditions())
    told |= _unchanged(record, known, told["verdict"], told["ends"])
    passed = Passed(
        verdict=told["verdict"],
        change=told["change"],
        energy=path.energy,
        imaginary_cm1=told["imaginary_cm1"],
        barrier=told["barrier"],
        reaction_energy=told["reaction_energy"],
        positions=told["saddle"],
        ends=told["ends"],
    )
    rest = "".join(f" At an end {text}." for text in reasons)
    message = f"{Status.SADDLE.sentence} {told['message']}{rest}"
    return _judged(replace(record, passed=[passed]), told["verdict"], message)


def _judged(record: Record, verdict: str, message: str) -> Record:
    """The record with what its saddle joins; a path that failed leaves open whether it is intended.

    Steps of a reaction are none of them intended: each joins an end with what lies between.
    """
    is_intended = None if verdict == Connection.FAILED else verdict == Connection.INTENDED
    criteria = {**record.criteria, "intended": is_intended}
    return replace(record, verdict=verdict, message=message, criteria=criteria)


def _unchanged(record: Record, known: Known, verdict: str, ends: list) -> dict[str, str]:
    """The verdict on ends that are alike, where bonds should have gone from atom to atom."""
    assert known.reactant is not None and known.product is not None
    numbers = np.array(record.atomic_numbers)
    is_asked = bonds_changed(numbers, known.reactant, known.product)
    is_done = bonds_changed(numbers, *(np.array(end) for end in ends))
    if verdict != Connection.INTENDED or is_done or not is_asked:
        return {}
    message = "Both ways lead to the same bonds between the same atoms."
    return {"verdict": Connection.NO_REACTION, "message": message}
