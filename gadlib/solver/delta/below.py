"""Which cheap potential is below each system, and who takes over where it fails.

A calculator has one (`cheap`), and may have others beside it for what that one fails at (`others`,
with `names` for all). What was seen of the difference is worked out anew for the next one: that
takes calls of cheap potentials alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate, name_of
from gadlib.solver.delta.observations import Observations
from gadlib.systems.batch import Batch


def cheap_of(calculator: Calculator) -> Calculator:
    """The cheap potential beside a calculator.

    Raises:
        ValueError: when there is none.
    """
    cheap = getattr(calculator, "cheap", None)
    if cheap is None:
        raise ValueError(
            "solver delta: the calculator has no cheap one beside it; expected one with the"
            " attribute `cheap`, as gadlib.calculators.pair makes it"
        )
    return cheap


def cheaps_of(calculator: Calculator) -> tuple[Calculator, ...]:
    """The cheap potentials beside a calculator, in the order in which they are taken."""
    return (cheap_of(calculator), *getattr(calculator, "others", ()))


def names_of(calculator: Calculator) -> tuple[str, ...]:
    """What they are called in a sentence."""
    return tuple(getattr(calculator, "names", ())) or tuple(map(name_of, cheaps_of(calculator)))


def evaluate_below(calculators: Sequence[Calculator], batch: Batch, *, hessian: bool) -> Evaluation:
    """What each system's own cheap potential says of it, asked once for all that have the same."""
    kinds = {id(one): one for one in calculators}
    if len(kinds) == 1:
        return evaluate(calculators[0], batch, hessian=hessian)[0]
    width = 3 * batch.positions.shape[1]
    energy, forces = batch.positions.new_zeros(len(batch)), torch.zeros_like(batch.positions)
    second = batch.positions.new_zeros(len(batch), width, width) if hessian else None
    failures: dict[int, str] = {}
    for key, one in kinds.items():
        rows = [row for row, other in enumerate(calculators) if id(other) == key]
        part, _ = evaluate(one, batch.take(_places(rows, batch)), hessian=hessian)
        energy[rows], forces[rows] = part.energy, part.forces
        if second is not None and part.hessian is not None:
            second[rows] = part.hessian
        failures |= {rows[place]: why for place, why in part.failures.items()}
    return Evaluation(energy, forces, second, failures)


def observed(
    cheap: Calculator,
    batch: Batch,
    positions: Float[Tensor, "K N 3"],
    answer: Evaluation,
    known: Observations,
) -> Observations:
    """The observations with those at points where both potentials could be computed.

    Args:
        cheap: the potential that the observations are against.
        batch: the one system.
        positions: the points.
        answer: what the costly potential says there.
        known: seen before.
    """
    many = batch.take(torch.zeros(len(positions), dtype=torch.int64)).moved_to(positions)
    below, _ = evaluate(cheap, many, hessian=False)
    energy = answer.energy - below.energy
    gradient = below.forces - answer.forces
    n = int(batch.n_atoms[0])
    for row in energy.isfinite().nonzero().flatten().tolist():
        place, slope = positions[row, :n].cpu(), gradient[row, :n].cpu()
        known = known.plus(place[None], energy[row, None].cpu(), slope[None])
    return known


def take_over(
    calculator: Calculator, system: Batch, known: Observations, why: str
) -> tuple[Observations, Evaluation, str] | None:
    """What was seen, now against the next cheap potential that answers where one system is.

    With it what that says there, its Hessian too, and a sentence; None where no other answers.

    Args:
        calculator: the potential, with its cheap ones.
        system: a batch of one, where the last one has failed.
        known: seen of it.
        why: the last one has failed.
    """
    cheaps, names = cheaps_of(calculator), names_of(calculator)
    for which in range(known.which + 1, len(cheaps)):
        there, _ = evaluate(cheaps[which], system, hessian=True)
        if not there.failures:
            told = f"The cheap potential failed ({why}); {names[which]} took its place."
            return _rebased(cheaps, system, known, which), there, told
    return None


def _rebased(
    cheaps: Sequence[Calculator], system: Batch, known: Observations, which: int
) -> Observations:
    """The observations against another cheap potential, at points where both can be computed."""
    if not len(known):
        return replace(known, which=which)
    n, device = known.positions.shape[1], system.positions.device
    places = system.positions.new_zeros(len(known), *system.positions.shape[1:])
    places[:, :n] = known.positions.to(places)
    many = system.take(torch.zeros(len(known), dtype=torch.int64, device=device)).moved_to(places)
    before, after = (evaluate(cheaps[i], many, hessian=False)[0] for i in (known.which, which))
    energies = known.energies + (before.energy - after.energy).cpu()
    gradients = known.gradients + (after.forces - before.forces)[:, :n].cpu()
    kept = energies.isfinite()
    return Observations(known.positions[kept], energies[kept], gradients[kept], which)


def _places(rows: Sequence[int], batch: Batch) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64, device=batch.positions.device)
